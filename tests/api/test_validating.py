"""Trying a model in a clean process."""

import errno
import os
import select
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

import podium
from podium.api.validating import validate
from podium.models.mlmodel import read_mlmodel, write_mlmodel

X = np.array([[1.0], [2.0]])


def from_code(folder: Path, body: str, **arguments: object) -> Path:
    """A model that is a file with this as the body of predict."""
    (folder.parent / "model.py").write_text(
        f"import mlflow\n\ndef predict(model_input):\n    {body}\n\nmlflow.models.set_model(predict)\n"
    )
    podium.pyfunc.save_model(folder, python_model=folder.parent / "model.py", **arguments)  # type: ignore[arg-type]
    return folder


def is_left(fifo: Path) -> bool:
    """Whether nobody reads it any more, be it a moment after whoever did so was killed; for it is held open meanwhile."""
    try:
        writing = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        return error.errno == errno.ENXIO
    watch = select.poll()
    watch.register(writing, 0)  # that there is no reader is always told
    try:
        return bool(watch.poll(60_000))
    finally:
        os.close(writing)


def test_a_sound_model_passes_with_its_answer(tmp_path: Path) -> None:
    """Loaded, scored, encoded; requirements met."""
    podium.save_model(LinearRegression().fit(X, [1.0, 2.0]), tmp_path / "m", input_example=X)
    report = validate(tmp_path / "m")

    assert (report.is_valid, report.step, report.flavor, report.mismatches) == (True, "done", "sklearn", ())
    assert report.answer is not None
    assert report.answer.startswith('{"predictions": [')
    assert report.has_example
    assert report.has_signature


def test_a_model_without_an_example_is_only_loaded(tmp_path: Path) -> None:
    """And the report says that nothing was scored."""
    podium.save_model(LinearRegression().fit(X, [1.0, 2.0]), tmp_path / "m")
    report = validate(tmp_path / "m")

    assert (report.is_valid, report.has_example, report.answer) == (True, False, None)


@pytest.mark.filterwarnings("ignore:The model failed on its input example")
@pytest.mark.parametrize(
    ("body", "step", "said"),
    [
        ("raise ValueError('no')", "predict", "ValueError: no"),
        ("return object()", "encode", "object"),
        ("return [complex(1)]", "encode", "complex"),
    ],
)
def test_a_model_that_cannot_answer_its_example_fails_with_the_step(
    tmp_path: Path, body: str, step: str, said: str
) -> None:
    """And the reason; the traceback of the model's own code is in the log, and none of podium's."""
    report = validate(from_code(tmp_path / "m", body, input_example=X))

    assert (report.is_valid, report.step) == (False, step)
    assert said in (report.message or "")
    assert ("Traceback" in report.log) == (step == "predict")
    assert "predictor.py" not in report.log


def test_a_crash_is_told_from_an_error(tmp_path: Path) -> None:
    """By the signal that ended the process."""
    folder = from_code(tmp_path / "m", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    (folder / "input_example.json").write_text("[1]")
    mlmodel = read_mlmodel(folder) | {
        "saved_input_example_info": {"artifact_path": "input_example.json", "type": "ndarray"}
    }
    write_mlmodel(folder, mlmodel)
    report = validate(folder)

    assert (report.is_valid, report.step, report.cause) == (False, "crash", "signal")
    assert "SIGSEGV" in (report.message or "")


def test_a_model_that_hangs_is_killed_with_what_it_started(tmp_path: Path) -> None:
    """After the time that it is given."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    folder = tmp_path / "m"
    from_code(folder, "return 1")
    (folder / "model.py").write_text(f"import subprocess\nsubprocess.run(['cat', {str(fifo)!r}])\n")
    report = validate(folder, timeout_s=2)

    assert (report.is_valid, report.step, report.cause) == (False, "timeout", "timeout")
    # Were the child alive, it would hold the other end.
    assert is_left(fifo)


def test_prints_of_the_model_do_not_disturb_the_report(tmp_path: Path) -> None:
    """They end in the log."""
    report = validate(
        from_code(tmp_path / "m", "import os; print('noise'); os.write(1, b'more'); return [1]", input_example=X)
    )

    assert report.is_valid
    assert "more" in report.log


def test_a_module_that_lies_beside_the_training_script_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would not be there on a server either."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "beside_the_script.py").write_text("VALUE = 1\n")
    (tmp_path / "model.py").write_text(
        "import beside_the_script, mlflow\nmlflow.models.set_model(lambda model_input: [beside_the_script.VALUE])\n"
    )
    with pytest.warns(UserWarning, match="beside_the_script"):
        podium.pyfunc.save_model(tmp_path / "m", python_model=tmp_path / "model.py")
    sys.modules.pop("beside_the_script", None)
    report = validate(tmp_path / "m")

    assert (report.is_valid, report.step, report.cause) == (False, "load", "import_error")
    assert "beside_the_script" in (report.message or "")


def test_requirements_that_are_not_met_are_named(tmp_path: Path) -> None:
    """They alone do not make a model invalid."""
    podium.save_model(
        LinearRegression().fit(X, [1.0, 2.0]), tmp_path / "m", pip_requirements=["scikit-learn==0.1", "left-pad"]
    )
    report = validate(tmp_path / "m")

    assert report.is_valid
    assert [each.split(",")[0] for each in report.mismatches] == ["scikit-learn: wants ==0.1", "left-pad: is wanted"]


def test_a_folder_that_is_no_model_fails_at_reading(tmp_path: Path) -> None:
    """No process is started for it."""
    assert validate(tmp_path).step == "read"
