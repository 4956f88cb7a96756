"""What is new of what gateways are told, for those who have heard the rest."""

from podium.transport.messages import Tell


def part_of(before: Tell, after: Tell) -> Tell:
    """What to tell whoever has heard `before`: of a thousand endpoints, the few that changed."""
    old, new = before.status.get("endpoints", {}), after.status.get("endpoints", {})
    changed = {name: each for name, each in new.items() if each is not old.get(name) and each != old.get(name)}
    metrics = {
        name: each
        for name, each in after.metrics.items()
        if each is not before.metrics.get(name) and each != before.metrics.get(name)
    }
    status = {**after.status, "endpoints": changed}
    series = None if after.series == before.series else after.series
    return Tell(status, metrics, series, is_part=True, gone=[name for name in old if name not in new])
