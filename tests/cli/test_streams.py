"""Commands whose output nobody reads: each ends with its own exit code, and has done what it was told."""

import os
import pty
import subprocess
import sys

import pytest

COMMANDS = {("--help",): 0, ("--version",): 0, ("models", "list"): 0, ("nothing",): 2, ("status",): 1}
CLOSED = 'exec "$@" <&- >&- 2>&-'


def begun(folder, *arguments, before=(), **streams):
    return subprocess.Popen(
        [*before, sys.executable, "-m", "podium", *arguments],
        env={**os.environ, "PODIUM_HOME": str(folder), "PYTHONUNBUFFERED": ""},
        **streams,
    )


def abandoned():
    """The end to write to of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def hung_up():
    """A terminal that is gone."""
    terminal, writing = pty.openpty()
    os.close(terminal)
    return writing


@pytest.mark.parametrize("make", [abandoned, hung_up], ids=["pipe", "terminal"])
def test_a_command_whose_reader_has_left_ends_with_its_own_code(tmp_path, make):
    """A pipe or a terminal, from the beginning."""
    writing = make()
    processes = [begun(tmp_path, *each, stdout=writing, stderr=writing) for each in COMMANDS]
    os.close(writing)

    assert list(COMMANDS.values()) == [process.wait(240) for process in processes]


def test_a_command_without_standard_streams_ends_with_its_own_code(tmp_path):
    processes = [begun(tmp_path, *each, before=["sh", "-c", CLOSED, "sh"]) for each in COMMANDS]

    assert list(COMMANDS.values()) == [process.wait(240) for process in processes]


def test_a_full_disk_is_told_and_not_taken_for_a_reader_who_left(tmp_path):
    """What was asked for is lost: that is a failure, and it has one message."""
    with open("/dev/full", "wb") as full:
        process = begun(tmp_path, "--help", stdout=full, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        said = process.communicate(timeout=240)[1].decode()

    assert (process.returncode, said.count("\n"), "No space left" in said) == (1, 1, True)


def test_logs_that_are_followed_end_when_their_reader_leaves(tmp_path):
    """As `podium logs -f | head -1` does."""
    (tmp_path / "logs" / "iris").mkdir(parents=True)
    log = tmp_path / "logs" / "iris" / "worker.log"
    log.write_text("one\n")
    with begun(tmp_path, "logs", "iris", "-f", stdout=subprocess.PIPE) as process:
        first = process.stdout.readline()
        process.stdout.close()
        with log.open("a") as file:
            file.write("two\n")

        assert (first, process.wait(240)) == (b"worker: one\n", 0)


def test_what_a_command_without_standard_streams_starts_has_the_null_device():
    """Else its first file or socket would be its standard output, and get what it prints."""
    code = (
        "import subprocess; from podium.cli.streams import lasting_streams\n"
        "with lasting_streams():\n"
        "    subprocess.run(['sh', '-c', 'found=$(cd /proc/$$/fd; readlink 0 1 2); echo $found >&9'], pass_fds=(9,))\n"
    )
    done = subprocess.run(
        ["sh", "-c", f"exec 9>&1; {CLOSED}", "sh", sys.executable, "-c", code],
        capture_output=True,
        timeout=240,
        check=False,
    )

    assert done.stdout.decode().split() == [os.devnull] * 3
