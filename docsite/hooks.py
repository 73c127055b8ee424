"""mkdocs's hooks. They add pages from outside of docs/ and pages that the nav does not name, and set the language of a
page. They make search work in Chinese and without a server."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent

#: Pages in the repository's root, where readers expect them.
OUTSIDE = ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")

#: Pages whose results come after those of other pages: without it the short pages of lint rules come first for common
#: words. A rule is still found first by its ID.
LAST = ("lint/", "reference/api.md", "CHANGELOG.md")

#: The tabs of the navigation on a Chinese page. Most of their pages are English.
TABS = {"Home": "首页", "Start": "入门", "Guides": "指南", "Concepts": "概念", "Reference": "参考", "Project": "项目"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the pages that the nav does not name."""
    nav: list[Any] = config.nav or []
    docs = Path(config.docs_dir)
    missing = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")} - set(_named(nav))
    reference = next(one["Reference"] for one in nav if "Reference" in one)
    rules = next(one["Lint rules"] for one in reference if "Lint rules" in one)
    for name in sorted(missing):
        (rules if name.startswith("lint/") else reference).append(name)
    return config


def _named(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [name for part in parts for name in _named(part)]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for name in OUTSIDE:
        files.append(File.generated(config, name, content=(ROOT / name).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Convert links between docs/ and the repository's root: from their form in the repository to that in the site."""
    if page.file.src_uri.startswith(LAST):
        page.meta["search"] = {"boost": 0.1}
    if page.file.src_uri in OUTSIDE:
        return markdown.replace("](docs/", "](")
    for name in OUTSIDE:
        markdown = re.sub(rf"\]\((?:\.\./)+{re.escape(name)}", f"]({_up(page)}{name}", markdown)
    return markdown


def _up(page: Page) -> str:
    return "../" * page.file.src_uri.count("/")


def on_page_context(context: dict[str, Any], page: Page, config: MkDocsConfig, nav: Any) -> dict[str, Any]:
    """Set the language of the site's own texts (search, table of contents, tabs) and the page's ``lang`` to the
    page's."""
    chinese = page.file.src_uri.startswith("zh/")
    config.theme["language"] = "zh" if chinese else "en"
    names = TABS if chinese else {name: english for english, name in TABS.items()}
    for item in nav.items:
        item.title = names.get(item.title, item.title)
    return context


def on_post_build(config: MkDocsConfig) -> None:
    """Make each Chinese character a search term, because Chinese has no blanks between words; the script in the browser
    finds a query's characters among the terms. Also write the index as a script, which a page from the file system may
    load."""
    index = Path(config.site_dir, "search/search_index.json")
    data = json.loads(index.read_text(encoding="utf-8"))
    for entry in data["docs"]:
        for key in ("title", "text"):
            entry[key] = re.sub(r"([\u4e00-\u9fff])(?=[\u4e00-\u9fff])", "\\1\u200b", entry[key])
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    index.write_text(text, encoding="utf-8")
    index.with_suffix(".js").write_text(f"var __index = {text}", encoding="utf-8")
