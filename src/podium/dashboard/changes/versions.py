"""Promote a version, and roll back: by the registry's own methods, and only if Production still holds what was shown."""

from collections.abc import Sequence

from podium.api.registering import Registry
from podium.dashboard.changes.proposals import Done, PageChange, Proposal, WantedChange, numbers_in, written
from podium.dashboard.names import as_part
from podium.dashboard.sources import DashboardSources
from podium.domain.stages import Stage
from podium.errors import NotFound
from podium.registry.contract import Version
from podium.registry.moves import Moved, held_by

_BUSY_S = 5.0
_EXPECTED = "expected"


def _propose_promotion(sources: DashboardSources, asked: WantedChange) -> Proposal:
    name, number = asked.path["name"], _number(asked)
    sources.registry.version(name, number)
    return _proposal(sources, name, number, f"Promote version {number} of {name}", "Promote")


def _promote(sources: DashboardSources, asked: WantedChange) -> Done:
    name, number = asked.path["name"], _number(asked)
    expected = numbers_in(asked.values.get(_EXPECTED))
    return _done(_registry(sources, asked).promote(name, number, expected=expected))


def _propose_rollback(sources: DashboardSources, asked: WantedChange) -> Proposal:
    name = asked.path["name"]
    number = sources.registry.previous(name)
    return _proposal(sources, name, number, f"Roll {name} back to version {number}", "Roll back", {"to": str(number)})


def _roll_back(sources: DashboardSources, asked: WantedChange) -> Done:
    name = asked.path["name"]
    [target] = numbers_in(asked.values.get("to") or None)[:1]
    expected = numbers_in(asked.values.get(_EXPECTED))
    return _done(_registry(sources, asked).rollback(name, target, expected=expected))


PROMOTION = PageChange(_propose_promotion, _promote)
ROLLBACK = PageChange(_propose_rollback, _roll_back)


def _registry(sources: DashboardSources, asked: WantedChange) -> Registry:
    return Registry(sources.home, busy_timeout_s=_BUSY_S, author=asked.author)


def _proposal(
    sources: DashboardSources, name: str, number: int, title: str, verb: str, kept: dict[str, str] | None = None
) -> Proposal:
    versions = sources.registry.versions(name)
    held = held_by(versions, Stage.PRODUCTION)
    is_possible = held != (number,)
    return Proposal(
        title,
        "registry",
        f"/registry/{as_part(name)}",
        verb,
        _effects(versions, held, name, number) if is_possible else [f"Version {number} is in Production already, alone."],
        _warnings(sources, name) if is_possible else (),
        kept={_EXPECTED: written(held), **(kept or {})},
        is_possible=is_possible,
    )


def _effects(versions: Sequence[Version], held: Sequence[int], name: str, number: int) -> list[str]:
    stage = next(each.stage for each in versions if each.version == number)
    moved = [] if stage is Stage.PRODUCTION else [f"Version {number} of {name} goes from {stage.value} to Production."]
    archived = [f"Version {other} goes from Production to Archived." for other in held if other != number]
    return [*moved, *archived, f"models:/{name}/production stands for version {number} from then on."]


def _warnings(sources: DashboardSources, name: str) -> list[str]:
    """Who follows, who is held, and what is under way."""
    served = [each for each in sources.served() if each.registered == name]
    uri = f"models:/{name}/production"
    told = [
        f"{each.name}, on port {each.port}, serves {uri}: it moves to that version as soon as that is loaded."
        for each in served
        if str(each.facts.get("uri") or "").lower() == uri.lower()
    ]
    told += [
        f"{each.name}, on port {each.port}, is held at version {each.facts['pin']['version']} and moves when that ends."
        for each in served
        if each.facts.get("pin")
    ]
    told += [
        f"The rollout from version {each.rollout.stable} to {each.rollout.candidate}, which is {each.state}, is over then: "
        "what serves goes to what Production holds."
        for each in sources.rollouts().value
        if each.rollout.model == name and each.rollout.follows == "production" and each.state in {"running", "paused"}
    ]
    return told


def _done(moved: Moved) -> Done:
    version = moved.version
    back = f"/registry/{as_part(version.name)}"
    if moved.warning:
        return Done(moved.warning, back)
    if not moved.is_change:
        return Done(f"Version {version.version} was in Production already; nothing was changed.", back)
    archived = "".join(f" Version {number} is archived." for number in moved.archived)
    return Done(f"Version {version.version} of {version.name} is in Production.{archived}", back)


def _number(asked: WantedChange) -> int:
    text = asked.path["version"]
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise NotFound(f"{text[:50]!r} is no version of {asked.path['name']}; versions are numbers.")
    return int(text)
