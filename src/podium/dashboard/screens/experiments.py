"""Experiments: versions that have a part of the traffic at the same time, and which of them is better."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from podium.dashboard import wording
from podium.dashboard.charts.forest import forest
from podium.dashboard.charts.sparks import meter, shares
from podium.dashboard.pages import Page, Question, Table
from podium.dashboard.sources import DashboardSources, ServedEndpoint

_LEAST_REPORTS = 200
_UNLIKELY = 0.001
_WORDS: Mapping[str, tuple[str, str]] = {
    "keep running": ("busy", "keep running"),
    "A better": ("warn", "version {control} is better"),
    "B better": ("ok", "version {version} is better"),
    "no difference worth naming": ("quiet", "no difference worth naming"),
    "blocked by mismatch": ("bad", "blocked by mismatch"),
}
_COLUMNS = (
    "model", "version", "is_control", "weight", "requests", "due", "rated", "mean", "difference", "low", "high", "p_value",
    "mismatch", "conclusion",
)  # fmt: skip


def experiments(sources: DashboardSources, asked: Question) -> Page:
    """The screen."""
    split = [each for each in sources.served() if each.facts.get("traffic")]
    wanted = asked.query.get("model")
    shown = [each for each in split if wanted is None or each.name == wanted]
    content = {"cards": [_card(each) for each in shown], "model": wanted}
    tables = [_variants_table(shown), _splits_table(shown), _arms_table(shown)]
    return Page("experiments.html", "Experiments", "experiments", content, tables)


def _card(each: ServedEndpoint) -> dict[str, Any]:
    traffic = each.facts["traffic"]
    versions = traffic.get("versions") or []
    experiment = traffic.get("experiment")
    bandit = traffic.get("bandit") or {}
    return {
        "name": each.name,
        "port": each.port,
        "bar": _bar(each.name, versions),
        "versions": versions,
        "sticky": traffic.get("sticky"),
        "shadow": traffic.get("shadow"),
        "experiment": None if experiment is None else _experiment(experiment, versions),
        "arms": [_arm(version, arm) for version, arm in sorted(bandit.items(), key=lambda pair: -pair[1]["chance"])],
        "problems": traffic.get("problems") or [],
    }


def _bar(name: str, versions: Sequence[Mapping[str, Any]]) -> Markup:
    parts = [(f"Version {each['version']}: {each['weight']} %", float(each["weight"]), None) for each in versions]
    return shares(parts, f"How the requests of {name} are split")


def _experiment(told: Mapping[str, Any], versions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the page says of one."""
    variants = told["variants"]
    weights = {each["version"]: each["weight"] for each in versions}
    rows = [_variant(version, each, told, weights.get(version)) for version, each in variants.items()]
    routed = told.get("routed")
    return {
        "control": told["control"],
        "began_at": told["began_at"],
        "effect": told["effect"],
        "confidence": wording.percent(1 - told["alpha"]),
        "rows": rows,
        "verdict": _verdict([row for row in rows if not row["is_control"]]),
        "routed": routed,
        "is_routed_well": routed is None or routed >= _UNLIKELY,
        "is_drawn": told["is_drawn"],
        "unlike": [row["version"] for row in rows if row["is_reported_otherwise"]],
        "missing": max(0, _LEAST_REPORTS - min(each["rated"] for each in variants.values())),
    }


def _variant(version: str, each: Mapping[str, Any], told: Mapping[str, Any], weight: int | None) -> dict[str, Any]:
    conclusion = each["conclusion"]
    tone, words = _WORDS.get(conclusion or "", ("quiet", conclusion or ""))
    drawn = None
    if each["low"] is not None and each["high"] is not None and each["difference"] is not None:
        label = (
            f"Version {version} is {wording.signed(each['difference'])} from version {told['control']}, "
            f"between {wording.signed(each['low'])} and {wording.signed(each['high'])}"
        )
        drawn = forest(each["difference"], each["low"], each["high"], told["effect"], label, tone)
    # Where requests went wrong, so did reports: that is said once.
    is_blocked = conclusion == "blocked by mismatch" and (told.get("routed") is None or told["routed"] >= _UNLIKELY)
    return {
        **each,
        "version": version,
        "weight": weight,
        "is_control": version == told["control"],
        "tone": tone,
        "words": words.format(control=told["control"], version=version),
        "forest": drawn,
        "is_reported_otherwise": is_blocked,
    }


def _verdict(rows: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Of all comparisons in one: what blocks, then what is better, then whatever is said of all."""
    order = {"bad": 0, "ok": 1, "busy": 2, "warn": 3, "quiet": 4}
    first = min(rows, key=lambda row: (order.get(row["tone"], 5), -(row["difference"] or 0.0)))
    return first["tone"], first["words"]


def _arm(version: str, arm: Mapping[str, Any]) -> dict[str, Any]:
    chance = float(arm["chance"])
    return {
        "version": version,
        **arm,
        "part": meter(arm["percent"] / 100, f"Traffic of version {version}", "s0"),
        "meter": meter(chance, f"Chance that version {version} is the best", "ok" if chance >= 0.95 else "s1"),
    }


def _variants_table(shown: Sequence[ServedEndpoint]) -> Table:
    rows = []
    for each in shown:
        traffic = each.facts["traffic"]
        told = traffic.get("experiment")
        weights = {part["version"]: part["weight"] for part in traffic.get("versions") or ()}
        for version, variant in (told["variants"] if told else {}).items():
            own = {"model": each.name, "version": version, "is_control": version == told["control"], **variant}
            rows.append([{**own, "weight": weights.get(version)}[name] for name in _COLUMNS])
    return Table("variants", _COLUMNS, rows)


def _splits_table(shown: Sequence[ServedEndpoint]) -> Table:
    rows = [
        [each.name, part["version"], part["weight"], part["replicas"]]
        for each in shown
        for part in each.facts["traffic"].get("versions") or ()
    ]
    return Table("splits", ("model", "version", "weight", "replicas"), rows)


def _arms_table(shown: Sequence[ServedEndpoint]) -> Table:
    rows = [
        [each.name, version, arm["percent"], arm["chance"], arm["mean"], arm["rated"]]
        for each in shown
        for version, arm in (each.facts["traffic"].get("bandit") or {}).items()
    ]
    return Table("arms", ("model", "version", "percent", "chance", "mean", "rated"), rows)
