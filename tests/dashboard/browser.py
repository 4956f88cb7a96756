"""A real Chromium without a window, driven over its own pipe: pages, keys, and whatever it complains about."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """One page of one Chromium.

    Attributes:
        complaints: What its console, its policy and its dialogs said.
        asked: Every address that it asked for.
    """

    def __init__(self, reading: int, writing: int) -> None:
        self._reading, self._writing = reading, writing
        self._number, self._buffer = 0, b""
        self._session: str | None = None
        self._is_loaded = False
        self.complaints: list[str] = []
        self.asked: list[str] = []
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.tell(f"{domain}.enable")

    def tell(self, method: str, **params: Any) -> dict[str, Any]:
        """One command, and its answer; what happens meanwhile is noted."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        text = json.dumps(message).encode() + b"\0"
        while text:
            text = text[os.write(self._writing, text) :]
        answered = self._until(lambda heard: heard.get("id") == self._number)
        assert "error" not in answered, (method, answered)
        return answered.get("result", {})

    def open(self, address: str) -> None:
        """Go there, and wait until all of it is loaded."""
        self._is_loaded = False
        self.tell("Page.navigate", url=address)
        self.loaded()

    def loaded(self) -> None:
        """Wait until a page is that nobody has waited for yet: it may be before what led there is answered."""
        while not self._is_loaded:
            self._until(lambda heard: heard.get("method") == "Page.loadEventFired")
        self._is_loaded = False

    def run(self, script: str) -> Any:
        """A script's value; not the page's own, and so not under its policy."""
        found = self.tell("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key: str) -> None:
        """A key, down and up."""
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if len(key) == 1 and kind == "keyDown" else {}
            self.tell("Input.dispatchKeyEvent", type=kind, key=key, **text)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """The pointer, pressed here and let go there."""
        middle = ((start[0] + end[0]) / 2, end[1])
        for kind, (x, y), pressed in (
            ("mouseMoved", start, 0), ("mousePressed", start, 1), ("mouseMoved", middle, 1), ("mouseMoved", end, 1),
            ("mouseReleased", end, 0),
        ):  # fmt: skip
            button = {"button": "left", "clickCount": 1} if kind != "mouseMoved" else {}
            self.tell("Input.dispatchMouseEvent", type=kind, x=x, y=y, buttons=pressed, **button)

    def _until(self, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            while b"\0" not in self._buffer:
                part = os.read(self._reading, 1 << 16)
                assert part, "the browser has ended"
                self._buffer += part
            text, _, self._buffer = self._buffer.partition(b"\0")
            heard = json.loads(text)
            self._note(heard)
            if is_it(heard):
                return heard

    def _note(self, heard: dict[str, Any]) -> None:
        said = heard.get("params", {})
        match heard.get("method"):
            case "Page.loadEventFired":
                self._is_loaded = True
            case "Network.requestWillBeSent":
                self.asked.append(said["request"]["url"])
            case "Page.javascriptDialogOpening" | "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(said))
            case "Log.entryAdded" if said["entry"]["level"] in {"error", "warning"}:
                self.complaints.append(said["entry"]["text"])
            case "Runtime.consoleAPICalled" if said["type"] in {"error", "warning", "assert"}:
                self.complaints.append(json.dumps(said["args"]))


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """One that ends with the block."""
    assert PROGRAM is not None
    ours_in, theirs_out = os.pipe()
    theirs_in, ours_out = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # Chromium reads commands from descriptor 3 and writes answers to 4.
        command = 'exec "$0" "$@" 3<&"$PIPE_IN" 4>&"$PIPE_OUT"'
        process = subprocess.Popen(
            [
                "bash", "-c", command, str(PROGRAM), "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
                "--disable-background-networking", "--remote-debugging-pipe", f"--user-data-dir={Path(profile)}",
                "--window-size=1360,900", "about:blank",
            ],
            pass_fds=(theirs_in, theirs_out),
            env={**os.environ, "PIPE_IN": str(theirs_in), "PIPE_OUT": str(theirs_out), "HOME": profile},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            yield Browser(ours_in, ours_out)
        finally:
            os.close(ours_in)
            os.close(ours_out)
            process.terminate()
            process.wait(120)
