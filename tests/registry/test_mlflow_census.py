"""A whole registry of MLflow's by one list: how much is asked, and what unloads a model and what does not."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hosts import Handler, Host, hosting
from mlflow_answers import FAILURES, answered, settings_of

from podium.errors import Misconfigured, RegistryError
from podium.registry.mlflow_census import MlflowCensus
from podium.settings.mlflow import MlflowSettings

_API = "/api/2.0/mlflow"
_PAGE = 500


@dataclass
class Shelf:
    """What MLflow's server lists: the stage of version 1 of each model, and where all files are."""

    folder: Path
    models: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    made: int = 1000
    hidden: frozenset[str] = frozenset()

    def version(self, name: str, number: int, stage: str) -> dict[str, object]:
        where = {"name": name, "version": str(number), "current_stage": stage, "source": str(self.folder)}
        return {**where, "creation_timestamp": self.made + number}

    def search(self, handler: Handler) -> tuple[int, dict[str, str], bytes]:
        asked = parse_qs(urlsplit(handler.path).query)
        assert asked["max_results"] == [str(_PAGE)]
        first = int(asked.get("page_token", ["0"])[0])
        names = [name for name in sorted(self.models) if name not in self.hidden]
        models = []
        for name in names[first : first + _PAGE]:
            aliases = [{"alias": "champion", "version": str(self.aliases[name])}] if name in self.aliases else []
            latest = [self.version(name, 1, self.models[name])]
            models.append({"name": name, "creation_timestamp": self.made, "latest_versions": latest, "aliases": aliases})
        more = {"next_page_token": str(first + _PAGE)} if names[first + _PAGE :] else {}
        return answered({"registered_models": models, **more})

    def get(self, handler: Handler) -> tuple[int, dict[str, str], bytes]:
        [name] = parse_qs(urlsplit(handler.path).query)["name"]
        if name in self.models:
            return answered({"registered_model": {"name": name}})
        return answered({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such model"}, 404)

    def get_version(self, handler: Handler) -> tuple[int, dict[str, str], bytes]:
        asked = {key: value for key, [value] in parse_qs(urlsplit(handler.path).query).items()}
        return answered({"model_version": self.version(asked["name"], int(asked["version"]), "None")})

    @property
    def routes(self) -> dict[str, object]:
        return {
            f"{_API}/registered-models/search": self.search,
            f"{_API}/registered-models/get": self.get,
            f"{_API}/model-versions/get": self.get_version,
            f"{_API}/model-versions/get-download-uri": answered({"artifact_uri": str(self.folder)}),
        }


@pytest.fixture
def shelf(folder: Path) -> Shelf:
    return Shelf(folder, {"a": "Production", "b": "Production", "c": "Staging"})


@pytest.fixture
def host(shelf: Shelf) -> Iterator[Host]:
    with hosting(shelf.routes) as made:
        made.over = threading.Event()
        yield made
        made.over.set()


def served(census: MlflowCensus) -> dict[str, int | None]:
    """The version of each model that the census knows, once its files are here."""
    return {name: each.resolved.version if each.resolved else None for name, each in census.gather(120).items()}


def test_what_has_a_version_behind_the_stage_is_told_with_its_files(home, host, shelf, folder):
    """The same value as before while nothing changed; what is registered without one is known, too."""
    census = MlflowCensus(home, "production", settings_of(host))

    assert served(census) == {"a": 1, "b": 1, "c": None}
    found = census.take()
    assert found["a"].resolved.folder == folder
    assert census.take() is found
    shelf.models["d"] = "Production"
    assert served(census) == {"a": 1, "b": 1, "c": None, "d": 1}


def test_files_that_come_as_a_look_ends_are_told_all_the_same(home, host, wait_until):
    """What was gathered is what is here, however little the last fetch left to wait for."""

    class Slow(MlflowCensus):
        def take(self):
            found = super().take()
            wait_until(lambda: not self._observer.fetching)
            return found

    assert served(Slow(home, "production", settings_of(host))) == {"a": 1, "b": 1, "c": None}


def test_a_look_at_many_models_is_few_requests(home, host, shelf):
    """One for each page while nothing moves; what aliases newly name is asked for twenty at a time, once each."""
    shelf.models = {f"m{number:04d}": "Production" for number in range(1200)}
    shelf.aliases = dict.fromkeys(list(shelf.models)[:30], 7)
    census = MlflowCensus(home, "@champion", settings_of(host))

    def questions() -> int:
        host.asked.clear()
        census.take()
        return sum("search" in path or "model-versions/get?" in path for path, _ in host.asked)

    assert [questions() for _ in range(3)] == [3 + 20, 3 + 10, 3]
    assert sum(version == 7 for version in served(census).values()) == 30


def test_only_a_model_of_which_the_registry_says_so_is_gone(home, host, shelf):
    """Not one that a list left out; an empty list is a registry that is down."""
    census = MlflowCensus(home, "production", settings_of(host))
    served(census)

    shelf.hidden = frozenset({"a"})
    assert served(census)["a"] == 1
    shelf.hidden = frozenset({"a", "b", "c"})
    with pytest.raises(RegistryError, match="lists no model at all, and had 3"):
        census.take()
    shelf.hidden = frozenset()
    del shelf.models["a"]
    assert served(census) == {"b": 1, "c": None}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_list_that_fails_unloads_nothing(failure, home, host, shelf):
    """And is heard again when it is back."""
    census = MlflowCensus(home, "production", settings_of(host))
    before = served(census)

    host.routes = {f"{_API}/registered-models/search": FAILURES[failure]}
    with pytest.raises(RegistryError):
        census.take()

    host.over.set()
    host.routes = shelf.routes
    assert served(census) == before


def test_files_that_cannot_be_had_leave_the_version_before_and_others_alone(home, host, shelf, folder, wait_until):
    """The problem is told with the rollouts of the model; what never had any files is not served."""
    census = MlflowCensus(home, "production", settings_of(host))
    before = served(census)
    shelf.models["later"] = "Production"
    shelf.made = 5000  # Made again: other versions under the same numbers.
    host.routes = shelf.routes | {f"{_API}/model-versions/get-download-uri": answered({"artifact_uri": f"{folder}/gone"})}

    assert served(census) == before | {"later": None}
    # While it is tried again there is nothing to tell of it.
    wait_until(lambda: "gone" in (census.take()["a"].tidings.problem or ""))


def test_a_model_that_was_made_again_is_another_under_the_same_number(home, host, shelf):
    """Its version has a label of its own."""
    census = MlflowCensus(home, "production", settings_of(host))
    first = census.gather(120)["a"].resolved.label

    shelf.made = 5000
    second = census.gather(120)["a"].resolved

    assert (first, second.version) == ("1", 1)
    assert second.label.startswith("1-")


def test_where_no_store_is_named_the_way_out_is_said(home):
    """At the start."""
    with pytest.raises(Misconfigured, match="MLflow's registry is to be served"):
        MlflowCensus(home, "production", MlflowSettings(None, None, "MLFLOW_TRACKING_URI is not set"))


def test_a_list_without_end_is_refused(home, host):
    """A server that always names one page more would be asked for ever."""
    page = json.dumps({"registered_models": [], "next_page_token": "again"}).encode()
    host.routes = {f"{_API}/registered-models/search": (200, {"Content-Type": "application/json"}, page)}

    with pytest.raises(RegistryError, match="more than 20000 models"):
        MlflowCensus(home, "production", settings_of(host)).take()
