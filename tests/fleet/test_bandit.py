"""A bandit: parts of the traffic that follow feedback, seen from the pieces and from a real server."""

import json

import pytest
from tinyhouse import NAME, until

from podium.api.beside import beside_of
from podium.domain.references import parse_reference
from podium.domain.rollouts.evidence import Evidence
from podium.errors import Misconfigured
from podium.fleet.bandit import Bandit
from podium.settings.home import Home
from podium.settings.model import ModelSettings


class World:
    """A clock, and what gateways have counted."""

    def __init__(self, **settings):
        self.now, self.seen = 0.0, {}
        self.bandit = Bandit(ModelSettings(**settings), self.evidence, lambda: self.now)

    def evidence(self, version):
        return self.seen.get(version, Evidence())

    def hear(self, version, rewards, penalties):
        before = self.evidence(version)
        self.seen[version] = before + Evidence(rewards + penalties, rewards=rewards, penalties=penalties)

    def look(self, *versions, after=10.0, **how):
        self.now += after
        self.bandit.look(versions, **how)
        return dict(self.bandit.standings.percents)


def test_without_feedback_all_arms_have_the_same_part():
    """Also those that come later, and names that stand for one version are one arm."""
    world = World()

    assert world.look("1", "2") == {"1": 50, "2": 50}
    assert world.look("1", "2", "3", "2") == {"1": 34, "2": 33, "3": 33}
    assert world.look("1", "1") == {"1": 100}


def test_feedback_moves_the_parts_and_the_worse_arm_keeps_the_floor():
    world = World(bandit_floor=10)
    world.look("1", "2")
    world.hear("1", 10, 90)
    world.hear("2", 60, 40)

    assert world.look("1", "2", after=0.5) == {"1": 50, "2": 50}, "it looks every few seconds"
    assert world.look("1", "2") == {"1": 10, "2": 90}


def test_a_rollout_holds_the_parts_as_they_are():
    world = World()
    world.look("1", "2")
    world.hear("2", 100, 0)
    world.hear("1", 0, 100)

    assert world.look("1", "2", is_held=True) == {"1": 50, "2": 50}
    assert world.look("1", "2") == {"1": 5, "2": 95}


def test_feedback_fades_by_the_half_life_and_counts_again_where_it_was_begun_anew():
    """Counters that became smaller belong to a version whose place was given away and that is back."""
    world = World(bandit_half_life_s=10.0)
    world.look("1", "2")
    world.hear("1", 8, 4)
    world.look("1", "2")
    world.look("1", "2")
    assert (world.bandit.standings.arms["1"].rewards, world.bandit.standings.arms["1"].penalties) == (4, 2)
    world.seen["1"] = Evidence(1, rewards=1)
    world.look("1", "2")

    assert (world.bandit.standings.arms["1"].rewards, world.bandit.standings.arms["1"].penalties) == (3, 1)


def test_only_names_of_the_models_own_versions_are_taken(tmp_path):
    home = Home(tmp_path)
    settings = ModelSettings(bandit=("@a,staging", "7"))
    found = beside_of("wine", parse_reference("models:/wine/production"), settings, home)

    assert [(str(each.reference), each.is_arm) for each in found] == [
        ("models:/wine@a", True), ("models:/wine/staging", True), ("models:/wine/7", True),
    ]  # fmt: skip
    with pytest.raises(Misconfigured, match="bandit = models:/other/1 of wine"):
        beside_of("wine", parse_reference("models:/wine/production"), ModelSettings(bandit=("models:/other/1",)), home)
    with pytest.raises(Misconfigured, match="bandit and split"):
        ModelSettings(bandit=("2",), split=(("3", 5),))


def test_a_server_gives_the_better_version_more_by_what_clients_say(house):
    """Equal first; then the challenger, whose answers are liked, has nearly all. Everybody is told."""
    house.register(1)
    house.register(2)
    house.promote(1)
    house.command("models", "alias", NAME, "challenger", "2")
    with house.serving("--bandit", "@challenger", "--gateways", "2") as server:

        def parts():
            traffic = server.status["traffic"] or {"versions": []}
            return {each["version"]: each["weight"] for each in traffic["versions"]}

        until(lambda: parts() == {"1": 50, "2": 50}, "both have half")

        def use_and_tell():
            answers = [server.score() for _ in range(20)]
            reports = [{"request_id": each.request_id, "reward": 0.9 if each.version == "2" else 0.2} for each in answers]
            assert json.loads(server.send("POST", f"/models/{NAME}/feedback", reports)[1])["matched"] == 20
            return parts().get("2", 0) >= 90

        def means():
            bandit = server.status["traffic"]["bandit"]
            return bandit["1"]["mean"], bandit["2"]["mean"]

        until(use_and_tell, "the better one has nearly all")
        # A look may fall between a reward and its counterpart; the next one has both.
        until(lambda: means() == (0.2, 0.9), "all that was told counts")
        traffic, shown = server.status["traffic"], house.command("status").stdout
        page = server.get("/metrics")[1]

    assert traffic["bandit"]["2"]["chance"] > 0.9 > 0.1 > traffic["bandit"]["1"]["chance"]
    assert min(each["weight"] for each in traffic["versions"]) >= 5
    assert "mean reward 0.9" in shown
    assert 'podium_bandit_chance_ratio{model="tiny",version="2"}' in page
