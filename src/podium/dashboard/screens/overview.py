"""Overview: every model on one page, the worst first."""

from collections.abc import Sequence
from typing import Any

from podium.dashboard.health import ModelHealth, health_of
from podium.dashboard.names import as_part
from podium.dashboard.pages import Page, Question, Table
from podium.dashboard.pulses import Pulse, QualityPulse, pulses_of
from podium.dashboard.sources import DashboardSources, ServedEndpoint, told
from podium.domain.monitoring.alerting.alerts import Alert
from podium.domain.monitoring.alerting.rules import AlertSeverity
from podium.domain.stages import Stage

_SORTS = ("health", "model", "version", "replicas", "memory", "rate", "quality")
_NO_QUALITY = QualityPulse()
_COLUMNS = (
    "model", "server", "state", "health", "reason", "serving", "wanted", "flavor", "replicas_ready", "replicas_wanted",
    "rss_bytes", "load_s", "requests_a_second", "server_errors", "p99_s", "columns", "columns_drifted", "budget_left",
    "quality_metric", "quality", "quality_verdict", "quality_s",
)  # fmt: skip


def overview(sources: DashboardSources, asked: Question) -> Page:
    """The screen."""
    found = sources.served()
    pulses = told(lambda: pulses_of(sources, found, asked.now), dict[str, Pulse]())
    rows = [_row(each) | {"pulse": pulses.value.get(each.name)} for each in found]
    wanted = asked.query.get("q", "").strip().lower()
    shown = [row for row in rows if wanted in str(row["name"]).lower() or wanted in str(row["uri"]).lower()]
    sort = asked.query.get("sort", "health")
    shown = _sorted(shown, sort if sort in _SORTS else "health")
    registered = sources.versions()
    firing = sources.firing()
    served = {each.registered for each in found}
    idle = sorted({version.name for version in registered.value} - {name for name in served if name})
    content = {
        "rows": shown,
        "all": len(rows),
        "wanted": asked.query.get("q", ""),
        "sort": sort,
        "attention": [*_firing(firing.value), *_attention(_sorted(rows, "health"), firing.value)],
        "tiles": _tiles(rows, len({each.server.id for each in found})),
        "idle": [(name, _live(registered.value, name)) for name in idle],
        "fault": registered.problem or pulses.problem,
        "has_pulse": bool(pulses.value),
        "has_several": len({each.server.id for each in found}) > 1,
    }
    return Page("overview.html", "Overview", "overview", content, [_table(shown)])


def _row(each: ServedEndpoint) -> dict[str, Any]:
    facts = each.facts
    replicas = facts.get("replicas") or []
    model = facts.get("model") or {}
    return {
        "name": each.name,
        "uri": str(facts.get("uri") or ""),
        "port": each.port,
        "health": health_of(facts),
        "state": facts.get("state"),
        "serving": facts.get("serving"),
        "wanted": facts.get("wanted"),
        "flavor": model.get("flavor"),
        "python": model.get("python"),
        "runtime": model.get("runtime"),
        "ready": sum(replica.get("state") == "ready" for replica in replicas),
        "replicas_wanted": int(facts.get("replicas_wanted") or 0),
        "rss": sum(int(replica.get("rss_bytes") or 0) for replica in replicas),
        "load_s": model.get("load_s"),
        "rollout": _running(facts.get("rollout")),
        "traffic": (facts.get("traffic") or {}).get("versions") or [],
        "pin": facts.get("pin"),
    }


def _firing(alerts: Sequence[Alert]) -> list[tuple[ModelHealth, str, str]]:
    """What fires, pages first: level, model, and the screen that says more."""
    return [
        (
            ModelHealth(
                "bad" if alert.severity is AlertSeverity.PAGE else "warn", alert.rule, alert.sentence or alert.meaning
            ),
            alert.group,
            "/alerts",
        )
        for alert in alerts
    ]


def _attention(rows: Sequence[dict[str, Any]], alerts: Sequence[Alert]) -> list[tuple[ModelHealth, str, str]]:
    """What else is wrong, of which model, and the screen that says more."""
    told_of = {alert.group for alert in alerts if alert.rule.startswith("drift")}
    worse = {alert.group for alert in alerts if alert.rule == "quality"}
    found = [
        (row["health"], row["name"], f"/models/{as_part(row['name'])}/traffic")
        for row in rows
        if row["health"].level in {"bad", "warn"}
    ]
    for row in rows:
        pulse = row["pulse"]
        if pulse is not None and (pulse.drifted or pulse.predictions) and row["name"] not in told_of:
            beside = ", and what it answers," if pulse.predictions else ""
            reason = f"{pulse.drifted} of {pulse.columns} columns{beside} are other than they were in the reference."
            found.append((ModelHealth("warn", "drifted", reason), row["name"], f"/models/{as_part(row['name'])}/drift"))
        if pulse is not None and pulse.quality.verdict == "alert" and row["name"] not in worse:
            screen = f"/models/{as_part(row['name'])}/quality?metric={pulse.quality.metric}"
            reason = f"{pulse.quality.figure}: {pulse.quality.sentence}."
            found.append((ModelHealth("warn", "worse", reason), row["name"], screen))
    return found


def _running(rollout: dict[str, Any] | None) -> dict[str, Any] | None:
    return rollout if rollout and rollout.get("state") in {"running", "paused"} else None


def _sorted(rows: Sequence[dict[str, Any]], by: str) -> list[dict[str, Any]]:
    keys = {
        "health": lambda row: row["health"].rank,
        "model": lambda row: str(row["name"]).lower(),
        "version": lambda row: str(row["serving"] or ""),
        "replicas": lambda row: -row["ready"],
        "memory": lambda row: -row["rss"],
        "rate": lambda row: -(row["pulse"].rate or 0.0) if row["pulse"] else 0.0,
        "quality": lambda row: row["pulse"].quality.rank if row["pulse"] else _NO_QUALITY.rank,
    }
    return sorted(sorted(rows, key=keys["model"]), key=keys[by])


def _tiles(rows: Sequence[dict[str, Any]], servers: int) -> list[dict[str, Any]]:
    """The figures on top: what, how much, what of, and whether that is good."""
    well = sum(row["health"].level in {"ok", "quiet", "busy"} for row in rows)
    ready, wanted = sum(row["ready"] for row in rows), sum(row["replicas_wanted"] for row in rows)
    moving = sum(row["rollout"] is not None for row in rows)
    return [
        {"label": "Models well", "value": well, "of": len(rows), "tone": "ok" if well == len(rows) else "bad"},
        {"label": "Replicas ready", "value": ready, "of": wanted, "tone": "ok" if ready >= wanted else "warn"},
        {"label": "Rollouts running", "value": moving, "of": None, "tone": "busy" if moving else "quiet"},
        {"label": "Memory of workers", "size": sum(row["rss"] for row in rows), "of": None, "tone": "quiet"},
        {"label": "Servers", "value": servers, "of": None, "tone": "quiet" if servers else "warn"},
    ]


def _live(versions: Sequence[Any], name: str) -> int | None:
    return max((each.version for each in versions if each.name == name and each.stage is Stage.PRODUCTION), default=None)


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    def values(row: dict[str, Any]) -> list[Any]:
        health: ModelHealth = row["health"]
        return [
            row["name"], row["port"], row["state"], health.level, health.reason, row["serving"], row["wanted"],
            row["flavor"], row["ready"], row["replicas_wanted"], row["rss"], row["load_s"],
            *(row["pulse"].values if row["pulse"] else [None] * 10),
        ]  # fmt: skip

    return Table("models", _COLUMNS, [values(row) for row in rows])
