"""A change in a real Chromium: by keys alone, without a script, whatever the model is called; and signing in."""

import contextlib
import threading
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest
import uvicorn
from browser import PROGRAM, Browser, chromium
from dashboard_home import HOSTILE, registered

from podium import Registry
from podium.access.keys import KeyFile
from podium.dashboard.app import site
from podium.dashboard.doors import Doorkeeper
from podium.dashboard.process import _listening
from podium.dashboard.sources import DashboardSources
from podium.domain.stages import Stage
from podium.serving.guard.known import KeysKnown
from podium.settings.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium on this machine")]

PAGE = f"/registry/{quote(HOSTILE, safe='')}"


@pytest.fixture
def registry(tmp_path) -> Registry:
    return registered(Home(tmp_path / "home").create(), tmp_path / "folder", HOSTILE, versions=2)


@contextlib.contextmanager
def listening(registry: Registry, keys: KeysKnown | None = None) -> Iterator[str]:
    """Where the site of its home listens."""
    shown = site(DashboardSources(registry.home), Doorkeeper(keys, time.time), allows_changes=True)
    with _listening("127.0.0.1", 0) as sock:
        server = uvicorn.Server(uvicorn.Config(shown, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(60)


def press_enter(browser: Browser) -> None:
    for kind, text in (("keyDown", {"text": "\r"}), ("keyUp", {})):
        browser.tell("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, **text)
    browser.loaded()


def test_a_version_is_promoted_by_keys_alone_and_without_a_script(registry):
    """From its button over the page that asks to the page that says so, in light and dark, as text only."""
    with listening(registry) as address, chromium() as browser:
        for theme in ("dark", "light"):
            browser.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
            browser.open(f"{address}{PAGE}/versions/1/promote")
            assert browser.run("document.querySelectorAll('main img, main script').length") == 0
            assert browser.run("document.documentElement.scrollWidth <= innerWidth"), "it is wider than the window"
        browser.tell("Emulation.setScriptExecutionDisabled", value=True)
        browser.open(address + PAGE)
        browser.run("document.querySelector('main a[href$=\"/versions/1/promote\"]').focus()")
        press_enter(browser)
        assert "Version 1 of" in browser.run("document.querySelector('.effects').textContent")
        browser.run("document.querySelector('main form button').focus()")
        press_enter(browser)

        assert "is in Production" in browser.run("document.querySelector('[role=status]').textContent")
        assert browser.complaints == []
        assert {each for each in browser.asked if not each.startswith((address, "about:", "data:"))} == set()
    assert [each.version for each in registry.versions(HOSTILE) if each.stage is Stage.PRODUCTION] == [1]


def test_somebody_signs_in_and_out_by_forms_that_the_shield_lets_pass(registry):
    """As a real browser sends them, with what it says of where they come from."""
    _, secret = KeyFile(registry.home.keys).create(["read"], 0.0)
    with listening(registry, KeysKnown(registry.home.keys)) as address, chromium() as browser:
        browser.open(f"{address}/registry")
        browser.run(f"document.querySelector('#key').value = {secret!r}; document.querySelector('#key').focus()")
        press_enter(browser)
        assert browser.run("location.pathname") == "/registry"
        browser.run("document.querySelector('.side-foot form button').focus()")
        press_enter(browser)

        assert browser.run("location.pathname") == "/sign-in"
        assert browser.complaints == []
