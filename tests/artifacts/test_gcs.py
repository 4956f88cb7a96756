"""Google's store as its own library reads it, against an emulator over HTTP."""

import importlib.util
import socket
from collections.abc import Iterator

import pytest
from google_store import GoogleShelf, GoogleStore
from object_stores import QUICK, google_emulator
from ports import free_port

from podium.artifacts.remote.cache import Cache
from podium.artifacts.remote.conformance import RemoteFolderLaws
from podium.artifacts.remote.fetch import Remotes
from podium.artifacts.remote.gcs import GoogleFolder
from podium.artifacts.remote.objects import Patience
from podium.artifacts.remote.wire import Unreachable
from podium.errors import NotFound, RegistryError
from podium.settings.mlflow import read_mlflow_settings
from podium.settings.stores import ObjectStores

pytest.importorskip("google.cloud.storage", reason="podium[gcs] is not installed")
HAS_EMULATOR = importlib.util.find_spec("gcp_storage_emulator") is not None


@pytest.fixture
def store(monkeypatch) -> Iterator[GoogleStore]:
    store = GoogleStore()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.url)
    yield store
    store.close()


@pytest.fixture
def shelf(store) -> GoogleShelf:
    return GoogleShelf(store)


class TestGoogle(RemoteFolderLaws):
    """In a bucket's folder, on a server of ours."""


@pytest.mark.skipif(not HAS_EMULATOR, reason="gcp-storage-emulator is not installed")
def test_a_server_that_is_not_ours_is_read_likewise(tmp_path, monkeypatch):
    """What Google's library put on an independent emulator."""
    from google.cloud import storage

    content = {"MLmodel": b"flavors: {}", "data/weights.bin": bytes(range(256)) * 9000, "data/empty": b""}
    with google_emulator(tmp_path) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        bucket = storage.Client(project="tests").create_bucket("models")
        for path, data in content.items():
            bucket.blob(f"fraud/7/{path}").upload_from_string(data)
        settings = read_mlflow_settings({}, tmp_path)

        folder = Remotes(Cache(tmp_path / "cache"), settings).fetch("gs://models/fraud/7", "0" * 64)

    assert content == {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_a_bucket_that_is_not_there_is_not_found(store):
    with pytest.raises(NotFound, match="There is no bucket nowhere-at-all"):
        GoogleFolder("gs://nowhere-at-all/model", ObjectStores(), QUICK).files()


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (401, RegistryError, "is not public, and no Google credentials were found"),
        (403, RegistryError, "roles/storage.objectViewer"),
        (429, Unreachable, "cannot answer now"),
        (503, Unreachable, "cannot answer now"),
        (400, RegistryError, "the store refused"),
    ],
)
def test_what_the_store_refuses_is_told_apart(shelf, store, status, kind, text):
    store.status = status

    with pytest.raises(kind, match=text) as caught:
        shelf.open("model").files()
    assert "nobody should repeat" not in str(caught.value)


def test_a_store_that_is_down_is_told_as_such(monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{free_port()}")

    with pytest.raises(Unreachable, match="does not answer"):
        GoogleFolder("gs://bucket/model", ObjectStores(), QUICK).files()


def test_a_store_that_hangs_is_given_up_in_time(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{silent.getsockname()[1]}")
        folder = GoogleFolder("gs://bucket/model", ObjectStores(), Patience(0.2, 1, 0.01))

        with pytest.raises(Unreachable, match="does not answer"):
            folder.files()


def test_credentials_that_are_named_and_not_there_are_not_passed_over(monkeypatch, tmp_path):
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    absent = str(tmp_path / "absent.json")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", absent)

    with pytest.raises(RegistryError, match="the file that GOOGLE_APPLICATION_CREDENTIALS names cannot be used"):
        GoogleFolder("gs://bucket/model", ObjectStores(google_credentials=absent), QUICK)
