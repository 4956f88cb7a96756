"""ONNX: the model's file as it is, run by onnxruntime."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from podium.domain.devices import DEFAULT_DEVICE, DeviceUse
from podium.domain.frames import is_frame
from podium.domain.load_terms import AUTO
from podium.domain.signature import Signature
from podium.errors import InvalidInput, InvalidModel, MissingDependency
from podium.flavors.contract import Loaded, RowIndependence, Saved, Stored
from podium.flavors.folders import part_of
from podium.flavors.mlflow_shims import MlflowException
from podium.flavors.onnx_session import DEFAULT_PROVIDERS, check_options, open_session

_FILE = "model.onnx"


class LoadedSession:
    """An onnxruntime session that takes what MLflow's wrapper takes.

    A dict of arrays feeds the inputs by name; an array feeds a single input; a DataFrame feeds a single input with its
    values, several with its columns. A DataFrame is answered with a DataFrame, the rest with a dict of arrays.
    """

    def __init__(self, session: Any) -> None:
        self.native = session
        self.inputs = [(each.name, each.type, tuple(each.shape)) for each in session.get_inputs()]
        self._kinds = {name: kind for name, kind, _ in self.inputs}
        self.outputs = [each.name for each in session.get_outputs()]

    def use(self) -> DeviceUse:
        """The device by the first of its providers; onnxruntime does not tell of memory."""
        return DeviceUse("cuda" if self.native.get_providers()[0] == "CUDAExecutionProvider" else "cpu")

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Run the session; params are ignored, as in MLflow.

        Raises:
            InvalidInput: The data cannot be brought to the model's inputs.
        """
        del params
        is_table = is_frame(data)
        answers = self.native.run(
            self.outputs, {name: self._fit(name, each) for name, each in self._feed(data, is_table).items()}
        )
        if is_table:
            return _frame(self.outputs, answers, len(data))
        return dict(zip(self.outputs, answers, strict=True))

    def _feed(self, data: Any, is_table: bool) -> dict[str, Any]:
        names = [name for name, _, _ in self.inputs]
        if isinstance(data, dict):
            return data
        if is_table and len(names) == 1:
            return {names[0]: data.to_numpy()}
        if is_table:
            missing = [name for name in names if name not in data.columns]
            if missing:
                raise InvalidInput(f"The model has the inputs {names}; the table has no columns {missing}.")
            return {name: self._column(data[name].to_numpy(), shape) for name, _, shape in self.inputs}
        if isinstance(data, np.ndarray) and len(names) == 1:
            return {names[0]: data}
        if isinstance(data, np.ndarray):
            # MLflow's error, its words and its status: clients of its server know them.
            raise MlflowException(
                "Unable to map numpy array input to the expected model input. Numpy arrays can only be used as input for "
                f"MLflow ONNX models that have a single input. This model requires {len(names)} inputs. Please pass in "
                f"data as either a dictionary or a DataFrame with the following tensors: {names}."
            )
        raise InvalidInput(f"The model takes a dict of arrays, an array or a table, got {type(data).__name__}.")

    @staticmethod
    def _column(values: Any, shape: tuple[Any, ...]) -> Any:
        # Models made from tables (skl2onnx) have inputs of [N, 1]; MLflow hands them [N] and onnxruntime refuses.
        return values.reshape(-1, 1) if len(shape) == 2 and shape[1] == 1 and values.ndim == 1 else values

    def _fit(self, name: str, values: Any) -> Any:
        """Numbers as float32 where the input wants that: JSON has no float32, and a mixed table holds objects."""
        values = np.asarray(values) if isinstance(values, list) else values
        wants = self._kinds.get(name)
        if (
            wants == "tensor(float)"
            and isinstance(values, np.ndarray)
            and (values.dtype == np.float64 or values.dtype.kind in "iuO")
        ):
            return values.astype(np.float32)
        return values


class OnnxFlavor:
    """MLflow's `onnx` flavor."""

    name = "onnx"
    loader_modules: tuple[str, ...] = ("mlflow.onnx",)
    options: tuple[str, ...] = ("onnx_execution_providers", "onnx_session_options", "save_as_external_data")

    def claims(self, model: Any) -> bool:
        if isinstance(model, str | Path):
            return str(model).endswith(".onnx")
        module = sys.modules.get("onnx")
        return module is not None and isinstance(model, module.ModelProto)

    def save(self, model: Any, folder: Path, example: Any = None, **options: Any) -> Saved:
        """Write the model, its weights as external data unless told otherwise.

        Args:
            model: A ModelProto, the path of an .onnx file, or its bytes.
            folder: Existing, empty.
            example: Not needed.
            options: `onnx_execution_providers`, `onnx_session_options`, `save_as_external_data`.

        Raises:
            InvalidInput: Not an ONNX model, or unknown session options.
            MissingDependency: onnx is not installed.
        """
        del example
        try:
            import onnx
        except ImportError as error:
            raise MissingDependency("onnx", "Saving an ONNX model", "onnx") from error
        check_options(options.get("onnx_session_options"))
        proto = _read(onnx, model)
        is_external = options.get("save_as_external_data")
        onnx.save_model(
            proto, str(folder / _FILE), save_as_external_data=True if is_external is None else bool(is_external)
        )
        providers = options.get("onnx_execution_providers") or DEFAULT_PROVIDERS
        entries: dict[str, dict[str, Any]] = {
            "onnx": {
                "code": None,
                "data": _FILE,
                "onnx_session_options": options.get("onnx_session_options"),
                "onnx_version": onnx.__version__,
                "providers": [list(each) if isinstance(each, tuple) else each for each in providers],
            },
            "python_function": {"data": _FILE, "loader_module": "mlflow.onnx"},
        }
        return Saved(entries, ["onnx", "onnxruntime"])

    def load(self, stored: Stored) -> Loaded:
        # MLflow's variable names torch's devices; what onnxruntime knows of them is followed.
        said = os.environ.get(DEFAULT_DEVICE, AUTO).partition(":")[0]
        asked = stored.terms.device
        device = said if asked == AUTO and said == "cpu" else asked
        return LoadedSession(open_session(model_file(stored.folder, stored.flavors), stored.of("onnx"), device))

    def rows(self, loaded: Loaded, signature: Signature | None) -> RowIndependence:
        """A graph may do anything with its first dimension; that it varies is a hint, and the probe's word decides."""
        del signature
        shapes = [shape for _, _, shape in loaded.inputs] if isinstance(loaded, LoadedSession) else []
        fixed = [shape[0] for shape in shapes if shape and isinstance(shape[0], int)]
        if fixed:
            return RowIndependence(
                False, f"the graph was exported for batches of exactly {fixed[0]}", static_batch=fixed[0]
            )
        if not all(shapes):
            return RowIndependence(False, "the graph has an input without dimensions")
        return RowIndependence(True, "the graph's first dimension varies")

    def preloads(self, flavors: Mapping[str, Mapping[str, Any]], *, has_gpu: bool) -> tuple[str, ...] | None:
        """See `flavors.contract.Preloadable`."""
        del flavors, has_gpu
        return ()  # onnxruntime may start a thread when it is imported


def model_file(folder: Path, flavors: Mapping[str, Mapping[str, Any]]) -> Path:
    """The .onnx file that MLmodel names.

    Raises:
        InvalidModel: It names none, or one that is not there.
    """
    file = flavors.get("python_function", {}).get("data") or flavors.get("onnx", {}).get("data")
    if file is None:
        raise InvalidModel(f"The model holds no ONNX graph; its flavors are {sorted(flavors)}.")
    return part_of(folder, file, "data")


def load_proto(folder: Path, flavors: Mapping[str, Mapping[str, Any]]) -> Any:
    """The checked ModelProto, as MLflow's load_model gives it.

    Raises:
        MissingDependency, InvalidModel.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingDependency("onnx", "Loading an ONNX model as a ModelProto", "onnx") from error
    path = model_file(folder, flavors)
    try:
        onnx.checker.check_model(str(path))
    except onnx.checker.ValidationError as error:
        raise InvalidModel(f"{path} is not a valid ONNX model: {error}") from error
    return onnx.load(str(path))


def _read(onnx: Any, model: Any) -> Any:
    if isinstance(model, onnx.ModelProto):
        # Saving with external data empties the tensors of the object it is given, which is the user's.
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        return copy
    try:
        if isinstance(model, bytes):
            return onnx.load_from_string(model)
        if isinstance(model, str | Path):
            return onnx.load(str(model))
    except Exception as error:
        raise InvalidInput(f"This is not an ONNX model: {error}") from error
    raise InvalidInput(
        f"podium.onnx saves a ModelProto, the path of an .onnx file or its bytes, got {type(model).__name__}."
    )


def _frame(names: list[str], answers: list[Any], rows: int) -> Any:
    """Outputs as a table, one row for each row of the input.

    MLflow flattens every output, so that one of [N, 3] fails or answers 3N rows; here each row holds its own list of 3.
    """
    import pandas

    columns: dict[str, Any] = {}
    for name, answer in zip(names, answers, strict=True):
        values = answer if isinstance(answer, np.ndarray) else _listed(answer)
        is_wide = values.ndim > 1 and values.shape[0] == rows and values.size != rows
        columns[name] = pandas.Series(values.tolist(), dtype=object) if is_wide else values.reshape(-1)
    return pandas.DataFrame(columns)


def _listed(answer: Any) -> Any:
    """A sequence output (ZipMap's list of dicts) as one object for each row."""
    values = np.empty(len(answer), dtype=object)
    values[:] = answer
    return values
