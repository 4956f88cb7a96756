"""Whole files by a real server: each row once, in order, whatever the rows hold and whatever ends the run."""

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
from models_asked import FLOWERS, X

from podium import errors
from podium.client.files.scoring import FileOrder, RunProgress, score_file

ROWS = pd.concat([X] * 7, ignore_index=True).assign(id=lambda frame: np.arange(len(frame)) * 3)
EXPECTED = FLOWERS.predict(ROWS[X.columns]).tolist()


def score(server, source, output, **named):
    told: list[RunProgress] = []
    forms = {"form": source.suffix[1:], "output_form": output.suffix[1:]}
    done = score_file(server.url, FileOrder(source, output, **{**forms, "batch_rows": 64, **named}), told.append)
    assert not list(output.parent.glob("*.part"))
    assert not list(output.parent.glob("*.journal"))
    return done, told


def written(path):
    match path.suffix:
        case ".csv":
            with path.open(newline="") as file:
                return list(csv.DictReader(file))
        case ".jsonl":
            return [json.loads(line) for line in path.read_text().splitlines()]
        case _:
            return pyarrow.parquet.read_table(path).to_pylist()


def bad(output):
    return [json.loads(line) for line in output.with_name(output.name + ".bad.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("output_form", ["csv", "jsonl", "parquet"])
def test_every_row_is_answered_once_and_in_order(server, tmp_path, form, output_form):
    """From each format to each, with a column that goes along; told how far it is."""
    source, output = tmp_path / f"rows.{form}", tmp_path / f"out.{output_form}"
    match form:
        case "csv":
            ROWS.to_csv(source, index=False)
        case "jsonl":
            ROWS.to_json(source, orient="records", lines=True)
        case _:
            ROWS.to_parquet(source, row_group_size=100)

    done, told = score(server, source, output, keep=("id",))

    rows = written(output)
    assert [int(row["prediction"]) for row in rows] == EXPECTED
    assert [int(row["id"]) for row in rows] == ROWS["id"].tolist()
    assert (done.end.row, done.bad_rows, len(done.versions)) == (len(ROWS), 0, 1)
    assert told[-1] == RunProgress(len(ROWS), 0, 1.0)
    assert not (tmp_path / f"out.{output_form}.bad.jsonl").exists()


def test_csv_means_what_the_signature_says(server, tmp_path):
    """Whole numbers beyond 2**53, text that looks like a number, quotes, line breaks, gaps, odd names, a mark of bytes."""
    source, output = tmp_path / "rows.csv", tmp_path / "out.jsonl"
    rows = [
        ["9007199254740993", "007", "1.5", "x"],
        ["1", 'say "x", then\nbreak', "", ""],
        ["-9223372036854775808", "ünï", "1e300", "y,z"],
    ]
    with source.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows([["id", "name", "amount", 'odd "name", this\none'], *rows])

    score(server, source, output, model="echo")

    assert written(output) == [
        {"id": 9007199254740993, "name": "007", "amount": 1.5, "times": 1},
        {"id": 1, "name": 'say "x", then\nbreak', "amount": None, "times": 1},
        {"id": -9223372036854775808, "name": "ünï", "amount": 1e300, "times": 1},
    ]


def test_json_lines_go_as_they_are_with_params(server, tmp_path):
    """A record that lacks an optional name is not filled from its neighbours, nor are they changed by it."""
    source, output = tmp_path / "rows.jsonl", tmp_path / "out.csv"
    source.write_text(
        '{"id": 9007199254740993, "name": "a", "amount": null}\n\n{"name": "b", "id": 2}\n'
        '{"id": 3, "name": "c", "amount": 2.5, "more": [1]}\n'
    )

    score(server, source, output, model="echo", params={"times": 4})

    assert output.read_text().splitlines() == [
        "id,name,amount,times",
        "9007199254740993,a,,4",
        "2,b,,4",
        "3,c,2.5,4",
    ]


def test_rows_of_arrays_become_columns(server, tmp_path):
    """A list for each row: instances of a model of tensors."""
    source, output = tmp_path / "rows.jsonl", tmp_path / "out.csv"
    source.write_text("[1, 2, 3]\n[4, 5, 6.5]\n")

    score(server, source, output, model="doubled")

    assert output.read_text().splitlines() == ["prediction_0,prediction_1,prediction_2", "2.0,4.0,6.0", "8.0,10.0,13.0"]


def test_bad_rows_stand_aside_with_number_and_reason(server, tmp_path):
    """The others are answered, and each has its line; a bad one's is empty."""
    source, output = tmp_path / "rows.csv", tmp_path / "out.csv"
    lines = [f"{i},name {i},{i}.5" for i in range(200)]
    lines[7] = "seven,name,1.0"
    lines[20] = "20,unlucky,1.0"
    lines[21] = "21,too,many,cells"
    lines[22] = "22"
    lines[199] = "99999999999999999999,a,1.0"
    body = "id,name,amount\n" + "\n".join(lines) + "\n"
    source.write_bytes(body.encode().replace(b"name 150", b"name \xff\xfe"))

    done, _ = score(server, source, output, model="echo", batch_rows=50)

    rows, faults = written(output), bad(output)
    numbers = [8, 21, 22, 23, 151, 200]
    assert [each["row"] for each in faults] == numbers
    assert [int(row["id"]) if row["id"] else None for row in rows] == [
        None if i + 1 in numbers else i for i in range(200)
    ]  # fmt: skip
    assert done.bad_rows == 6
    assert faults[0]["input"] == {"id": "seven", "name": "name", "amount": "1.0"}
    assert "request " in faults[1]["reason"]
    assert faults[2]["reason"] == "4 cells, and the header has 3"
    assert faults[4]["reason"] == "not UTF-8"


def test_a_line_that_is_no_json_is_a_bad_row(server, tmp_path):
    """Half a line at the end of a file that was cut, for instance."""
    source, output = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"id": 1, "name": "a", "amount": 1.0}\n{"id": 2, "na')

    score(server, source, output, model="echo")

    assert written(output)[1] == {}
    assert bad(output)[0]["input"] == '{"id": 2, "na'


def test_too_many_bad_rows_end_the_run_and_more_leave_goes_on(server, tmp_path):
    """What was done stays done."""
    source, output = tmp_path / "rows.csv", tmp_path / "out.csv"
    lines = [f"{'x' if i % 10 == 9 else i},n,1.0" for i in range(60)]
    source.write_text("id,name,amount\n" + "\n".join(lines))

    with pytest.raises(errors.TooManyBadRows, match="Row 30: "):
        score(server, source, output, model="echo", batch_rows=10, max_errors=2, parallel=1)
    assert json.loads((tmp_path / "out.csv.journal").read_text())["progress"]["end"]["row"] == 20
    assert not output.exists()
    done, told = score(server, source, output, model="echo", batch_rows=10)

    assert (done.bad_rows, told[0].rows, len(written(output))) == (6, 30, 60)


@pytest.mark.parametrize(
    ("name", "content", "named", "words"),
    [
        ("rows.csv", b"", {}, "is empty"),
        ("rows.csv", b"a,b,a\n1,2,3\n", {}, "more than one column named 'a'"),
        ("rows.csv", b"a\n1\n", {"keep": ("z",)}, "no column 'z'"),
        ("rows.csv", b"a\n1\n", {"params": {"times": 1}}, "Params travel with JSON only"),
        ("rows.parquet", b"PAR1", {}, "cannot be read as Parquet"),
        ("missing.csv", None, {}, "cannot be read"),
    ],
)
def test_what_cannot_be_scored_is_said_at_once(server, tmp_path, name, content, named, words):
    """Nothing is left of it."""
    if content is not None:
        (tmp_path / name).write_bytes(content)

    with pytest.raises(errors.PodiumError, match=words):
        score(server, tmp_path / name, tmp_path / "out.csv", **named)

    assert [path.name for path in tmp_path.iterdir()] == ([name] if content is not None else [])


def test_what_is_true_of_every_row_ends_the_run(server, tmp_path):
    """No such model; nobody there: one error, and no bad row."""
    source = tmp_path / "rows.csv"
    ROWS.to_csv(source, index=False)

    with pytest.raises(errors.NotFound):
        score(server, source, tmp_path / "out.csv", model="nobody")
    with pytest.raises(errors.Unavailable):
        score_file("http://127.0.0.1:9", FileOrder(source, tmp_path / "b.csv", "csv", "csv", timeout_s=0.3), lambda _: None)

    assert (tmp_path / "out.csv.bad.jsonl").read_text() == ""


def test_a_file_that_changed_is_not_gone_on_with(server, tmp_path):
    """Its rows are others; --restart begins anew."""
    source, output = tmp_path / "rows.csv", tmp_path / "out.csv"
    source.write_text("id,name,amount\nx,n,1.0\n")
    with pytest.raises(errors.TooManyBadRows):
        score(server, source, output, model="echo", max_errors=0)
    source.write_text("id,name,amount\n1,n,1.0\n2,n,1.0\n")

    with pytest.raises(errors.InvalidInput, match=r"did something else \(input\); --restart"):
        score(server, source, output, model="echo")
    done, _ = score(server, source, output, model="echo", is_fresh=True)

    assert (done.end.row, done.bad_rows) == (2, 0)


def test_two_runs_do_not_write_one_output(server, tmp_path):
    """The second says so, and harms nothing."""
    source, output = tmp_path / "rows.csv", tmp_path / "out.csv"
    ROWS.to_csv(source, index=False)

    def again(_):
        with pytest.raises(errors.AlreadyExists, match="Another podium predict"):
            score_file(server.url, order, lambda _: None)

    order = FileOrder(source, output, "csv", "csv", batch_rows=2000)
    score_file(server.url, order, again)

    assert len(written(output)) == len(ROWS)


def command(server, source, output, *flags):
    return [sys.executable, "-m", "podium", "predict", "-u", server.url, "-i", source, "-o", output, *flags]


@pytest.mark.slow
def test_a_run_that_is_killed_is_gone_on_with(server, tmp_path):
    """SIGKILL, twice, whenever something is done: the third run's output has each row once, in order."""
    many = pd.concat([ROWS] * 30, ignore_index=True).assign(id=lambda frame: np.arange(len(frame)))
    many = many.astype({many.columns[0]: object})
    many.iloc[[5, 20_000], 0] = "bad"
    source, output, journal = tmp_path / "rows.csv", tmp_path / "out.csv", tmp_path / "out.csv.journal"
    many.to_csv(source, index=False)
    reached = 0
    for _ in range(2):
        run = subprocess.Popen(command(server, source, output, "--batch-rows", "4", "--keep", "id"), stderr=subprocess.PIPE)
        ends = time.monotonic() + 120
        while (row := progress_of(journal)) <= reached:
            assert run.poll() is None, run.communicate()
            assert time.monotonic() < ends
            time.sleep(0.01)
        reached = row
        run.send_signal(signal.SIGKILL)
        run.communicate()
        assert not output.exists()

    done = subprocess.run(command(server, source, output, "--keep", "id"), capture_output=True, text=True, check=False)

    assert done.returncode == 3, done.stderr
    assert done.stderr == f"31500 rows, 2 of them bad\nthe bad rows stand in {output}.bad.jsonl\n"
    expected = (FLOWERS.predict(X).tolist() * 210)[: len(many)]
    assert [(row["id"], row["prediction"]) for row in written(output)] == [
        (str(i), "" if i in (5, 20_000) else str(each)) for i, each in enumerate(expected)
    ]
    assert [each["row"] for each in bad(output)] == [6, 20_001]
    assert sorted(os.listdir(tmp_path)) == ["out.csv", "out.csv.bad.jsonl", "rows.csv"]


def test_rows_come_through_a_pipe_and_answers_leave_through_one(server):
    """In the input's format, after the last row; the bad ones stand in standard error, and no file is left."""
    rows = "id,name,amount\n1,a,1.5\nx,b,2.5\n3,c,\n"

    done = subprocess.run(
        command(server, "-", "-", "--input-format", "csv", "-n", "echo"),
        input=rows, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (3, "id,name,amount,times\n1,a,1.5,1\n,,,\n3,c,,1\n"), done.stderr
    fault, told = done.stderr.splitlines()
    assert (json.loads(fault)["row"], told) == (2, "3 rows, 1 of them bad")


def test_rows_of_a_pipe_are_known_again_by_their_content(server, tmp_path):
    """A run that was ended goes on when the same rows come again, in a file that is another one each time."""
    output = tmp_path / "out.csv"
    for name, most, kind in (("a", 0, errors.TooManyBadRows), ("b", 1, None)):
        source = tmp_path / name
        source.write_text("id,name,amount\n1,n,1.0\nx,n,1.0\n")
        order = FileOrder(source, output, "csv", "csv", "echo", batch_rows=1, parallel=1, max_errors=most, is_piped=True)
        told: list[RunProgress] = []
        with contextlib.nullcontext() if kind is None else pytest.raises(kind):
            score_file(server.url, order, told.append)

    assert [each.rows for each in told] == [2]
    assert len(written(output)) == 2


def test_what_a_killed_run_had_begun_to_write_is_cleared(server, tmp_path):
    """Its drafts, and nobody else's."""
    source, output = tmp_path / "rows.csv", tmp_path / "out.csv"
    ROWS.head(3).to_csv(source, index=False)
    drafts = [".out.csv.0123abcd.part", ".out.csv.journal.0123abcd.part", ".other.csv.0123abcd.part", ".out.csv.old"]
    for name in drafts:
        (tmp_path / name).touch()

    score_file(server.url, FileOrder(source, output, "csv", "csv"), lambda _: None)

    assert sorted(os.listdir(tmp_path)) == [".other.csv.0123abcd.part", ".out.csv.old", "out.csv", "rows.csv"]


def progress_of(journal):
    try:
        return json.loads(journal.read_text())["progress"]["end"]["row"]
    except (OSError, ValueError):
        return 0


@pytest.mark.slow
def test_the_command_says_what_was_asked_wrongly_and_scores_without_a_server(server, tmp_path):
    """Exit codes 2, 1 and 0; `-m` starts a server for the time that it takes."""
    source, output = tmp_path / "rows.csv", tmp_path / "out.csv"
    ROWS.head(3).to_csv(source, index=False)
    flags = ["-i", source, "-o", output]
    folder = server.status()["endpoints"]["flowers"]["uri"]

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "podium", "predict", *arguments], capture_output=True, text=True, check=False
        )

    neither = run(*flags)
    odd = run("-u", server.url, "-i", source, "-o", tmp_path / "out.xls")
    nobody = run("-u", "http://127.0.0.1:9", *flags, "--timeout", "0.2")
    alone = run("-m", folder, *flags)

    assert (neither.returncode, odd.returncode, nobody.returncode) == (2, 2, 1)
    assert "--output-format" in odd.stderr
    assert nobody.stderr.startswith("ended; the same command goes on where it was\nerror: ")
    assert (alone.returncode, alone.stderr) == (0, "3 rows, 0 of them bad\n")
    assert output.read_text() == "prediction\n0\n0\n0\n"
