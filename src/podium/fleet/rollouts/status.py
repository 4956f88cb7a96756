"""What people and programs are told of an endpoint's rollout. Pure.

id, state, percent    which, running | paused | finished | rejected | undone | superseded, the share by the schedule
share                 what the candidate has here: nothing before it is ready
stable, candidate     versions; follows: the stage or alias
steps, interval_s, started_at, next_step_at      the schedule, by the registry's clock
reason                why it is paused or over
verdict               {opinion, criterion, reason, figures: {criterion: {stable, candidate, answers, e_value, needed}},
                      missing: how many more answers like those before would show that it is fine; null where none would}
evidence              {stable, candidate: {requests, errors, compared, disagreed, rewards, penalties}} of this server
problem               why a mark cannot be written, or a version not be had; else null
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from podium.domain.rollouts.evidence import Evidence
from podium.domain.rollouts.judging import Verdict
from podium.domain.rollouts.schedule import MarkedRollout, RolloutPhase, State, why


def rollout_status(
    entry: MarkedRollout,
    phase: RolloutPhase,
    share: int,
    verdict: Verdict,
    seen: tuple[Evidence, Evidence],
    problem: str | None,
) -> dict[str, Any]:
    """The part of the status document.

    Args:
        entry: The rollout.
        phase: Where it is.
        share: The candidate's part of the traffic here.
        verdict: What is thought of it here.
        seen: The evidence of the stable version and of the candidate.
        problem: What is wrong.
    """
    rollout = entry.rollout
    return {
        "id": rollout.id,
        "state": phase.state.value,
        "percent": phase.percent,
        "share": share,
        "stable": rollout.stable,
        "candidate": rollout.candidate,
        "follows": rollout.follows,
        "steps": list(rollout.steps),
        "interval_s": rollout.interval_s,
        "started_at": rollout.started_at,
        # Worked out anew each time; rounded it stays the same.
        "next_step_at": None if phase.next_step_at is None else round(phase.next_step_at, 1),
        "reason": why(entry.marks),
        "verdict": verdict_json(verdict),
        "evidence": {"stable": _evidence_json(seen[0]), "candidate": _evidence_json(seen[1])},
        "problem": problem,
    }


def rollout_metrics(
    rollout: Mapping[str, Any] | None, pin: Mapping[str, Any] | None, clock: Mapping[str, float] | None
) -> Iterable[tuple[str, dict[str, str], float]]:
    """Name, labels and value of each metric, from the status; of the last rollout, also once it is over."""
    if clock is not None:
        yield "podium_registry_clock_skew_seconds", {}, clock["skew_s"]
    yield "podium_pinned", {}, int(pin is not None)
    if rollout is None:
        return
    labels = {"version": rollout["candidate"]}
    for state in State:
        yield "podium_rollout_state", {**labels, "state": state.value}, int(rollout["state"] == state.value)
    yield "podium_rollout_percent", labels, rollout["percent"]
    for criterion, figure in rollout["verdict"]["figures"].items():
        yield "podium_rollout_evidence_ratio", {**labels, "criterion": criterion}, figure["e_value"] / figure["needed"]


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict for programs, in three digits: the document is written again with each change."""
    return {
        "opinion": verdict.opinion.value,
        "criterion": verdict.criterion.value if verdict.criterion is not None else None,
        "reason": verdict.reason,
        "figures": {
            criterion.value: {name: _short(value) for name, value in asdict(figure).items()}
            for criterion, figure in verdict.figures.items()
        },
        "missing": verdict.missing,
    }


def _evidence_json(seen: Evidence) -> dict[str, float]:
    return {
        "requests": seen.requests,
        "errors": seen.errors,
        "compared": seen.compared,
        "disagreed": seen.disagreed,
        "rewards": round(seen.rewards, 3),
        "penalties": round(seen.penalties, 3),
    }


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.3g}") if isinstance(value, float) else value
