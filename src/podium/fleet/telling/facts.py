"""What the monitor is told of the versions that are served: by what their data, their traffic and their age are judged."""

from collections.abc import Iterable
from typing import Any

from podium.domain.audits.audit import counted_by_severity
from podium.fleet.telling.status import Situation


def facts_of(situations: Iterable[Situation]) -> list[dict[str, Any]]:
    """One entry for each version that gateways route to, or that an endpoint which sleeps would serve.

    Each has `model`, `version`, `stage` (empty without a registry), `weight` in percent, `is_asleep`, `digest`, of the
    audit at load `findings` by severity, `saved_at` as the MLmodel file has it, `newer`: the version that its source
    names while it is another one, `task` and `positive`: what the model was said to be for, None where nobody did, and
    `drift`: by which methods its columns are to be scored.
    """
    return [fact for situation in situations for fact in _facts(situation)]


def _facts(situation: Situation) -> Iterable[dict[str, Any]]:
    weights = {target.version: target.weight for target in situation.targets}
    if situation.is_asleep and situation.journal.stable is not None:
        weights.setdefault(situation.journal.stable, 0)
    for version, weight in weights.items():
        served = situation.served.get(version)
        resolved = situation.wish.resolved
        is_wanted = resolved is not None and resolved.label == version
        stage = resolved.stage if resolved is not None and is_wanted else None
        yield {
            "model": situation.endpoint,
            "version": version,
            "stage": "" if stage is None else stage.value,
            "weight": weight,
            "is_asleep": situation.is_asleep,
            "digest": None if served is None else served.prepared.digest,
            "saved_at": None if served is None else served.prepared.mlmodel.get("utc_time_created"),
            "newer": None if resolved is None or resolved.label in weights else resolved.label,
            "findings": {} if served is None else counted_by_severity(served.findings),
            "task": None if situation.purpose.task is None else situation.purpose.task.value,
            "positive": situation.purpose.positive,
            "drift": list(situation.drift),
        }
