"""The rules that every model is watched by unless it is told otherwise."""

from collections.abc import Sequence

from podium.domain.monitoring.alerting.rules import AlertSeverity, Rule
from podium.domain.monitoring.findings import Check
from podium.domain.monitoring.objectives import BURN_WINDOWS, BurnWindows, LowTraffic, ObjectiveKind, Slo
from podium.domain.monitoring.staleness import Clock
from podium.errors import InvalidInput

_MINUTE, _HOUR = 60.0, 3600.0
_VERSION = ("model", "version")
_COLUMN = ("model", "version", "column")


def rules_of(objectives: Sequence[Slo] = (Slo(),), least: LowTraffic | None = None) -> tuple[Rule, ...]:
    """All rules of a model that has these objectives.

    Args:
        objectives: At most one of each kind.
        least: How much traffic burn rates need.

    Raises:
        InvalidInput: Two objectives are of one kind.
    """
    if len({objective.kind for objective in objectives}) < len(objectives):
        raise InvalidInput("A model has at most one objective of each kind: availability and latency.")
    burns = [_burn_rule(objective, windows, least) for objective in objectives for windows in BURN_WINDOWS]
    return (*burns, *_SERVING, *_DRIFT, *_CLOCKS, *_BLIND)


def burn_rule_name(objective: Slo, windows: BurnWindows) -> str:
    """`error-budget-fast`, `latency-budget-slow`."""
    return f"{'error' if objective.kind is ObjectiveKind.AVAILABILITY else 'latency'}-budget-{windows.name}"


def _burn_rule(objective: Slo, windows: BurnWindows, least: LowTraffic | None) -> Rule:
    name, terms = burn_rule_name(objective, windows), windows.terms(objective, least)
    faster = BURN_WINDOWS[: BURN_WINDOWS.index(windows)]
    what = "answers are errors" if objective.kind is ObjectiveKind.AVAILABILITY else "answers are slow"
    return Rule(
        name,
        f"So many {what} that the error budget is spent {terms.rate:.3g} times faster than evenly.",
        AlertSeverity.TICKET if windows.name == "slow" else AlertSeverity.PAGE,
        _burn_expression(objective),
        {
            "burn_rate": terms.rate,
            "budget": terms.budget,
            "long_s": terms.long_s,
            "short_s": terms.short_s,
            "least_requests": terms.least.least_requests,
            "least_bad": terms.least.least_bad,
        },
        keep_s=5 * _MINUTE,
        # One outage is told once, by the first that sees it.
        inhibited_by=tuple(burn_rule_name(objective, each) for each in faster),
        linger_s=windows.short_s if faster else 0.0,
        every_s=30.0 if windows.name == "fast" else 2 * _MINUTE,
    )


def _burn_expression(objective: Slo) -> str:
    if objective.threshold_s is None:
        all_of, bad = "podium_requests_total{${models}}", 'podium_requests_total{code=~"5..",${models}}'
        share = f"sum by (model) (rate({bad}[%s])) / sum by (model) (rate({all_of}[%s]))"
        counted = f"sum by (model) (increase({bad}[%s]))"
    else:
        all_of = "podium_request_duration_seconds_count{${models}}"
        edge = f"{objective.threshold_s:.15g}"
        # Prometheus 3 writes whole numbers as 1.0, whatever was exposed.
        le = f'le="{edge}"' if not objective.threshold_s.is_integer() else f'le=~"{edge}|{edge}\\\\.0"'
        good = f"podium_request_duration_seconds_bucket{{{le},${{models}}}}"
        share = f"1 - sum by (model) (rate({good}[%s])) / sum by (model) (rate({all_of}[%s]))"
        counted = f"(sum by (model) (increase({all_of}[%s])) - sum by (model) (increase({good}[%s])))"
    long, short = "${long_s}", "${short_s}"
    counted_long = counted.replace("%s", long)
    return (
        f"({share.replace('%s', long)}) > ${{burn_rate}} * ${{budget}}\n"
        f"and ({share.replace('%s', short)}) > ${{burn_rate}} * ${{budget}}\n"
        f"and sum by (model) (increase({all_of}[{long}])) >= ${{least_requests}}\n"
        f"and {counted_long} >= ${{least_bad}}"
    )


_SERVING = (
    Rule(
        "requests-rejected",
        "The server turns requests away because queues are full or nothing is ready.",
        AlertSeverity.PAGE,
        "sum by (model) (rate(podium_rejected_total{${models}}[5m]))\n"
        "/ sum by (model) (rate(podium_requests_total{${models}}[5m])) > ${share}\n"
        "and sum by (model) (increase(podium_rejected_total{${models}}[5m])) >= ${least_rejected}",
        {"share": 0.01, "least_rejected": 5},
        for_s=5 * _MINUTE,
        clear_share=0.8,
    ),
    Rule(
        "environment",
        "The Python that the model runs in is not the one it was saved with, in a way that may change its answers.",
        AlertSeverity.TICKET,
        'sum by (model, version) (podium_environment_findings{severity=~"critical|high",${models}}) > ${findings}',
        {"findings": 0},
        labels=_VERSION,
    ),
)


def _column_rule(check: Check, name: str, meaning: str, inhibited_by: tuple[str, ...] = ()) -> Rule:
    expression = f'podium_column_alert{{check="{check}",${{models}}}} == 1'
    return Rule(name, meaning, AlertSeverity.TICKET, expression, inhibited_by=inhibited_by, labels=_COLUMN)


_DRIFT = (
    Rule(
        "drift-many",
        "Many columns drift, or the predictions do together with a column: the model sees another world.",
        AlertSeverity.PAGE,
        "(podium_drifted_columns{${models}} / podium_monitored_columns{${models}} >= 0.5\n"
        "and podium_drifted_columns{${models}} >= 2)\n"
        "or (podium_prediction_drift_alert{${models}} == 1 and podium_drifted_columns{${models}} >= 1)",
        labels=_VERSION,
    ),
    Rule(
        "drift-column",
        "The values of a column are distributed otherwise than in the profile.",
        AlertSeverity.TICKET,
        "podium_drift_alert{${models}} == 1",
        # Categories that nobody knew are a share of the column, so that it is distributed otherwise, too.
        inhibited_by=("drift-many", "column-unseen"),
        labels=_COLUMN,
    ),
    Rule(
        "drift-prediction",
        "The predictions are distributed otherwise than in the profile.",
        AlertSeverity.TICKET,
        "podium_prediction_drift_alert{${models}} == 1",
        inhibited_by=("drift-many",),
        labels=_VERSION,
    ),
    Rule(
        "drift-together",
        "The columns no longer go together as in the profile, though each may have the values that it always had.",
        AlertSeverity.TICKET,
        "podium_multivariate_drift_alert{${models}} == 1",
        # Whatever moves one column moves it against the others.
        inhibited_by=("drift-many", "drift-column", "column-missing", "column-unseen", "column-out-of-range"),
        linger_s=_HOUR,
        labels=_VERSION,
    ),
    _column_rule(
        Check.MISSING,
        "column-missing",
        "More values of a column are missing than in the profile: something before the model has stopped filling it in.",
    ),
    _column_rule(Check.UNSEEN, "column-unseen", "A column has categories that the profile does not know."),
    _column_rule(
        Check.OUT_OF_RANGE,
        "column-out-of-range",
        "A column has numbers beyond the least and the largest of the profile.",
        # What moves as a whole leaves its range on one side.
        inhibited_by=("drift-column",),
    ),
    Rule(
        "quality",
        "By the labels that came back the model is worse than when it was made, by more than chance.",
        AlertSeverity.TICKET,
        "podium_quality_is_worse{${models}} == 1",
        labels=("model", "version", "variant", "metric"),
    ),
)
"""What `findings.py` and `standing.py` say of columns, and `domain/monitoring/quality/baseline.py` of quality."""

COLUMN_RULES = {
    Check.DRIFT: "drift-column",
    Check.MISSING: "column-missing",
    Check.UNSEEN: "column-unseen",
    Check.OUT_OF_RANGE: "column-out-of-range",
}
"""Which rule asks which check of a column; drift of predictions is asked by `drift-prediction`,
of columns together by `drift-together`."""


def _clock_rule(clock: Clock, name: str, meaning: str) -> Rule:
    started = f'podium_clock_started_timestamp_seconds{{clock="{clock}",${{models}}}}'
    limit = f'podium_clock_limit_seconds{{clock="{clock}",${{models}}}}'
    # How long is too long is a bound of the clock, which a model may have otherwise; so there is nothing to set here.
    expression = f"time() - {started} > {limit}"
    return Rule(name, meaning, AlertSeverity.TICKET, expression, keep_s=0.0, labels=_VERSION, every_s=5 * _MINUTE)


CLOCK_RULES = {
    Clock.MODEL: "model-old",
    Clock.DEPLOYMENT: "deployment-old",
    Clock.SUPERSEDED: "superseded",
    Clock.PROFILE: "profile-old",
    Clock.TRAFFIC: "no-traffic",
    Clock.LABELS: "labels-late",
    Clock.MONITOR: "monitor-late",
}
"""Which rule asks which clock."""

_CLOCKS = tuple(
    _clock_rule(clock, name, meaning)
    for (clock, name), meaning in zip(
        CLOCK_RULES.items(),
        (
            "The model was trained too long ago.",
            "The version has served for longer than it was to; nobody hears of it unless a bound is set.",
            "A newer version has been in the stage for long and is not served.",
            "The profile that drift is measured against is too old to say what is usual.",
            "Nobody asks the model any more.",
            "Requests come and their labels do not, so that quality is not known.",
            "Nobody has looked at the model for long: all else that is said of it may be old.",
        ),
        strict=True,
    )
)

_BLIND = (
    Rule(
        "rows-dropped",
        "Rows went by unseen because the monitor could not keep up: what it says rests on the others.",
        AlertSeverity.TICKET,
        "sum by (model) (increase(podium_monitor_dropped_rows_total{${models}}[10m])) > ${rows}",
        {"rows": 0},
        every_s=_MINUTE,
    ),
    Rule(
        "no-profile",
        "There is nothing to measure drift against: the model has no profile, and none could be made of its traffic.",
        AlertSeverity.TICKET,
        'podium_model_info{profile_id="",${models}} == 1',
        # One is made of the first day's rows.
        for_s=25 * _HOUR,
        labels=_VERSION,
        every_s=5 * _MINUTE,
    ),
)
