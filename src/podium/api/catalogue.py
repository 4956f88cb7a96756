"""What a server may be asked to load while it runs: its own models by name, and others where whoever starts it says so."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from podium.api.beside import beside_of
from podium.domain.masking import masked
from podium.domain.nearest import did_you_mean
from podium.domain.references import FolderRef, ModelRef, parse_reference
from podium.errors import InvalidReference, NotFound
from podium.fleet.site import EndpointOrder, NotAllowed
from podium.fleet.sources import Wish
from podium.registry.observe import RegistryObserver
from podium.registry.resolve import resolve
from podium.settings.home import Home
from podium.settings.model import ModelSettings
from podium.settings.provenance import MODEL_NAME

NOTHING, CATALOGUE, ANYTHING = "none", "catalogue", "any"


class ServerCatalogue:
    """Orders by name.

    Args:
        home: PODIUM_HOME.
        named: The references of the models that the server was started with.
        settings: Those of one model, by its name.
        allowed: `none`, `catalogue`, `any`, or a folder: what may be loaded.
        registered: The reference of a name that a whole registry has, or None; what serves no registry has none.
        side: The file where rollouts are kept; None keeps them in the registry.
    """

    def __init__(
        self,
        home: Home,
        named: Mapping[str, ModelRef],
        settings: Callable[[str], ModelSettings],
        allowed: str = CATALOGUE,
        registered: Callable[[str], ModelRef | None] = lambda _: None,
        side: Path | None = None,
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
        return self._allowed not in {NOTHING, CATALOGUE}

    def names(self) -> Sequence[str]:
        """Those that the server was started with."""
        return tuple(self._named)

    def forbid(self) -> str | None:
        """Whether anything may be loaded or unloaded at all."""
        return "This server loads and unloads nothing (allow_load = none)." if self._allowed == NOTHING else None

    def order(self, name: str, uri: str | None) -> EndpointOrder:
        """As `fleet.site.Catalogue.order`."""
        if not MODEL_NAME.fullmatch(name):
            raise InvalidReference(
                f"A model cannot be called {name!r}; use letters, digits, '_', '-' and '.', at most 100."
            )
        known = self._named.get(name) or self._registered(name)
        if uri is None:
            if known is None:
                near = did_you_mean(name, self._named)
                raise NotFound(f"No model of this server is called {name}.{near} A new one is loaded with its URI.")
            reference = known
        else:
            reference = parse_reference(uri)
            if reference != known:
                self._check(name, reference)
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


def _is_within(path: str, root: Path) -> bool:
    # Resolved: a link below the folder that leads out of it is outside.
    real = Path(os.path.realpath(os.path.expanduser(path)))
    return real != root and real.is_relative_to(root)
