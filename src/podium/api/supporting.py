"""A support bundle: what somebody else needs to see what is wrong with a server, and no secret that is known as one.

In it: versions, what `podium doctor` finds, the status of each server that runs, its metrics, podium.toml, the names of the
variables that are set, and the ends of logs. Not in it: models, payloads, keys, the access log (it has clients' addresses),
values of variables.
"""

import io
import json
import os
import platform
import sys
import tarfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from importlib.metadata import distributions
from itertools import chain
from pathlib import Path

from podium._version import __version__
from podium.api.examining import examine
from podium.api.http_asking import NO_ANSWER, ask_http
from podium.api.known_secrets import secrets_named
from podium.client.calls import API_KEY
from podium.domain.audits.diagnosis import Finding
from podium.domain.redaction import BLOT, redacted, redacted_values
from podium.errors import InvalidInput, PodiumError
from podium.fleet.host.runfiles import RunningServer, find_servers
from podium.settings.config_file import find_config
from podium.settings.home import Home

_LOG_BYTES = 256 << 10
_MOST_LOGS = 200
_TIMEOUT_S = 5.0
_OURS = ("PODIUM_", "MLFLOW_", "OTEL_")
_SHOWN = frozenset({"PODIUM_HOME", "PODIUM_CONFIG", "PODIUM_LOOP"})


def write_bundle(
    path: Path,
    home: Home,
    environ: Mapping[str, str] = os.environ,
    *,
    has_logs: bool = True,
    doctor: Callable[[Home, Mapping[str, str]], list[Finding]] = examine,
) -> list[str]:
    """Write a bundle, which only its owner may read; the names of what is in it.

    What cannot be looked at is in it as the reason why.

    Args:
        path: Of a .tar.gz file that is not there yet.
        home: PODIUM_HOME.
        environ: Whose variables' names are told.
        has_logs: Whether logs are in it: a model may print what it was asked.
        doctor: Examines this machine.

    Raises:
        InvalidInput: The file is there already, or cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise InvalidInput(f"{path} is there already. Name another file with -o.") from None
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror}") from error
    names = []
    config = _attempt(lambda: _config(environ))
    known = secrets_named(environ, config, home)
    with open(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as bundle:
        told = [
            ("versions.json", _json(_versions())),
            ("variables.json", _json(_variables(environ))),
            ("doctor.json", _attempt(lambda: _findings(doctor(home, environ), known))),
        ]
        others = _contents(home, environ, config, known, has_logs=has_logs)
        for name, text in chain(told, others):
            content = text.encode("utf-8", "replace")
            entry = tarfile.TarInfo(f"podium-support/{name}")
            entry.size, entry.mtime, entry.mode = len(content), int(time.time()), 0o600
            bundle.addfile(entry, io.BytesIO(content))
            names.append(name)
    return names


def _contents(
    home: Home, environ: Mapping[str, str], config: str, known: Collection[str], *, has_logs: bool
) -> Iterator[tuple[str, str]]:
    yield "podium.toml", redacted(config, known)
    for server in find_servers(home):
        label = f"servers/{server.facts.get('id', 'unknown')}"
        yield f"{label}/status.json", _json(redacted_values({**server.facts, "endpoints": server.endpoints}, known))
        yield f"{label}/metrics.txt", redacted(_metrics(server, environ), known)
    if has_logs:
        yield from _logs(home, known)


def _findings(found: list[Finding], known: Collection[str]) -> str:
    return _json(redacted_values([asdict(finding) for finding in found], known))


def _versions() -> dict[str, object]:
    return {
        "podium": __version__,
        "python": sys.version,
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "packages": sorted(f"{each.name}=={each.version}" for each in distributions() if each.name),
    }


def _variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Which are set that matter here; where podium looks is shown, all other values are not."""
    return {name: value if name in _SHOWN else BLOT for name, value in sorted(environ.items()) if name.startswith(_OURS)}


def _config(environ: Mapping[str, str]) -> str:
    path = find_config(environ, Path.cwd())
    return "# there is none here\n" if path is None else path.read_text(encoding="utf-8", errors="replace")


def _metrics(server: RunningServer, environ: Mapping[str, str]) -> str:
    key = environ.get(API_KEY)
    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        url = f"{server.facts['url']}/metrics"
        answer = ask_http("GET", url, b"", headers, timeout_s=_TIMEOUT_S, certificate=server.certificate)
    except (TimeoutError, KeyError, *NO_ANSWER) as error:
        return f"# no answer: {type(error).__name__}\n"
    return f"# status {answer.status}\n" + answer.body.decode("utf-8", "replace")


def _logs(home: Home, known: Collection[str]) -> Iterator[tuple[str, str]]:
    """The ends of the newest logs."""
    found = [path for path in home.logs.glob("*/*.log") if path.name != "access.log" and not path.is_symlink()]
    for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)[:_MOST_LOGS]:
        yield f"logs/{path.parent.name}/{path.name}", redacted(_attempt(partial(_end, path)), known)


def _end(path: Path) -> str:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _LOG_BYTES))
        # A secret that is cut in half has no form any more: whole lines only.
        cut = file.readline() if size > _LOG_BYTES else b""
        return ("" if not cut else f"… {size - _LOG_BYTES + len(cut)} bytes before\n") + file.read().decode(
            "utf-8", "replace"
        )


def _attempt(look: Callable[[], str]) -> str:
    try:
        return look()
    except (OSError, ValueError, PodiumError) as error:
        return f"could not be looked at: {error}\n"


def _json(value: object) -> str:
    return json.dumps(value, indent=2, default=str) + "\n"
