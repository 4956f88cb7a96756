"""Azure Blob Storage and Data Lake: `abfss://container@account.dfs.core.windows.net/path`, `wasbs://…`, as blobs.

Credentials are, as for MLflow, AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_ACCESS_KEY, AZURE_STORAGE_SAS_TOKEN or
Azure's default identity. A registry may name any address, so they go to Azure's own hosts only, or where the connection
string says. Nothing of what the store says is repeated in an error but its code.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from podium.artifacts.remote.contract import RemoteFile
from podium.artifacts.remote.objects import Bucket, ObjectFolder, Patience, pieces
from podium.artifacts.remote.wire import Unreachable
from podium.domain.masking import masked
from podium.errors import MissingDependency, NotFound, PodiumError, RegistryError
from podium.settings.stores import ObjectStores

_PAGE = 1000
_RANGE_BYTES = 16 << 20
_HOST = re.compile(
    r"(?P<container>[a-z0-9$][a-z0-9-]{0,62})@(?P<account>[a-z0-9]{3,24})\."
    r"(?:blob|dfs)\.(?P<cloud>core\.(?:windows\.net|chinacloudapi\.cn|usgovcloudapi\.net))"
)
_ACCOUNT = re.compile(r"(?:^|;)\s*AccountName=([^;]+)", re.IGNORECASE)


class AzureFolder(ObjectFolder):
    """A `RemoteFolder` in a container. Tags are ETags.

    Args:
        uri: `abfss://container@account.host/path`, likewise `abfs`, `wasbs` and `wasb`; always over TLS.
        stores: What the variables say.
        patience: How long it is waited for.
        page: Blobs of one answer.
    """

    def __init__(self, uri: str, stores: ObjectStores, patience: Patience, page: int = _PAGE) -> None:
        # As for MLflow: a Data Lake's path is encoded, a Blob's is not. The place stays as it is: no line break in a log.
        bucket = Bucket.of(unquote(uri) if uri.startswith("abfs") else uri)
        super().__init__(replace(bucket, place=masked(uri)), patience, page)
        named = _HOST.fullmatch(self._bucket.host)
        if named is None:
            raise RegistryError(
                f"{self.place} is not of the form abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH, nor wasbs:// with "
                "blob for dfs."
            )
        if re.search(r"[?&]sig=", uri):
            raise RegistryError(f"{self.place}: a SAS does not go into the address; set AZURE_STORAGE_SAS_TOKEN.")
        self._name, self._account, self._cloud = named["container"], named["account"], named["cloud"]
        with self._failing_clearly():
            self._container = self._connected(stores).get_container_client(self._name)

    def files(self) -> list[RemoteFile]:
        with self._failing_clearly():
            return self._bucket.files(self._blobs())

    def _blobs(self) -> Iterator[RemoteFile]:
        found = self._container.list_blobs(
            name_starts_with=self._bucket.prefix or None, include=["metadata"], results_per_page=self._page
        )
        self._switch.check(self.place)
        for page in found.by_page():
            self._switch.check(self.place)
            for blob in page:
                # A Data Lake lists its folders among the files.
                if (blob.metadata or {}).get("hdi_isfolder", "").lower() != "true":
                    md5 = blob.content_settings.content_md5
                    yield RemoteFile(blob.name, int(blob.size), blob.etag or "", bytes(md5).hex() if md5 else None)

    def _chunks(self, file: RemoteFile, start: int) -> Iterator[bytes]:
        from azure.core import MatchConditions

        self._switch.check(self.place)
        if start == file.size_bytes:
            return
        # Listed without the quotation marks that a condition has.
        etag = file.tag if file.tag.startswith('"') else f'"{file.tag}"'
        conditions = {"etag": etag, "match_condition": MatchConditions.IfNotModified} if file.tag else {}
        with self._failing_clearly(file.path):
            blob = self._container.get_blob_client(self._bucket.prefix + file.path)
            for content in blob.download_blob(offset=start, max_concurrency=1, **conditions).chunks():
                yield from pieces(content)

    def _connected(self, stores: ObjectStores) -> Any:
        from azure.core.credentials import AzureSasCredential
        from azure.identity import DefaultAzureCredential
        from azure.storage.blob import BlobServiceClient

        options = {
            "retry_total": self._patience.retries,
            "initial_backoff": self._patience.backoff_s,
            "connection_timeout": self._patience.connect_s,
            "read_timeout": self._patience.timeout_s,
            "max_single_get_size": _RANGE_BYTES,
            "max_chunk_get_size": _RANGE_BYTES,
        }
        if stores.azure_connection:
            meant = _ACCOUNT.search(stores.azure_connection)
            if meant and meant[1] != self._account:
                raise RegistryError(
                    f"{self.place} is in the account {self._account}, AZURE_STORAGE_CONNECTION_STRING is for another one."
                )
            return BlobServiceClient.from_connection_string(stores.azure_connection, **options)
        credential: Any
        if stores.azure_key:
            credential = {"account_name": self._account, "account_key": stores.azure_key}
        elif stores.azure_sas:
            credential = AzureSasCredential(stores.azure_sas.removeprefix("?"))
        else:
            credential = DefaultAzureCredential()
        return BlobServiceClient(f"https://{self._account}.blob.{self._cloud}", credential=credential, **options)

    @contextlib.contextmanager
    def _failing_clearly(self, path: str = "") -> Iterator[None]:
        """Say in podium's words what the library raised; `path` is the file that was asked for, if one was."""
        try:
            import azure.identity
            import azure.storage.blob
            from azure.core import exceptions as raised
        except ImportError as error:
            library = "azure-identity" if "identity" in str(error.name) else "azure-storage-blob"
            raise MissingDependency(library, f"Fetching {self.place}", "azure") from error
        where = f"{self.place}: {path}" if path else self.place
        try:
            yield
        except PodiumError:
            raise
        except azure.identity.CredentialUnavailableError as error:
            raise self._without_credentials(where) from error
        except raised.HttpResponseError as error:
            if error.status_code is None and isinstance(error, raised.ClientAuthenticationError):
                raise self._without_credentials(where) from error
            raise self._refusal(error.status_code or 0, str(getattr(error, "error_code", "") or ""), where, path) from error
        except (raised.ServiceRequestError, raised.ServiceResponseError, OSError) as error:
            raise Unreachable(f"{where}: the account {self._account} does not answer ({type(error).__name__}).") from error
        except (raised.AzureError, ValueError, TypeError) as error:
            raise RegistryError(f"{where} cannot be asked: {type(error).__name__}. Check the AZURE_ variables.") from error

    def _is_gone(self, path: str) -> bool:
        """Whether a condition was not met because nothing is there to meet it."""
        from azure.core.exceptions import AzureError

        try:
            return not self._container.get_blob_client(self._bucket.prefix + path).exists()
        except AzureError:
            return False

    def _without_credentials(self, where: str) -> RegistryError:
        return RegistryError(
            f"{where}: no Azure credentials were found. Set AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_ACCESS_KEY or "
            "AZURE_STORAGE_SAS_TOKEN, or run: az login"
        )

    def _refusal(self, status: int, code: str, where: str, path: str) -> PodiumError:
        """What an answer that is an error means; of its text only the code is used."""
        code = re.sub(r"\W", "", code.rpartition(".")[2])[:60] or f"HTTP {status}"
        if status == 404:
            if code != "ContainerNotFound" and path:
                return NotFound(f"{where} is gone.", [self.place])
            return NotFound(f"There is no container {self._name} in the account {self._account}.", [self.place])
        if code in {"AuthenticationFailed", "InvalidAuthenticationInfo"}:
            return RegistryError(
                f"{where}: the account {self._account} does not take these credentials ({code}). Check the "
                "AZURE_ variables and the machine's clock."
            )
        if status in {401, 403}:
            return RegistryError(
                f"{where} may not be read with the credentials that were found ({code}). They need the role Storage Blob "
                "Data Reader on the container."
            )
        if status == 412 and self._is_gone(path):
            return NotFound(f"{where} is gone.", [self.place])
        if status in {412, 416}:
            return RegistryError(f"{self.place}: {path} was replaced while it was being fetched. Fetch it again.")
        if code == "BlobArchived":
            return RegistryError(f"{where} is archived; rehydrate it first.")
        if status in {408, 429} or status >= 500:
            return Unreachable(f"{where}: the account {self._account} cannot answer now ({code}).")
        return RegistryError(f"{where}: the account {self._account} refused ({code}).")
