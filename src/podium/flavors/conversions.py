"""What brings a loaded model to ONNX: attempts at it, and how a graph's answers become the model's again.

An attempt is only ever an attempt: the worker proves what came of it on the rows that prove shortcuts, and near each value
at which the model itself changes its answer.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from podium.domain.frames import is_frame
from podium.errors import MissingDependency, PodiumError
from podium.flavors.claims import Claim, Inputs

# Beyond this, a number's neighbours in double precision are an eighth apart.
MOST = 1e15
# Two libraries' sums in single precision differ by more than any tolerance once large numbers cancel each other.
NETWORK_BOUNDS = (MOST, 1e8, 1e6, 1e4)
_KINDS = {"float32": "float", "float64": "double", "int64": "int64", "int32": "int32", "bool": "bool"}


class NotConverted(PodiumError):
    """No converter takes this model; says why, and what to do instead."""

    code = "NOT_CONVERTED"


@dataclass(frozen=True, slots=True)
class ConversionSample:
    """A few rows as the model is given them, and its answer: types and shapes of both."""

    data: Any
    answer: Any


@dataclass(frozen=True, slots=True)
class Conversion:
    """A converted model: the file's bytes, and how to feed it (`onnx_way.Graph`)."""

    model: bytes
    spec: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to convert.

    Args:
        form: `whole`, or `split`: a pipeline's last step, after the exact ones before it.
        precision: `double` or `float`: what the graph computes in.
        bounds: The largest numbers that the graph may be asked, tried in this order; rows beyond go to the model.
        convert: Does it; raises `NotConverted`, or whatever a converter raises.
    """

    form: str
    precision: str
    convert: Callable[[ConversionSample], Conversion]
    bounds: tuple[float, ...] = (MOST,)


class Converter(Protocol):
    """What a flavor knows about bringing one loaded model to ONNX."""

    def versions(self) -> dict[str, str]:
        """Of what converts and runs.

        Raises:
            MissingDependency: It is not installed here.
        """

    def attempts(self, inputs: Inputs) -> Sequence[Attempt]:
        """Ways to convert, the most exact first.

        Raises:
            NotConverted: There is none for such a model.
        """

    def edges(self, inputs: Inputs) -> Mapping[int, Sequence[Any]]:
        """For inputs by position, values beside which the model's answer may change."""

    def claim(self, path: str, inputs: Inputs, spec: Mapping[str, Any], what: str) -> Claim:
        """What the graph in a file claims, with what the answer is made of where the answer alone hides it.

        Raises:
            NotTakenError: The model is not what it was when it was converted.
        """


def installed(*modules: str, extra: str = "accelerate") -> dict[str, str]:
    """The versions of what is needed, which one of podium's extras brings.

    Raises:
        MissingDependency: One of them is not installed here.
    """
    try:
        found = [(name, importlib.import_module(name)) for name in modules]
    except ImportError as error:
        raise MissingDependency(str(error.name), "Conversion to ONNX", extra) from error
    return {name: str(getattr(module, "__version__", "unknown")) for name, module in found}


def one_array(answer: Any) -> Any:
    """The answer, if it is one array.

    Raises:
        NotConverted: It is something else.
    """
    import numpy as np

    if isinstance(answer, np.ndarray):
        return answer
    if isinstance(answer, Mapping):
        raise NotConverted(
            f"The model answers with several outputs, {list(answer)}; a conversion answers with one. Serve it as it is, or "
            "save one model for each output."
        )
    raise NotConverted(f"The model answers with a {type(answer).__name__}; expected an array.")


def network_spec(sample: ConversionSample) -> dict[str, Any]:
    """How a network's graph is fed, and what its answer becomes: an array, or a table where it was asked with one.

    Raises:
        NotConverted: It answers with something else, or with several outputs.
    """
    is_table = is_frame(sample.answer)
    answer = one_array(sample.answer.to_numpy() if is_table else sample.answer)
    if answer.dtype.kind not in "fiub":
        raise NotConverted("The model answers with several outputs, or with no numbers; a conversion has one of numbers.")
    matrix = "float" if is_frame(sample.data) else _KINDS.get(str(sample.data.dtype))
    if matrix is None:
        raise NotConverted(f"It takes {sample.data.dtype}; a conversion takes {', '.join(_KINDS)}.")
    width = sample.data.shape[1]
    return {
        "types": [matrix] * width,
        "matrix": matrix,
        "is_split": False,
        "dtype": answer.dtype.str,
        "is_flat": answer.ndim == 1,
        "is_table": is_table,
        "scores": None,
    }


def refuse_text(inputs: Inputs, library: str) -> None:
    """Refuse inputs that are no numbers.

    Raises:
        NotConverted: An input is text.
    """
    if any(each is None for each in inputs.dtypes):
        raise NotConverted(
            f"It takes text, and a graph of {library}'s takes numbers. Encode categories as numbers before training, or "
            "serve the model as it is."
        )
