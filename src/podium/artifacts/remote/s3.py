"""Amazon S3, and what speaks like it (MinIO, Ceph, R2): `s3://bucket/prefix`, read by boto3.

Credentials, region and endpoint are found as boto3 finds them: variables, profiles, roles. Nothing of what the store says
is repeated in an error but its code, so no header, key id or signature is.
"""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from podium.artifacts.remote.contract import RemoteFile
from podium.artifacts.remote.objects import CHUNK, Bucket, ObjectFolder, Patience
from podium.artifacts.remote.wire import Unreachable
from podium.domain.masking import masked
from podium.errors import DigestMismatch, MissingDependency, NotFound, PodiumError, RegistryError
from podium.settings.stores import ObjectStores

_PAGE = 1000
_WRONG_CREDENTIALS = {
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "TokenRefreshRequired",
    "AuthFailure",
    "RequestTimeTooSkewed",
}
_ELSEWHERE = {
    "PermanentRedirect",
    "TemporaryRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
}
_NOT_NOW = {"SlowDown", "Throttling", "ThrottlingException", "RequestTimeout", "InternalError", "ServiceUnavailable"}


class S3Folder(ObjectFolder):
    """A `RemoteFolder` in a bucket. Tags are ETags; an ETag is not taken for an MD5, which it often is not.

    Args:
        uri: `s3://bucket/prefix`.
        stores: What MLflow's variables say.
        patience: How long it is waited for.
        page: Keys of one answer.
    """

    def __init__(self, uri: str, stores: ObjectStores, patience: Patience, page: int = _PAGE) -> None:
        super().__init__(Bucket.of(uri), patience, page)
        self._owner = {"ExpectedBucketOwner": stores.s3_bucket_owner} if stores.s3_bucket_owner else {}
        with self._failing_clearly():
            self._client = _client(stores, patience, self.place)

    def files(self) -> list[RemoteFile]:
        with self._failing_clearly():
            return self._bucket.files(self._objects())

    def _objects(self) -> Iterator[RemoteFile]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket.host,
            Prefix=self._bucket.prefix,
            PaginationConfig={"PageSize": self._page},
            **self._owner,
        )
        self._switch.check(self.place)
        for page in pages:
            self._switch.check(self.place)
            for entry in page.get("Contents", ()):
                yield RemoteFile(entry["Key"], int(entry["Size"]), entry.get("ETag", ""))

    def _chunks(self, file: RemoteFile, start: int) -> Iterator[bytes]:
        self._switch.check(self.place)
        if start == file.size_bytes:
            return
        conditions = {"IfMatch": file.tag} if file.tag else {}
        span = {"Range": f"bytes={start}-"} if start else {}
        with self._failing_clearly(file.path):
            answer = self._client.get_object(
                Bucket=self._bucket.host, Key=self._bucket.prefix + file.path, **conditions, **span, **self._owner
            )
            with contextlib.closing(answer["Body"]) as body:
                # Stores that speak like S3 may ignore a condition or a range.
                if file.tag and answer.get("ETag") != file.tag:
                    raise _changed(self.place, file.path)
                if start and answer["ResponseMetadata"]["HTTPStatusCode"] != 206:
                    raise RegistryError(f"{self.place}: {file.path} was not sent from byte {start} on, as was asked for.")
                while chunk := body.read(CHUNK):
                    yield chunk

    @contextlib.contextmanager
    def _failing_clearly(self, path: str = "") -> Iterator[None]:
        """Say in podium's words what boto3 raised; `path` is the file that was asked for, if one was."""
        try:
            import botocore.exceptions as raised
        except ImportError as error:
            raise MissingDependency("boto3", f"Fetching {self.place}", "s3") from error
        where = f"{self.place}: {path}" if path else self.place
        try:
            yield
        except PodiumError:
            raise
        except raised.ClientError as error:
            raise self._refusal(error.response, where, path) from error
        except (raised.NoCredentialsError, raised.PartialCredentialsError) as error:
            raise RegistryError(
                f"{where}: no AWS credentials were found. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; "
                "for a public bucket, MLFLOW_EXPERIMENTAL_S3_SIGNATURE_VERSION=unsigned."
            ) from error
        except raised.FlexibleChecksumError as error:
            raise DigestMismatch(f"{where} does not have the checksum that the store keeps of it.") from error
        except (raised.ParamValidationError, raised.UnsupportedSignatureVersionError) as error:
            raise RegistryError(f"{where}: {self._bucket.host!r} is not the name of a bucket.") from error
        except raised.SSLError as error:
            raise Unreachable(
                f"{where}: {self._endpoint()} shows a certificate that is not trusted. Trust its issuer with AWS_CA_BUNDLE."
            ) from error
        except (raised.HTTPClientError, raised.ConnectionError) as error:
            raise Unreachable(f"{where}: {self._endpoint()} does not answer ({type(error).__name__}).") from error
        except (raised.ResponseStreamingError, raised.IncompleteReadError, raised.ReadTimeoutError, OSError) as error:
            raise Unreachable(f"{where}: {self._endpoint()} hung up in the middle of its answer.") from error
        except (raised.BotoCoreError, ValueError) as error:
            raise RegistryError(
                f"{where} cannot be asked: {type(error).__name__}. Check the AWS_ variables, ~/.aws and "
                "MLFLOW_S3_ENDPOINT_URL."
            ) from error

    def _refusal(self, answer: dict[str, Any], where: str, path: str) -> PodiumError:
        """What an answer that is an error means; of its text only the code is used."""
        code = re.sub(r"\W", "", str(answer.get("Error", {}).get("Code", "")))[:60]
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code == "NoSuchBucket":
            return NotFound(f"There is no bucket {self._bucket.host} at {self._endpoint()}.", [self.place])
        if code in _WRONG_CREDENTIALS:
            return RegistryError(
                f"{where}: {self._endpoint()} does not take these credentials ({code}). Check AWS_ACCESS_KEY_ID, "
                "AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or AWS_PROFILE, and the machine's clock."
            )
        if code in _ELSEWHERE or status in {301, 307}:
            return RegistryError(
                f"{where} is in another region ({code or status}). Set AWS_DEFAULT_REGION to the bucket's."
            )
        if code == "InvalidObjectState":
            return RegistryError(f"{where} is archived; restore it first.")
        if code in _NOT_NOW or status >= 500 or status == 429:
            return Unreachable(f"{where}: {self._endpoint()} cannot answer now ({code or status}).")
        if status == 403:
            return RegistryError(
                f"{where} may not be read with the credentials that were found ({code}). They need s3:ListBucket on the "
                "bucket and s3:GetObject on its keys."
            )
        if status == 404 and path:
            return NotFound(f"{where} is gone.", [self.place])
        if status in {412, 416}:
            return _changed(self.place, path)
        return RegistryError(f"{where}: {self._endpoint()} refused ({code or status}).")

    def _endpoint(self) -> str:
        client = getattr(self, "_client", None)
        return masked(client.meta.endpoint_url) if client is not None else "the store"


def _client(stores: ObjectStores, patience: Patience, place: str) -> Any:
    try:
        import boto3.session
    except ImportError as error:
        raise MissingDependency("boto3", f"Fetching {place}", "s3") from error
    from botocore import UNSIGNED
    from botocore.config import Config

    config = Config(
        connect_timeout=patience.connect_s,
        read_timeout=patience.timeout_s,
        retries={"mode": "standard", "total_max_attempts": patience.retries + 1},
        s3={"addressing_style": stores.s3_addressing},
        signature_version=UNSIGNED if stores.s3_is_unsigned else "s3v4",
    )
    # A session of its own: boto3's default one is not for several threads.
    return boto3.session.Session().client(
        "s3",
        config=config,
        endpoint_url=stores.s3_endpoint_url,
        verify=False if stores.is_s3_insecure else None,
    )


def _changed(place: str, path: str) -> RegistryError:
    return RegistryError(f"{place}: {path} was replaced while it was being fetched. Fetch it again.")
