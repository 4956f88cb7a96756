"""judge() on simulated traffic: what is bad is found, what is not is left alone however often one looks."""

import math

import numpy as np
import pytest

from podium.domain.rollouts.evidence import LATENCY_BOUNDS_US, SKETCH_CELLS, Evidence
from podium.domain.rollouts.judging import Criterion, JudgingPolicy, Opinion, Stratum, judge
from podium.domain.rollouts.likelihood import log_excess

BOUNDS = np.array(LATENCY_BOUNDS_US)


def answers(luck, count, sorts, *, errors=0.0, slower=1.0):
    """What a version answered: so many requests, a share of errors, 2 ms times `slower`, and sorts of predictions."""
    failed = int(luck.binomial(count, errors))
    took_us = luck.lognormal(math.log(2000 * slower), 0.5, count)
    latency = np.bincount(np.searchsorted(BOUNDS, took_us), minlength=len(BOUNDS) + 1)
    return Evidence(count, failed, tuple(latency.tolist()), tuple(luck.multinomial(count - failed, sorts).tolist()))


def rolled_out(seed, *, stable_errors=0.0, errors=0.0, slower=1.0, other_sorts=False, rate=300, looks=12):
    """A whole rollout, 5, 25 and 100 %, judged after each second: the last verdict, and the candidate's answers by then."""
    luck = np.random.default_rng(seed)
    sorts = luck.dirichlet(np.full(SKETCH_CELLS, 0.3))
    its = luck.permutation(sorts) if other_sorts else sorts
    strata, verdict, answered = [], None, 0
    for percent in (5, 25, 100):
        stable, candidate = Evidence(), Evidence()
        for _ in range(looks):
            arrived = int(luck.poisson(rate))
            mine = int(luck.binomial(arrived, percent / 100))
            stable += answers(luck, arrived - mine, sorts, errors=stable_errors)
            candidate += answers(luck, mine, its, errors=errors, slower=slower)
            answered += mine
            verdict = judge([*strata, Stratum(stable, candidate)], JudgingPolicy())
            if verdict.opinion is Opinion.WORSE:
                return verdict, answered
        strata.append(Stratum(stable, candidate))
    return verdict, answered


@pytest.mark.parametrize(
    ("fault", "criterion", "within"),
    [
        ({"errors": 0.02}, Criterion.ERRORS, 1000),
        ({"slower": 3.0}, Criterion.LATENCY, 300),
        ({"other_sorts": True}, Criterion.PREDICTIONS, 1200),
    ],
    ids=["2 % errors", "three times slower", "predicts differently"],
)
def test_a_bad_candidate_is_found(fault, criterion, within):
    """In each of thirty rollouts, for what it does, within so many of its own answers."""
    found = [rolled_out(seed, **fault) for seed in range(30)]

    assert {criterion} == {verdict.criterion for verdict, _ in found}
    assert within > max(answered for _, answered in found)


@pytest.mark.slow
def test_a_candidate_like_the_stable_version_is_left_alone():
    """Two hundred A/A rollouts, looked at every second, with errors of 0 to 5 %: at most 2 % are rejected."""
    opinions = [
        rolled_out(seed, stable_errors=rate, errors=rate)[0].opinion
        for seed, rate in enumerate([0.0, 0.001, 0.01, 0.05] * 50)
    ]

    assert opinions.count(Opinion.WORSE) <= 4
    assert Opinion.FINE in opinions


def test_evidence_against_a_true_claim_stays_small_however_often_one_looks():
    """The chance that it ever reaches 20 is below 1 in 20, at the very border of the claim."""
    luck, ever = np.random.default_rng(3), 0
    for _ in range(300):
        mine, its, highest = 0, 0, -math.inf
        for answered in range(20, 2001, 20):
            mine += int(luck.binomial(20, 0.15))
            its += int(luck.binomial(20, 0.10))
            highest = max(highest, log_excess([(mine, answered, its, answered)], 0.05, (0.25, 0.25)))
        ever += highest >= math.log(20)

    assert ever <= 300 / 20


def test_a_bad_hour_of_both_is_not_held_against_the_candidate():
    """While it had a quarter of the traffic everything failed half of the time; before, nothing did."""
    calm = Stratum(Evidence(95_000), Evidence(5_000))
    storm = Stratum(Evidence(7_500, 3_750), Evidence(2_500, 1_250))

    verdict = judge([calm, storm], JudgingPolicy())

    assert verdict.opinion is not Opinion.WORSE


def test_what_was_masked_by_an_outage_is_found():
    """The stable version's outage does not excuse the candidate's errors after it."""
    storm = Stratum(Evidence(95_000, 20_000), Evidence(5_000, 1_050))
    calm = Stratum(Evidence(75_000), Evidence(25_000, 500))

    verdict = judge([storm, calm], JudgingPolicy())

    assert verdict.criterion is Criterion.ERRORS


def test_with_all_the_traffic_it_is_held_against_what_the_stable_version_did_before():
    """At 100 % nothing is beside it any more."""
    beside = Stratum(Evidence(10_000, 5), Evidence(3_000, 1))
    alone = Stratum(Evidence(), Evidence(2_000, 300))

    assert judge([beside, alone], JudgingPolicy()).criterion is Criterion.ERRORS
    assert judge([beside], JudgingPolicy()).opinion is Opinion.FINE


def test_a_handful_of_answers_says_nothing():
    """A candidate is not rejected before it answered a few."""
    assert judge([Stratum(Evidence(1000), Evidence(19, 19))], JudgingPolicy()).opinion is Opinion.UNKNOWN
    assert judge([Stratum(Evidence(1000), Evidence(20, 20))], JudgingPolicy()).opinion is Opinion.WORSE
    assert judge([], JudgingPolicy()).opinion is Opinion.UNKNOWN


def test_a_shadow_that_answers_differently_is_found():
    """The same requests, so no traffic of the candidate's own is needed beyond the least."""
    few = Stratum(Evidence(1000), Evidence(30, compared=500, disagreed=20))
    many = Stratum(Evidence(1000), Evidence(30, compared=500, disagreed=100))

    assert judge([few], JudgingPolicy()).opinion is not Opinion.WORSE
    assert judge([many], JudgingPolicy()).criterion is Criterion.DISAGREEMENT


def test_feedback_counts_where_there_is_any():
    """Twice as many bad answers, by what people said."""
    verdict = judge(
        [Stratum(Evidence(9000, rewards=800, penalties=200), Evidence(1000, rewards=60, penalties=60))], JudgingPolicy()
    )

    assert verdict.criterion is Criterion.QUALITY
    assert "50 %" in verdict.reason
    assert "20 %" in verdict.reason


def test_what_is_not_asked_is_not_judged():
    """A policy may leave a criterion out."""
    slow = Stratum(
        answers(np.random.default_rng(1), 1000, [1.0]), answers(np.random.default_rng(2), 200, [1.0], slower=5.0)
    )

    assert judge([slow], JudgingPolicy()).criterion is Criterion.LATENCY
    assert Criterion.LATENCY not in judge([slow], JudgingPolicy(latency=None)).figures


def test_a_count_that_was_begun_anew_counts_from_nothing():
    """A gateway's counters that were given to another version and back."""
    assert Evidence(5, 1) == Evidence(5, 1) - Evidence(900, 2)
    assert Evidence(3, 1, (1, 2)) == Evidence(5, 1, (2, 3)) - Evidence(2, 0, (1, 1))


def test_counters_that_were_read_one_after_the_other_are_no_harm():
    """An error may be seen before its request."""
    torn = Stratum(Evidence(99, 100, compared=3, disagreed=5), Evidence(30, 31, compared=3, disagreed=5))

    assert judge([torn], JudgingPolicy()).opinion is not Opinion.FINE


@pytest.mark.parametrize("limit", [0.0, 1.0])
def test_limits_at_their_ends_are_limits(limit):
    """Nothing at all is tolerated, or everything; neither ends the server that judges."""
    seen = Evidence(500, 30, compared=400, disagreed=40, rewards=5, penalties=40, latency=(1, 499), predictions=(9, 461))
    policy = JudgingPolicy(errors=limit, predictions=limit, disagreement=limit, quality=limit)

    verdict = judge([Stratum(Evidence(9000, rewards=90, latency=(8999, 1), predictions=(8999, 1)), seen)], policy)

    assert (verdict.opinion is Opinion.WORSE) == (limit == 0.0)


def test_not_one_disagreement_is_allowed_where_none_is():
    """The first one is evidence enough."""
    seen = Stratum(Evidence(100), Evidence(100, compared=100, disagreed=1))

    assert judge([seen], JudgingPolicy(disagreement=0.0)).criterion is Criterion.DISAGREEMENT
