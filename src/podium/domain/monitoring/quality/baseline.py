"""Whether a figure of quality is worse than it was when the model was packaged, or only looks so."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from podium.domain.monitoring.quality.figures import Figure
from podium.domain.monitoring.quality.tasks import LAWS


@dataclass(frozen=True, slots=True)
class BaselineRule:
    """When a figure is worse than its baseline.

    Args:
        kept: Which part of the baseline is still good; where lower is better, the baseline divided by this is.
        least_rows: Fewer say nothing.
    """

    kept: float = 0.95
    least_rows: int = 500


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A figure beside its baseline.

    Args:
        figure: What was measured.
        baseline: What the profile says.
        limit: What it may be at worst.
        verdict: `alert` where it is beyond the limit and the better end of its interval is worse than the baseline;
            `warn` where it is beyond the limit and might yet be as good; `insufficient_data` with too few rows.
    """

    figure: Figure
    baseline: float
    limit: float
    verdict: Literal["ok", "warn", "alert", "insufficient_data"]


def held_against(figure: Figure, baseline: float, rule: BaselineRule | None = None) -> Shortfall | None:
    """Compare a figure with its baseline.

    Returns: None where a part of the baseline means nothing: neither way is better, as of a bias, or the baseline is
        below 0, or 0 where more is better.
    """
    rule = rule or BaselineRule()
    better = LAWS[figure.metric].better
    if better is None or not 0 <= baseline < float("inf") or (better == "higher" and not baseline):
        return None
    limit = baseline * rule.kept if better == "higher" else baseline / rule.kept
    value, ends = figure.value, figure.interval
    if value is None or figure.rows < rule.least_rows:
        return Shortfall(figure, baseline, limit, "insufficient_data")
    if value >= limit if better == "higher" else value <= limit:
        return Shortfall(figure, baseline, limit, "ok")
    is_sure = ends is not None and (ends[1] < baseline if better == "higher" else ends[0] > baseline)
    return Shortfall(figure, baseline, limit, "alert" if is_sure else "warn")


def shortfalls(
    figures: Iterable[Figure], baselines: Mapping[str, float], rule: BaselineRule | None = None
) -> tuple[Shortfall, ...]:
    """All figures that have a baseline they can be held against."""
    found = (held_against(each, baselines[each.metric], rule) for each in figures if each.metric in baselines)
    return tuple(each for each in found if each is not None)
