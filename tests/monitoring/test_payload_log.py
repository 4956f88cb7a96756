"""The payload log's rows and files: what is kept, found, put aside, bounded and erased."""

import json
import resource
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from podium.domain.payload_columns import ColumnRules
from podium.monitoring.payloads import kept
from podium.monitoring.payloads.files import PayloadFiles, files_of
from podium.monitoring.payloads.rows import PayloadRow, Terms, digest_with, row_of
from podium.protocols.tensors import CONTENT_TYPE, Tensor, encode_tensors
from podium.telemetry.seen import Seen

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DIGEST = digest_with(b"key")
OPEN = Terms(ColumnRules(), None, 1.0, DIGEST)
CLOSED = Terms(ColumnRules(frozenset({"a"}), frozenset({"who"})), "who", 0.5, DIGEST)
BOTH = ["REQUEST_HELD_BACK", "RESPONSE_HELD_BACK"]
BODY = b'{"dataframe_records": [{"a": 1, "who": "anna"}]}'


def seen(**changes: Any) -> Seen:
    fields: dict[str, Any] = {
        "ended": NOON.timestamp(), "duration_us": 1500, "request_id": "r1", "method": "POST", "path": "/invocations",
        "status": 200, "model": "iris", "version": "3", "principal": "", "error": "", "attempts": 1, "rows": 1,
        "batch_rows": 8, "queued_us": 20, "predict_us": 100, "request_type": "application/json",
        "answer_type": "application/json", "request_size": 1, "answer_size": 1, "request": BODY,
        "answer": b'{"predictions": [0.5]}', "is_kept": True,
    }  # fmt: skip
    return Seen(**(fields | changes))


def rows(count: int, day: datetime = NOON, **changes: Any) -> list[PayloadRow]:
    return [row_of(seen(ended=day.timestamp(), request_id=f"r{number}", **changes), OPEN) for number in range(count)]


def log(folder: Path, is_parquet: bool = False, most_bytes: int = 1 << 30, file_bytes: int = 1 << 20) -> PayloadFiles:
    return PayloadFiles(folder, is_parquet, 30, most_bytes, file_bytes)


# ── rows


def test_a_row_says_what_was_asked_and_answered_and_how_long_it_took() -> None:
    row = row_of(seen(), OPEN)

    assert (row.request, row.response, row.logging_error_codes) == (BODY.decode(), '{"predictions": [0.5]}', [])
    assert (row.date, row.served_entity_id, row.execution_duration_ms, row.batch_rows) == ("2026-03-01", "iris/3", 1.5, 8)


def test_columns_that_are_not_allowed_are_not_in_a_row() -> None:
    row = row_of(seen(), CLOSED)

    assert {"dataframe_records": [{"a": 1, "who": DIGEST("anna")}]} == json.loads(row.request or "")
    assert ([DIGEST("anna")], ["REQUEST_HELD_BACK"], 0.5) == (row.subjects, row.logging_error_codes, row.sampling_fraction)


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"request": b"\xff\xfe anna"}, ["REQUEST_UNREADABLE"]),
        ({"request": b"anna", "request_type": "application/x-npy"}, ["REQUEST_UNREADABLE"]),
        ({"request": b"[" * 100_000}, ["REQUEST_UNREADABLE"]),
        ({"request": b'{"inputs": ["anna"]}'}, ["REQUEST_UNREADABLE"]),
        ({"status": 400, "answer": b'{"error_code": "BAD", "message": "got anna"}'}, BOTH),
        ({"answer": b'{"predictions": [{"who_else": "anna"}]}'}, BOTH),
        ({"answer": None, "answer_size": 9}, ["REQUEST_HELD_BACK", "RESPONSE_TOO_LARGE"]),
    ],
)  # fmt: skip
def test_where_columns_are_held_back_nothing_of_a_person_is_kept_in_any_form(
    changes: dict[str, Any], codes: list[str]
) -> None:
    row = row_of(seen(**changes), CLOSED)

    assert codes == row.logging_error_codes
    assert "anna" not in str(row)


def test_an_error_s_code_is_kept_and_its_text_is_not() -> None:
    row = row_of(seen(status=400, answer=b'{"error_code": "BAD", "message": "got anna"}'), CLOSED)

    assert (row.error, row.response) == ("BAD", None)


def test_tensors_between_our_processes_are_kept_as_the_protocol_says_them() -> None:
    body = encode_tensors([Tensor("a", "INT64", (2,), (1).to_bytes(8, "little") + (2).to_bytes(8, "little"))])

    row = row_of(seen(request=body, request_type=CONTENT_TYPE), OPEN)

    assert (
        row.request_content_type,
        json.loads(row.request or "")["inputs"],
    ) == ("application/json", [{"name": "a", "datatype": "INT64", "shape": [2], "data": [1, 2]}])


def test_what_is_no_text_is_kept_as_base64() -> None:
    row = row_of(seen(request=b"\x93NUMPY\xff", request_type="application/x-npy"), OPEN)

    assert (row.request_content_type, row.request) == ("application/x-npy;base64", "k05VTVBZ/w==")


def test_the_same_person_has_the_same_digest_however_a_client_writes_it() -> None:
    csv = row_of(seen(request=b"a,who\n1,7\n", request_type="text/csv"), CLOSED)
    number = row_of(seen(request=b'{"inputs": {"a": [1], "who": [7.0]}}'), CLOSED)

    assert csv.subjects == number.subjects == [DIGEST("7")]


# ── files


@pytest.mark.parametrize("is_parquet", [False, True])
def test_a_row_is_found_wherever_its_file_stands(tmp_path: Path, is_parquet: bool) -> None:
    written = log(tmp_path, is_parquet, file_bytes=20_000)
    all_rows = rows(100)
    for start in range(0, 100, 20):
        written.write(all_rows[start : start + 20])

    assert [all_rows[3]] == kept.find(tmp_path, "r3")
    assert [all_rows[99]] == kept.find(tmp_path, "r99")
    assert kept.find(tmp_path, "r1000") == []
    assert is_parquet == any(path.suffix == ".parquet" for path in files_of(tmp_path))
    assert len(files_of(tmp_path)) > 2


@pytest.mark.parametrize("is_parquet", [False, True])
def test_a_row_is_found_once_while_its_file_is_put_aside(tmp_path: Path, is_parquet: bool) -> None:
    """By whoever looks in just that moment."""
    written, (first, *others) = log(tmp_path, is_parquet, file_bytes=1 << 30), rows(30)
    full = log(tmp_path, is_parquet, file_bytes=1)
    written.write([first])
    with ThreadPoolExecutor(1) as exporter:
        writing = exporter.submit(lambda: [each.write([row]) for row in others for each in (full, written)])
        seen = [kept.find(tmp_path, "r0")]
        while not writing.done():
            seen.append(kept.find(tmp_path, "r0"))
        writing.result()

    assert [found for found in seen if found != [first]] == []


def test_a_full_disk_leaves_no_half_line_and_nothing_twice(tmp_path: Path) -> None:
    written, before = log(tmp_path), resource.getrlimit(resource.RLIMIT_FSIZE)
    written.write(rows(3))
    size = files_of(tmp_path)[0].stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            written.write(rows(3, model="iris"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    written.write(rows(1, request=b'{"inputs": [2]}'))

    assert len(files_of(tmp_path)[0].read_text().splitlines()) == 4
    assert len(kept.find(tmp_path, "r0")) == 2


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    written = log(tmp_path)
    written.write(rows(1, NOON - timedelta(days=31)))
    written.write(rows(1, NOON - timedelta(days=30)))

    written.tidy(NOON)

    assert [path.name for path in files_of(tmp_path)] == ["2026-01-30-0001.jsonl"]


def test_of_too_much_the_oldest_goes(tmp_path: Path) -> None:
    for day in range(5):
        log(tmp_path).write(rows(10, NOON - timedelta(days=day)))
    size = files_of(tmp_path)[0].stat().st_size

    log(tmp_path, most_bytes=2 * size).tidy(NOON)

    assert [path.name for path in files_of(tmp_path)] == ["2026-02-28-0001.jsonl", "2026-03-01.jsonl"]


@pytest.mark.parametrize("name", ["../../etc", "..", "a/b", "\0", ""])
def test_no_name_of_a_model_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    log(tmp_path / "payloads").write(rows(1, model=name))

    assert [path.name for path in tmp_path.iterdir()] == ["payloads"]
    assert len(files_of(tmp_path / "payloads")) == 1


def test_nobody_else_may_read_what_is_kept(tmp_path: Path) -> None:
    log(tmp_path / "payloads", is_parquet=True, file_bytes=1).write(rows(1))

    modes = {path.stat().st_mode & 0o077 for path in (tmp_path / "payloads").rglob("*")}

    assert modes == {0}


@pytest.mark.parametrize("is_parquet", [False, True])
def test_what_is_erased_is_in_no_file_any_more(tmp_path: Path, is_parquet: bool) -> None:
    written = log(tmp_path, is_parquet, file_bytes=1 if is_parquet else 1 << 20)
    written.write(
        [
            row_of(seen(request_id=f"r{number}", request=BODY.replace(b"anna", b"p%d" % number)), OPEN)
            for number in (1, 2, 3)
        ]
    )

    assert kept.erase(tmp_path, lambda row: row.request_id == "r2") == 1
    written.write(rows(1))

    assert (kept.find(tmp_path, "r2"), len(kept.find(tmp_path, "r3"))) == ([], 1)
    assert not any(b"p2" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    log(tmp_path).write(rows(1))
    files_of(tmp_path)[0].write_bytes(b'{"request_id": "r1", broken\n')

    with pytest.raises(kept.DamagedLog, match=r"2026-03-01\.jsonl: it is no file of the payload log any more"):
        kept.find(tmp_path, "r1")


def test_half_a_line_of_one_who_was_killed_costs_no_other_row_and_no_exporter(tmp_path: Path) -> None:
    """A damaged line would otherwise end the next row, too, and keep the file from ever being put aside."""
    log(tmp_path).write(rows(1))
    path = files_of(tmp_path)[0]
    path.write_bytes(path.read_bytes() + b'{"request_id": "torn')

    log(tmp_path, is_parquet=True, file_bytes=1).write([row_of(seen(request_id="after"), OPEN)])

    assert [row.request_id for row in kept.find(tmp_path, "after")] == ["after"]
    assert [path.name for path in files_of(tmp_path)] == ["2026-03-01-0001.jsonl"]


def test_half_a_line_keeps_nobody_from_being_forgotten(tmp_path: Path) -> None:
    """And goes itself: nobody can say any more whose data is in it."""
    log(tmp_path).write(rows(2))
    path = files_of(tmp_path)[0]
    path.write_bytes(path.read_bytes() + b'{"request_id":"torn","request":"zoe')

    assert kept.requests_about(tmp_path, "nobody") == set()
    erased = kept.erase(tmp_path, lambda row: row.request_id == "r1")

    assert (erased, kept.find(tmp_path, "r1"), len(kept.find(tmp_path, "r0"))) == (1, [], 1)
    assert b"zoe" not in path.read_bytes()


def test_no_line_that_is_whole_goes_unasked(tmp_path: Path) -> None:
    log(tmp_path).write(rows(1))
    files_of(tmp_path)[0].write_bytes(b'{"request_id":"of another release"}\n')

    with pytest.raises(kept.DamagedLog):
        kept.erase(tmp_path, lambda _: True)

    assert files_of(tmp_path)[0].read_bytes() == b'{"request_id":"of another release"}\n'


def test_what_somebody_had_begun_to_write_does_not_stay(tmp_path: Path) -> None:
    log(tmp_path).write(rows(1))
    left = tmp_path / "iris" / ".2026-03-01-0001.parquet.partial"
    left.write_bytes(b"anna")

    kept.erase(tmp_path, lambda _: False)

    assert not left.exists()
