"""`--registry production`: models appear, change and disappear as the registry has them, by one observer for all."""

import json
import time

import pytest
from tinyhouse import Load, until

from podium.api.registering import Registry
from podium.api.rolling import Rollouts
from podium.errors import InvalidInput, RegistryError
from podium.fleet.whole_registry import WholeRegistry
from podium.registry.census import RegistryCensus, reference_maker
from podium.registry.rollout_sides import SideFile
from podium.settings.home import Home


@pytest.fixture
def registry(house):
    """`a` and `b` have a version in Production, `c` one that is nowhere."""
    made = Registry(house.home)
    for number, name in enumerate("abc", 1):
        made.register(house.model(number), name)
    for name in "ab":
        made.promote(name, 1)
    return made


def ask(server, name):
    return server.ask(path=f"/models/{name}/invocations")


def serving(server):
    return {name: each["serving"] for name, each in server.status["endpoints"].items()}


@pytest.mark.slow
def test_what_the_registry_has_is_what_is_served(house, registry):
    """Promoted, it appears; archived, it serves on; deleted, it goes; unloaded here, it stays away until it is loaded.

    One that has no place for its files harms nobody, and appears once there is.
    """
    with house.serving("-p", "0", "--registry", "production", "--poll-interval", "0.1", uri=None) as server:
        with Load(server, 1, path="/models/a/invocations") as others:
            until(lambda: serving(server) == {"a": "1", "b": "1"}, "both serve")
            assert ask(server, "c")[0] == 404
            assert list(serving(server)) == ["a", "b"]
            assert "2: 2 serving" in house.command("status").stdout

            registry.promote("c", 1)
            until(lambda: serving(server).get("c") == "1", "c appears")
            registry.transition("b", 1, "Archived")
            until(lambda: server.status["endpoints"]["b"]["wanted"] is None, "b's stage is empty")
            assert ask(server, "b")[0] == 200
            registry.delete("b", force=True)
            until(lambda: "b" not in server.status["endpoints"], "b is gone")
            assert ask(server, "b")[0] == 404

            assert house.command("unload", "c").returncode == 0
            registry.register(house.model(4), "c")
            registry.promote("c", 2)
            in_its_way = house.home / "logs" / "d"
            in_its_way.touch()
            registry.register(house.model(5), "d")
            registry.promote("d", 1)
            until(lambda: "d cannot be served: " in server.said(), "that d has no place for its files is said")
            in_its_way.unlink()
            until(lambda: serving(server).get("d") == "1", "d appears")
            assert server.said().count("cannot be served") == 1
            assert ask(server, "c")[0] == 404
            assert house.command("load", "c").returncode == 0
            assert ask(server, "c")[1][0] == 4
        assert others.failed == []
        assert house.command("load", "nope").returncode == 1


def test_a_census_reads_all_models_at_once_and_only_when_something_changed(house, registry):
    """What is registered without a version behind the stage is known too; a registry that is another is none."""
    census = RegistryCensus(Home(house.home), "production")

    found = census.take()

    assert {name: each.resolved and each.resolved.label for name, each in found.items()} == {"a": "1", "b": "1", "c": None}
    registry.delete("a", force=True)
    assert sorted(census.take()) == ["b", "c"]
    (house.home / "registry.db").rename(house.home / "elsewhere.db")
    with pytest.raises(RegistryError):
        census.take()


@pytest.mark.slow
def test_a_model_of_a_whole_registry_is_rolled_out_and_pinned(house, registry):
    """As one that was named: by steps, begun and finished by this server; a pin holds also what was loaded again."""
    for number, name in ((4, "a"), (5, "b")):
        registry.register(house.model(number), name)
    steps = ("--steps", "40,100", "--interval", "2", "--tolerate", "predictions=any", "--tolerate", "latency=any")
    with house.serving("-p", "0", "--registry", "production", "--poll-interval", "0.1", uri=None) as server:
        until(lambda: serving(server) == {"a": "1", "b": "1"}, "both serve")
        with Load(server, 1, path="/models/a/invocations") as load:
            assert house.command("rollout", "start", "a", "--to", "2", *steps).returncode == 0
            waited = house.command("rollout", "status", "a", "--wait", "--timeout", "120", "--json", timeout_s=300)
            until(lambda: load.versions()[-1] == 4, "version 2 has all of it")

        assert house.command("pin", "b", "1", "--until", "1h", "--reason", "the audit").returncode == 0
        until(lambda: server.status["endpoints"]["b"]["pin"] is not None, "b is held")
        assert house.command("unload", "b").returncode == 0
        registry.promote("b", 2)
        assert house.command("load", "b").returncode == 0
        until(lambda: (server.status["endpoints"].get("b") or {}).get("pin") is not None, "b is held again")
        until(lambda: serving(server)["b"] == "1", "b serves what it is held at")
        assert house.command("unpin", "b").returncode == 0
        until(lambda: serving(server)["b"] == "2", "the registry counts again")
        events = server.said()

    told = json.loads(waited.stdout)
    assert (told["state"], waited.returncode, load.failed) == ("finished", 0, [])
    assert {"begin", "finish"} == {mark["kind"] for mark in told["marks"]}
    assert {mark["by"].partition("@")[0] for mark in told["marks"]} == {"podium serve"}
    assert set(load.versions()) == {1, 4}
    assert "a: rollout of version 2 beside 1: 40 % of the traffic" in events


def test_a_census_tells_of_rollouts_and_pins(house, registry):
    """With the versions that they name, of the models that they are of; the same value while nothing changed."""
    registry.register(house.model(4), "a")
    census = RegistryCensus(Home(house.home), "production")
    assert census.take()["a"].tidings.notices.entries == ()

    Rollouts(house.home).start("a", to=2)
    Rollouts(house.home).pin("b", 1, time.time() + 60, "the audit")
    found = census.take()

    [entry] = found["a"].tidings.notices.entries
    assert (entry.rollout.candidate, found["a"].tidings.follows) == ("2", "production")
    assert {number: each.version for number, each in found["a"].tidings.others.items()} == {"2": 2}
    assert found["b"].tidings.notices.pin.reason == "the audit"
    assert (found["b"].tidings.notices.entries, found["c"].tidings.notices.pin) == ((), None)
    assert census.offset is not None


def test_a_census_hears_of_rollouts_in_a_side_file(house, registry):
    """Whatever the registry's own tags say; a file that is damaged is told, and what it said before still counts."""
    registry.register(house.model(4), "a")
    side = house.folder / "rollouts.db"
    census = RegistryCensus(Home(house.home), "production", SideFile(side))
    census.take()
    Rollouts(house.home, store=side).start("a", to=2)
    heard = census.take()["a"].tidings

    side.write_bytes(b"no database at all" * 100)
    later = census.take()["a"]

    assert [entry.rollout.candidate for entry in heard.notices.entries] == ["2"]
    assert later.tidings.notices == heard.notices
    assert str(side) in later.tidings.problem
    assert later.resolved.version == 1


def test_whatever_is_wrong_with_a_registry_ends_no_server(house):
    """Also what nobody thought of: it is told as a registry that does not answer, and asked again."""

    def take():
        raise IndexError("nobody thought of it")

    told = WholeRegistry(None, None, take, None, frozenset())._look()

    assert isinstance(told, RegistryError)
    assert "IndexError: nobody thought of it" in told.message


@pytest.mark.parametrize(
    ("which", "reference"),
    [("Production", "models:/m/production"), ("latest", "models:/m/latest"), ("@champion", "models:/m@champion")],
)
def test_which_versions_are_served_is_said_like_a_reference(which, reference):
    """A stage in any case, an alias, or the highest."""
    assert str(reference_maker(which)("m")) == reference


@pytest.mark.parametrize("which", ["prod", "@", "@latest", ""])
def test_what_is_none_of_these_is_refused(which):
    """At the start, with the words that there are."""
    with pytest.raises(InvalidInput):
        reference_maker(which)
