"""What protects a server, out of its settings; what cannot work is said before anything is started."""

import importlib.util
from collections.abc import Iterable
from typing import Any

from podium.access.certificates import TlsFiles, context_of
from podium.access.jwks import check_source
from podium.errors import MissingDependency
from podium.serving.guard.shared_rates import check_store
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
        MissingDependency: Tokens are asked for, and what proves them is not installed.
    """
    access = AccessSettings(**chosen.fields(AccessSettings), key_file=str(home.keys))
    if access.tls_cert is not None and access.tls_key is not None:
        context_of(TlsFiles(access.tls_cert, access.tls_key, access.tls_client_ca))
    if access.jwks is not None:
        check_source(access.jwks)
        if any(importlib.util.find_spec(module) is None for module in ("jwt", "cryptography")):
            raise MissingDependency("pyjwt[crypto]", f"access.jwks ({chosen.source('access.jwks')})", "jwt")
    every = ModelLimits(**chosen.fields(ModelLimits))
    own = {name: ModelLimits(**chosen.of_model(name).fields(ModelLimits)) for name in {*models, *chosen.models}}
    clients = ClientLimits(**chosen.fields(ClientLimits))
    if clients.rate_store is not None:
        check_store(clients.rate_store)
        if importlib.util.find_spec("redis") is None:
            raise MissingDependency("redis", f"limits.rate_store ({chosen.source('limits.rate_store')})", "redis")
    return {
        "access": access,
        "clients": clients,
        "every_model": every,
        "models": {name: each for name, each in sorted(own.items()) if each != every},
    }
