"""Every screen in a real Chromium: nothing that a model is called does anything, and nothing is asked of anybody else."""

import contextlib
import threading
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest
import uvicorn
from alerted import write_alerts
from browser import PROGRAM, Browser, chromium
from dashboard_home import HOSTILE
from labelled import write_labels, write_names_and_numbers
from watched import write_history

from podium.dashboard.process import _listening

pytestmark = [pytest.mark.slow, pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium on this machine")]

ADDRESSES = [
    "/",
    "/registry",
    f"/registry/{quote(HOSTILE)}",
    f"/registry/{quote(HOSTILE)}/versions/2",
    "/rollouts",
    "/experiments",
    "/environments",
    "/system",
    "/models/fraud/traffic",
    "/models/fraud/drift",
    f"/models/fraud/drift?column={quote('feature:' + HOSTILE)}",
    "/models/fraud/predictions",
    "/models/risk/quality?range=6h",
    "/models/names/quality",
    "/models/numbers/quality",
    "/alerts",
    "/nothing",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def address(home, shown) -> Iterator[str]:
    """Where the site listens, with some hours of history."""
    write_history(home, int(time.time()), 0.2)
    write_labels(home, int(time.time()), 0.15)
    write_names_and_numbers(home, int(time.time()))
    write_alerts(home, time.time())
    with _listening("127.0.0.1", 0) as sock:
        server = uvicorn.Server(uvicorn.Config(shown, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        server.should_exit = True
        thread.join(60)


@contextlib.contextmanager
def quiet(browser: Browser, address: str, allowed: str = "") -> Iterator[None]:
    """Nothing was complained of, and nobody else asked for anything."""
    browser.complaints.clear()
    browser.asked.clear()
    yield
    assert [each for each in browser.complaints if not allowed or allowed not in each] == []
    assert {each for each in browser.asked if not each.startswith((address, "about:", "data:"))} == set()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("screen", ADDRESSES, ids=range(len(ADDRESSES)))
def test_a_screen_of_hostile_names_is_only_text(browser, address, screen, theme):
    """No dialog, no violation of the policy, no error, no request to another place; and it fits its window."""
    browser.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
    with quiet(browser, address, "404" if screen == "/nothing" else ""):
        browser.open(address + screen)
        assert browser.run("document.querySelector('h1') !== null")
        assert browser.run("document.querySelectorAll('main img, main script').length") == 0
        assert browser.run("document.documentElement.scrollWidth <= innerWidth"), "it is wider than the window"
        background = browser.run("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(11, 15, 22)") is (theme == "dark")


def test_keys_lead_from_screen_to_screen(browser, address):
    """g and a letter; ? says which; / goes to the filter."""
    browser.open(address + "/")
    browser.press("?")
    assert browser.run("document.querySelector('#keys').open")
    browser.press("?")
    browser.press("/")
    assert browser.run("document.activeElement.name") == "q"
    browser.press("Escape")
    browser.press("g")
    browser.press("r")
    browser.loaded()
    assert browser.run("location.pathname") == "/registry"


def test_a_drag_across_a_chart_shows_that_time_on_all_of_them(browser, address):
    """The pointer shows values; what it is drawn over becomes the page's span, in its address."""
    browser.open(address + "/models/fraud/traffic?range=6h")
    with quiet(browser, address):
        place = "(() => { const box = document.querySelector('svg.lines').getBoundingClientRect();"
        left, top, width, height = browser.run(f"{place} return [box.left, box.top, box.width, box.height]; }})()")
        start, end = (left + 0.6 * width, top + height / 2), (left + 0.8 * width, top + height / 2)
        browser.drag(start, start)
        assert browser.run("document.querySelectorAll('svg.lines.live').length > 3"), "one line across all charts"
        assert "version 3" in browser.run("document.querySelector('.tip').textContent")
        browser.drag(start, end)
        browser.loaded()
        since, until = browser.run("['from', 'to'].map((name) => Number(new URL(location).searchParams.get(name)))")
    assert 0.15 * 6 * 3600 < until - since < 0.3 * 6 * 3600
    browser.press("]")
    browser.loaded()
    assert browser.run("Number(new URL(location).searchParams.get('from'))") > since


def test_the_page_looks_for_news_and_takes_it(browser, address):
    """What the server says next stands there, by the same rules."""
    browser.open(address + "/")
    with quiet(browser, address):
        browser.run("document.querySelector('main h1').textContent = 'old'")
        browser.run(
            "new Promise((done) => { const isNew = () => document.querySelector('main h1').textContent === 'Overview';"
            " new MutationObserver((_, seen) => { if (isNew()) { seen.disconnect(); done(); } })"
            ".observe(document.body, { childList: true, subtree: true });"
            # Perhaps it has looked by itself since the heading was changed.
            " if (isNew()) { done(); } document.dispatchEvent(new Event('visibilitychange')); })"
        )


def test_a_screen_is_whole_without_its_script(browser, address):
    """Reading needs no JavaScript."""
    browser.tell("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(address + f"/registry/{quote(HOSTILE)}")
        assert browser.run("document.querySelectorAll('svg.lanes rect').length") > 0
        assert browser.run("document.querySelectorAll('table tbody tr').length") == 3
    finally:
        browser.tell("Emulation.setScriptExecutionDisabled", value=False)
