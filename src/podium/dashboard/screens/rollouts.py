"""Rollouts: what moves, how far it has come, and what is thought of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from podium.api.rolling import RolloutStatus, rollout_json
from podium.dashboard.changes.steps import VERBS, kinds_for
from podium.dashboard.charts.sparks import meter
from podium.dashboard.charts.steps import stair
from podium.dashboard.pages import Page, Question, Table
from podium.dashboard.sources import DashboardSources, ServedEndpoint

TONES: Mapping[str, str] = {
    "running": "busy",
    "paused": "warn",
    "finished": "ok",
    "rejected": "bad",
    "undone": "quiet",
    "superseded": "quiet",
}
_COLUMNS = (
    "model", "follows", "state", "percent", "stable", "candidate", "steps", "interval_s", "started_at", "started_by",
    "next_step_at", "reason", "place",
)  # fmt: skip


def rollouts(sources: DashboardSources, asked: Question) -> Page:
    """The screen."""
    told, served = sources.rollouts(), sources.served()
    order = list(TONES)
    newest = sorted(told.value, key=lambda each: (order.index(each.state), -each.rollout.started_at))
    wanted = asked.query.get("model")
    shown = [each for each in newest if wanted is None or each.rollout.model == wanted]
    content = {
        "rollouts": [_card(each, served) for each in shown],
        "pins": [(each.name, each.facts["pin"]) for each in served if each.facts.get("pin")],
        "fault": told.problem,
        "model": wanted,
    }
    return Page("rollouts.html", "Rollouts", "rollouts", content, [_table(shown)])


def _card(status: RolloutStatus, served: Sequence[ServedEndpoint]) -> dict[str, Any]:
    record = status.rollout
    here = [(each, each.facts["rollout"]) for each in served if (each.facts.get("rollout") or {}).get("id") == record.id]
    return {
        "status": status,
        "record": record,
        "tone": TONES[status.state],
        "actions": [(kind.value, VERBS[kind]) for kind in kinds_for(status.state)],
        "stair": stair(
            record.steps,
            status.percent,
            TONES[status.state],
            f"Version {record.candidate} of {record.model} has {status.percent} % of the traffic",
        ),
        "marks": [(mark.kind.value, mark.at, mark.by, mark.reason) for mark in status.marks],
        "watching": [_watched(each, facts) for each, facts in here],
        "endpoints": [each.name for each, _ in here],
    }


def _watched(each: ServedEndpoint, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What one server counted, and what it makes of it."""
    verdict = facts.get("verdict") or {}
    figures = [
        {
            "criterion": criterion,
            **figure,
            "meter": meter(
                min(float(figure["e_value"]) / float(figure["needed"] or 1), 1.0), f"Evidence on {criterion}", "warn"
            ),
        }
        for criterion, figure in (verdict.get("figures") or {}).items()
    ]
    return {
        "name": each.name,
        "port": each.port,
        "opinion": verdict.get("opinion"),
        "reason": verdict.get("reason") or "",
        "missing": verdict.get("missing"),
        "figures": figures,
        "evidence": facts.get("evidence") or {},
        "problem": facts.get("problem"),
        "share": facts.get("share"),
    }


def _table(found: Sequence[RolloutStatus]) -> Table:
    return Table("rollouts", _COLUMNS, [[rollout_json(each)[name] for name in _COLUMNS] for each in found])
