"""How object stores are asked, by the variables that MLflow and the stores' own libraries read.

Credentials of the libraries' own chains (profiles, roles, identities) stay with the libraries; podium does not see them.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from podium.errors import Misconfigured

_TRUE = {"true", "1"}
_FALSE = {"false", "0", ""}
_ADDRESSING = ("auto", "path", "virtual")


@dataclass(frozen=True, slots=True)
class ObjectStores:
    """What the variables say. Nothing secret is in its `repr`.

    Attributes:
        s3_endpoint_url: Of a store that speaks S3; None leaves it to `AWS_ENDPOINT_URL` and Amazon's own.
        is_s3_insecure: The store's TLS certificate is not checked.
        s3_addressing: Where the bucket stands in a URL: `auto`, `path` or `virtual`.
        s3_is_unsigned: Public buckets are asked without credentials.
        s3_bucket_owner: The account that a bucket must belong to.
        google_credentials: The file that Google's library is told to use; None leaves it to that library's other ways.
        azure_connection, azure_key, azure_sas: The first that is there is used, else Azure's default identity.
    """

    s3_endpoint_url: str | None = field(default=None, repr=False)
    is_s3_insecure: bool = False
    s3_addressing: str = "auto"
    s3_is_unsigned: bool = False
    s3_bucket_owner: str | None = None
    google_credentials: str | None = None
    azure_connection: str | None = field(default=None, repr=False)
    azure_key: str | None = field(default=None, repr=False)
    azure_sas: str | None = field(default=None, repr=False)


def read_object_stores(environ: Mapping[str, str] = os.environ) -> ObjectStores:
    """Read the variables now.

    Raises:
        Misconfigured: A variable has a value that MLflow would not take either.
    """
    addressing = environ.get("MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE") or "auto"
    if addressing not in _ADDRESSING:
        raise Misconfigured(f"MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE={addressing}: write one of {', '.join(_ADDRESSING)}.")
    return ObjectStores(
        s3_endpoint_url=environ.get("MLFLOW_S3_ENDPOINT_URL") or None,
        is_s3_insecure=truth(environ, "MLFLOW_S3_IGNORE_TLS"),
        s3_addressing=addressing,
        s3_is_unsigned=environ.get("MLFLOW_EXPERIMENTAL_S3_SIGNATURE_VERSION", "").lower() == "unsigned",
        s3_bucket_owner=environ.get("MLFLOW_S3_EXPECTED_BUCKET_OWNER") or None,
        google_credentials=environ.get("GOOGLE_APPLICATION_CREDENTIALS") or None,
        azure_connection=environ.get("AZURE_STORAGE_CONNECTION_STRING") or None,
        azure_key=environ.get("AZURE_STORAGE_ACCESS_KEY") or None,
        azure_sas=environ.get("AZURE_STORAGE_SAS_TOKEN") or None,
    )


def truth(environ: Mapping[str, str], name: str) -> bool:
    """A variable that is true or false, and false where it is not set.

    Raises:
        Misconfigured: It is something else.
    """
    text = environ.get(name, "").strip().lower()
    if text not in _TRUE | _FALSE:
        raise Misconfigured(f"{name}={text}: write true or false.")
    return text in _TRUE
