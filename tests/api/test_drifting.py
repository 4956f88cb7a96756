"""`podium monitor compare`: rows of one file beside those of another."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from podium.api.drifting import as_json, compare_rows
from podium.cli.main import podium
from podium.errors import InvalidInput, NotFound


def rows(count, seed, shift=0.0, is_torn=False):
    draw = np.random.default_rng(seed)
    source = draw.normal(size=count)
    frame = pd.DataFrame(
        {
            "amount": source + 0.3 * draw.normal(size=count),
            "age": source + 0.3 * draw.normal(size=count) + shift,
            "plan": np.where(source > 0, "pro", "basic"),
        }
    )
    return frame.assign(amount=draw.permutation(frame["amount"])) if is_torn else frame


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The reference, and three kinds of now."""
    folder = tmp_path_factory.mktemp("rows")
    rows(1000, 1).to_csv(folder / "before.csv", index=False)
    rows(600, 2).to_parquet(folder / "same.parquet")
    rows(600, 3, shift=1.0).to_json(folder / "shifted.jsonl", orient="records", lines=True)
    rows(600, 4, is_torn=True).to_csv(folder / "torn.csv", index=False)
    return folder


def verdicts(found):
    return {each["name"]: each["checks"]["drift"]["verdict"] for each in found["columns"]}


def test_a_column_that_moved_is_named_first(files):
    """By what the monitor judges by."""
    found = as_json(compare_rows(files / "before.csv", files / "shifted.jsonl", has_classifier=False))

    assert found["columns"][0]["name"] == "age"
    assert verdicts(found) == {"age": "alert", "amount": "ok", "plan": "ok"}
    assert (found["rows"], found["reference_rows"], found["classifier"]) == (600, 1000, None)


def test_columns_that_were_torn_apart_show_together_and_to_the_classifier_alone(files):
    """No column is other than it was."""
    found = as_json(compare_rows(files / "before.csv", files / "torn.csv"))

    assert set(verdicts(found).values()) == {"ok"}
    assert (found["together"]["verdict"], found["classifier"]["verdict"]) == ("alert", "alert")
    assert found["classifier"]["columns"][0]["name"] == "amount"
    assert found["classifier"]["interval"][0] > found["classifier"]["high"]


def test_rows_of_the_same_kind_are_the_same(files):
    found = as_json(compare_rows(files / "before.csv", files / "same.parquet", has_classifier=False))

    assert set(verdicts(found).values()) == {"ok"}
    assert found["together"]["verdict"] == "ok"


def test_a_day_of_the_payload_log_is_the_rows_that_were_asked(files, tmp_path):
    """Answered requests of rows with names; others are passed over or failed."""
    asked = rows(600, 3, shift=1.0)
    path = tmp_path / "2026-03-01.jsonl"
    lines = [
        {"request": json.dumps({"dataframe_split": asked[start : start + 50].to_dict(orient="split")}), "status_code": 200}
        for start in range(0, 600, 50)
    ]
    lines.append({"request": '{"inputs": [1, 2, 3]}', "status_code": 200})
    lines.append({"request": lines[0]["request"], "status_code": 500})
    lines.append({"request": None, "status_code": 200})
    with path.open("w") as file:
        for number, line in enumerate(lines):
            file.write(json.dumps({"request_id": str(number), "request_content_type": "application/json", **line}) + "\n")

    found = as_json(compare_rows(files / "before.csv", path, has_classifier=False))

    assert (found["rows"], found["passed_over"]) == (600, 1)
    assert verdicts(found) == {"age": "alert", "amount": "ok", "plan": "ok"}


def test_columns_may_be_left_out(files):
    found = as_json(compare_rows(files / "before.csv", files / "shifted.jsonl", ["age"], has_classifier=False))

    assert set(verdicts(found)) == {"amount", "plan"}
    assert found["left_out"] == {"age": "left out on request"}


def test_files_that_cannot_be_compared_are_refused(files, tmp_path):
    """Not there; no column of the other's."""
    pd.DataFrame({"other": [1.0, 2.0]}).to_csv(tmp_path / "other.csv", index=False)

    with pytest.raises(NotFound, match=r"nothing\.csv"):
        compare_rows(files / "before.csv", tmp_path / "nothing.csv", has_classifier=False)
    with pytest.raises(InvalidInput, match="none of the columns of"):
        compare_rows(files / "before.csv", tmp_path / "other.csv", has_classifier=False)


def test_the_command_prints_both_for_people_and_for_programs(files):
    arguments = ["monitor", "compare", str(Path(files, "before.csv")), str(files / "shifted.jsonl"), "--no-classifier"]

    told = CliRunner().invoke(podium, arguments, catch_exceptions=False)
    read = CliRunner().invoke(podium, [*arguments, "--json"], catch_exceptions=False)

    assert told.exit_code == read.exit_code == 0
    assert re.search(r"^drift +age$", told.output, re.MULTILINE)
    assert json.loads(read.output)["columns"][0]["name"] == "age"
