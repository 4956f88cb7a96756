"""Azure's Blob service as its own library reads it, against Azurite over HTTP."""

import base64
import itertools
import os
import shutil
import socket
from collections.abc import Iterator

import pytest
from object_stores import AZURE_ACCOUNT, AZURE_KEY, QUICK, AzureShelf, azurite
from ports import free_port

from podium.artifacts.remote.azure import AzureFolder
from podium.artifacts.remote.conformance import RemoteFolderLaws
from podium.artifacts.remote.objects import Patience
from podium.artifacts.remote.wire import Unreachable
from podium.errors import NotFound, RegistryError
from podium.settings.stores import ObjectStores, read_object_stores

pytest.importorskip("azure.storage.blob", reason="podium[azure] is not installed")
AZURITE = os.environ.get("PODIUM_TEST_AZURITE") or shutil.which("azurite-blob")
needs_azurite = pytest.mark.skipif(not AZURITE, reason="PODIUM_TEST_AZURITE names no azurite-blob (npm install azurite)")
_NUMBERS = itertools.count()
_URI = f"wasbs://models@{AZURE_ACCOUNT}.blob.core.windows.net/model"


@pytest.fixture(scope="module")
def connection(tmp_path_factory) -> Iterator[str]:
    with azurite(str(AZURITE), tmp_path_factory.mktemp("azurite")) as connection:
        yield connection


@pytest.fixture
def shelf(connection) -> AzureShelf:
    return AzureShelf(connection, f"container-{next(_NUMBERS)}")


@needs_azurite
class TestAzure(RemoteFolderLaws):
    """In a container's folder."""


@needs_azurite
def test_a_container_that_is_not_there_is_not_found(connection):
    with pytest.raises(NotFound, match=f"There is no container models in the account {AZURE_ACCOUNT}"):
        AzureFolder(_URI, ObjectStores(azure_connection=connection), QUICK).files()


@needs_azurite
def test_a_wrong_key_is_told_and_not_shown(connection):
    wrong = base64.b64encode(b"another key").decode()

    with pytest.raises(RegistryError, match=r"does not take these credentials|may not be read") as caught:
        AzureFolder(_URI, ObjectStores(azure_connection=connection.replace(AZURE_KEY, wrong)), QUICK).files()
    assert wrong not in str(caught.value)


@needs_azurite
def test_an_address_of_the_data_lake_means_the_same_files_and_its_folders_are_no_files(shelf):
    """With a hierarchy, folders are blobs of their own, marked as such; and the path is encoded."""
    shelf.put("my model", {"MLmodel": b"x", "data/a": b"y"})
    shelf.container.upload_blob("my model/data", b"", metadata={"hdi_isfolder": "true"})
    uri = f"abfss://{shelf.name}@{AZURE_ACCOUNT}.dfs.core.windows.net/my%20model"

    files = AzureFolder(uri, ObjectStores(azure_connection=shelf.connection), QUICK).files()

    assert [file.path for file in files] == ["MLmodel", "data/a"]


@needs_azurite
def test_the_content_is_held_to_the_digest_that_the_store_keeps(shelf):
    shelf.put("model", {"MLmodel": b"x"})

    assert [file.md5 for file in shelf.open("model").files()] == ["9dd4e461268c8034f5c8564e155c67a6"]


def test_credentials_go_to_azure_s_own_hosts_only():
    stores = ObjectStores(azure_key=AZURE_KEY)
    for host in ("account.evil.example", "account.blob.core.windows.net.evil.example", "account.blob.core.windows.net:80"):
        with pytest.raises(RegistryError, match="is not of the form"):
            AzureFolder(f"wasbs://container@{host}/model", stores, QUICK)


def test_a_connection_string_of_another_account_is_refused():
    connection = f"DefaultEndpointsProtocol=https;AccountName=another;AccountKey={AZURE_KEY}"

    with pytest.raises(RegistryError, match="is for another one") as caught:
        AzureFolder(_URI, ObjectStores(azure_connection=connection), QUICK)
    assert AZURE_KEY not in str(caught.value)


def test_a_signature_in_the_address_is_refused_and_not_repeated():
    with pytest.raises(RegistryError, match="AZURE_STORAGE_SAS_TOKEN") as caught:
        AzureFolder(_URI + "?sv=2024&sig=s3cr3t", ObjectStores(), QUICK)
    assert "s3cr3t" not in str(caught.value)


def test_an_encoded_line_break_of_an_address_stays_one():
    uri = f"abfss://models@{AZURE_ACCOUNT}.dfs.core.windows.net/model%0AERROR%20a%20forged%20line"

    assert uri == AzureFolder(uri, ObjectStores(azure_key=AZURE_KEY), QUICK).place


def test_a_store_that_is_down_or_hangs_is_given_up_in_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for port in (free_port(), silent.getsockname()[1]):
            endpoint = f"BlobEndpoint=http://127.0.0.1:{port}/{AZURE_ACCOUNT}"
            connection = f"AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY};{endpoint}"
            folder = AzureFolder(_URI, ObjectStores(azure_connection=connection), Patience(0.2, 0, 0.01))

            with pytest.raises(Unreachable, match="does not answer"):
                folder.files()


def test_the_variables_are_read_and_none_of_them_is_shown():
    stores = read_object_stores({"AZURE_STORAGE_ACCESS_KEY": AZURE_KEY, "AZURE_STORAGE_SAS_TOKEN": "sig=s3cr3t"})

    assert (stores.azure_key, stores.azure_sas) == (AZURE_KEY, "sig=s3cr3t")
    assert AZURE_KEY not in repr(stores)
    assert "s3cr3t" not in repr(stores)
