"""What a window shows of each column: drift, and apart from it missing values, unseen categories and values out of range.

A finding says what was seen in one window and is as good as one look. What is held after several says `standing.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt

from podium.domain.monitoring.comparison import SideBySide, compared
from podium.domain.monitoring.counts import ColumnCounts, ModelCounts, OtherProfile
from podium.domain.monitoring.drift.contract import DriftMethod, Histograms, Thresholds
from podium.domain.monitoring.drift.psi import PopulationStability
from podium.domain.monitoring.guard import GuardPolicy, critical_psi, false_discovery, pooled
from podium.domain.monitoring.profile import Profile, TextProfile
from podium.domain.monitoring.windows import DAY_S, Span
from podium.errors import Misconfigured

_PSI = PopulationStability()
_MISSING_MARGIN = 0.05
_OTHER_MARGIN = 0.01
_DEVIATIONS = 3
_LEAST_ROWS = 20
# The next of n values lies outside their range with a chance of 2 / (n + 1), and hardly ever of more than this over n.
_BEYOND_RANGE = 15
_BEYOND_USUAL = 1.25
_DEFAULT_GUARD = GuardPolicy()


class Role(StrEnum):
    """Whether a column goes into the model or comes out of it; or what all that go in have to do with each other."""

    FEATURE = "feature"
    PREDICTION = "prediction"
    TOGETHER = "together"


class Check(StrEnum):
    """What is looked at."""

    DRIFT = "drift"
    MISSING = "missing"
    UNSEEN = "unseen"
    OUT_OF_RANGE = "out_of_range"


class ColumnVerdict(StrEnum):
    """What one window says. `insufficient_data` is not `ok`: nobody knows."""

    OK = "ok"
    WARN = "warn"
    ALERT = "alert"
    INSUFFICIENT_DATA = "insufficient_data"


@dataclass(frozen=True, slots=True)
class Watched:
    """A column, a prediction's value, its classes or its score: what the reference had of it, and a window has.

    Args:
        name: The column's, or what of the prediction it is.
        histograms: Both in the same bins, see `comparison.compared`: all twenty that are stored. Ten would find a shift of
            half a deviation among 500 rows in 88 of 100 windows, twenty do in 95, and chance reaches neither's threshold.
        reference, current: The counts beside the bins.
        role: Whether it goes in or comes out.
        method: Says how far it drifted.
        thresholds: In place of the method's own.
        usual_psi: What the reference's own days reach in 99 of 100 (`chunk_psi_q99`), and, in a window of less than a day,
            what the farthest of its hours does (`hour_psi_max`): drift up to that is a season's, and none.
    """

    name: str
    histograms: SideBySide
    reference: ColumnCounts
    current: ColumnCounts
    role: Role = Role.FEATURE
    method: DriftMethod = _PSI
    thresholds: Thresholds | None = None
    usual_psi: float = 0.0


@dataclass(frozen=True, slots=True)
class Choice:
    """How one column is to be judged otherwise than all.

    Args:
        method: Instead of PSI.
        thresholds: Instead of the method's own.
    """

    method: DriftMethod = _PSI
    thresholds: Thresholds | None = None


_DEFAULT_CHOICE = Choice()


def watch(
    profile: Profile,
    window: ModelCounts,
    earlier: ModelCounts | None = None,
    choices: Mapping[str, Choice] | None = None,
    length_s: float = DAY_S,
) -> list[Watched]:
    """All columns and predictions of a profile beside what a window has of them.

    Args:
        profile: The reference.
        window: Counted by it.
        earlier: Another window, to compare with in place of the reference: whether things change now, rather than whether
            they are other than they were in training.
        choices: By column.
        length_s: Of the window.

    Raises:
        OtherProfile: A window was counted by another profile.
    """
    chosen, watched = choices or {}, []
    for counts in (window, earlier):
        if counts is not None and counts.profile_id != profile.profile_id:
            raise OtherProfile(profile.profile_id, counts.profile_id)
    for role, columns in ((Role.FEATURE, profile.columns), (Role.PREDICTION, profile.predictions.present())):
        for name, column in columns.items():
            now, then = _of(window, role)[name], _of(earlier, role)[name] if earlier else column.counts
            sides = compared(column, now, is_fine=True)
            if earlier:
                sides = sides._replace(reference=compared(column, then, is_fine=True).current)
            choice = chosen.get(name, _DEFAULT_CHOICE) if role is Role.FEATURE else _DEFAULT_CHOICE
            number = column.length if isinstance(column, TextProfile) else column
            usual = number.chunk_psi_q99 or 0.0
            if length_s < DAY_S:
                usual = max(usual, number.hour_psi_max or 0.0)
            watched.append(Watched(name, sides, then, now, role, choice.method, choice.thresholds, usual))
    return watched


def _of(counts: ModelCounts, role: Role) -> Mapping[str, ColumnCounts]:
    return counts.columns if role is Role.FEATURE else counts.predictions


@dataclass(frozen=True, slots=True)
class ColumnFinding:
    """What one check saw of one column in one window.

    Args:
        name, role, check: Of what.
        span: The window.
        method: What scored drift; for other checks the share of rows is the score, and this is `share`.
        score: What was seen; None where there was too little to see.
        warn, alert: The thresholds that held.
        psi: Beside any method's score, in the bins that were decided on; None for other checks.
        critical: The PSI that noise reaches, at this column's part of alpha; None for other checks.
        p_value: Adjusted for all columns, of a method that has one.
        rows, reference_rows: Of the window and of the reference: those with a value for drift and categories, else all.
        bins: How many were decided on, sparse ones put together; 0 for other checks.
        usual: What is no news: the PSI that a season brings, or the reference's share.
        verdict: What comes of it.
    """

    name: str
    role: Role
    check: Check
    span: Span
    method: str
    score: float | None
    warn: float
    alert: float
    rows: int
    reference_rows: int
    verdict: ColumnVerdict
    psi: float | None = None
    critical: float | None = None
    p_value: float | None = None
    bins: int = 0
    usual: float = 0.0


def judge(columns: Sequence[Watched], span: Span, policy: GuardPolicy = _DEFAULT_GUARD) -> list[ColumnFinding]:
    """All findings of one window: drift of each column in their order, then the other checks that apply.

    Drift is a warning or an alert where the score reaches the threshold, PSI is beyond what the season brings, by more than
    noise, *and* it is beyond noise itself: PSI is at least its critical value at alpha shared out among the columns or, for
    a method that has a p-value, that is at most alpha after Benjamini and Hochberg's adjustment for all columns.

    Args:
        columns: All that are monitored; the more there are, the surer one must be of each.
        span: The window.
        policy: How sure, and of how many rows.

    Raises:
        Misconfigured: A method for numbers is to judge categories.
    """
    return [*_drift(columns, span, policy), *(each for column in columns for each in _beside(column, span, policy))]


@dataclass(frozen=True, slots=True)
class _Measured:
    score: float
    psi: float
    critical: float
    chance: float | None
    bins: int


def _drift(columns: Sequence[Watched], span: Span, policy: GuardPolicy) -> Iterable[ColumnFinding]:
    alpha = policy.alpha / max(len(columns), 1)
    measured = [_measure(column, alpha, policy) for column in columns]
    # Whoever has no p-value takes part as one that is sure of nothing: the tests are as many as the columns.
    adjusted = false_discovery([1.0 if each is None or each.chance is None else each.chance for each in measured])
    for column, each, chance in zip(columns, measured, adjusted, strict=True):
        thresholds = column.thresholds or column.method.thresholds
        if each is None:
            verdict = ColumnVerdict.INSUFFICIENT_DATA
        elif _is_usual(each, column.usual_psi) or not _is_sure(each, chance, policy):
            verdict = ColumnVerdict.OK
        else:
            verdict = _by(each.score, thresholds)
        yield ColumnFinding(
            column.name,
            column.role,
            Check.DRIFT,
            span,
            column.method.name,
            each.score if each else None,
            thresholds.warn,
            thresholds.alert,
            column.current.known,
            column.reference.known,
            verdict,
            psi=each.psi if each else None,
            critical=each.critical if each else None,
            p_value=chance if each and each.chance is not None else None,
            bins=each.bins if each else 0,
            usual=column.usual_psi,
        )


def _measure(column: Watched, alpha: float, policy: GuardPolicy) -> _Measured | None:
    if column.method.needs_order and not column.histograms.places:
        raise Misconfigured(
            f"column {column.name!r} has categories, and drift method {column.method.name!r} compares numbers only: "
            "choose psi, js or chi2 for it"
        )
    rows, reference_rows = column.current.known, column.reference.known
    if rows < policy.min_rows or reference_rows < policy.min_reference_rows:
        return None
    histograms = pooled(Histograms(*column.histograms).used())
    critical = critical_psi(len(histograms.reference), reference_rows, rows, alpha)
    chance = column.method.p_value(histograms)
    score, psi = column.method.score(histograms), _PSI.score(histograms)
    return _Measured(score, psi, critical, chance, len(histograms.reference))


def _is_usual(measured: _Measured, usual: float) -> bool:
    """Whether a season may have done it, up to a quarter more and what noise brings: its hours are not all the same."""
    return bool(usual) and measured.psi < _BEYOND_USUAL * usual + measured.critical


def _is_sure(measured: _Measured, adjusted: float, policy: GuardPolicy) -> bool:
    if measured.chance is None:
        return measured.psi >= measured.critical
    return adjusted <= policy.alpha


def _by(score: float, thresholds: Thresholds) -> ColumnVerdict:
    if score >= thresholds.alert:
        return ColumnVerdict.ALERT
    return ColumnVerdict.WARN if score >= thresholds.warn else ColumnVerdict.OK


def _beside(column: Watched, span: Span, policy: GuardPolicy) -> Iterable[ColumnFinding]:
    """Missing: more than the reference's share by 5 points or three deviations. Unseen and out of range: by 1 point."""
    now, then = column.current, column.reference
    of_known = (now.known, then.known)
    missing = (now.missing, then.missing)
    yield _share(column, span, policy, Check.MISSING, missing, (now.rows, then.rows), _MISSING_MARGIN)
    if column.histograms.places:
        outside = (now.below + now.above, then.below + then.above)
        margin = max(_OTHER_MARGIN, _BEYOND_RANGE / of_known[1]) if of_known[1] else 1.0
        yield _share(column, span, policy, Check.OUT_OF_RANGE, outside, of_known, margin)
    else:
        yield _share(column, span, policy, Check.UNSEEN, (now.unseen, then.unseen), of_known, _OTHER_MARGIN)


def _share(
    column: Watched,
    span: Span,
    policy: GuardPolicy,
    check: Check,
    counts: tuple[int, int],
    rows: tuple[int, int],
    margin: float,
) -> ColumnFinding:
    """Whether a share of the rows is larger than the reference's by the margin and by three deviations of chance.

    At least twenty rows more than expected, so that a few odd ones are none.
    """
    usual = counts[1] / rows[1] if rows[1] else 0.0
    alert = usual + margin
    score = None
    verdict = ColumnVerdict.INSUFFICIENT_DATA
    if rows[0] >= policy.min_rows and rows[1] >= policy.min_reference_rows:
        score = counts[0] / rows[0]
        chance = _DEVIATIONS * sqrt(usual * (1 - usual) * (1 / rows[0] + 1 / rows[1]))
        alert = usual + max(margin, chance)
        is_much = score > alert and counts[0] - usual * rows[0] >= _LEAST_ROWS
        verdict = ColumnVerdict.ALERT if is_much else ColumnVerdict.OK
    return ColumnFinding(
        column.name, column.role, check, span, "share", score, alert, alert, rows[0], rows[1], verdict, usual=usual
    )
