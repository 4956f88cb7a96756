"""A loaded model that enforces its signature: what the worker calls and what `load_model` gives to people."""

from collections.abc import Iterator, Mapping
from typing import Any

from podium.domain.dialect import COMPAT, Dialect
from podium.domain.frames import is_frame
from podium.domain.signature import Signature
from podium.errors import HintMismatch, InvalidInput, PodiumError, PredictFailed, SchemaMismatch
from podium.flavors.contract import Loaded, RowIndependence, Streaming
from podium.models.enforce import InputEnforcer
from podium.models.enforce_params import ParamsEnforcer
from podium.models.example_form import in_form_of

_FAILED = (
    "Encountered an unexpected error while evaluating the model. Verify that the serialized input Dataframe is "
    "compatible with the model for inference."
)


class Predictor:
    """A model in memory with its signature.

    `enforce` and `call` are apart because the worker enforces each request alone and calls the model on several at once.

    Args:
        loaded: The model as its flavor loaded it.
        signature: None takes every input as it comes.
        flavor: Name for people: `sklearn`, `onnx`, `python_function`.
        rows: Whether rows may be merged into one call, by the flavor's own knowledge.
        metadata: The whole MLmodel file.
        dialect: How strictly inputs are enforced; whoever encodes the answers goes by it too.
        example: What frames are turned into the form of (`models/example_form.py`); None leaves them as they are.
    """

    __slots__ = ("_example", "_inputs", "_params", "dialect", "flavor", "loaded", "metadata", "rows", "signature")

    def __init__(
        self,
        loaded: Loaded,
        signature: Signature | None,
        flavor: str,
        rows: RowIndependence,
        metadata: Mapping[str, Any],
        example: Any = None,
        dialect: Dialect = COMPAT,
    ) -> None:
        self.loaded = loaded
        self.signature = signature
        self.flavor = flavor
        self.rows = rows
        self.metadata = metadata
        self.dialect = dialect
        self._example = example
        inputs = None if signature is None or signature.is_from_type_hint else signature.inputs
        # A signature made from a type hint is checked by the model's own predict(), against the hint itself.
        self._inputs = None if inputs is None else InputEnforcer(inputs, dialect)
        self._params = ParamsEnforcer(None if signature is None else signature.params, dialect)

    def enforce(self, data: Any, params: Mapping[str, Any] | None = None) -> tuple[Any, dict[str, Any] | None]:
        """Bring data and params into the form that the signature declares: columns in order, types, shapes, defaults.

        Raises:
            SchemaMismatch: The data does not fit; names what is missing, or the column, expected and got.
            InvalidParams: Names each param that does not fit.
        """
        if self._inputs is not None:
            data = self._inputs.enforce(data)
        if self._example is not None:
            data = self._shaped(data)
        return data, self._params.enforce(params)

    @property
    def takes_plans(self) -> bool:
        """Whether what the signature declares is what the model gets; frames in an example's form are made one by one."""
        return self._example is None

    def default_params(self) -> dict[str, Any] | None:
        """What `enforce` makes of a request without params; a fresh dict.

        Raises:
            InvalidParams: A param has no default.
        """
        return self._params.enforce(None)

    def call(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Run the model on data that `enforce` returned.

        Raises:
            PredictFailed: The model's own code raised (or called sys.exit); the original is `__cause__`.
            HintMismatch: The data does not fit the type hint of the model's predict().
        """
        try:
            return self.loaded.predict(data, params)
        except SchemaMismatch as error:
            raise HintMismatch(error.message) from error
        except InvalidInput as error:
            # What a flavor says of its input goes to the log, as what any model says of it.
            raise PredictFailed(_FAILED) from error
        except PodiumError:
            raise
        except (Exception, SystemExit) as error:
            raise PredictFailed(_FAILED) from error

    @property
    def is_streaming(self) -> bool:
        """Whether `stream` may be called."""
        return isinstance(self.loaded, Streaming) and self.loaded.is_streaming

    def stream(self, data: Any, params: Mapping[str, Any] | None = None) -> Iterator[Any]:
        """The parts of the model's answer to one input that `enforce` returned; each is made when it is asked for.

        Raises:
            InvalidInput: It is not one input but several.
            PredictFailed: As `call`; so does the iterator.
        """
        assert isinstance(self.loaded, Streaming)
        return _guarded(self.loaded, one_input(data), params)

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Enforce, then call.

        Raises:
            SchemaMismatch, InvalidParams, PredictFailed.
        """
        return self.call(*self.enforce(data, params))

    def _shaped(self, data: Any) -> Any:
        if is_frame(data):
            return in_form_of(self._example, data)
        return data


def one_input(data: Any) -> Any:
    """What MLflow gives to predict_stream: a frame's only row by its columns, or the only element of a list or an array.

    Raises:
        InvalidInput: There are several, or none.
    """
    if is_frame(data):
        # MLflow's way of seeing that a frame is only a list of values.
        data = data[0].tolist() if list(data.columns) == [0] else data.to_dict(orient="records")
    elif hasattr(data, "tolist") and hasattr(data, "dtype"):
        data = data.tolist()
    elif isinstance(data, dict):
        data = {name: value.tolist() if hasattr(value, "tolist") else value for name, value in data.items()}
    if not isinstance(data, list):
        return data
    if len(data) != 1:
        raise InvalidInput(f"A stream answers one input; the request has {len(data)}.")
    return data[0]


def _guarded(loaded: Streaming, data: Any, params: Mapping[str, Any] | None) -> Iterator[Any]:
    try:
        yield from loaded.predict_stream(data, params)
    except (Exception, SystemExit) as error:
        raise PredictFailed(_FAILED) from error
