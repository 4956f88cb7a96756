"""Models that MLflow saved and that lie in a bucket: served from their address, and from a registry that names it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from driven import Podium, wait_until
from object_stores import CREDENTIALS, SECRET, S3Shelf, moto
from test_mlflow_registry import Mlflow, prediction

PYTHON = os.environ.get("PODIUM_TEST_MLFLOW_PYTHON")
pytestmark = [
    pytest.mark.mlflow,
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="PODIUM_TEST_MLFLOW_PYTHON names no interpreter with mlflow"),
]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory) -> Iterator[S3Shelf]:
    with moto(tmp_path_factory.mktemp("moto")) as url:
        yield S3Shelf(url, "models")


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory, shelf) -> Iterator[Mlflow]:
    """A registry in SQLite with two versions of `fraud`, which lie in the bucket and answer 1 and 2; the first is live."""
    folder = tmp_path_factory.mktemp("mlflow")
    registry = Mlflow(folder, f"sqlite:///{folder / 'mlflow.db'}")
    try:
        for version in (1, 2):
            registry.do("save", str(folder / f"model-{version}"), float(version))
            shelf.put(f"fraud/{version}", _content(folder / f"model-{version}"))
            registry.do("point", "fraud", f"s3://{shelf.bucket}/fraud/{version}")
        registry.do("stage", "fraud", 1, "Production")
        yield registry
    finally:
        registry.close()


@pytest.fixture
def podium(tmp_path, shelf) -> Iterator[Podium]:
    podium = Podium(tmp_path)
    podium.environment |= {**CREDENTIALS, "MLFLOW_S3_ENDPOINT_URL": shelf.url}
    yield podium
    podium.end()


def test_a_model_in_a_bucket_is_served_from_its_address(mlflow, shelf, podium):
    server = podium.serve(f"s3://{shelf.bucket}/fraud/2")

    assert prediction(server) == 2.0
    assert server.status()["uri"] == f"s3://{shelf.bucket}/fraud/2"
    assert server.stop() == 0
    assert SECRET not in server.said() + "".join(path.read_text() for path in podium.home.glob("logs/*/*.log"))


def test_a_bucket_that_is_not_there_ends_the_command_with_a_sentence(mlflow, podium):
    done = podium.run("serve", "-m", "s3://nowhere/model", "-p", "0", check=False)

    assert done.returncode != 0
    assert "There is no bucket nowhere" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_version_whose_source_is_a_bucket_is_served_and_followed(mlflow, podium):
    podium.environment["MLFLOW_TRACKING_URI"] = mlflow.uri
    server = podium.serve("models:/fraud/production")
    assert prediction(server) == 1.0

    mlflow.do("stage", "fraud", 2, "Production")

    wait_until(lambda: prediction(server) == 2.0, 150, "version 2 is live")
    assert server.stop() == 0


def _content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
