"""How a served model is, in one word and one reason. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_LEVELS = ("bad", "warn", "busy", "ok", "quiet")
_SEVERE = ("critical", "high")


@dataclass(frozen=True, slots=True)
class ModelHealth:
    """A light and why it is lit.

    Args:
        level: bad, warn, busy (it will pass), ok or quiet.
        word: For people: `serving`, `degraded`.
        reason: One sentence; empty where all is well.
    """

    level: str
    word: str
    reason: str = ""

    @property
    def rank(self) -> int:
        """Worst first."""
        return _LEVELS.index(self.level)


def health_of(facts: Mapping[str, Any]) -> ModelHealth:
    """The worst of what an endpoint's status says.

    Args:
        facts: As in `fleet.telling.status`.
    """
    state = str(facts.get("state") or "unknown")
    found = min(_concerns(facts, state), key=lambda each: each.rank, default=None)
    if found is not None:
        return found
    calm = {"asleep": "quiet", "starting": "busy", "swapping": "busy", "stopping": "busy", "unloading": "busy"}
    return ModelHealth(calm.get(state, "ok" if state == "serving" else "warn"), state, _CALM.get(state, ""))


_CALM = {
    "asleep": "It is loaded at its next request.",
    "starting": "It is being loaded.",
    "swapping": "Another version takes over.",
    "stopping": "The server finishes its requests and ends.",
    "unloading": "It finishes its requests and goes.",
}


def _concerns(facts: Mapping[str, Any], state: str) -> Iterator[ModelHealth]:
    failure, source = facts.get("wanted_failure"), facts.get("source") or {}
    if state in {"failed", "down"}:
        reason = (failure or {}).get("message") or source.get("error") or "No version of it serves."
        yield ModelHealth("bad", state, _first_line(reason))
    elif failure:
        yield ModelHealth("bad", "load failed", f"Version {failure.get('version')}: {_first_line(failure.get('message'))}")
    if state == "degraded":
        ready = sum(replica.get("state") == "ready" for replica in facts.get("replicas") or ())
        yield ModelHealth("warn", state, f"{ready} of {facts.get('replicas_wanted')} replicas are ready.")
    if source and not source.get("is_up", True):
        yield ModelHealth("warn", "registry away", _first_line(source.get("error")))
    rollout = facts.get("rollout") or {}
    if rollout.get("state") == "rejected":
        reason = _first_line(rollout.get("reason"))
        yield ModelHealth("warn", "rejected", f"Version {rollout.get('candidate')} was taken back: {reason}")
    for problem in (facts.get("traffic") or {}).get("problems") or ():
        yield ModelHealth("warn", "traffic", _first_line(problem))
    model = facts.get("model") or {}
    counts = (model.get("audit") or {}).get("counts") or {}
    severe = sum(int(counts.get(severity) or 0) for severity in _SEVERE)
    if severe:
        yield ModelHealth("warn", "environment", f"{severe} severe finding{'s' * (severe > 1)} in its environment.")
    if facts.get("pin"):
        pin = facts["pin"]
        yield ModelHealth("busy", "pinned", f"Held at version {pin.get('version')}: {_first_line(pin.get('reason'))}")


def _first_line(text: object) -> str:
    return str(text or "").strip().partition("\n")[0]
