"""`podium serve` of models that are elsewhere: in an archive, on a web server, in a registry that fails."""

import json
import tarfile

import pytest
from hosts import hosting
from tinyhouse import House, until

_API = "/api/2.0/mlflow"


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path)
    yield made
    assert made.processes() == {}


def test_an_archive_is_served_under_its_name(house, tmp_path):
    """From a web server behind a signed address, which is not shown whole; and from a file."""
    with tarfile.open(tmp_path / "fraud.tar.gz", "w:gz") as archive:
        archive.add(house.model(5), "model")
    packed = (tmp_path / "fraud.tar.gz").read_bytes()
    with (
        hosting({"/fraud.tar.gz": packed}) as host,
        house.serving(uri=f"{host.url}/fraud.tar.gz?sig=hunter2") as server,
    ):
        assert server.ask()[1][0] == 5
        assert server.status["endpoint"] == "fraud"
        told = server.said() + json.dumps(server.status)
        assert [line for line in told.splitlines() if "hunter2" in line] == []

    with house.serving(uri=str(tmp_path / "fraud.tar.gz")) as server:
        assert server.ask()[1][0] == 5


def test_a_registry_that_fails_unloads_nothing(house):
    """It says no, then nonsense, while version 1 answers; once it is back it moves on to 2."""

    def answers(number: int) -> dict:
        version = {"name": "fraud", "version": str(number), "creation_timestamp": number, "current_stage": "Production"}
        version["source"] = str(models[number])
        return {
            f"{_API}/registered-models/get-latest-versions": said({"model_versions": [version]}),
            f"{_API}/model-versions/get-download-uri": said({"artifact_uri": version["source"]}),
        }

    models = {number: house.model(number) for number in (1, 2)}
    with hosting(answers(1)) as host:
        house.environment["MLFLOW_TRACKING_URI"] = host.url
        with house.serving(uri="models:/fraud/production") as server:
            for failure in (said({"error_code": "RESOURCE_DOES_NOT_EXIST"}, 500), (200, {}, b"<html>"), (200, {}, b"{}")):
                host.fallback = failure  # before the routes are gone: else it would say for a moment that nothing is there
                host.routes = {}
                until(lambda: not server.status["source"]["is_up"], "the outage is told", server.over)
                assert server.ask()[1][0] == 1
                host.routes = answers(1)
                until(lambda: server.status["source"]["is_up"], "the registry is back", server.over)

            host.routes = answers(2)
            until(lambda: server.ask()[1][0] == 2, "version 2 answers", server.over)


def said(value: object, status: int = 200) -> tuple[int, dict[str, str], bytes]:
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()
