"""The access log: whole lines, in order, in files that rotate, whoever else writes."""

import json
import multiprocessing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from podium.telemetry.access import AccessEntry, AccessLog


def entry(identity: str) -> AccessEntry:
    return AccessEntry(
        datetime.fromtimestamp(1_700_000_000.25, UTC), identity, "127.0.0.1", "POST", "/invocations", 200, 10, 20, 1.5
    )


def write(path: Path, name: str, count: int, max_bytes: int, keep: int) -> None:
    log = AccessLog(path, max_bytes, keep)
    for number in range(count):
        log.add(entry(f"{name}-{number}"))
        if number % 10 == 9:
            log.flush()
            assert log._writing is not None
            log._writing.result(60)
    log.close(60)


def lines(folder: Path) -> list[dict[str, object]]:
    """Every line of all files, the oldest file first."""
    files = sorted(folder.iterdir(), key=lambda path: -int(path.suffix[1:]) if path.suffix != ".log" else 0)
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def test_an_entry_is_one_json_line(tmp_path):
    """Control characters of a request cannot break a line."""
    log = AccessLog(tmp_path / "access.log", 1_000_000, 1)
    log.add(entry("a"))
    log.add(AccessEntry(datetime.now(UTC), "b", "", "GET", "/\n\x1b[2J", 404, 0, 0, 0.0, error="x"))
    log.close(60)

    first, second = lines(tmp_path)

    assert (first["time"], first["request_id"], first["rows"]) == ("2023-11-14T22:13:20.250000Z", "a", None)
    assert second["path"] == "/\n\x1b[2J"
    assert b"\x1b" not in (tmp_path / "access.log").read_bytes()


def test_a_full_file_is_put_aside_and_the_oldest_goes(tmp_path):
    """At most `keep` older files stay, each not much larger than the bound; what stays is the newest."""
    write(tmp_path / "access.log", "a", 1000, 10_000, 2)

    kept = [line["request_id"] for line in lines(tmp_path)]

    assert {path.name for path in tmp_path.iterdir()} <= {"access.log", "access.log.1", "access.log.2"}
    assert len(kept) < 1000
    assert kept == [f"a-{number}" for number in range(1000 - len(kept), 1000)]


def test_several_processes_share_one_log_without_losing_a_line(tmp_path):
    """Lines of all are whole, each in its own order, through every rotation."""
    context = multiprocessing.get_context("spawn")
    path = tmp_path / "access.log"
    processes = [context.Process(target=write, args=(path, name, 400, 20_000, 100)) for name in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)

    seen = [str(line["request_id"]) for line in lines(tmp_path)]

    assert sorted(seen) == sorted(f"{name}-{number}" for name in "abc" for number in range(400))


def test_a_file_that_somebody_moved_is_begun_anew(tmp_path):
    """logrotate may move it at any time."""
    path = tmp_path / "access.log"
    log = AccessLog(path, 1_000_000, 1)
    log.add(entry("a"))
    log.flush()
    assert log._writing is not None
    log._writing.result(60)
    path.rename(tmp_path / "access.log.9")
    log.add(entry("b"))
    log.close(60)

    assert [line["request_id"] for line in lines(tmp_path)] == ["a", "b"]


def test_a_full_file_that_another_gateway_has_just_put_aside_costs_no_line(tmp_path):
    """For a moment no file has the name: the lines are in the one that had it."""
    path = tmp_path / "access.log"
    path.write_text('{"request_id": "a"}\n')
    log = AccessLog(path, 1, 2)
    log._open()
    path.rename(tmp_path / "access.log.1")
    log._rotate()
    log.add(entry("b"))
    log.close(60)

    assert (log.dropped, log.problem) == (0, None)
    assert [line["request_id"] for line in lines(tmp_path)] == ["a", "b"]


def test_a_log_that_cannot_be_written_costs_lines_not_requests(tmp_path):
    """The lines are counted and the reason is told."""
    log = AccessLog(tmp_path / "missing" / "access.log", 1000, 1)
    log.add(entry("a"))
    log.close(60)

    assert log.dropped == 1
    assert "No such file" in str(log.problem)


@pytest.mark.parametrize("keep", [0, 1])
def test_keeping_none_or_one_older_file(tmp_path, keep):
    write(tmp_path / "access.log", "a", 200, 2000, keep)

    assert len(list(tmp_path.iterdir())) <= keep + 1
