"""Witness: what counts of two versions' answers, and for which share."""

from podium.domain.rollouts.control import Moment, expected
from podium.domain.rollouts.evidence import Evidence
from podium.domain.rollouts.judging import JudgingPolicy, Opinion, Stratum, judge
from podium.fleet.rollouts.witness import WARMING, Witness

PAIR = ("1", "2")


def test_shares_are_kept_apart_and_what_came_without_one_is_nobodys():
    """5 %, then nothing for a while, then 25 %."""
    witness = Witness()
    witness.see("a", PAIR, 5, Stratum(Evidence(1000), Evidence(0)))
    witness.see("a", PAIR, None, Stratum(Evidence(1950), Evidence(50)))
    witness.see("a", PAIR, 25, Stratum(Evidence(2900), Evidence(80)))

    strata = witness.see("a", PAIR, 25, Stratum(Evidence(3650), Evidence(330)))

    assert [(each.stable.requests, each.candidate.requests) for each in strata] == [(950, 50), (750, 250)]


def test_a_candidate_that_is_cold_is_not_slow():
    """Its first answers' latencies do not count, nor do those of the other at that time; their errors do."""
    witness = Witness()
    witness.see("a", PAIR, 50, Stratum(Evidence(500, 0, (500, 0)), Evidence()))
    cold = Stratum(Evidence(560, 0, (560, 0)), Evidence(WARMING, 3, (0, WARMING)))
    [before] = witness.see("a", PAIR, 50, cold)
    [after] = witness.see("a", PAIR, 50, Stratum(Evidence(660, 0, (660, 0)), Evidence(WARMING + 90, 3, (90, WARMING))))

    assert (before.candidate.errors, sum(before.candidate.latency), sum(before.stable.latency)) == (3, 0, 0)
    assert (after.candidate.requests, after.candidate.latency, after.stable.latency) == (WARMING + 90, (90, 0), (100, 0))


def test_alone_it_is_held_against_before_but_for_a_bad_moment():
    """An outage of four seconds behind both, while the candidate has all of the traffic."""
    witness = Witness()
    witness.see("a", PAIR, 50, Stratum(Evidence(), Evidence()))
    stable, mine, failed = Evidence(1000, 5), 1000, 5
    witness.see("a", PAIR, 50, Stratum(stable, Evidence(mine, failed)))
    witness.see("a", PAIR, 100, Stratum(stable, Evidence(mine, failed)))
    for second in range(20):
        mine, failed = mine + 100, failed + (30 if 8 <= second < 12 else 0)
        strata = witness.see("a", PAIR, 100, Stratum(stable, Evidence(mine, failed)))

    assert [(each.candidate.requests, each.candidate.errors) for each in strata] == [(1000, 5), (1600, 0)]


def test_what_is_expected_is_settled_when_the_other_has_no_share_more():
    """By its last minutes then; what comes later changes nothing."""
    witness, before = Witness(), [Moment(2.0, 200, 2)] * 20
    witness.see("a", PAIR, 50, Stratum(Evidence(), Evidence()), before)
    [beside] = witness.see("a", PAIR, 50, Stratum(Evidence(1000), Evidence(1000)), before)
    witness.see("a", PAIR, 100, Stratum(Evidence(1000), Evidence(1000)), before)

    [_, alone] = witness.see("a", PAIR, 100, Stratum(Evidence(1000), Evidence(1100)), [Moment(2.0, 200, 90)])

    assert beside.expected is None
    assert alone.expected == expected(before)


def test_an_outage_that_was_under_way_is_forgiven_for_a_minute():
    """It began beside the stable version, which then had no share more: twenty seconds of three in ten errors."""
    witness = Witness()
    before = [*[Moment(2.0, 200, 2)] * 20, Moment(2.0, 200, 60)]
    witness.see("a", PAIR, 25, Stratum(Evidence(), Evidence()), before)
    witness.see("a", PAIR, 25, Stratum(Evidence(600, 180), Evidence(200, 60)), before)
    witness.see("a", PAIR, 100, Stratum(Evidence(600, 180), Evidence(200, 60)), before)
    for second in range(1, 21):
        strata = witness.see(
            "a", PAIR, 100, Stratum(Evidence(600, 180), Evidence(200 + 100 * second, 60 + 30 * second)), before
        )

    assert judge(strata, JudgingPolicy()).opinion is not Opinion.WORSE


def test_another_rollout_begins_anew():
    """Of the same two versions, too."""
    witness = Witness()
    witness.see("a", PAIR, 50, Stratum(Evidence(), Evidence()))
    witness.see("a", PAIR, 50, Stratum(Evidence(900), Evidence(900, 90)))

    assert witness.see("b", PAIR, 50, Stratum(Evidence(900), Evidence(900, 90))) == [Stratum(Evidence(), Evidence())]
