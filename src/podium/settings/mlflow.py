"""Where MLflow keeps things and how it is asked, by MLflow's own variables and defaults."""

import configparser
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from podium.errors import Misconfigured
from podium.settings.stores import ObjectStores, read_object_stores, truth

_MOST_RETRIES = 10


@dataclass(frozen=True, slots=True)
class MlflowSettings:
    """What MLflow's variables say. Nothing secret is in its `repr`.

    Attributes:
        tracking_uri: Where runs and logged models are recorded; None where nothing says so and nothing is found.
        registry_uri: Where registered models are; None means the same place.
        why: How the tracking URI was found, for people.
        username, password, token: Credentials for these two places and no other.
        is_insecure: TLS certificates of these two places are not checked.
        ca_path: A file or folder of certificates that are trusted instead of the system's.
        client_cert: A PEM file with certificate and key, shown to these two places only.
        timeout_s: For each request; a download may take longer, but not pause for longer.
        retries, backoff_s, jitter_s: Of a question that a person waits for.
        workspace: Of the server's workspaces; None for its default.
        folder: What relative paths start from.
        objects: How object stores are asked.
    """

    tracking_uri: str | None = field(repr=False)
    registry_uri: str | None = field(repr=False)
    why: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    is_insecure: bool = False
    ca_path: str | None = None
    client_cert: str | None = None
    timeout_s: float = 120.0
    retries: int = 2
    backoff_s: float = 0.5
    jitter_s: float = 0.2
    workspace: str | None = None
    folder: Path = Path()
    objects: ObjectStores = field(default_factory=ObjectStores)


def read_mlflow_settings(environ: Mapping[str, str] = os.environ, folder: Path | None = None) -> MlflowSettings:
    """Read the variables now, with relative paths from `folder`, the current one unless told.

    Raises:
        Misconfigured: A variable has a value that MLflow would not take either.
    """
    folder = folder if folder is not None else Path.cwd()
    tracking_uri, why = _tracking_uri(environ, folder)
    username, password = _credentials(environ)
    is_insecure = truth(environ, "MLFLOW_TRACKING_INSECURE_TLS")
    server_cert = environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or None
    if is_insecure and server_cert:
        raise Misconfigured(
            "MLFLOW_TRACKING_INSECURE_TLS and MLFLOW_TRACKING_SERVER_CERT_PATH contradict each other; unset one of them."
        )
    return MlflowSettings(
        tracking_uri=tracking_uri,
        registry_uri=environ.get("MLFLOW_REGISTRY_URI") or None,
        why=why,
        username=username,
        password=password,
        token=environ.get("MLFLOW_TRACKING_TOKEN") or None,
        is_insecure=is_insecure,
        ca_path=server_cert or environ.get("REQUESTS_CA_BUNDLE") or None,
        client_cert=environ.get("MLFLOW_TRACKING_CLIENT_CERT_PATH") or None,
        timeout_s=_number(environ, "MLFLOW_HTTP_REQUEST_TIMEOUT", 120.0, least=0.1, most=3600),
        # MLflow's own defaults (7, doubling from 2 s) let a person wait for four minutes until a wrong port is told.
        retries=int(_number(environ, "MLFLOW_HTTP_REQUEST_MAX_RETRIES", 2, least=0, most=_MOST_RETRIES)),
        backoff_s=_number(environ, "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", 0.5, least=0, most=120),
        jitter_s=_number(environ, "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", 0.2, least=0, most=120),
        workspace=environ.get("MLFLOW_WORKSPACE") or None,
        folder=folder,
        objects=read_object_stores(environ),
    )


def _tracking_uri(environ: Mapping[str, str], folder: Path) -> tuple[str | None, str]:
    if chosen := environ.get("MLFLOW_TRACKING_URI"):
        return chosen, "MLFLOW_TRACKING_URI"
    if _holds_experiments(folder / "mlruns"):
        return str(folder / "mlruns"), "./mlruns, MLFLOW_TRACKING_URI is not set"
    if (folder / "mlflow.db").is_file():
        return f"sqlite:///{folder / 'mlflow.db'}", "./mlflow.db, MLFLOW_TRACKING_URI is not set"
    return None, "MLFLOW_TRACKING_URI is not set, and there is no ./mlflow.db"


def _holds_experiments(folder: Path) -> bool:
    """As MLflow decides whether `./mlruns` is a store of the old kind and not only where files are put."""
    try:
        return any(entry.name.isdigit() and os.path.lexists(entry / "meta.yaml") for entry in folder.iterdir())
    except OSError:
        return False


def _credentials(environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    username, password = environ.get("MLFLOW_TRACKING_USERNAME"), environ.get("MLFLOW_TRACKING_PASSWORD")
    if username and password:
        return username, password
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(Path("~/.mlflow/credentials").expanduser())
        section = dict(parser["mlflow"])
    except (KeyError, OSError, RuntimeError, UnicodeDecodeError, configparser.Error):
        section = {}
    return (
        username or section.get("mlflow_tracking_username") or None,
        password or section.get("mlflow_tracking_password") or None,
    )


def _number(environ: Mapping[str, str], name: str, default: float, *, least: float, most: float) -> float:
    text = environ.get(name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise Misconfigured(f"{name}={text}: write a number from {least:g} to {most:g}.")
    return value
