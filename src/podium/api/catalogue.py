"""What a server may be asked to load while it runs: its own models by name, and others where whoever starts it says so."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from podium.api.beside import beside_of
from podium.domain.masking import masked
from podium.domain.nearest import did_you_mean
from podium.domain.references import FolderRef, ModelRef, parse_reference
from podium.errors import InvalidReference, NotFound, RegistryError
from podium.fleet.site import EndpointOrder, NotAllowed
from podium.fleet.sources import Wish
from podium.registry.census import CensusEntry, RegistryCensus
from podium.registry.mlflow_census import MlflowCensus
from podium.registry.observe import RegistryObserver
from podium.registry.resolve import resolve
from podium.registry.rollout_sides import Side
from podium.settings.home import Home
from podium.settings.mlflow import read_mlflow_settings
from podium.settings.model import ModelSettings
from podium.settings.provenance import MODEL_NAME

NOTHING, CATALOGUE, ANYTHING = "none", "catalogue", "any"
_MLFLOW = "mlflow:"
_GATHER_S = 600.0


class RegisteredModels:
    """Every model of a registry that has a version behind a stage or an alias.

    The registry is podium's own; MLflow's where `which` begins with `mlflow:`, or where podium has none here and MLflow's
    variables name one.

    Args:
        home: PODIUM_HOME.
        which: As in `registry.census.RegistryCensus`, perhaps after `mlflow:`.
        settings: Those of one model, by its public name.
        named: Public names that are taken.
        side: Where rollouts are kept; None keeps them in the registry.
    """

    def __init__(
        self,
        home: Home,
        which: str,
        settings: Callable[[str], ModelSettings],
        named: Mapping[str, ModelRef],
        side: Side | None = None,
    ) -> None:
        self._home = home
        self._census = _census(home, which, side)
        self._settings = settings
        self._named = dict(named)
        self._seen: Mapping[str, CensusEntry] | None = None
        self._found: dict[str, CensusEntry] = {}
        self._registered: dict[str, str] = {}

    def first(self) -> tuple[EndpointOrder, ...]:
        """Those that are there now; none where there is no registry of podium's yet. Waits for files that are elsewhere.

        Raises:
            RegistryError: MLflow's cannot be read.
        """
        if isinstance(self._census, MlflowCensus):
            self._census.gather(_GATHER_S)
        try:
            found = self.take()
        except RegistryError:
            if isinstance(self._census, MlflowCensus):
                raise
            return ()
        return tuple(self.order_of(name, counted) for name, counted in found.items() if counted.resolved is not None)

    def take(self) -> Mapping[str, CensusEntry]:
        """By public name: what is to be served, and how. Of two registered names that make one, the first has it.

        Raises:
            RegistryError: It cannot be read.
        """
        seen = self._census.take()
        if seen is not self._seen:
            registered = {safe_name(name): name for name in sorted(seen, reverse=True)}
            self._registered = {public: registered[public] for public in sorted(registered) if public not in self._named}
            self._found = {public: seen[name] for public, name in self._registered.items()}
            self._seen = seen
        return self._found

    def names(self) -> Sequence[str]:
        """Those that have a version, by the last look."""
        return [name for name, counted in self._found.items() if counted.resolved is not None]

    def reference(self, name: str) -> ModelRef | None:
        """What a public name stands for."""
        registered = self._registered.get(name)
        return None if registered is None else self._census.reference(registered)

    def order_of(self, name: str, counted: CensusEntry) -> EndpointOrder:
        """How a model of it that has a version is served; whoever looks at the registry tells it of what is new."""
        resolved, settings = counted.resolved, self._settings(name)
        assert resolved is not None
        beside = beside_of(name, resolved.reference, settings, self._home)
        first = Wish(resolved, tidings=counted.tidings)
        return EndpointOrder(name, resolved.reference, first, settings, None, beside, self._census)


class ServerCatalogue:
    """Orders by name.

    Args:
        home: PODIUM_HOME.
        named: The references of the models that the server was started with.
        settings: Those of one model, by its name.
        allowed: `none`, `catalogue`, `any`, or a folder: what may be loaded.
        registered: The models of a registry that is served whole.
        side: Where rollouts are kept; None keeps them in the registry.
    """

    def __init__(
        self,
        home: Home,
        named: Mapping[str, ModelRef],
        settings: Callable[[str], ModelSettings],
        allowed: str = CATALOGUE,
        registered: RegisteredModels | None = None,
        side: Side | None = None,
    ) -> None:
        self._side = side
        self._home = home
        self._named = dict(named)
        self._settings = settings
        self._allowed = allowed
        self._registered = registered

    @property
    def may_grow(self) -> bool:
        """Whether a name may come that nobody knows yet."""
        return self._allowed not in {NOTHING, CATALOGUE} or self._registered is not None

    def names(self) -> Sequence[str]:
        """Those that the server was started with, and the registry's."""
        return (*self._named, *(self._registered.names() if self._registered is not None else ()))

    def forbid(self) -> str | None:
        """Whether anything may be loaded or unloaded at all."""
        return "This server loads and unloads nothing (allow_load = none)." if self._allowed == NOTHING else None

    def order(self, name: str, uri: str | None) -> EndpointOrder:
        """As `fleet.site.Catalogue.order`."""
        if not MODEL_NAME.fullmatch(name):
            raise InvalidReference(
                f"A model cannot be called {name!r}; use letters, digits, '_', '-' and '.', at most 100."
            )
        registered = None if self._registered is None else self._registered.reference(name)
        known = self._named.get(name) or registered
        if uri is None:
            if known is None:
                near = did_you_mean(name, self._named)
                raise NotFound(f"No model of this server is called {name}.{near} A new one is loaded with its URI.")
            reference = known
        else:
            reference = parse_reference(uri)
            if reference != known:
                self._check(name, reference)
        if self._registered is not None and reference == registered:
            return self._registered.order_of(name, CensusEntry(resolve(reference, self._home)))
        settings = self._settings(name)
        return EndpointOrder(
            name,
            reference,
            Wish(resolve(reference, self._home)),
            settings,
            RegistryObserver(self._home, side=self._side),
            beside_of(name, reference, settings, self._home),
        )

    def _check(self, name: str, reference: ModelRef) -> None:
        if self._allowed == ANYTHING:
            return
        shown = masked(str(reference))
        if self._allowed in {NOTHING, CATALOGUE}:
            raise NotAllowed(
                f"{name} may not be loaded from {shown}: this server loads the models that it was started with, by their "
                "names. podium serve --allow-load any lets whoever reaches it load anything."
            )
        root = Path(self._allowed).expanduser().resolve()
        if not isinstance(reference, FolderRef) or not _is_within(reference.path, root):
            raise NotAllowed(f"{name} may not be loaded from {shown}: this server loads what lies in {self._allowed}.")


def _census(home: Home, which: str, side: Side | None) -> RegistryCensus | MlflowCensus:
    if not which.startswith(_MLFLOW):
        if home.registry.exists():
            return RegistryCensus(home, which, side)
        settings = read_mlflow_settings()
        if settings.tracking_uri is None and settings.registry_uri is None:
            return RegistryCensus(home, which, side)
        return MlflowCensus(home, which, settings, side)
    return MlflowCensus(home, which.removeprefix(_MLFLOW), read_mlflow_settings(), side)


def safe_name(name: str) -> str:
    """A name that is safe as a folder's and as a metric's label."""
    return re.sub(r"[^\w.\-]+", "-", name).strip(".-")[:100] or "model"


def _is_within(path: str, root: Path) -> bool:
    # Resolved: a link below the folder that leads out of it is outside.
    real = Path(os.path.realpath(os.path.expanduser(path)))
    return real != root and real.is_relative_to(root)
