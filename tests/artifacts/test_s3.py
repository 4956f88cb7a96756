"""S3 as boto3 reads it, against moto's server over HTTP."""

import contextlib
import itertools
import socket
import sys
import threading
import urllib.request
from collections.abc import Iterator

import pytest
from object_stores import CREDENTIALS, KEY_ID, QUICK, SECRET, S3Shelf, moto, s3_client
from ports import free_port

from podium.artifacts.remote.azure import AzureFolder
from podium.artifacts.remote.cache import Cache
from podium.artifacts.remote.conformance import RemoteFolderLaws
from podium.artifacts.remote.contract import RemoteFile
from podium.artifacts.remote.fetch import Remotes
from podium.artifacts.remote.gcs import GoogleFolder
from podium.artifacts.remote.objects import Patience
from podium.artifacts.remote.s3 import S3Folder
from podium.artifacts.remote.wire import Unreachable
from podium.errors import InvalidModel, MissingDependency, NotFound, RegistryError
from podium.settings.mlflow import read_mlflow_settings
from podium.settings.stores import ObjectStores

_WASBS = "wasbs://models@account.blob.core.windows.net/model"
_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def url(tmp_path_factory) -> Iterator[str]:
    with moto(tmp_path_factory.mktemp("moto")) as url:
        yield url


@pytest.fixture(autouse=True)
def _credentials(monkeypatch, tmp_path):
    """The machine's own are not looked at."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "absent"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def shelf(url) -> S3Shelf:
    return S3Shelf(url, f"bucket-{next(_NUMBERS)}")


class TestS3(RemoteFolderLaws):
    """In a bucket's folder."""


def test_a_whole_bucket_is_a_model_too(shelf):
    shelf.client.put_object(Bucket=shelf.bucket, Key="MLmodel", Body=b"x")

    assert [file.path for file in _open(shelf, f"s3://{shelf.bucket}").files()] == ["MLmodel"]


def test_a_bucket_that_is_not_there_is_not_found(shelf):
    with pytest.raises(NotFound, match="There is no bucket no-such-bucket"):
        _open(shelf, "s3://no-such-bucket/model").files()


def test_a_name_that_no_bucket_can_have_is_refused_without_asking(shelf):
    with pytest.raises(RegistryError, match="is not the name of a bucket"):
        _open(shelf, "s3://No_Such*Bucket/model").files()


def test_no_credentials_at_all_are_told_with_the_way_to_set_them(shelf, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    with pytest.raises(RegistryError, match=r"no AWS credentials were found\. Set AWS_ACCESS_KEY_ID"):
        _open(shelf, f"s3://{shelf.bucket}/model").files()


def test_a_public_bucket_needs_none(shelf, monkeypatch):
    shelf.put("model", {"MLmodel": b"x"})
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    stores = ObjectStores(s3_endpoint_url=shelf.url, s3_is_unsigned=True)

    assert S3Folder(f"s3://{shelf.bucket}/model", stores, QUICK).files()


def test_what_the_store_refuses_is_told_apart_and_gives_no_secret_away(tmp_path, monkeypatch):
    """A wrong key, a wrong secret and a right that is lacking, judged by a server that checks signatures."""
    with moto(tmp_path) as url:
        shelf = S3Shelf(url, "guarded")
        shelf.put("model", {"MLmodel": b"x"})
        iam = s3_client(url, service="iam")
        iam.create_user(UserName="reader")
        key = iam.create_access_key(UserName="reader")["AccessKey"]
        _guard(url)

        unknown = _refused(monkeypatch, shelf, "AKIANOBODY0000000000", SECRET)
        forged = _refused(monkeypatch, shelf, key["AccessKeyId"], "another-secret")
        poor = _refused(monkeypatch, shelf, key["AccessKeyId"], key["SecretAccessKey"])

    assert "does not take these credentials (InvalidAccessKeyId)" in unknown
    assert "does not take these credentials (SignatureDoesNotMatch)" in forged
    assert "may not be read with the credentials that were found (AccessDenied)" in poor
    for text in (unknown, forged, poor):
        assert not any(secret in text for secret in (SECRET, "another-secret", key["SecretAccessKey"], KEY_ID))


def test_a_store_that_is_down_is_told_as_such_and_its_password_is_not(monkeypatch):
    url = f"http://user:hunter2@127.0.0.1:{free_port()}"

    with pytest.raises(Unreachable, match="does not answer") as caught:
        S3Folder("s3://bucket/model", ObjectStores(s3_endpoint_url=url), QUICK).files()
    assert "hunter2" not in str(caught.value)


def test_a_store_that_hangs_is_given_up_in_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        folder = S3Folder("s3://bucket/model", ObjectStores(s3_endpoint_url=url), Patience(0.2, 1, 0.01))

        with pytest.raises(Unreachable, match="does not answer"):
            folder.files()


def test_a_read_that_breaks_off_is_taken_up_where_it_broke(shelf):
    """A proxy that lets 100,000 bytes of each answer through: every try is paid for by bytes that came."""
    content = bytes(range(256)) * 1500
    shelf.put("model", {"MLmodel": content})
    with _cutting(shelf.url, 100_000) as url:
        folder = S3Folder(f"s3://{shelf.bucket}/model", ObjectStores(s3_endpoint_url=url), QUICK)
        file = folder.files()[0]

        with folder.read(file) as chunks:
            got = b"".join(chunks)

    assert content == got


def test_more_files_than_a_model_has_are_refused(shelf, monkeypatch):
    monkeypatch.setattr("podium.artifacts.remote.names.MOST_FILES", 5)
    shelf.put("model", {f"file{number}": b"" for number in range(6)})

    with pytest.raises(InvalidModel, match="holds more than 5 files"):
        shelf.open("model").files()


@pytest.mark.parametrize(
    ("kind", "uri", "libraries", "extra"),
    [
        (S3Folder, "s3://bucket/model", ("boto3", "boto3.session"), "s3"),
        (S3Folder, "s3://bucket/model", ("botocore", "botocore.exceptions"), "s3"),
        (GoogleFolder, "gs://bucket/model", ("google.cloud", "google.cloud.storage"), "gcs"),
        (
            AzureFolder,
            "wasbs://models@account.blob.core.windows.net/model",
            ("azure.storage", "azure.storage.blob"),
            "azure",
        ),
        (AzureFolder, _WASBS, ("azure.identity",), "azure"),
    ],
)
def test_a_missing_library_is_named_with_its_extra(monkeypatch, kind, uri, libraries, extra):
    for name in libraries:
        monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(MissingDependency, match=rf'pip install "podium\[{extra}\]"'):
        kind(uri, ObjectStores(), QUICK)


def test_the_endpoint_of_mlflow_s_variable_or_of_amazon_s_is_asked(shelf, tmp_path, monkeypatch):
    shelf.put("model", {"MLmodel": b"x"})
    variables = {"MLFLOW_S3_ENDPOINT_URL": shelf.url, "MLFLOW_S3_IGNORE_TLS": "true"}

    by_mlflow = _fetched(tmp_path / "a", shelf, variables)
    monkeypatch.setenv("AWS_ENDPOINT_URL", shelf.url)
    by_amazon = _fetched(tmp_path / "b", shelf, {})

    assert b"x" == by_mlflow == by_amazon


def test_what_is_asked_after_the_end_fails(shelf, tmp_path):
    remotes = Remotes(Cache(tmp_path), read_mlflow_settings({"MLFLOW_S3_ENDPOINT_URL": shelf.url}, tmp_path))
    remotes.abort()

    with pytest.raises(RegistryError, match="podium is stopping"):
        remotes.fetch(f"s3://{shelf.bucket}/model", "0" * 64)


def test_a_file_of_which_nothing_is_left_to_read_is_at_its_end(shelf):
    shelf.put("model", {"MLmodel": b"12345"})
    folder = shelf.open("model")

    with folder.read(RemoteFile("MLmodel", 5, folder.files()[0].tag), 5) as chunks:
        assert list(chunks) == []


def _open(shelf: S3Shelf, uri: str) -> S3Folder:
    return S3Folder(uri, ObjectStores(s3_endpoint_url=shelf.url), QUICK)


def _fetched(folder, shelf: S3Shelf, variables: dict[str, str]) -> bytes:
    remotes = Remotes(Cache(folder), read_mlflow_settings(variables, folder))
    return (remotes.fetch(f"s3://{shelf.bucket}/model", "0" * 64) / "MLmodel").read_bytes()


def _refused(monkeypatch, shelf: S3Shelf, key_id: str, secret: str) -> str:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    with pytest.raises(RegistryError) as caught:
        shelf.open("model").files()
    return str(caught.value)


def _guard(url: str) -> None:
    """From now on every request needs a user with the right to it."""
    headers = {"Content-Type": "text/plain"}
    question = urllib.request.Request(f"{url}/moto-api/reset-auth", data=b"0", headers=headers, method="POST")
    with urllib.request.urlopen(question, timeout=550) as answer:
        assert answer.status == 200


class _cutting:
    """A proxy that hangs up after so many bytes of each connection."""

    def __init__(self, url: str, most_bytes: int) -> None:
        self._target = ("127.0.0.1", int(url.rpartition(":")[2]))
        self._most_bytes = most_bytes
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(60)
        self._listener.close()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            # A client may leave, too, and that is the end of its connection alone.
            with contextlib.suppress(OSError), client, socket.create_connection(self._target, 60) as server:
                client.settimeout(60)
                server.sendall(client.recv(65536))
                left = self._most_bytes
                while left and (chunk := server.recv(min(left, 65536))):
                    client.sendall(chunk)
                    left -= len(chunk)
