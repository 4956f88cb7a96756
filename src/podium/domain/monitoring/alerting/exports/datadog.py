"""The alert rules as Datadog monitors, and which metrics the agent's OpenMetrics check has to bring.

What Datadog can work out from counters itself (burn rates, rejections, dropped rows) it does; of all else it is told by
podium's own engine (`podium_alert_firing`). A burn rate needs several windows at once, which is a composite monitor of
others: its query names them by key, as `${KEY}`, for they have numbers only once they were created.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from podium.domain.monitoring.alerting.exports.assigned import Assigned, assigned
from podium.domain.monitoring.alerting.exports.promql import number
from podium.domain.monitoring.alerting.rules import AlertSeverity, Rule
from podium.domain.monitoring.objectives import ObjectiveKind, Slo

_NOT_IN_TAGS = re.compile(r"[^a-z0-9_\-:./]")
_COUNTERS = ("podium_monitor_dropped_rows", "podium_rejected", "podium_requests")
_OTHERS = ("podium_alert_firing", "podium_request_duration_seconds")
_PRIORITIES = {AlertSeverity.PAGE: 1, AlertSeverity.TICKET: 3}


def agent_check(endpoint: str) -> dict[str, Any]:
    """What `conf.d/openmetrics.d/conf.yaml` holds, so that these monitors find their metrics and no others are paid for.

    Args:
        endpoint: Where the agent finds podium's metrics: `http://host:port/metrics`.
    """
    # The check takes the names of counters without _total.
    names = [{name: name.removeprefix("podium_")} for name in sorted((*_COUNTERS, *_OTHERS))]
    return {"init_config": {}, "instances": [{"openmetrics_endpoint": endpoint, "namespace": "podium", "metrics": names}]}


def monitors(
    defaults: Sequence[Rule],
    objectives: Sequence[Slo] = (Slo(),),
    of_models: Mapping[str, tuple[Sequence[Rule], Sequence[Slo]]] | None = None,
    notify: str = "",
    runbooks: str = "docs/runbooks",
) -> dict[str, dict[str, Any]]:
    """Bodies for `POST /api/v1/monitor` by key, in an order in which they can be created.

    Args:
        defaults: Rules of whatever model is not named.
        objectives: Theirs.
        of_models: All rules and objectives of the models that are.
        notify: Who is told, in Datadog's words: `@slack-models`.
        runbooks: Address or folder of the runbooks.
    """
    made: dict[str, dict[str, Any]] = {}
    own = {model: rules for model, (rules, _) in (of_models or {}).items()}
    for each in assigned(defaults, own):
        its = objectives if each.only is None else (of_models or {})[each.only][1]
        key = each.rule.name if each.only is None else f"{each.rule.name}.{tag_value(each.only)}"
        thresholds = {objective.kind: objective for objective in its}
        for suffix, monitor in _made(each, key, thresholds):
            message = f"{each.rule.meaning}\n{runbooks.rstrip('/')}/{each.rule.name}.md"
            # A part of a composite tells nobody by itself.
            message += f"\n{notify}" if notify and not suffix else ""
            whom = "" if each.only is None else f" ({tag_value(each.only)})"
            made[key + suffix] = {
                "name": f"podium: {each.rule.name}{suffix.replace('.', ' ')}{whom}",
                "message": message,
                "tags": ["service:podium", f"rule:{each.rule.name}", f"severity:{each.rule.severity.value}"],
                "priority": _PRIORITIES[each.rule.severity],
                **monitor,
            }
    return made


def tag_value(text: str) -> str:
    """Text as Datadog keeps it in a tag: lower case, with `_` for what tags cannot hold, at most 200 characters."""
    return _NOT_IN_TAGS.sub("_", text.lower())[:200]


def _made(each: Assigned, key: str, objectives: Mapping[ObjectiveKind, Slo]) -> Iterator[tuple[str, dict[str, Any]]]:
    rule = each.rule
    if rule.name.startswith("error-budget-"):
        yield from _burn(each, key, objectives[ObjectiveKind.AVAILABILITY])
    elif rule.name.startswith("latency-budget-"):
        yield from _burn(each, key, objectives[ObjectiveKind.LATENCY])
    elif rule.name == "requests-rejected":
        bad, every = _count("rejected.count", each), _count("requests.count", each)
        yield "", _alert(f"sum(last_5m):{bad} / {every}", ">", rule.parameters["share"])
    elif rule.name == "rows-dropped":
        yield "", _alert(f"sum(last_10m):{_count('monitor_dropped_rows.count', each)}", ">", rule.parameters["rows"])
    else:
        by = ",".join(rule.labels)
        query = f"max(last_5m):max:podium.alert_firing{{{_scope(each, f'rule:{rule.name}')}}} by {{{by}}}"
        yield "", _alert(query, ">=", 1)


def _burn(each: Assigned, key: str, objective: Slo) -> Iterator[tuple[str, dict[str, Any]]]:
    parameters = each.rule.parameters
    if objective.threshold_s is None:
        every, bad = _count("requests.count", each), _count("requests.count", each, "code:5*")
    else:
        every = _count("request_duration_seconds.count", each)
        edge = f"upper_bound:{float(objective.threshold_s)!r}"
        bad = f"({every} - {_count('request_duration_seconds.bucket', each, edge)})"
    limit = round(parameters["burn_rate"] * parameters["budget"], 12)
    long, short = _window(parameters["long_s"]), _window(parameters["short_s"])
    yield ".long", _alert(f"sum({long}):{bad} / {every}", ">", limit)
    yield ".short", _alert(f"sum({short}):{bad} / {every}", ">", limit)
    yield ".requests", _alert(f"sum({long}):{every}", ">=", parameters["least_requests"])
    yield ".bad", _alert(f"sum({long}):{bad}", ">=", parameters["least_bad"])
    parts = [f"${{{key}.{part}}}" for part in ("long", "short", "requests", "bad")]
    yield "", {"type": "composite", "query": " && ".join(parts), "options": {"include_tags": True}}


def _alert(query: str, sign: str, threshold: float) -> dict[str, Any]:
    options = {"thresholds": {"critical": threshold}, "notify_no_data": False, "include_tags": True}
    return {"type": "query alert", "query": f"{query} {sign} {number(threshold)}", "options": options}


def _count(metric: str, each: Assigned, *also: str) -> str:
    return f"sum:podium.{metric}{{{_scope(each, *also)}}} by {{model}}.as_count()"


def _scope(each: Assigned, *also: str) -> str:
    only = [f"model:{tag_value(each.only)}"] if each.only is not None else []
    without = [f"!model:{tag_value(model)}" for model in each.without]
    return ",".join((*also, *only, *without)) or "*"


def _window(seconds: float) -> str:
    return f"last_{round(seconds / 3600)}h" if seconds >= 3600 else f"last_{round(seconds / 60)}m"
