"""What a package index says of installed versions: which were yanked, and which are newer.

Asked by the simple API as JSON (PEP 691, PEP 700) or, of indexes that have no JSON, as HTML (PEP 503, PEP 592). The index
is the one that pip and uv are told of. Passwords stand in its address or not at all: no netrc, no keyring.
"""

import html.parser
import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from podium.artifacts.remote.wire import Access, Unreachable, Wire
from podium.domain.audits.facts import Release
from podium.domain.masking import masked
from podium.environments.tools import of_pips_files

PUBLIC = "https://pypi.org/simple"
_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_AT_ONCE = 8
_MOST_BYTES = 32 << 20
_NO = {"", "0", "false", "no"}


class NoIndexAnswer(Exception):
    """The index cannot say; the message is why."""


@dataclass(frozen=True, slots=True)
class IndexAnswers:
    """What the indexes said: releases, and the packages that none of them knows."""

    releases: tuple[Release, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _File:
    version: Version
    is_yanked: bool
    reason: str
    requires_python: str


def configured_indexes(environ: Mapping[str, str]) -> list[str]:
    """The addresses that uv, or else pip, is told of: variables first, then pip's files, then the public one.

    Empty where indexes are forbidden (PIP_NO_INDEX, UV_NO_INDEX).
    """
    told = of_pips_files(environ) | {name: value for name, value in environ.items() if value.strip()}
    if any(told.get(name, "").lower() not in _NO for name in ("PIP_NO_INDEX", "UV_NO_INDEX")):
        return []
    first = next((told[name] for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL") if name in told), PUBLIC)
    more = [
        each for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL") for each in told.get(name, "").split()
    ]
    # uv's may have a name in front: `internal=https://…`
    return list(dict.fromkeys(_unnamed(each) for each in (first, *more)))


def configured_certificates(environ: Mapping[str, str]) -> str | None:
    """The certificates that pip is told to trust."""
    return environ.get("PIP_CERT") or of_pips_files(environ).get("PIP_CERT")


def releases_of(
    indexes: Sequence[str], versions: Mapping[str, str], python: str, timeout_s: float, ca_path: str | None = None
) -> IndexAnswers:
    """Ask for each package.

    Args:
        indexes: Addresses of simple APIs; all of them are asked.
        versions: Installed, by name.
        python: `3.11.7`; files that need another one do not count as newer.
        timeout_s: For each answer; all together may take three times as long.
        ca_path: Certificates to trust (PIP_CERT).

    Raises:
        NoIndexAnswer: One of the indexes cannot be reached, does not speak the simple API, or takes too long.
    """
    ends = time.monotonic() + 3 * timeout_s
    names = list(versions)

    def of(name: str) -> list[_File]:
        if time.monotonic() > ends:
            raise NoIndexAnswer(f"{masked(indexes[0])} takes too long; allow more with --timeout")
        return [file for index in indexes for file in _files(index, name, timeout_s, ca_path)]

    try:
        # The first alone: where nobody answers, it is enough to wait once.
        found = [of(name) for name in names[:1]]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found += list(pool.map(of, names[1:]))
    except Unreachable as error:
        raise NoIndexAnswer(error.message) from error
    except OSError as error:
        raise NoIndexAnswer(f"{error.filename}: {error.strerror}") from error
    except ValueError as error:
        raise NoIndexAnswer(f"an address of {[masked(each) for each in indexes]} is none: {error}") from error
    releases = [release_of(name, versions[name], files, python) for name, files in zip(names, found, strict=True) if files]
    return IndexAnswers(tuple(releases), tuple(name for name, files in zip(names, found, strict=True) if not files))


def release_of(name: str, version: str, files: Sequence[_File], python: str) -> Release:
    """A version among an index's files; yanked is one whose every file is."""
    try:
        there: Version | None = Version(version.partition("+")[0])
    except InvalidVersion:
        there = None
    own = [file for file in files if file.version == there]
    is_yanked = bool(own) and all(file.is_yanked for file in own)
    newer = [
        file.version
        for file in files
        if there is not None
        and file.version > there
        and not file.is_yanked
        and (not file.version.is_prerelease or there.is_prerelease)
        and _runs_on(file.requires_python, python)
    ]
    reason = next((file.reason for file in own if file.reason), "") if is_yanked else ""
    return Release(name, version, is_yanked, reason, str(max(newer)) if newer else None)


def _files(index: str, name: str, timeout_s: float, ca_path: str | None) -> list[_File]:
    parts = urlsplit(index)
    if parts.scheme == "file":
        page = Path(unquote(parts.path)) / name / "index.html"
        if not page.is_file():
            if not Path(unquote(parts.path)).is_dir():
                raise NoIndexAnswer(f"{index} is no folder")
            return []
        with page.open("rb") as file:
            return _of_html(file.read(_MOST_BYTES))
    wire = Wire(Access(ca_path=ca_path), timeout_s)
    with wire.get(f"{index.rstrip('/')}/{name}/", {"Accept": _ACCEPT}) as reply:
        if reply.status == 404:
            return []
        if reply.status != 200:
            raise NoIndexAnswer(f"{masked(index)} answered with HTTP {reply.status}")
        content, kind = reply.content(_MOST_BYTES), reply.headers.get("content-type", "")
    return _of_html(content) if "html" in kind else _of_json(content, index)


def _of_json(content: bytes, index: str) -> list[_File]:
    try:
        page = json.loads(content)
        files = page["files"]
        return [file for each in files if (file := _file(each["filename"], each)) is not None]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NoIndexAnswer(f"{masked(index)} does not answer as a package index") from error


def _of_html(content: bytes) -> list[_File]:
    page = _Page()
    page.feed(content.decode("utf-8", "replace"))
    return [file for name, said in page.links if (file := _file(name, said)) is not None]


class _Page(html.parser.HTMLParser):
    """The links of a project's page: file names, and what their attributes say."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[tuple[str, dict[str, Any]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        if tag == "a" and said.get("href"):
            name = unquote(urlsplit(str(said["href"])).path.rpartition("/")[2])
            yanked = (said["data-yanked"] or True) if "data-yanked" in said else False
            self.links.append((name, {"yanked": yanked, "requires-python": said.get("data-requires-python")}))


def _file(name: str, said: Mapping[str, Any]) -> _File | None:
    """None of a name that is none of a wheel's or a source's: eggs, installers."""
    try:
        version = parse_wheel_filename(name)[1] if name.endswith(".whl") else parse_sdist_filename(name)[1]
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        return None
    yanked = said.get("yanked")
    reason = yanked if isinstance(yanked, str) else ""
    return _File(version, bool(yanked), reason, str(said.get("requires-python") or ""))


def _runs_on(requires_python: str, python: str) -> bool:
    try:
        return not requires_python or SpecifierSet(requires_python).contains(python, prereleases=True)
    except (InvalidSpecifier, InvalidVersion):
        return True


def _unnamed(index: str) -> str:
    name, mark, address = index.partition("=")
    return address if mark and "/" not in name and "://" in address else index
