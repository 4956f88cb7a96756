import pytest

from podium.domain.causes import load_cause
from podium.errors import DigestMismatch, InvalidModel, LoadFailed, MissingDependency, NotFound


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (LoadFailed("It did not load."), "load_error"),
        (LoadFailed("It did not load.", "timeout"), "timeout"),
        (DigestMismatch("Not what was registered."), "digest_mismatch"),
        (InvalidModel("No MLmodel file."), "invalid_model"),
        (MissingDependency("onnxruntime", "An ONNX model", "onnx"), "import_error"),
        (ModuleNotFoundError("No module named 'x'"), "import_error"),
        (ImportError("cannot import name 'y'"), "import_error"),
        (MemoryError(), "out_of_memory"),
        (NotFound("Nothing is there."), "load_error"),
        (SystemExit(1), "load_error"),
        (ValueError("no"), "load_error"),
    ],
)
def test_each_error_has_one_cause_wherever_it_is_told(error: BaseException, cause: str) -> None:
    assert cause == load_cause(error)
