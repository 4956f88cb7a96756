"""Standings: what several windows say together of a column, and all columns of a model."""

from dataclasses import replace

import pytest

from podium.domain.monitoring.comparison import SideBySide
from podium.domain.monitoring.counts import ColumnCounts
from podium.domain.monitoring.findings import Check, ColumnFinding, ColumnVerdict, Role, Watched, judge
from podium.domain.monitoring.standing import DriftOverview, Patience, Spread, StandingFinding, overview
from podium.domain.monitoring.windows import Span

HOUR = Span(0, 3600)


def watched(name, reference, current, **terms):
    """A column of two categories by the counts of both sides."""
    return Watched(name, SideBySide((*reference.bins, 0), (*current.bins, 0), ()), reference, current, **terms)


def looks(*scores, step=3600, length=3600):
    """Findings of windows one after the other: a score, or None where there were too few rows. 0.2 is an alert."""
    for place, score in enumerate(scores):
        verdict = (
            ColumnVerdict.INSUFFICIENT_DATA if score is None else ColumnVerdict.ALERT if score >= 0.2 else ColumnVerdict.OK
        )
        span = Span(place * step, place * step + length)
        yield ColumnFinding("x", Role.FEATURE, Check.DRIFT, span, "psi", score, 0.1, 0.2, 900, 900, verdict)


def stands(findings, **patience):
    standing, course = StandingFinding(), []
    for finding in findings:
        standing = standing.and_then(finding, Patience(**patience))
        course.append(standing.is_alert)
    return "".join("A" if each else "." for each in course)


@pytest.mark.parametrize(
    ("scores", "course"),
    [
        ((0.3, 0.0, 0.3, 0.0), "...."),
        ((0.3, 0.3, 0.3), ".AA"),
        ((0.3, 0.3, 0.1, 0.3, 0.1, 0.1, 0.1), ".AAAA.."),
        ((0.3, 0.3, 0.17, 0.18, 0.19, 0.1, 0.1), ".AAAAA."),
        ((0.3, 0.3, 0.1, 0.17, 0.1, 0.1), ".AAAA."),
        ((0.3, None, 0.3, None, 0.1, None, 0.1), "..AAAA."),
        ((0.3, 0.17, 0.3), "..."),
        ((None, None), ".."),
    ],
)
def test_two_windows_make_it_stand_and_two_end_it(scores, course):
    """It ends below 0.8 of the threshold, and a window of few rows is neither."""
    assert stands(looks(*scores)) == course


def test_looks_at_the_same_rows_are_one_look():
    """Hours that are looked at every five minutes: twelve of them say no more than one."""
    assert stands(looks(*[0.3] * 25, step=300)) == "." * 12 + "A" * 13


def test_it_stands_since_the_first_window_that_said_so():
    """And is over with nothing left of it."""
    standing = StandingFinding()
    for finding in looks(0.0, 0.3, 0.3):
        standing = standing.and_then(finding)

    assert standing == StandingFinding(is_alert=True, since=3600, judged_until=3 * 3600)
    for finding in looks(0.0, 0.0, 0.0, 0.0, 0.0):
        standing = standing.and_then(finding)
    assert standing == StandingFinding(judged_until=5 * 3600)


def test_what_is_usual_again_is_over():
    """A share that is the reference's: 0.8 of the threshold may be less than that."""
    reference, wrong = ColumnCounts((700,), missing=300), ColumnCounts((500,), missing=500)
    course = []
    standing = StandingFinding()
    for place, now in enumerate([wrong, wrong, reference, reference]):
        found = judge([watched("x", reference, now)], Span(place * 3600, place * 3600 + 3600))
        standing = standing.and_then(next(each for each in found if each.check is Check.MISSING))
        course.append(standing.is_alert)

    assert course == [False, True, True, False]


def test_a_season_is_over_an_alert_that_was_beyond_it():
    """What the reference's own days reach is no reason to go on, by any method's score."""
    first, second, *others = looks(0.5, 0.5, 0.25, 0.25)
    beyond = [replace(each, psi=0.9, usual=0.6) for each in (first, second)]
    within = [replace(each, psi=0.4, usual=0.6) for each in others]

    assert stands([*beyond, *within]) == ".AA."


def test_patience_can_be_chosen():
    """One window suffices, or three are wanted."""
    assert stands(looks(0.3, 0.0, 0.0), bad=1, good=1) == "A.."
    assert stands(looks(0.3, 0.3, 0.3), bad=3) == "..A"
    assert stands(looks(0.3, 0.3, 0.19, 0.19), clear=1.0) == ".AA."
    for wrong in ({"bad": 0}, {"good": 0}, {"clear": 0}, {"clear": 1.5}):
        with pytest.raises(ValueError, match="got"):
            Patience(**wrong)


@pytest.mark.parametrize(
    ("standing", "spread"),
    [
        ((), Spread.NONE),
        (("a",), Spread.SOME),
        (("a", "b"), Spread.WIDE),
        (("score",), Spread.SOME),
        (("a", "score"), Spread.WIDE),
    ],
)
def test_drift_is_wide_where_half_of_the_columns_or_the_answers_have_it(standing, spread):
    """Of those that were judged: a column that nobody knows of is no sound one."""
    same, few = ColumnCounts((500, 500)), ColumnCounts((5, 5))
    columns = [watched(name, same, few if name in "ef" else same) for name in "abcdef"]
    found = judge([*columns, watched("score", same, same, role=Role.PREDICTION)], HOUR)

    seen = overview(found, {(Role.PREDICTION if name == "score" else Role.FEATURE, name) for name in standing})

    assert seen.spread is spread
    assert (seen.judged, seen.unknown) == (4, 2)
    assert seen.drifted + seen.predictions == standing


def test_one_column_alone_is_not_wide():
    """Though it is all that there are."""
    found = judge([watched("a", ColumnCounts((500, 500)), ColumnCounts((500, 500)))], HOUR)

    assert overview(found, {(Role.FEATURE, "a")}) == DriftOverview(Spread.SOME, ("a",), (), 1, 0)
