"""Google Cloud Storage: `gs://bucket/prefix`, read by google-cloud-storage.

Credentials are found as Google's library finds them, and without any a bucket is asked anonymously, as MLflow does it.
`STORAGE_EMULATOR_HOST` names another server. Nothing of what the store says is repeated in an error but its status.
"""

import base64
import contextlib
from collections.abc import Iterator
from typing import Any

from podium.artifacts.remote.contract import RemoteFile
from podium.artifacts.remote.objects import Bucket, ObjectFolder, Patience, again, pieces
from podium.artifacts.remote.wire import Unreachable
from podium.errors import MissingDependency, NotFound, PodiumError, RegistryError
from podium.settings.stores import ObjectStores

_PAGE = 1000
# Of one request: the library's streams push, and what is pulled comes in ranges.
_RANGE_BYTES = 16 << 20


class GoogleFolder(ObjectFolder):
    """A `RemoteFolder` in a bucket. Tags are generations.

    Args:
        uri: `gs://bucket/prefix`.
        stores: What the variables say.
        patience: How long it is waited for.
        page: Objects of one answer.
    """

    def __init__(self, uri: str, stores: ObjectStores, patience: Patience, page: int = _PAGE) -> None:
        super().__init__(Bucket.of(uri), patience, page)
        self._timeouts = (patience.connect_s, patience.timeout_s)
        self._is_anonymous = False
        with self._failing_clearly():
            self._client = self._connected(stores)

    def files(self) -> list[RemoteFile]:
        return again(self._listed, self._patience, self._switch, self.place)

    def _listed(self) -> list[RemoteFile]:
        with self._failing_clearly():
            return self._bucket.files(self._objects())

    def _objects(self) -> Iterator[RemoteFile]:
        # Tries are counted by `again` and `steady`; the library's own go by the clock.
        found = self._client.list_blobs(
            self._bucket.host, prefix=self._bucket.prefix, page_size=self._page, timeout=self._timeouts, retry=None
        )
        for page in found.pages:
            self._switch.check(self.place)
            for blob in page:
                md5 = base64.b64decode(blob.md5_hash).hex() if blob.md5_hash else None
                yield RemoteFile(blob.name, int(blob.size or 0), str(blob.generation or ""), md5)

    def _chunks(self, file: RemoteFile, start: int) -> Iterator[bytes]:
        size = file.size_bytes or 0
        blob = self._client.bucket(self._bucket.host).blob(self._bucket.prefix + file.path)
        while start < size:
            self._switch.check(self.place)
            with self._failing_clearly(file.path):
                # As it is stored: an object that is kept compressed has the size and the digest of its compressed bytes.
                content = blob.download_as_bytes(
                    start=start,
                    end=min(start + _RANGE_BYTES, size) - 1,
                    raw_download=True,
                    if_generation_match=int(file.tag) if file.tag else None,
                    timeout=self._timeouts,
                    checksum=None,
                    retry=None,
                )
            if not content:
                raise Unreachable(f"{self.place}: {file.path} ended at byte {start} of {size}.")
            start += len(content)
            yield from pieces(content)

    def _connected(self, stores: ObjectStores) -> Any:
        from google.auth.exceptions import DefaultCredentialsError
        from google.cloud import storage

        try:
            return storage.Client()
        except DefaultCredentialsError as error:
            if stores.google_credentials:
                raise RegistryError(
                    f"{self.place}: the file that GOOGLE_APPLICATION_CREDENTIALS names cannot be used."
                ) from error
            self._is_anonymous = True
            return storage.Client.create_anonymous_client()

    @contextlib.contextmanager
    def _failing_clearly(self, path: str = "") -> Iterator[None]:
        """Say in podium's words what the library raised; `path` is the file that was asked for, if one was."""
        try:
            import google.cloud.storage  # noqa: F401
            import requests.exceptions as network
            from google.api_core import exceptions as answered
            from google.auth import exceptions as identity
        except ImportError as error:
            raise MissingDependency("google-cloud-storage", f"Fetching {self.place}", "gcs") from error
        where = f"{self.place}: {path}" if path else self.place
        try:
            yield
        except PodiumError:
            raise
        except answered.GoogleAPICallError as error:
            raise self._refusal(int(error.code or 0), where, path) from error
        except identity.TransportError as error:
            raise Unreachable(f"{where}: Google's identity service does not answer.") from error
        except identity.InvalidOperation as error:
            # Who is anonymous was answered with 401, and cannot take another identity.
            raise self._not_public(where) from error
        except identity.GoogleAuthError as error:
            raise RegistryError(
                f"{where}: Google's credentials cannot be used ({type(error).__name__}). Check "
                "GOOGLE_APPLICATION_CREDENTIALS, or run: gcloud auth application-default login"
            ) from error
        except network.SSLError as error:
            raise Unreachable(
                f"{where}: the store shows a certificate that is not trusted. Trust its issuer with REQUESTS_CA_BUNDLE."
            ) from error
        except (network.RequestException, answered.RetryError, OSError) as error:
            raise Unreachable(f"{where}: the store does not answer ({type(error).__name__}).") from error
        except (answered.GoogleAPIError, ValueError, TypeError) as error:
            raise RegistryError(
                f"{where} cannot be asked: {type(error).__name__}. Check the bucket's name and STORAGE_EMULATOR_HOST."
            ) from error

    def _not_public(self, where: str) -> RegistryError:
        return RegistryError(
            f"{where} is not public, and no Google credentials were found. Set GOOGLE_APPLICATION_CREDENTIALS, or run: "
            "gcloud auth application-default login"
        )

    def _refusal(self, status: int, where: str, path: str) -> PodiumError:
        if status == 404:
            if path:
                return NotFound(f"{where} is gone.", [self.place])
            return NotFound(f"There is no bucket {self._bucket.host} in Google Cloud Storage.", [self.place])
        if status in {401, 403}:
            if self._is_anonymous:
                return self._not_public(where)
            return RegistryError(
                f"{where} may not be read with the credentials that were found (HTTP {status}). They need the role "
                "roles/storage.objectViewer on the bucket."
            )
        if status in {412, 416}:
            return RegistryError(f"{self.place}: {path} was replaced while it was being fetched. Fetch it again.")
        if status in {408, 429} or status >= 500:
            return Unreachable(f"{where}: the store cannot answer now (HTTP {status}).")
        return RegistryError(f"{where}: the store refused (HTTP {status}).")
