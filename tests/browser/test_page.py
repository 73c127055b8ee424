"""The page of a run in a real browser: what it shows, at which widths, by keyboard and in print."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.cli import main
from tests.browser.chromium import Chromium
from tests.journals import rollout

pytestmark = pytest.mark.browser

VISIBLE = "[...document.querySelectorAll('{}')].filter(one => one.checkVisibility()).length"
LANES, HOSTS = VISIBLE.format(".row"), VISIBLE.format("details")
FOCUS = "document.activeElement.id || document.activeElement.value || document.activeElement.getAttribute('href')"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal of 200 hosts in four waves. One host that was rolled back stops the third wave."""
    folder = tmp_path_factory.mktemp("page")
    rollout(folder / "site.yml", "20260101T000000-aaaaaaaa", 200, (1, 20, 79, 100), frozenset({60}))
    assert main(["report", "last", str(folder / "site.yml"), "--html", str(folder / "out.html")]) == 0
    return folder / "out.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    if shutil.which("chromium") is None:
        pytest.fail("chromium is needed for this test (`make test-all` installs it)")
    with Chromium() as chromium:
        yield chromium


def test_the_page_shows_each_host_and_its_timeline(browser: Chromium, page: Path) -> None:
    browser.open(page)
    assert browser.value("document.title") == "apply 20260101T000000-aaaaaaaa", "text of hosts is shown as text"
    assert browser.value(LANES) == 200
    assert browser.value("document.querySelectorAll('.matrix tbody tr').length") == 100, "the hosts that had steps"
    stopped = browser.value("document.querySelector('.stop').textContent")
    assert stopped.startswith("Stopped: 1 of 1 hosts")
    headings = browser.value("[...document.querySelectorAll('.wave')].map(one => one.textContent)")
    assert headings == ["Wave 1 of 4: the canary", "Wave 2 of 4", "Wave 3 of 4", "In no wave"]
    # The spans of a timeline row are in order, and within the track.
    inside = "[...document.querySelectorAll('.track')].every(track => { const t = track.getBoundingClientRect();"
    inside += " return [...track.children].every(one => { const s = one.getBoundingClientRect();"
    inside += " return s.left >= t.left - 1 && s.right <= t.right + 3; }); })"
    assert browser.value(inside) is True
    assert browser.value("performance.getEntriesByType('resource').length") == 0, "the page loads no other file"


def test_hosts_are_filtered_by_keyboard(browser: Chromium, page: Path) -> None:
    browser.open(page)
    browser.press("Tab")
    assert browser.value(FOCUS) == "#hosts", "the skip link is the first element"
    browser.press("/")
    assert browser.value(FOCUS) == "q"
    browser.press(*"web06")
    assert browser.value(LANES) == browser.value(HOSTS) == 10
    assert browser.value("document.getElementById('shown').textContent") == "10 of 200 hosts"
    assert browser.value("location.hash") == "#q=web06"
    browser.press("Escape", "Tab")
    assert browser.value(FOCUS) == "changed"
    browser.press(" ")
    assert browser.value(LANES) == 101, "one host rolled back, and the hosts that were not started"
    browser.press("Tab", "Tab", " ")
    assert browser.value(LANES) == 1
    # The search finds a host by its error too, and the filter can be sent as an address.
    browser.press("/", *"restart")
    assert browser.value(LANES) == 1
    browser.open(page, "#q=web001&without=skipped")
    assert browser.value(LANES) == 1
    # From the timeline row to the host.
    browser.open(page)
    browser.value("document.querySelector('.row a').focus()")
    browser.press("Enter")
    browser.until("document.getElementById('host-web001').open")


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_fits_the_width(page: Path, tmp_path: Path, width: int) -> None:
    with Chromium(width) as browser:
        browser.open(page)
        assert browser.value("document.documentElement.scrollWidth") <= width, "no element is wider than the page"
        browser.value("for (const one of document.querySelectorAll('details')) one.open = true")
        assert browser.value("document.documentElement.scrollWidth") <= width
        browser.screenshot(tmp_path / "page.png")
        assert (tmp_path / "page.png").stat().st_size > 50_000


def test_the_page_prints_all_hosts(browser: Chromium, page: Path) -> None:
    browser.open(page)
    assert browser.pdf().count(b"/Type /Page\n") > 20, "the details of the hosts are printed too"
    browser.ask("Emulation.setEmulatedMedia", media="print")
    assert browser.value("getComputedStyle(document.querySelector('form')).display") == "none"
    browser.ask("Emulation.setEmulatedMedia", media="")
