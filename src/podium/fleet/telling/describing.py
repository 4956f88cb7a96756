"""What gateways are told of each model when they describe the server: signature, example, dialect. Bounded in size."""

import json
from collections.abc import Mapping
from typing import Any

from podium.fleet.asks import Reply
from podium.fleet.endpoint import Endpoint
from podium.fleet.roster import Roster
from podium.fleet.site import Site

# A signature or example beyond these is left out, and so is everything once all together are too much.
_LONGEST_SIGNATURE = 1 << 17
_LONGEST_EXAMPLE = 1 << 14
_LONGEST = 1 << 23


class DescribeVerb:
    """Answers the verb "describe".

    Args:
        site: The server's.
        roster: Who is there.
    """

    def __init__(self, site: Site, roster: Roster) -> None:
        self._roster = roster
        site.asks.learn("describe", self.describe)

    def describe(self, _: str, __: dict[str, Any], reply: Reply) -> None:
        """Each model by its name, as far as known.

        {version, mode, flavor, signature, is_from_type_hint, example, is_streaming}
        """
        models, room = {}, _LONGEST
        for name, endpoint in self._roster.staying.items():
            facts = _facts(endpoint, room)
            room -= len(json.dumps(facts))
            models[name] = facts
        reply(200, {"models": models})


def _facts(endpoint: Endpoint, room: int) -> dict[str, Any]:
    served = endpoint.served
    facts: dict[str, Any] = {"version": endpoint.serving, "mode": endpoint.order.settings.dialect.mode}
    if served is None:
        return facts
    mlmodel, example = served.prepared.mlmodel, served.ready.example
    signature = mlmodel.get("signature")
    if isinstance(signature, Mapping) and len(json.dumps(signature)) <= min(_LONGEST_SIGNATURE, room):
        facts |= {"signature": dict(signature), "is_from_type_hint": bool(mlmodel.get("is_signature_from_type_hint"))}
    if example is not None and len(example) <= min(_LONGEST_EXAMPLE, room):
        facts["example"] = example
    return {**facts, "flavor": served.ready.flavor, "is_streaming": served.ready.is_streaming}
