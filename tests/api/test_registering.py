"""`podium.Registry` from Python."""

import getpass
import os
from pathlib import Path

import pytest

import podium
from podium.api import registering
from podium.errors import AlreadyExists, InvalidInput, InvalidModel, NotFound
from podium.settings.home import Home


@pytest.fixture
def registry(tmp_path: Path) -> podium.Registry:
    return podium.Registry(tmp_path / "home")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "some-model"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors:\n  python_function: {}\n")
    return folder


def test_the_home_is_given_or_found(tmp_path, monkeypatch):
    monkeypatch.setenv("PODIUM_HOME", str(tmp_path / "found"))

    assert podium.Registry().home.root == tmp_path / "found"
    assert podium.Registry(str(tmp_path)).home == podium.Registry(Home(tmp_path)).home == podium.Registry(tmp_path).home


def test_asking_creates_nothing(registry):
    assert registry.models() == registry.versions() == registry.history() == []
    with pytest.raises(NotFound):
        registry.model("fraud")
    with pytest.raises(NotFound):
        registry.resolve("models:/fraud/1")

    assert not registry.home.root.exists()


def test_a_model_is_registered_promoted_named_and_rolled_back(registry, model):
    first = registry.register(model, "fraud", tags={"team": "risk"})
    second = registry.register(str(model), "fraud", description="again")
    assert (first.version, second.version, first.digest == second.digest) == (1, 2, True)

    registry.promote("fraud", 1)
    registry.promote("fraud", 2)
    assert registry.resolve("models:/fraud/production").version == 2
    assert registry.rollback("fraud").version.version == 1
    registry.set_alias("fraud", "champ", 2)
    assert registry.resolve("models:/fraud@champ").version == 2
    registry.delete_alias("fraud", "champ")
    registry.set_tag("fraud", "k", "v")
    registry.delete_tag("fraud", "k")
    registry.describe("fraud", "catches it")

    assert registry.model("fraud").description == "catches it"
    assert [model.name for model in registry.search("name LIKE 'fr%'").items] == ["fraud"]
    assert [version.version for version in registry.search_versions("version_number = 2").items] == [2]
    assert registry.transition("fraud", 2, "staging").version.stage.value == "Staging"
    registry.delete_version("fraud", 2)
    assert registry.rename("fraud", "abuse").name == "abuse"
    registry.delete("abuse", force=True)
    assert [stored.digest for stored in registry.clean()] == [first.digest]


def test_a_logged_model_is_registered_by_its_id(registry, model):
    logged = registry.log(model, "m-" + "a" * 32)

    version = registry.register("models:/m-" + "a" * 32, "fraud")

    assert version.digest == logged.digest == registry.logged(logged.model_id).digest
    assert version.source == "models:/m-" + "a" * 32


def test_what_is_no_model_is_refused_before_anything_is_made(registry, model):
    (model / "MLmodel").write_text("flavors: {}\n")

    for record in (lambda: registry.register(model, "fraud"), lambda: registry.log(model)):
        with pytest.raises(InvalidModel, match="no flavors"):
            record()
    with pytest.raises(InvalidInput):
        registry.register("ftp://host/model", "fraud")

    assert not registry.home.root.exists()


def test_a_model_can_be_made_before_its_versions(registry):
    registry.create("fraud", "catches it")

    with pytest.raises(AlreadyExists):
        registry.create("fraud")


def test_the_record_says_who_even_where_the_user_has_no_name(registry, monkeypatch):
    """A container's user id need not be in any list of users."""

    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nobody)

    user, _, rest = registering.actor().partition("@")
    assert user == str(os.getuid())
    assert rest.endswith(f"/{os.getpid()}")
