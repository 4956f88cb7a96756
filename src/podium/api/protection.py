"""What protects a server, out of its settings; what cannot work is said before anything is started."""

from collections.abc import Iterable
from typing import Any

from podium.access.certificates import TlsFiles, context_of
from podium.settings.access import AccessSettings
from podium.settings.home import Home
from podium.settings.limits import ClientLimits, ModelLimits
from podium.settings.provenance import Chosen

OWNERS = (AccessSettings, ClientLimits, ModelLimits)
"""Whose fields people may set."""


def protection_of(chosen: Chosen, home: Home, models: Iterable[str]) -> dict[str, Any]:
    """The fields of a gateway's settings that protect it.

    Args:
        chosen: What was said.
        home: Where keys are kept.
        models: Names of what is served; those that only podium.toml names are asked for too.

    Raises:
        Misconfigured: Settings contradict each other, or TLS' files cannot be used.
    """
    access = AccessSettings(**chosen.fields(AccessSettings), key_file=str(home.keys))
    if access.tls_cert is not None and access.tls_key is not None:
        context_of(TlsFiles(access.tls_cert, access.tls_key, access.tls_client_ca))
    every = ModelLimits(**chosen.fields(ModelLimits))
    own = {name: ModelLimits(**chosen.of_model(name).fields(ModelLimits)) for name in {*models, *chosen.models}}
    return {
        "access": access,
        "clients": ClientLimits(**chosen.fields(ClientLimits)),
        "every_model": every,
        "models": {name: each for name, each in sorted(own.items()) if each != every},
    }
