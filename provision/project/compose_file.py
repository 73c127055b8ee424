"""A compose project: the text of its file, and the images that it names."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from provision.errors import SpecError
from provision.project.host_config import Context, HostConfig
from provision.text.yamlfile import bounded, locate


def text(config: HostConfig, context: Context, name: str) -> bytes:
    """Raises :class:`SpecError` for a template that cannot be rendered, and for a missing file."""
    one = config.spec.compose[name]
    if one.content is not None:
        return one.content.encode()
    if one.template is not None:
        where = locate(config.source, ("compose", name, "template"))
        return context.render(one.template, config.scope, where).encode()
    content = context.read(str(one.src))
    if content is None:
        where = locate(config.source, ("compose", name, "src"))
        raise SpecError(
            f"no such file: {one.src} [host {config.host.name}]", where=where, key=f"spec.compose.{name}.src"
        )
    return content


@lru_cache(maxsize=256)
def images(content: bytes) -> tuple[str, ...]:
    """The images that services of a compose file name, except those that a variable decides. A text that is not a
    compose file names none: compose itself reports what is wrong with it."""
    try:
        whole: Any = bounded(Path("compose.yml"), content.decode())
    except (SpecError, UnicodeDecodeError):
        return ()
    services = whole.get("services") if isinstance(whole, dict) else None
    found = (
        [one.get("image") for one in services.values() if isinstance(one, dict)] if isinstance(services, dict) else []
    )
    return tuple(dict.fromkeys(name for name in found if isinstance(name, str) and "$" not in name))
