"""What is held of a model's columns after several windows, for one look may be chance.

It takes two windows that share no row to make an alert stand, and two to end it: hours that are looked at every minute
are one look until the next hour is over.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from podium.domain.monitoring.findings import Check, ColumnFinding, ColumnVerdict, Role


@dataclass(frozen=True, slots=True)
class Patience:
    """How many windows in a row it takes, and how far a score must fall.

    Args:
        bad: So many alerts in windows that share no row, and it stands.
        good: So many good ones in a row, and it is over.
        clear: A window is good where the score is below this part of the alert threshold, counted from what is usual: a
            share from the reference's; and where PSI is below this part of what a season brings.

    Raises:
        ValueError: Fewer than one window, or `clear` does not lie above 0 and up to 1.
    """

    bad: int = 2
    good: int = 2
    clear: float = 0.8

    def __post_init__(self) -> None:
        if min(self.bad, self.good) < 1 or not 0 < self.clear <= 1:
            raise ValueError(f"at least 1 window and 0 < clear <= 1 are expected, got {self}")


_DEFAULT_PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class StandingFinding:
    """What is held of one check of one column after all windows so far.

    A window without enough rows says nothing and changes nothing. A score between the threshold and `Patience.clear` of it
    is neither good nor bad: it ends what was counted of either.

    Args:
        is_alert: Whether it stands.
        since: When the first of the windows began that made it so; None where nothing stands.
        in_a_row: How many windows in a row spoke against `is_alert`.
        first: When the first of those began.
        judged_until: The end of the last window that was counted; one that begins before it shares rows with it.
    """

    is_alert: bool = False
    since: int | None = None
    in_a_row: int = 0
    first: int | None = None
    judged_until: int | None = None

    def and_then(self, finding: ColumnFinding, patience: Patience = _DEFAULT_PATIENCE) -> "StandingFinding":
        """After one more window; as it is, if that one overlaps those before or has too few rows."""
        span = finding.span
        if finding.score is None or (self.judged_until is not None and span.start < self.judged_until):
            return self
        if self.is_alert:
            speaks_against = _is_clear(finding, finding.score, patience.clear)
            needed = patience.good
        else:
            speaks_against = finding.verdict is ColumnVerdict.ALERT
            needed = patience.bad
        if not speaks_against:
            return StandingFinding(self.is_alert, self.since, judged_until=span.end)
        first = self.first if self.first is not None else span.start
        if self.in_a_row + 1 >= needed:
            return StandingFinding(not self.is_alert, None if self.is_alert else first, judged_until=span.end)
        return StandingFinding(self.is_alert, self.since, self.in_a_row + 1, first, span.end)


def _is_clear(finding: ColumnFinding, score: float, part: float) -> bool:
    """Whether a score is well below its alert threshold, or what is usual is all that there is of it."""
    if finding.role is Role.TOGETHER:
        # On either side of what is usual.
        return abs(score - finding.usual) < part * abs(finding.alert - finding.usual)
    if finding.check is Check.DRIFT:
        return score < part * finding.alert or (finding.psi is not None and finding.psi < part * finding.usual)
    return score < finding.usual + part * (finding.alert - finding.usual)


class Spread(StrEnum):
    """How far drift has spread over a model."""

    NONE = "none"
    SOME = "some"
    WIDE = "wide"


@dataclass(frozen=True, slots=True)
class DriftOverview:
    """A model's drift in one look.

    Args:
        spread: `wide`: half of the features and at least two, or the prediction and at least one feature.
        drifted: Names of the features that stand.
        predictions: Names of what of the prediction stands.
        judged: Of how many features there were enough rows.
        unknown: Of how many there were not.
    """

    spread: Spread
    drifted: tuple[str, ...]
    predictions: tuple[str, ...]
    judged: int
    unknown: int


def overview(findings: Iterable[ColumnFinding], standing: Collection[tuple[Role, str]]) -> DriftOverview:
    """What all columns together say.

    Args:
        findings: Of one window; only those of drift count.
        standing: Roles and names of those whose drift stands: see `StandingFinding`.
    """
    drift = [finding for finding in findings if finding.check is Check.DRIFT]
    features = [finding for finding in drift if finding.role is Role.FEATURE]
    drifted = tuple(each.name for each in features if (each.role, each.name) in standing)
    answers = [each for each in drift if each.role is Role.PREDICTION]
    predictions = tuple(each.name for each in answers if (each.role, each.name) in standing)
    judged = sum(finding.score is not None for finding in features)
    is_wide = (len(drifted) >= 2 and 2 * len(drifted) >= judged) or bool(drifted and predictions)
    spread = Spread.WIDE if is_wide else Spread.SOME if drifted or predictions else Spread.NONE
    return DriftOverview(spread, drifted, predictions, judged, len(features) - judged)
