"""What the last hour of a version's rows shows beside its profile, written down with what is held of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from podium.domain.monitoring.findings import Check, Choice, ColumnFinding, Role, judge, watch
from podium.domain.monitoring.multivariate import found_together
from podium.domain.monitoring.profile import Profile
from podium.domain.monitoring.quality.unlabelled import WindowEstimates, estimates_of
from podium.domain.monitoring.standing import DriftOverview, StandingFinding, overview
from podium.domain.monitoring.windows import SLOT_S, Span
from podium.monitoring.store import reading, writing
from podium.monitoring.store.contract import StoreConnection
from podium.monitoring.store.writing import Finder, VersionKey

_NOTHING = StandingFinding()


@dataclass(frozen=True, slots=True)
class JudgedVersion:
    """What is held of a version.

    Attributes:
        at: When it was looked at, in seconds since 1970.
        rows: In the window.
        findings: Of the window, all columns and checks, and of the columns together.
        standing: What is held after it.
        summary: Of all columns together.
        estimates: How good it probably is, as far as scores say.
    """

    key: VersionKey
    at: int
    rows: int
    findings: tuple[ColumnFinding, ...]
    standing: Mapping[Finder, StandingFinding]
    summary: DriftOverview
    estimates: WindowEstimates = field(default_factory=WindowEstimates)

    def stands(self, finding: ColumnFinding) -> bool:
        """Whether the alert of this check of this column stands."""
        return self.standing.get((finding.role, finding.name, finding.check), _NOTHING).is_alert


def window_at(now: float, length_s: int) -> Span:
    """The window that is looked at: whole stretches of five minutes, the last one being the one that is counted now."""
    end = (int(now) // SLOT_S + 1) * SLOT_S
    return Span(end - length_s, end)


def judge_version(
    connection: StoreConnection,
    key: VersionKey,
    profile: Profile,
    now: float,
    length_s: int,
    choices: Mapping[str, Choice] | None = None,
) -> JudgedVersion | None:
    """Look at a version's last window and write down what it shows; None where it had no row.

    Args:
        connection: Of a transaction that writes.
        key: Which version.
        profile: What its rows are held against.
        now: Seconds since 1970.
        length_s: Of the window: a multiple of five minutes, up to a day.
        choices: By column, how it is scored where otherwise than all.
    """
    span = window_at(now, length_s)
    points = reading.data(connection, key, profile.profile_id, span, SLOT_S)
    counts = None
    for point in points:
        if point.window.counts is not None:
            counts = point.window.counts if counts is None else counts + point.window.counts
    if counts is None:
        return None
    findings = judge(watch(profile, counts, choices=choices, length_s=length_s), span)
    if (together := found_together(profile, counts, span)) is not None:
        findings.append(together)
    before = writing.standing_of(connection, key, profile.profile_id)
    after = {finder: before.get(finder, _NOTHING).and_then(each) for each in findings for finder in [finder_of(each)]}
    writing.put_findings(connection, key, profile.profile_id, findings, after)
    summary, estimates = overview(findings, _drifting(after)), estimates_of(profile, counts)
    return JudgedVersion(key, int(now), counts.rows, tuple(findings), after, summary, estimates)


def finder_of(finding: ColumnFinding) -> Finder:
    """Whose standing a finding is about."""
    return finding.role, finding.name, finding.check


def _drifting(standing: Mapping[Finder, StandingFinding]) -> set[tuple[Role, str]]:
    return {(role, name) for (role, name, check), each in standing.items() if each.is_alert and check is Check.DRIFT}
