"""What a flavor is: how one ML library saves and loads a model.

A flavor writes and reads its library's own files and nothing more. The MLmodel file is `models`' business; a flavor gets
and returns plain dictionaries of it. The loading half runs in the model's environment: standard library, numpy and the
flavor's own library.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from podium.domain.devices import DeviceUse
from podium.domain.load_terms import DEFAULT_TERMS, LoadTerms
from podium.domain.signature import Signature
from podium.flavors.claims import Claim, Inputs
from podium.flavors.conversions import Converter


@dataclass(frozen=True, slots=True)
class Saved:
    """What a flavor wrote.

    Args:
        flavors: The entries for MLmodel's `flavors` map: the library's own and, where it can be scored, `python_function`
            (without `env`, `python_version` and `config`, which `models` adds).
        requirements: Names of the packages that loading needs, unpinned (`["scikit-learn", "cloudpickle"]`).
        modules: Top-level modules that the files name beside those: requirements as well, or code that must come along.
    """

    flavors: dict[str, dict[str, Any]]
    requirements: list[str]
    modules: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Stored:
    """A model in a folder, and on what terms it is to be loaded.

    Args:
        folder: The model's folder, verified.
        flavors: MLmodel's whole map.
        config: The model's own config with what overrides it; None where it has none.
        signature: What the model was saved with.
        terms: Where it is to compute, and whether its folder may run code.
    """

    folder: Path
    flavors: Mapping[str, Mapping[str, Any]]
    config: Mapping[str, Any] | None = None
    signature: Signature | None = None
    terms: LoadTerms = DEFAULT_TERMS

    def of(self, flavor: str) -> Mapping[str, Any]:
        """MLmodel's entry for a flavor; empty where there is none."""
        return self.flavors.get(flavor) or {}


class Loaded(Protocol):
    """A model in memory, ready to be called."""

    @property
    def native(self) -> Any:
        """What the user saved: the estimator, the session, the PythonModel."""

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Call the model as MLflow's pyfunc wrapper of this flavor does; raises whatever the model raises."""


@runtime_checkable
class HasShortcut(Protocol):
    """A loaded model that may know a cheaper way of answering. A claim, which the worker proves first."""

    def hasten(self) -> None:
        """Let `predict` answer in a cheaper way where the flavor itself has proven that no bit changes."""

    def claims(self, inputs: Inputs) -> Sequence[Claim]:
        """Cheaper ways, the likeliest first; none where there is no cheaper way for such inputs."""


@runtime_checkable
class Convertible(Protocol):
    """A loaded model that may be brought to ONNX. What comes of it the worker proves before it answers."""

    def converter(self) -> Converter:
        """What converts it; cheap, and imports no converter."""


@runtime_checkable
class Streaming(Protocol):
    """A loaded model that may answer in parts.

    Attributes:
        is_streaming: Whether this one does.
    """

    is_streaming: bool

    def predict_stream(self, data: Any, params: Mapping[str, Any] | None = None) -> Iterator[Any]:
        """The parts of the answer to one input, as the model makes them; raises whatever the model raises."""


@runtime_checkable
class OnDevice(Protocol):
    """A loaded model that knows where it computes. One that does not is taken to compute on the CPU."""

    def use(self) -> DeviceUse:
        """The device and how full it is now; cheap enough to be asked every second."""


@dataclass(frozen=True, slots=True)
class RowIndependence:
    """Whether rows may be merged into one call, and why: the flavor's own knowledge, before any probe.

    Args:
        is_known_independent: True for estimators on the flavor's list; False for code that nobody can see through.
        reason: For people: `"LogisticRegression answers row by row"`.
        static_batch: How many rows every call must have; None where any number may come.
    """

    is_known_independent: bool
    reason: str
    static_batch: int | None = None


class Flavor(Protocol):
    """A way to save and load. Instances hold no state."""

    name: str
    """The key in MLmodel's `flavors`."""

    loader_modules: tuple[str, ...]
    """The values of `python_function.loader_module` that this flavor loads."""

    options: tuple[str, ...]
    """What `save` takes beside the model and the folder; whoever calls it refuses every other name."""

    def claims(self, model: Any) -> bool:
        """Whether `save` takes this object; must not import the library when it is not imported yet."""

    def save(self, model: Any, folder: Path, example: Any = None, **options: Any) -> Saved:
        """Write the library's files into an existing, empty folder.

        Args:
            model: What `claims` took.
            folder: Existing, empty.
            example: The data of the input example, for formats that are made by tracing a call; None without one.
            options: Of those that `options` names.
        """

    def load(self, stored: Stored) -> Loaded:
        """Read a model.

        Raises:
            LoadFailed, MissingDependency, InvalidModel.
        """

    def rows(self, loaded: Loaded, signature: Signature | None) -> RowIndependence:
        """What is known of the rows' independence."""


@runtime_checkable
class Preloadable(Protocol):
    """A flavor whose libraries may be imported before the process forks off that will hold the model.

    Importing them starts no thread and opens no device; a fork server looks whether that holds.
    """

    def preloads(self, flavors: Mapping[str, Mapping[str, Any]], *, has_gpu: bool) -> tuple[str, ...] | None:
        """The modules that loading imports whatever the model is; they are the library's, never the model's own.

        `MODULE:FUNCTION` is a function of podium's that imports them, to be called.

        Args:
            flavors: MLmodel's whole map.
            has_gpu: Whether the model may compute on a GPU.

        Returns: None where its processes are better begun afresh.
        """
