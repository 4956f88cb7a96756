"""What the models of a running server cost, by its own counters."""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from podium.api.http_asking import NO_ANSWER, ask_http
from podium.client.calls import API_KEY
from podium.domain.costs import ModelCost, Prices, Spent, costs_of, read_prices
from podium.errors import InvalidInput, Misconfigured, Unavailable
from podium.telemetry.metrics import CPU_TIME, GPU_TIME, MEMORY_TIME, REQUESTS, ROWS, SHADOW_REQUESTS

_SAMPLE = re.compile(r"([a-z_]+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_TIMEOUT_S = 30.0
_OK = 200


def prices_in(path: Path) -> Prices:
    """The prices in a TOML file.

    Raises:
        InvalidInput: It cannot be read.
        Misconfigured: It has other things than prices; see `domain.costs.read_prices`.
    """
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidInput(f"{path} cannot be read as TOML: {reason}") from error
    return read_prices(entries, str(path))


def costs(url: str, prices: Prices, certificate: str | None = None) -> list[ModelCost]:
    """What each version cost since the server began, the dearest first.

    Args:
        url: The server's.
        prices: What an hour costs.
        certificate: The file of the certificate that it shows; None where the system vouches for it.

    Raises:
        Unavailable: The server does not answer.
        Misconfigured: It does not show its metrics to whoever asks.
    """
    key = os.environ.get(API_KEY)
    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        answer = ask_http("GET", f"{url}/metrics", b"", headers, timeout_s=_TIMEOUT_S, certificate=certificate)
    except (TimeoutError, *NO_ANSWER) as error:
        raise Unavailable(f"The server at {url} does not answer ({type(error).__name__}).") from error
    if answer.status != _OK:
        raise Misconfigured(f"The server at {url} answered {answer.status} to GET /metrics. {API_KEY} holds the key.")
    return costs_of(spent_in(answer.body.decode("utf-8", "replace")), prices)


def spent_in(page: str) -> list[Spent]:
    """What each version used, by a page of podium's metrics."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for name, labels, value in _samples(page):
        if name in _FIELDS and labels.get("version"):
            counted = found.setdefault((labels.get("model", ""), labels["version"]), {})
            field = _FIELDS[name]
            counted[field] = counted.get(field, 0.0) + value
    return [
        Spent(
            model,
            version,
            counted.get("cpu_s", 0.0),
            counted.get("memory_byte_s", 0.0),
            counted.get("gpu_s", 0.0),
            int(counted.get("requests", 0)),
            int(counted.get("rows", 0)),
        )
        for (model, version), counted in found.items()
    ]


_FIELDS: Mapping[str, str] = {
    CPU_TIME.name: "cpu_s",
    MEMORY_TIME.name: "memory_byte_s",
    GPU_TIME.name: "gpu_s",
    REQUESTS.name: "requests",
    # A shadow answers nobody, and is used all the same.
    SHADOW_REQUESTS.name: "requests",
    ROWS.name: "rows",
}


def _samples(page: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for line in page.splitlines():
        found = _SAMPLE.fullmatch(line)
        if found is not None:
            yield found[1], {name: _plain(value) for name, value in _LABEL.findall(found[2] or "")}, float(found[3])


def _plain(value: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], value)
