"""Servers that speak as S3, Google's and Azure's stores do, and shelves that put files on them."""

import base64
import contextlib
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import boto3
from driven import wait_until
from ports import free_port

from podium.artifacts.remote.objects import Patience
from podium.artifacts.remote.s3 import S3Folder
from podium.settings.stores import ObjectStores

# What leads elsewhere, or cannot be a file here.
HOSTILE = ("../evil", "data/../../evil", "/evil", "data//evil", "data\\evil", "./evil", "data/x\x01y", "MLmodel/evil")
KEY_ID, SECRET = "AKIAPODIUMTESTS", "s3cr3t-of-the-tests"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"}
AZURE_ACCOUNT = "podiumtests"
AZURE_KEY = base64.b64encode(b"a key that nobody else has, of 64 bytes; it opens an emulator only").decode()
QUICK = Patience(timeout_s=60.0, retries=1, backoff_s=0.01)


@contextlib.contextmanager
def running(command: Sequence[str], url: str, log: Path, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """A server that answers at this URL, whatever the status, until the block ends."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            env={**os.environ, **(environment or {})},
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def is_over() -> str | None:
        return None if process.poll() is None else log.read_text()[-2000:]

    try:
        wait_until(lambda: _answers(url), 240, f"{url} answers", is_over)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)


@contextlib.contextmanager
def moto(folder: Path) -> Iterator[str]:
    """A server that speaks S3: its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], f"{url}/moto-api/", folder / "moto.log"
    ):
        yield url


def s3_client(url: str, key_id: str = KEY_ID, secret: str = SECRET, service: str = "s3"):
    return boto3.session.Session().client(
        service,
        endpoint_url=url,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        region_name="us-east-1",
    )


class S3Shelf:
    """A bucket."""

    hostile = HOSTILE
    markers = ("", "data/")
    secrets = (SECRET,)

    def __init__(self, url: str, bucket: str) -> None:
        self.url = url
        self.bucket = bucket
        self.client = s3_client(url)
        self.client.create_bucket(Bucket=bucket)

    def put(self, name: str, files: Mapping[str, bytes]) -> None:
        for path, content in files.items():
            self.client.put_object(Bucket=self.bucket, Key=f"{name}/{path}", Body=content)

    def remove(self, name: str, path: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=f"{name}/{path}")

    def open(self, name: str) -> S3Folder:
        return S3Folder(f"s3://{self.bucket}/{name}", ObjectStores(s3_endpoint_url=self.url), QUICK, page=7)


@contextlib.contextmanager
def google_emulator(folder: Path) -> Iterator[str]:
    """A server that speaks as Google's store: its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "gcp_storage_emulator", "start", "--host", "127.0.0.1", "--port", str(port)]
    with running([*command, "--in-memory"], url, folder / "google.log"):
        yield url


@contextlib.contextmanager
def azurite(command: str, folder: Path) -> Iterator[str]:
    """Microsoft's emulator of the Blob service: a connection string."""
    port = free_port()
    flags = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--inMemoryPersistence", "--silent"]
    flags += ["--skipApiVersionCheck", "--disableTelemetry"]
    accounts = {"AZURITE_ACCOUNTS": f"{AZURE_ACCOUNT}:{AZURE_KEY}"}
    endpoint = f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}"
    with running([command, *flags], endpoint, folder / "azurite.log", accounts):
        yield (f"DefaultEndpointsProtocol=http;AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY};BlobEndpoint={endpoint};")


class AzureShelf:
    """A container."""

    # The Blob service's own library and Azurite take no others to put there.
    hostile = ("/evil", "data//evil", "MLmodel/evil")
    markers = ("", "data/")
    secrets = (AZURE_KEY,)

    def __init__(self, connection: str, container: str) -> None:
        from azure.storage.blob import BlobServiceClient

        self.connection = connection
        self.name = container
        self.container = BlobServiceClient.from_connection_string(connection).create_container(container)

    def put(self, name: str, files: Mapping[str, bytes]) -> None:
        for path, content in files.items():
            self.container.upload_blob(f"{name}/{path}", content, overwrite=True)

    def remove(self, name: str, path: str) -> None:
        self.container.delete_blob(f"{name}/{path}")

    def open(self, name: str):
        from podium.artifacts.remote.azure import AzureFolder

        return AzureFolder(self.uri(name), ObjectStores(azure_connection=self.connection), QUICK, page=7)

    def uri(self, name: str) -> str:
        return f"wasbs://{self.name}@{AZURE_ACCOUNT}.blob.core.windows.net/{name}"


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False
