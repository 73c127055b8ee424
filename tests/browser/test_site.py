"""The documentation site in a real browser. It connects to no other host, reports no error, fits a phone and can be
read. Its search finds English and Chinese, over HTTP and from the file system."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import Chromium

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parent.parent.parent
PHONE = 390
PAGES = (
    "index.html",
    "start/first-host.html",
    "start/fleet.html",
    "guides/rollback.html",
    "guides/troubleshooting.html",
    "environment.html",
    "versions.html",
    "concepts/comparison.html",
    "concepts/stages.html",
    "transactions.html",
    "performance.html",
    "reference/spec.html",
    "reference/commands.html",
    "lint/index.html",
    "zh/index.html",
    "zh/first-host.html",
    "zh/reference-setup.html",
    "zh/troubleshooting.html",
)

#: The texts of a page whose contrast is below WCAG 2.1's 1.4.3 (4.5; 3 for large text), each with its ratio. Colours
#: may be translucent, so they are blended from the top to the first opaque one.
CONTRAST = """(() => {
  const parse = text => { const n = text.match(/[0-9.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n }
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1)
  const light = colour => {
    const linear = c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4
    const [r, g, b] = colour.slice(0, 3).map(c => linear(c / 255))
    return .2126 * r + .7152 * g + .0722 * b
  }
  const ground = element => {
    const layers = []
    for (let one = element; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor)
      layers.unshift(colour)
      if (colour[3] === 1) break
    }
    return layers.reduce((below, top) => over(top, below), [255, 255, 255, 1])
  }
  const found = new Map()
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement
    const visible = element.checkVisibility({opacityProperty: true, visibilityProperty: true})
    if (!node.textContent.trim() || !visible) continue
    const box = element.getBoundingClientRect()
    if (box.width < 2 || box.height < 2) continue
    const style = getComputedStyle(element), below = ground(element)
    const [a, b] = [light(over(parse(style.color), below)), light(below)].sort((x, y) => y - x)
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700)
    const ratio = (a + .05) / (b + .05)
    const name = `${element.className || element.tagName}: ${node.textContent.trim().slice(0, 30)}`
    if (ratio < (large ? 3 : 4.5)) found.set(name, Math.round(ratio * 100) / 100)
  }
  return [...found].slice(0, 10)
})()"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    argv = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    subprocess.run(argv, cwd=ROOT, env=environment, check=True, capture_output=True)
    return folder


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    handler = functools.partial(_Silent, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    if shutil.which("chromium") is None:
        pytest.fail("chromium is needed for this test (`make test-all` installs it)")
    with Chromium() as chromium:
        for domain in ("Log", "Network", "Runtime"):
            chromium.ask(f"{domain}.enable")
        yield chromium


def resize(browser: Chromium, width: int) -> None:
    browser.ask("Emulation.setDeviceMetricsOverride", width=width, height=844, deviceScaleFactor=1, mobile=width < 600)


def errors(browser: Chromium) -> list[dict[str, Any]]:
    """The errors that a developer would see in the console."""
    found = []
    for event in browser.events:
        params = event["params"]
        if (
            event["method"] == "Runtime.exceptionThrown"
            or (event["method"] == "Log.entryAdded" and params["entry"]["level"] == "error")
            or (event["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"))
            or event["method"] == "Network.loadingFailed"
        ):
            found.append(event)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_a_page_loads_without_errors_and_fits(browser: Chromium, address: str, page: str) -> None:
    browser.events.clear()
    for width in (PHONE, 1280):
        resize(browser, width)
        browser.visit(f"{address}/{page}")
        browser.until("document.querySelector('.md-search__input') !== null")
        assert browser.value("document.documentElement.scrollWidth") <= width, "no element is wider than the page"
        assert browser.value("[...document.images].every(one => one.complete && one.naturalWidth > 0)")
    assert errors(browser) == []
    asked = [one["params"]["request"]["url"] for one in browser.events if one["method"] == "Network.requestWillBeSent"]
    assert asked
    assert not [url for url in asked if not url.startswith((address, "data:", "about:", "blob:"))]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "page", ["index.html", "start/first-host.html", "reference/spec.html", "zh/reference-setup.html"]
)
def test_the_contrast_of_a_page_is_sufficient(address: str, page: str, scheme: str) -> None:
    with Chromium() as browser:  # a new profile has no choice of colours in its storage
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.ask("Emulation.setEmulatedMedia", features=features)
        browser.visit(f"{address}/{page}")
        wanted = "default" if scheme == "light" else "slate"
        browser.until(f"document.body.getAttribute('data-md-color-scheme') === '{wanted}'")
        # The page may be in a transition of colours.
        browser.until("document.getAnimations().length === 0")
        assert browser.value(CONTRAST) == []


def search(browser: Chromium, url: str, words: str) -> str:
    """The titles of the results."""
    browser.visit(url)
    browser.until("document.querySelector('.md-search__input') !== null")
    browser.value("document.querySelector('.md-search__input').focus()")
    browser.until("document.activeElement === document.querySelector('.md-search__input')")
    browser.ask("Input.insertText", text=words)
    browser.until("document.querySelectorAll('.md-search-result__item').length > 0")
    found: str = browser.value("document.querySelector('.md-search-result__list').innerText")
    return found.replace("\u200b", "")


@pytest.mark.parametrize("served", [True, False], ids=["http", "file"])
@pytest.mark.parametrize(
    ("words", "title"),
    [
        ("existing_store", "Every key of the spec"),
        ("rollback", "Rollback at 3 a.m."),
        ("镜像加速器", "从逐条命令到一份 YAML"),
    ],
)
def test_search_finds_a_page(browser: Chromium, site: Path, address: str, words: str, title: str, served: bool) -> None:
    resize(browser, 1280)
    browser.events.clear()
    assert title in search(browser, f"{address}/index.html" if served else f"file://{site}/index.html", words)
    assert errors(browser) == []


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("sudo password", "ssh.html"),
        ("host key", "reference/errors.html"),
        ("DJ203", "lint/DJ203.html"),
        ("environment variables", "environment.html"),
        ("troubleshooting", "guides/troubleshooting.html"),
        ("upgrade provision", "guides/upgrade.html"),
        ("remove provision", "guides/removal.html"),
        ("deprecation", "versions.html"),
        ("故障排查", "zh/troubleshooting.html"),
    ],
)
def test_search_finds_this_page_first(browser: Chromium, address: str, words: str, page: str) -> None:
    search(browser, f"{address}/index.html", words)
    first = "document.querySelector('.md-search-result__item a').getAttribute('href')"
    assert browser.value(first).removeprefix(f"{address}/").split("#")[0].split("?")[0] == page


def test_search_has_no_result_for_an_unknown_word(browser: Chromium, address: str) -> None:
    browser.visit(f"{address}/index.html")
    browser.until("document.querySelector('.md-search__input') !== null")
    browser.value("document.querySelector('.md-search__input').focus()")
    browser.ask("Input.insertText", text="qqqxyzzy")
    meta = "document.querySelector('.md-search-result__meta').innerText"
    browser.until(f"/No matching/.test({meta})")
