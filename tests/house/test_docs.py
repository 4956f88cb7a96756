"""Every example in the README and under docs/ runs, in the order of its page, in a folder and a PODIUM_HOME of its own.

A fenced `bash` or `python` block runs. What stands in an HTML comment on the line before it says otherwise:

    <!-- background -->          a server: starts, and is ready before the next block runs
    <!-- prints -->              before a `text` block: the block before printed its lines, `…` standing for anything
    <!-- not run: a reason -->   for what a test cannot do, such as installing from an index

Port 5000 in a page stands for a free one, and a time that something may take for a longer one: here it is the machine's
affair how quick an example is.
"""

import os
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from driven import Podium, wait_until
from ports import free_port
from tree import ROOT, pages

_FENCE = re.compile(r"(?:^<!-- ([^\n]+?) -->\n+)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_RUN = {"bash", "python"}
_LONGER = {"--p99 1s": "--p99 200s", "timeout=10)": "timeout=200)", "deadline=2)": "deadline=200)"}


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: where it is, its language, what the comment before it says."""

    line: int
    language: str
    mark: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for found in _FENCE.finditer(text):
        yield Block(text[: found.start(3)].count("\n"), found[2], found[1] or "", found[3])


def _runs(page: Path) -> bool:
    return any(block.language in _RUN and not block.mark.startswith("not run") for block in blocks(page))


@dataclass(frozen=True, slots=True)
class Session:
    """What one page's examples share."""

    podium: Podium
    started: list[subprocess.Popen[bytes]]


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    podium = Podium(tmp_path)
    (tmp_path / "bin").mkdir()
    for name, command in {"podium": "-m podium ", "python": "", "python3": ""}.items():
        script = tmp_path / "bin" / name
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {command}"$@"\n')
        script.chmod(0o755)
    (tmp_path / "page").mkdir()
    started: list[subprocess.Popen[bytes]] = []
    yield Session(podium, started)
    podium.end()
    for process in started:
        process.wait(60)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in pages() if _runs(page)], ids=lambda page: str(page.relative_to(ROOT)))
def test_the_examples_of_the_page_run(session: Session, page: Path):
    """As a reader would type them, one after another."""
    port, printed = free_port(), ""
    for block in blocks(page):
        where = f"{page.relative_to(ROOT)}:{block.line}"
        text = block.text.replace("5000", str(port))
        for time, longer in _LONGER.items():
            text = text.replace(time, longer)
        if block.mark == "prints":
            assert _missing(text, printed) == [], f"{where}: not in what the block before printed:\n{printed}"
        elif block.language in _RUN and block.mark == "background":
            _start(session, text)
            wait_until(lambda: _is_ready(port), 240, f"{where}: the server is ready")
        elif block.language in _RUN and not block.mark.startswith("not run"):
            printed = _run(session, block.language, text, where)


def test_each_example_runs_or_says_why_not():
    """No block is skipped by a misspelt comment, and every fence names its language."""
    odd = [
        f"{page.relative_to(ROOT)}:{block.line}: ```{block.language} <!-- {block.mark} -->"
        for page in pages()
        for block in blocks(page)
        if not block.language or not re.fullmatch(r"|background|prints|not run: .{8,}", block.mark)
    ]

    assert odd == []


def test_links_between_pages_lead_somewhere():
    """Each relative link of a page names a file that is there."""
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages()
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
        if not (page.parent / target).exists()
    ]

    assert broken == []


def _environment(session: Session) -> dict[str, str]:
    own = session.podium.folder / "bin", Path(sys.executable).parent
    return {**session.podium.environment, "PATH": os.pathsep.join([*map(str, own), os.environ["PATH"]])}


def _run(session: Session, language: str, text: str, where: str) -> str:
    command = ["bash", "-euo", "pipefail", "-c", text] if language == "bash" else [sys.executable, "-c", text]
    done = subprocess.run(
        command,
        env=_environment(session),
        cwd=session.podium.folder / "page",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=550,
        check=False,
    )
    assert done.returncode == 0, f"{where} exited {done.returncode}:\n{text}\n{done.stdout}"
    return done.stdout


def _start(session: Session, text: str) -> None:
    with (session.podium.folder / "background.log").open("ab") as out:
        process = subprocess.Popen(
            ["bash", "-euc", text],
            env=_environment(session),
            cwd=session.podium.folder / "page",
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    session.started.append(process)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _missing(wanted: str, printed: str) -> list[str]:
    lines = [line for line in wanted.splitlines() if line.strip()]
    patterns = {line: ".*".join(re.escape(part.strip()) for part in line.split("…")) for line in lines}
    return [line for line, pattern in patterns.items() if not re.search(pattern, printed)]
