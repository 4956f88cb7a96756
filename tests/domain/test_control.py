"""control: what the stable version's last minutes let one expect, and how a lone candidate is judged by it."""

import numpy as np
import pytest

from podium.domain.rollouts.control import Moment, dispersion, expected
from podium.domain.rollouts.evidence import Evidence
from podium.domain.rollouts.foresight import least_rate
from podium.domain.rollouts.judging import Criterion, JudgingPolicy, Opinion, Stratum, judge
from podium.domain.rollouts.likelihood import bounds

CALM = [Moment(2.0, 240, 0)] * 30
FAILING = Moment(2.0, 240, 80)
SHORT_STEPS = [Stratum(Evidence(798), Evidence(42, 1)), Stratum(Evidence(630), Evidence(210, 4))]


def test_nothing_is_expected_of_what_nobody_saw():
    """A server that began while the candidate had everything has no control."""
    assert expected([]) is None
    assert expected([Moment(2.0, 0, 0)]) is None


@pytest.mark.parametrize(("errors", "answers"), [(0, 500), (3, 1000), (40, 800), (480, 500)])
def test_a_share_is_beyond_its_bounds_seldom(errors, answers):
    """Of versions at either bound, at most one in a hundred shows what was seen, or less likely."""
    luck = np.random.default_rng(5)

    low, high = bounds(errors, answers, 0.01)

    assert low <= errors / answers <= high
    assert (luck.binomial(answers, high, 4000) <= errors).mean() < 0.015
    assert errors == 0 or (luck.binomial(answers, low, 4000) >= errors).mean() < 0.015


def test_chance_alone_is_no_dispersion_and_clumps_are():
    """Ten errors at once are another matter than ten errors."""
    luck = np.random.default_rng(1)
    even = [Moment(2.0, 200, int(luck.binomial(200, 0.05))) for _ in range(100)]

    assert dispersion(even) == 1.0
    assert dispersion([Moment(2.0, 200, 100 if second % 10 == 0 else 0) for second in range(100)]) > 50
    assert dispersion([Moment(2.0, 200, 0)] * 9 + [Moment(2.0, 1, 1)]) == 1.0


def test_outages_are_left_out_and_forgiven_for_twice_as_long():
    """One that goes on when the stable version has no share more, for a minute."""
    after = expected([*CALM, *[FAILING] * 8, *CALM])
    under_way = expected([*CALM, FAILING])

    assert (after.share, after.outage_s) == (0.0, 32.0)
    assert (under_way.share, under_way.outage_s) == (0.0, 60.0)
    assert expected(CALM).outage_s == 10.0


def test_what_fails_all_the_time_has_no_outages():
    """A third of all answers are errors: that is what is usual."""
    assert expected([FAILING] * 20).share == pytest.approx(1 / 3)


def test_alone_it_is_found_by_what_the_stable_version_did_before():
    """17 errors of 1,090 answers in short steps: what was beside it is too little, the minutes before suffice."""
    alone = Evidence(838, 12)

    assert judge([*SHORT_STEPS, Stratum(Evidence(), alone)], JudgingPolicy()).opinion is Opinion.UNKNOWN
    assert judge([*SHORT_STEPS, Stratum(Evidence(), alone, expected(CALM))], JudgingPolicy()).criterion is Criterion.ERRORS


def test_what_comes_in_clumps_says_less():
    """The same errors, of a version whose errors always came in clumps, or that come in clumps themselves."""
    clumpy = expected([Moment(2.0, 240, 20 if second % 10 == 0 else 0) for second in range(60)])
    alone = Evidence(838, 40)

    assert judge([Stratum(Evidence(), alone, expected(CALM))], JudgingPolicy()).opinion is Opinion.WORSE
    assert judge([Stratum(Evidence(), alone, clumpy)], JudgingPolicy()).opinion is not Opinion.WORSE
    assert judge([Stratum(Evidence(), alone, expected(CALM), 20.0)], JudgingPolicy()).opinion is not Opinion.WORSE


def test_half_as_many_errors_again_are_the_times():
    """1.4 % after 1 %, however sure that is; 2 % are more than times do."""
    usual = expected([Moment(2.0, 2000, 20)] * 100)

    assert judge([Stratum(Evidence(), Evidence(100_000, 1400), usual)], JudgingPolicy()).opinion is not Opinion.WORSE
    assert judge([Stratum(Evidence(), Evidence(100_000, 2000), usual)], JudgingPolicy()).opinion is Opinion.WORSE


def test_it_is_said_how_many_answers_are_missing_until_it_is_fine():
    """As many more as were said make it fine, and not half of them."""
    unsure = judge([*SHORT_STEPS[2:], Stratum(Evidence(), Evidence(60), expected(CALM))], JudgingPolicy())

    def after(more):
        return judge([*SHORT_STEPS[2:], Stratum(Evidence(), Evidence(60 + more), expected(CALM))], JudgingPolicy()).opinion

    assert unsure.opinion is Opinion.UNKNOWN
    assert after(2 * unsure.missing) is Opinion.FINE
    assert after(unsure.missing // 2) is Opinion.UNKNOWN


def test_without_anything_to_hold_it_against_only_few_errors_are_fine():
    """Who has hardly any errors cannot have many more than another."""
    assert judge([Stratum(Evidence(), Evidence(500))], JudgingPolicy()).opinion is Opinion.FINE
    failing = judge([Stratum(Evidence(), Evidence(500, 50))], JudgingPolicy())
    assert (failing.opinion, failing.missing) == (Opinion.UNKNOWN, None)


def test_a_version_with_errors_of_its_own_is_no_reason_to_wait_for_ever():
    """5 % errors as ever, with minutes of them known: some thousand answers show that there are not two points more."""
    usual = expected([Moment(2.0, 600, 30)] * 150)

    assert judge([Stratum(Evidence(), Evidence(6000, 300), usual)], JudgingPolicy()).opinion is Opinion.FINE
    assert judge([Stratum(Evidence(), Evidence(6000, 420), usual)], JudgingPolicy()).opinion is not Opinion.FINE


def test_hardly_any_bad_candidate_is_ever_fine_and_most_are_found():
    """2 % errors against none, looked at every second of two minutes alone, at 60 requests a second."""
    found = fine = 0
    for seed in range(100):
        luck, mine = np.random.default_rng(seed), Evidence()
        for _ in range(120):
            mine += Evidence(60, int(luck.binomial(60, 0.02)))
            opinion = judge([Stratum(Evidence(), mine, expected(CALM))], JudgingPolicy()).opinion
            if opinion is not Opinion.UNKNOWN:
                break
        found, fine = found + (opinion is Opinion.WORSE), fine + (opinion is Opinion.FINE)

    assert fine <= 5
    assert found >= 90


def test_steps_say_beforehand_what_they_can_tell():
    """The longer they are, the fewer requests a second it takes."""
    short, usual = least_rate((5, 25, 100), 7.0, JudgingPolicy()), least_rate((5, 25, 100), 600.0, JudgingPolicy())

    assert 30 < short < 120
    assert 0.5 < usual < 3
    assert least_rate((5, 25, 100), 7.0, JudgingPolicy(detect=None)) is None
    assert least_rate((5, 25, 100), 7.0, JudgingPolicy(errors=None)) is None
