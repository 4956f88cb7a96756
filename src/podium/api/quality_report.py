"""What `podium monitor report` says of quality: figures with intervals, how many labels came, beside the profile's."""

from datetime import UTC, datetime
from typing import Any

from podium.domain.monitoring.quality.intervals import Interval
from podium.monitoring.quality.judging import JudgedQuality, VariantQuality


def quality_told(judged: JudgedQuality | None, kept_since: float | None) -> dict[str, Any] | None:
    """As JSON has it; None where no answer was kept yet.

    Args:
        judged: What is held of a version.
        kept_since: Of whichever version: labels of answers before that are joined to nothing.
    """
    if judged is None:
        return None
    guess, coverage = judged.guess, judged.coverage
    unreadable, why = judged.unreadable
    return {
        "task": None if guess is None or guess.task is None else guess.task.value,
        "why": "No labels came yet." if guess is None else guess.why,
        "classes": [] if guess is None else list(guess.classes),
        "positive": None if guess is None else guess.positive,
        "variants": [_variant(each) for each in judged.variants],
        "labels": {
            "predicted": coverage.predicted,
            "labelled": coverage.labelled,
            "coverage": coverage.labelled / coverage.predicted if coverage.predicted else None,
            "delay_p50_s": coverage.delay_p50_s,
            "delay_p95_s": coverage.delay_p95_s,
            "kept_since": None if kept_since is None else _moment(kept_since),
            "last": None if coverage.last_label_at is None else _moment(coverage.last_label_at),
        },
        "baseline": dict(judged.baseline),
        "unreadable": {"answers": unreadable, "why": why} if unreadable else None,
    }


def _variant(quality: VariantQuality) -> dict[str, Any]:
    beside = {each.figure.metric: each for each in quality.shortfalls}
    return {
        "variant": quality.variant,
        "from": _moment(quality.span.start),
        "to": _moment(quality.span.end),
        "rows": quality.rows,
        "figures": [
            {
                "metric": each.metric,
                "value": each.value,
                "interval": _ends(each.interval),
                "rows": each.rows,
                "baseline": None if found is None else found.baseline,
                "limit": None if found is None else found.limit,
                "verdict": None if found is None else found.verdict,
            }
            for each in quality.figures
            for found in [beside.get(each.metric)]
        ],
    }


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else list(interval)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
