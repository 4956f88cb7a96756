"""Versions that mean harm, and a home that somebody tidies up: what serves keeps serving."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
from tinyhouse import NAME, PRODUCTION, Server, until

from podium.api.registering import Registry

LAST_WORDS = {
    "half a surrogate pair": "raise ValueError('\\udc80')",
    "a terminal's commands": "raise ValueError('\\x1b[2J\\nversion 9 serves')",
    "a megabyte": "raise ValueError('x' * 1_000_000)",
}


@pytest.mark.parametrize("last_words", LAST_WORDS.values(), ids=LAST_WORDS.keys())
def test_what_a_version_says_at_its_end_is_one_harmless_line(house, last_words):
    """It is shown in a terminal, in logs and in status, and ends nobody who shows it."""
    house.register(1)
    house.promote(1)
    house.register(2, while_loading=last_words)
    with house.serving() as server:
        house.promote(2)
        until(lambda: server.status["wanted_failure"], "the version has failed", server.over)

        said, status, answer = server.said(), house.command("status"), server.ask()

    assert answer[1][0] == 1
    assert status.returncode == 0
    assert "\x1b" not in said + status.stdout
    assert "\nversion 9" not in said
    assert len(said) < 20_000


def test_a_version_whose_file_has_what_json_has_not_is_served(house):
    """Bytes, sets and dates in MLmodel reach the worker as text and lists."""
    house.register(1)
    house.promote(1)
    folder = house.model(2)
    with (folder / "MLmodel").open("a") as file:
        file.write("blob: !!binary aGVsbG8=\nwhen: &a {2024-01-02: !!set {x: null}}\n")
    Registry(house.home).register(folder, NAME)
    with house.serving() as server:
        house.promote(2)

        until(lambda: server.ask()[1][0] == 2, "what fits JSON once it is plain is served", server.over)


def test_a_copy_that_was_cleared_away_is_made_again(house):
    """By whoever tidies temporary folders; so is one that was changed since it was verified."""
    house.register(1)
    house.promote(1)
    with house.serving() as server:
        for damage in (_clear, _change):
            [copy] = (house.home / "run").glob("*/endpoints/*/models/*")
            damage(copy)
            [before] = server.workers()
            os.kill(before, signal.SIGKILL)

            until(lambda: server.workers() not in ([], [before]), "the worker is back", server.over)  # noqa: B023
            assert server.ask()[1][0] == 1


def test_a_server_without_its_run_folder_serves_on(house):
    """It cannot be found by `status` until its next change of state, and misses nothing else."""
    house.register(1)
    house.promote(1)
    house.register(2)
    with house.serving() as server:
        port, run = server.port, house.home / "run"
        # Again and again: the server may be about to write into it.
        until(lambda: shutil.rmtree(run, ignore_errors=True) or not run.exists(), "it is gone")
        house.promote(2)

        until(lambda: server.ask(port=port)[1][0] == 2, "the swap is done", server.over)
        assert server.stop() == 0


def test_a_server_whose_terminal_has_gone_serves_on(house):
    """Whoever read its output left before the first word, or later; it ends with 0 all the same."""
    house.register(1)
    house.promote(1)
    house.register(2)
    reading, writing = os.pipe()
    server = Server.__new__(Server)
    server.house, server.out = house, house.folder / "none"
    command = [sys.executable, "-m", "podium", "serve", "-m", PRODUCTION, "-p", "0"]
    buffered = {**house.environment, "PYTHONUNBUFFERED": ""}  # as it is for people
    server.process = subprocess.Popen(
        command, env=buffered, cwd=house.folder, stdout=writing, stderr=writing, start_new_session=True
    )
    try:
        os.close(writing)
        os.close(reading)
        until(lambda: server.status.get("state") == "serving", "podium serves")
        house.promote(2)

        until(lambda: server.ask()[1][0] == 2, "the swap is done")
        assert server.stop() == 0
    finally:
        server.end()


def _clear(copy):
    shutil.rmtree(copy)


def _change(copy):
    (copy / "code" / "tinymodel.py").write_text("raise SystemExit('not what was verified')")
