"""`--registry production`: models appear, change and disappear as the registry has them, by one observer for all."""

import pytest
from tinyhouse import Load, until

from podium.api.registering import Registry
from podium.errors import InvalidInput, RegistryError
from podium.registry.census import RegistryCensus, reference_maker
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
    """Promoted, it appears; archived, it serves on; deleted, it goes; unloaded here, it stays away until it is loaded."""
    with house.serving("-p", "0", "--registry", "production", "--poll-interval", "0.1", uri=None) as server:
        with Load(server, 1, path="/models/a/invocations") as others:
            until(lambda: serving(server) == {"a": "1", "b": "1"}, "both serve")
            assert ask(server, "c")[0] == 404

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
            registry.register(house.model(5), "d")
            registry.promote("d", 1)
            until(lambda: serving(server).get("d") == "1", "d appears")
            assert ask(server, "c")[0] == 404
            assert house.command("load", "c").returncode == 0
            assert ask(server, "c")[1][0] == 4
        assert others.failed == []
        assert house.command("load", "nope").returncode == 1


def test_a_census_reads_all_models_at_once_and_only_when_something_changed(house, registry):
    """What is registered without a version behind the stage is known too; a registry that is another is none."""
    census = RegistryCensus(Home(house.home), "production")

    found = census.take()

    assert {name: each and each.label for name, each in found.items()} == {"a": "1", "b": "1", "c": None}
    registry.delete("a", force=True)
    assert sorted(census.take()) == ["b", "c"]
    (house.home / "registry.db").rename(house.home / "elsewhere.db")
    with pytest.raises(RegistryError):
        census.take()


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
