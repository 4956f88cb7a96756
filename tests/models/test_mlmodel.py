"""The MLmodel file, read tolerantly and written without loss."""

import json
from pathlib import Path

import pytest

from podium.errors import InvalidModel
from podium.models.mlmodel import read_mlmodel, write_mlmodel

MINIMAL = {"flavors": {"python_function": {"loader_module": "mlflow.sklearn"}}}


def written(folder: Path, text: str) -> Path:
    (folder / "MLmodel").write_text(text)
    return folder


def test_flavors_alone_are_enough(tmp_path: Path) -> None:
    """Every other key may be absent, as in hand-made files."""
    write_mlmodel(tmp_path, MINIMAL)

    assert read_mlmodel(tmp_path) == MINIMAL


def test_an_environment_may_be_plain_text(tmp_path: Path) -> None:
    """Models before MLflow 2 have `env: conda.yaml`."""
    written(tmp_path, "flavors:\n  python_function:\n    env: conda.yaml\n    loader_module: mlflow.sklearn\n")

    assert read_mlmodel(tmp_path)["flavors"]["python_function"]["env"] == "conda.yaml"


def test_dates_become_text_so_that_the_file_is_json(tmp_path: Path) -> None:
    """Unquoted, YAML reads utc_time_created as a datetime."""
    written(tmp_path, "flavors: {sklearn: null}\nutc_time_created: 2020-01-02 03:04:05.678900\n1: a\n")

    assert '"2020-01-02 03:04:05.678900"' in json.dumps(read_mlmodel(tmp_path))


def test_unknown_keys_stay(tmp_path: Path) -> None:
    """A later MLflow's keys survive podium's rewrite."""
    mapping = {**MINIMAL, "from_the_future": {"a": [1, {"b": None}]}}
    write_mlmodel(tmp_path, mapping)
    write_mlmodel(tmp_path, read_mlmodel(tmp_path))

    assert mapping == read_mlmodel(tmp_path)


def test_keys_are_in_alphabetical_order(tmp_path: Path) -> None:
    """As MLflow writes them, so that a diff shows what changed."""
    write_mlmodel(tmp_path, {"model_uuid": "a", **MINIMAL, "artifact_path": "b"})

    keys = [line.split(":")[0] for line in (tmp_path / "MLmodel").read_text().splitlines() if not line.startswith(" ")]
    assert sorted(keys) == keys


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [1", "is not YAML"),
        ("just text", "has no flavors"),
        ("[]", "has no flavors"),
        ("flavors: {}", "has no flavors"),
        ("flavors: {sklearn: 3}", "flavor sklearn is int"),
        ("flavors: {sklearn: {pickled_model: ../../etc/passwd}}", "leaves the model's folder"),
        ("flavors: {python_function: {code: /etc}}", "leaves the model's folder"),
        ("flavors: {a: null}\nsaved_input_example_info: {artifact_path: ../x}", "leaves the model's folder"),
        ("flavors: {a: !!python/object/apply:os.system [id]}", "is not YAML"),
    ],
)
def test_a_file_that_is_no_model_is_refused_with_the_reason(tmp_path: Path, text: str, why: str) -> None:
    """Paths that leave the folder are refused before anything is opened; YAML's tags run nothing."""
    with pytest.raises(InvalidModel, match=why):
        read_mlmodel(written(tmp_path, text))


def test_a_folder_without_the_file_is_no_model(tmp_path: Path) -> None:
    """The message says which folder, and that it is one or is not."""
    with pytest.raises(InvalidModel, match="has no MLmodel file"):
        read_mlmodel(tmp_path)
    with pytest.raises(InvalidModel, match="There is no folder"):
        read_mlmodel(tmp_path / "nowhere")


HOSTILE = {
    "in itself": "a: &a [*a]",
    "nested too deep": "a: " + "[" * 3000 + "]" * 3000,
    "a thirteenth month": "a: 2024-13-01 00:00:00",
    "a number without digits": "a: !!int ''",
    "more digits than a number may have": "a: " + "1" * 6000,
    "more digits than JSON may have": "a: 0x" + "f" * 6000,
    "billions by aliases": "\n".join(
        ["a0: &a0 [x, x, x, x]", *(f"a{i}: &a{i} [{', '.join(4 * [f'*a{i - 1}'])}]" for i in range(1, 30))]
    ),
    "billions by merges": "\n".join(
        ["a0: &a0 {x: 1}", *(f"a{i}: &a{i} {{<<: [{', '.join(4 * [f'*a{i - 1}'])}]}}" for i in range(1, 30))]
    ),
    "a file of many megabytes": "a: " + "x" * (9 << 20),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_whatever_a_file_holds_is_an_invalid_model_at_worst(tmp_path: Path, text: str) -> None:
    """A server reads the files of models that it does not know; none of them may end or stop it."""
    written(tmp_path, f"flavors:\n  python_function:\n    loader_module: m\n{text}\n")

    with pytest.raises(InvalidModel):
        read_mlmodel(tmp_path)


def test_what_json_cannot_hold_becomes_what_it_can(tmp_path: Path) -> None:
    """The file goes to the worker as JSON."""
    written(tmp_path, "flavors: {sklearn: null}\na: !!binary aGVsbG8=\nb: !!set {x: null}\n")

    read = read_mlmodel(tmp_path)

    assert (read["a"], read["b"]) == ("aGVsbG8=", ["x"])
