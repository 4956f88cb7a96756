"""Shares by feedback: the right probabilities, the better arm found, equal arms left alone. All luck has a fixed seed."""

import math
import random

import pytest

from podium.domain.bandit import Arm, chances, settle, shares

FLOOR = 5


def chance_of_second(first, second):
    """P(the second arm is better), exactly, for whole counts (the closed form of a sum of Beta functions)."""
    a, b = 1 + first.rewards, 1 + first.penalties
    c, d = 1 + second.rewards, 1 + second.penalties

    def beta(x, y):
        return math.lgamma(x) + math.lgamma(y) - math.lgamma(x + y)

    return sum(math.exp(beta(a + i, b + d) - math.log(d + i) - beta(1 + i, d) - beta(a, b)) for i in range(int(c)))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Arm(), Arm()),
        (Arm(1, 0), Arm()),
        (Arm(0, 3), Arm(3, 0)),
        (Arm(10, 90), Arm(15, 85)),
        (Arm(5, 10_000), Arm(8, 10_000)),
        (Arm(5000, 5000), Arm(5100, 4900)),
        (Arm(2, 1), Arm(100_000, 100_000)),
        (Arm(0, 100_000), Arm(0, 1)),
    ],
)
def test_a_chance_is_what_the_closed_form_says(first, second):
    found = chances([first, second])

    assert math.isclose(found[1], chance_of_second(first, second), abs_tol=2e-4)
    assert math.isclose(sum(found), 1.0)


def test_the_order_of_arms_and_their_number_change_nothing_else():
    """Mirror images have mirrored chances; arms that say the same share alike; ten arms are no trouble."""
    a, b, c = Arm(10.5, 89.5), Arm(15, 85), Arm(0, 4)

    assert chances([a, b, c]) == pytest.approx(tuple(reversed(chances([c, b, a]))))
    assert chances([a] * 10) == pytest.approx((0.1,) * 10)
    assert chances([a]) == (1.0,)


def test_a_million_answers_on_each_side_still_tell_one_from_another():
    assert chances([Arm(100_000, 900_000), Arm(102_000, 898_000)])[1] > 0.999
    assert chances([Arm(1e9, 1e9), Arm(1e9, 1e9)]) == pytest.approx((0.5, 0.5))


@pytest.mark.parametrize(
    "arms",
    [
        [Arm(17.298205026719003, 1), Arm(0.9734382274129786, 1), Arm(2250.9927766433, 0)],
        [Arm(0.33487848473935167, 1), Arm(16.09494282302429, 1)],
        [Arm(1, 0), Arm(13.783905008028382, 0.24632308335233255)],
        [Arm(1e13, 0), Arm(0, 1e13)],
        [Arm(1e13, 0), Arm(1e13, 1)],
    ],
)
def test_no_counts_are_too_odd(arms):
    """The first three make cells between neighbouring floats."""
    assert math.isclose(sum(chances(arms)), 1.0)


def test_any_counts_have_chances():
    """Three hundred pairs and triples by chance, from nothing to ten thousand billion."""
    luck = random.Random(1)

    def count():
        return luck.choice([0, 1, luck.random(), 10 ** luck.uniform(0, 13)])

    for _ in range(300):
        arms = [Arm(count(), count()) for _ in range(luck.choice([2, 3]))]
        found = chances(arms)
        assert math.isclose(sum(found), 1.0), arms
        assert min(found) >= 0


@pytest.mark.parametrize(
    ("given", "floor", "percents"),
    [
        ((0.5, 0.5), 5, (50, 50)),
        ((1.0, 0.0), 5, (95, 5)),
        ((1.0, 0.0), 0, (100, 0)),
        ((1 / 3, 1 / 3, 1 / 3), 5, (34, 33, 33)),
        ((0.7, 0.2, 0.1), 10, (59, 24, 17)),
        ((1.0, *[0.0] * 29), 5, (13, *[3] * 29)),
        ((1.0,), 5, (100,)),
    ],
)
def test_shares_are_whole_percents_with_a_floor(given, floor, percents):
    assert shares(given, floor) == percents
    assert sum(percents) == 100


def test_shares_move_by_steps_or_when_there_are_other_arms():
    before = {"1": 50, "2": 50}

    assert settle(before, {"1": 51, "2": 49}, 2) is before
    assert settle(before, {"1": 52, "2": 48}, 2) == {"1": 52, "2": 48}
    assert settle(before, {"1": 50, "3": 50}, 2) == {"1": 50, "3": 50}


def test_old_feedback_counts_for_less_where_that_is_asked_for():
    assert Arm(8, 4).aged(60, None) == Arm(8, 4)
    assert Arm(8, 4).aged(60, 60) == Arm(4, 2)


def simulate(rates, requests, seed, floor=FLOOR, half_life_s=None, rates_later=None):
    """Feedback on every answer, shares worked out every hundred requests: percents at the end, and regret on the way."""
    luck = random.Random(seed)
    arms, regret, path = [Arm() for _ in rates], 0.0, []
    percents = shares([1 / len(rates)] * len(rates), floor)
    for begun in range(0, requests, 100):
        now = rates_later if rates_later is not None and begun >= requests // 2 else rates
        arms = [arm.aged(1.0, half_life_s) for arm in arms]
        for _ in range(100):
            chosen = luck.choices(range(len(rates)), percents)[0]
            is_good = luck.random() < now[chosen]
            arms[chosen] = Arm(arms[chosen].rewards + is_good, arms[chosen].penalties + (not is_good))
            regret += max(now) - now[chosen]
        percents = shares(chances(arms), floor)
        path.append(regret)
    return percents, path


def test_the_better_arm_wins():
    """0.10, 0.12, 0.20: after five thousand requests the best has nearly all, in each of six runs."""
    found = [simulate((0.10, 0.12, 0.20), 5000, seed)[0] for seed in range(6)]

    assert all(percents[2] >= 80 for percents in found), found


def test_regret_grows_slower_than_time():
    """Without a floor, whose cost would be added: four times as many requests cost less than twice as much."""
    paths = [simulate((0.3, 0.5), 12_000, seed, floor=0)[1] for seed in range(6)]
    early, late = (sum(path[at] for path in paths) for at in (29, 119))

    assert late < 2 * early
    assert late / len(paths) < 0.02 * 12_000 * 0.2


def test_arms_that_are_alike_stay_near_each_other():
    """No arm is starved for luck alone: on average both have half, in no run less than the floor."""
    found = [simulate((0.2, 0.2), 3000, seed)[0] for seed in range(24)]

    assert 35 <= sum(percents[0] for percents in found) / len(found) <= 65
    assert all(min(percents) >= FLOOR for percents in found)


def test_an_arm_that_has_become_the_better_one_is_found_again_where_old_feedback_fades():
    """Halfway they change places; with a half-life the shares do, too."""
    later = {"requests": 8000, "rates_later": (0.1, 0.4)}
    fading = [simulate((0.4, 0.1), seed=seed, half_life_s=10.0, **later)[0] for seed in range(5)]

    assert all(percents[1] >= 80 for percents in fading), fading
