"""An experiment: versions of a split beside the one that serves, seen from the pieces and from a real server."""

import json

import pytest
from tinyhouse import NAME, until

from podium.domain.monitoring.quality.experiments import Conclusion, ExperimentPlan, mismatch_chance
from podium.fleet.experiment import Experiment
from podium.telemetry.evidence import Outcomes
from podium.telemetry.metrics import REWARD_SCALE

SPLIT = (("1", 50), ("2", 50))


class World:
    """A clock, and what gateways have counted."""

    def __init__(self, **how):
        self.now, self.seen = 0.0, {}
        self.experiment = Experiment(self.outcomes, clock=lambda: self.now, wall=lambda: 1000.0 + self.now, **how)

    def outcomes(self, version):
        return self.seen.get(version, Outcomes())

    def answer(self, version, requests, rewards=(), waiting=0):
        before = self.outcomes(version)
        self.seen[version] = Outcomes(
            before.requests + requests,
            waiting,
            before.rated + len(rewards),
            before.rewards + sum(round(each * REWARD_SCALE) for each in rewards),
            before.squares + sum(round(each * each * REWARD_SCALE) for each in rewards),
        )

    def look(self, weights=SPLIT, after=10.0):
        self.now += after
        self.experiment.look(weights)
        return self.experiment.trial

    def told(self, weights=SPLIT):
        return self.look(weights).variants["2"].look


def rated(good, bad):
    return [1.0] * good + [0.0] * bad


def test_what_was_counted_before_the_split_is_none_of_its_outcomes():
    world = World()
    world.answer("1", 5000, rated(0, 900))

    first = world.look()
    world.answer("1", 30, [0.5, 0.5])
    world.answer("2", 34, [1.0])
    second = world.look()

    assert (first.control, first.began_at) == ("1", 1010.0)
    assert {version: each.requests for version, each in second.variants.items()} == {"1": 30, "2": 34}
    assert {version: each.due for version, each in second.variants.items()} == {"1": 32, "2": 32}
    assert [each.sums.rows for each in second.variants.values()] == [2, 1]
    assert second.variants["1"].sums.mean == 0.5
    assert second.variants["1"].sums.variance == pytest.approx(0.0, abs=1e-9)
    assert second.variants["1"].look is None


def test_a_better_version_is_named_once_that_is_known_and_stays_named():
    """Before two hundred reports of each nothing is said."""
    world = World()
    world.look()
    world.answer("1", 150, rated(50, 100))
    world.answer("2", 150, rated(120, 30))
    assert world.told().conclusion is Conclusion.KEEP_RUNNING
    assert world.told().difference is None

    world.answer("1", 850, rated(300, 550))
    world.answer("2", 850, rated(680, 170))
    found = world.told()

    assert found.conclusion is Conclusion.B_BETTER
    assert found.difference == pytest.approx(0.45, abs=0.01)
    assert 0 < found.interval[0] < found.difference < found.interval[1]
    world.answer("1", 200, rated(200, 0))
    world.answer("2", 200, rated(0, 200))
    assert world.told().conclusion is Conclusion.B_BETTER


def test_requests_that_go_elsewhere_than_they_should_block_it():
    """Something between the clients and the versions does not assign by chance."""
    world = World()
    world.look()
    world.answer("1", 1000, rated(100, 200))
    world.answer("2", 700, rated(200, 100))
    trial = world.look()

    assert trial.routed < 0.001
    assert trial.variants["2"].look.conclusion is Conclusion.BLOCKED


def test_answers_that_are_not_reported_alike_block_it():
    world = World()
    world.look()
    world.answer("1", 1000, rated(100, 200))
    world.answer("2", 1000, rated(450, 50))
    trial = world.look()

    assert trial.routed > 0.9
    assert trial.variants["2"].look.mismatch < 0.001
    assert trial.variants["2"].look.conclusion is Conclusion.BLOCKED


def test_requests_that_wait_were_assigned_as_well():
    """A version that takes its time is no mismatch."""
    world = World()
    world.look()
    world.answer("1", 400)
    world.answer("2", 250, waiting=150)

    assert world.look().routed > 0.9


def test_where_clients_stay_with_a_version_numbers_of_requests_say_nothing():
    world = World(is_drawn=False)
    world.look()
    world.answer("1", 9000, rated(100, 200))
    world.answer("2", 1000, rated(250, 50))
    trial = world.look()

    assert trial.routed is None
    assert trial.variants["2"].look.conclusion is Conclusion.B_BETTER


def test_weights_that_change_between_two_looks_are_no_mismatch():
    """What came meanwhile may have been assigned by either; what comes after is by the new ones."""
    world = World()
    world.look()
    world.answer("1", 1900)
    world.answer("2", 100)
    assert world.look((("1", 95), ("2", 5))).routed > 0.9

    world.answer("1", 1900)
    world.answer("2", 100)
    assert world.look((("1", 95), ("2", 5))).routed > 0.9
    world.answer("1", 100)
    world.answer("2", 1900)
    assert world.look((("1", 95), ("2", 5))).routed < 0.001


def test_weights_that_not_all_gateways_go_by_are_nobodys():
    """It begins once they do; what comes while they change was assigned by either."""
    world = World()
    world.experiment.look(SPLIT, is_settled=False)
    world.answer("1", 900)
    assert world.experiment.trial is None

    assert world.look().variants["1"].requests == 0
    world.experiment.look((("1", 20), ("2", 80)), is_settled=False)
    world.answer("1", 900)
    assert world.look((("1", 20), ("2", 80))).routed > 0.9


@pytest.mark.parametrize(
    "change",
    [
        lambda world: (("1", 50), ("3", 50)),
        lambda world: world.seen.update({"2": Outcomes(1)}) or SPLIT,
        lambda world: (world.look((("1", 100),)), SPLIT)[1],
    ],
    ids=["another version", "a counter begun anew", "no split for a while"],
)
def test_another_experiment_begins_anew(change):
    world = World()
    world.look()
    world.answer("1", 800, rated(300, 300))
    world.answer("2", 800, rated(500, 100))
    assert world.told().conclusion is Conclusion.B_BETTER

    trial = world.look(change(world))

    assert trial.began_at > 1010.0
    assert sum(each.requests + each.sums.rows for each in trial.variants.values()) == 0
    assert list(trial.variants.values())[1].look.conclusion is Conclusion.KEEP_RUNNING


def test_it_looks_every_few_seconds_and_shares_out_what_it_risks():
    """Two comparisons take half of the chance of being wrong each."""
    world = World()
    world.look()
    world.answer("2", 10)

    assert world.look(after=1.0).variants["2"].requests == 0
    assert world.look(after=5.0).variants["2"].requests == 10
    assert World().look((("1", 40), ("2", 30), ("3", 30))).plan.alpha == 0.025
    assert World().look((("1", 100),)) is None


def test_a_server_tells_of_its_split_what_clients_say(house):
    """Rewards over HTTP, the difference in the status document."""
    house.register(1)
    house.register(2)
    house.promote(1)
    with house.serving("--split", "2=50", "--gateways", "2") as server:
        until(lambda: ((server.status["traffic"] or {}).get("experiment") or {}).get("control") == "1", "it began")
        answers = [server.score() for _ in range(60)]
        reports = [{"request_id": each.request_id, "reward": 0.9 if each.version == "2" else 0.2} for each in answers]
        assert json.loads(server.send("POST", f"/models/{NAME}/feedback", reports)[1])["matched"] == len(answers)

        second = sum(each.version == "2" for each in answers)

        def told():
            return server.status["traffic"]["experiment"]

        def means():
            return {name: (each["rated"], each["mean"]) for name, each in told()["variants"].items()}

        # A look may fall between a report's count and its reward; the next one has both.
        until(lambda: means() == {"1": (len(answers) - second, 0.2), "2": (second, 0.9)}, "all are counted")
        found = told()

    # Drawn by lot: one run in a thousand is a mismatch by luck, and told as one.
    is_lopsided = mismatch_chance((len(answers) - second, second), (1, 1)) < ExperimentPlan().mismatch
    assert found["variants"]["2"]["conclusion"] == ("blocked by mismatch" if is_lopsided else "keep running")
    assert found["routed"] is not None
