"""Secrets that this machine's own settings name: what a bundle must not hold whatever form it has.

They are the values of variables that are secrets by their names, what `NAME_env` and `NAME_file` of podium.toml lead to,
and of addresses what stands behind the host, which is all that protects a webhook.
"""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from podium.domain.redaction import is_secret_by
from podium.settings.home import Home

_MOST_BYTES = 64 << 10
_SHORTEST_PATH = 12
_HEADERS = "_HEADERS"
_PAYLOAD_URL = "PODIUM_TELEMETRY_PAYLOAD_URL"


def secrets_named(environ: Mapping[str, str], config: str, home: Home) -> frozenset[str]:
    """All of them, as far as they can be had.

    Args:
        environ: Variables.
        config: The text of podium.toml; one that cannot be read names none.
        home: Whose key of hashes is one.
    """
    found = {_one_line(_read(home.payload_key))}
    for name, value in environ.items():
        if is_secret_by(name):
            found.add(value)
        if name.endswith(_HEADERS):
            found.update(unquote(pair.partition("=")[2]).strip() for pair in value.split(","))
            found.update(pair.partition("=")[2].strip() for pair in value.split(","))
        if name == _PAYLOAD_URL:
            found.update(_of_address(value))
    try:
        told: Any = tomllib.loads(config)
    except (tomllib.TOMLDecodeError, RecursionError):
        told = {}
    found.update(_of_table(told, environ))
    return frozenset(filter(None, found))


def _of_table(table: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[str]:
    for name, value in table.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict):
                yield from _of_table(each, environ)
            elif not isinstance(each, str):
                continue
            elif name.endswith("_env"):
                yield environ.get(each, "")
                yield from _of_address(environ.get(each, ""))
            elif name.endswith("_file"):
                text = _one_line(_read(Path(each).expanduser()))
                yield text
                yield from _of_address(text)
            elif name in ("url", "payload_url"):
                yield from _of_address(each)


def _of_address(text: str) -> Iterator[str]:
    """What is secret of an address: the password, and what follows the host unless it is a word or two."""
    if not text.startswith(("http://", "https://")):
        return
    try:
        parts = urlsplit(text)
        password = parts.password
    except ValueError:
        return
    yield password or ""
    path = parts.path.strip("/") + (f"?{parts.query}" if parts.query else "")
    yield path if len(path) >= _SHORTEST_PATH else ""


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError:
        return b""


def _one_line(content: bytes) -> str:
    text = content.decode("utf-8", "replace").strip()
    return "" if "\n" in text else text
