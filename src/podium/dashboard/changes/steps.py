"""Pause a rollout, let it go on, finish it, take it back: of the very rollout that the page showed."""

from collections.abc import Mapping

from podium.api.rolling import Rollouts, RolloutStatus, follows_of
from podium.dashboard.changes.proposals import Done, FormField, PageChange, Proposal, WantedChange
from podium.dashboard.sources import DashboardSources
from podium.domain.rollouts.schedule import MarkKind
from podium.errors import InvalidInput, NotFound

_BACK = "/rollouts"
_SEEN = "rollout"
VERBS: Mapping[MarkKind, str] = {
    MarkKind.PAUSE: "Pause",
    MarkKind.RESUME: "Resume",
    MarkKind.FINISH: "Finish",
    MarkKind.UNDO: "Undo",
}
_STATES: Mapping[MarkKind, frozenset[str]] = {
    MarkKind.PAUSE: frozenset({"running"}),
    MarkKind.RESUME: frozenset({"paused"}),
    MarkKind.FINISH: frozenset({"running", "paused"}),
    MarkKind.UNDO: frozenset({"running", "paused", "finished"}),
}
_DONE: Mapping[MarkKind, str] = {
    MarkKind.PAUSE: "is paused",
    MarkKind.RESUME: "goes on",
    MarkKind.FINISH: "is finished",
    MarkKind.UNDO: "is undone",
}


def kinds_for(state: str) -> list[MarkKind]:
    """What can be done with a rollout in this state."""
    return [kind for kind, states in _STATES.items() if state in states]


def _propose(sources: DashboardSources, asked: WantedChange) -> Proposal:
    kind = _kind(asked)
    status = Rollouts(sources.home).of(asked.path["name"], _follows(asked))
    is_possible = kind in kinds_for(status.state)
    reason = FormField("reason", "Why", asked.said("reason"), "May be left empty", is_needed=False)
    effects = _effects(kind, status) if is_possible else [f"It is {status.state}: there is nothing to {kind.value}."]
    return Proposal(
        f"{VERBS[kind]} the rollout of {_named(status)}",
        "rollouts",
        _BACK,
        VERBS[kind],
        effects,
        fields=[reason],
        kept={_SEEN: status.rollout.id},
        is_possible=is_possible,
    )


def _make(sources: DashboardSources, asked: WantedChange) -> Done:
    kind, seen = _kind(asked), asked.said(_SEEN)
    if not seen:
        raise InvalidInput("The form does not say of which rollout it is. Open the page again.")
    rollouts = Rollouts(sources.home, author=asked.author)
    status = rollouts.mark(kind, asked.path["name"], _follows(asked), asked.said("reason"), expected=seen)
    return Done(f"The rollout of {_named(status)} {_DONE[kind]}.", _BACK)


STEP = PageChange(_propose, _make)


def _effects(kind: MarkKind, status: RolloutStatus) -> list[str]:
    stable, candidate = status.rollout.stable, status.rollout.candidate
    has = f"Version {candidate} has {status.percent} % of the traffic, version {stable} the rest."
    match kind:
        case MarkKind.PAUSE:
            return [has, "That stays so until somebody resumes it."]
        case MarkKind.RESUME:
            return [has, "It goes on from there, by its steps."]
        case MarkKind.FINISH:
            return [has, f"Version {candidate} gets all of it now, whatever its steps and the evidence say."]
        case _:
            return [has, f"Version {stable} gets all of it again, and the rollout is over."]


def _named(status: RolloutStatus) -> str:
    record = status.rollout
    return f"{record.model} ({record.follows}) from version {record.stable} to {record.candidate}"


def _kind(asked: WantedChange) -> MarkKind:
    found = next((kind for kind in VERBS if kind.value == asked.path["action"]), None)
    if found is None:
        raise NotFound(f"{asked.path['action'][:50]!r} is nothing that is done with a rollout.")
    return found


def _follows(asked: WantedChange) -> str:
    text = asked.path["follows"]
    return follows_of(None, text[1:]) if text.startswith("@") else follows_of(text, None)
