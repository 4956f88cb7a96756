"""What a server tells others of its requests, out of its settings; what cannot work is said before anything is started."""

import dataclasses
import importlib.util
import os
import secrets

from podium.errors import Misconfigured, MissingDependency
from podium.settings.exports import OFF, PARQUET, ExportSettings
from podium.settings.home import Home
from podium.settings.provenance import Chosen

_KEY_BYTES = 32


def exports_of(chosen: Chosen, home: Home) -> ExportSettings:
    """What leaves the server beside its answers.

    Args:
        chosen: What was said.
        home: Where payloads and the key of their hashes are kept.

    Raises:
        Misconfigured: Settings contradict each other, or the key cannot be kept.
        MissingDependency: Parquet is asked for, and what writes it is not installed.
    """
    settings = ExportSettings(**chosen.fields(ExportSettings))
    if settings.otlp_endpoint is not None and not _is_installed("opentelemetry.proto"):
        source = chosen.source("telemetry.otlp_endpoint")
        raise MissingDependency("opentelemetry-proto", f"telemetry.otlp_endpoint ({source})", "otel")
    if not settings.has_payloads:
        return settings
    if settings.payload_log == PARQUET and importlib.util.find_spec("pyarrow") is None:
        raise MissingDependency("pyarrow", f"telemetry.payload_log ({chosen.source('telemetry.payload_log')})", "parquet")
    if settings.payload_subject is not None and settings.payload_log == OFF:
        raise Misconfigured(
            f"{chosen.source('telemetry.payload_subject')}: telemetry.payload_subject says whose data a kept row is, "
            "and no rows are kept. Say --payload-log jsonl, or leave it out."
        )
    make_key(home)
    return dataclasses.replace(settings, folder=str(home.payloads), key_file=str(home.payload_key))


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False  # of a package below another one, which is not there either


def make_key(home: Home) -> None:
    """See that there is a key for hashes, the owner's alone.

    Raises:
        Misconfigured: It cannot be kept.
    """
    try:
        home.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(home.payload_key, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise Misconfigured(f"{home.payload_key}: the key of hashed payloads cannot be kept: {error.strerror}") from error
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(_KEY_BYTES))
