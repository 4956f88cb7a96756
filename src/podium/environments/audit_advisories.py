"""Known vulnerabilities of installed versions, from a database in OSV's format: a server, a folder or a zip.

A server is asked as https://google.github.io/osv.dev/api/ has it: `POST /v1/querybatch`, then `GET /v1/vulns/{id}`. A
database that holds nothing, or does not answer for each package, is an error here: nobody takes it for a clean bill.
"""

import json
import re
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from podium.artifacts.remote.wire import Access, Unreachable, Wire
from podium.domain.audits.advisories import Advisory, score_of
from podium.domain.masking import masked
from podium.errors import InvalidInput

PUBLIC = "https://api.osv.dev"
_BATCH = 500
_MOST_PAGES = 20
_MOST_ADVISORIES = 2_000
_MOST_FILES = 500_000
_MOST_BYTES = 8 << 20
_ECOSYSTEM = "PyPI"
_ID = re.compile(r"[\w.:-]{1,100}")

Found = dict[tuple[str, str], list[Advisory]]


class NoAdvice(Exception):
    """The database cannot say; the message is why."""


def advisories_of(source: str, versions: Mapping[str, str], timeout_s: float) -> Found:
    """What is known of these versions.

    Args:
        source: An address, a folder with JSON files or a zip of them.
        versions: By name.
        timeout_s: For each answer; all together may take three times as long.

    Returns: By name and version; what nothing is known of has an empty list.

    Raises:
        NoAdvice: The database cannot be reached, is none, or did not answer for each version.
        InvalidInput: There is no such folder or file.
    """
    if source.startswith(("http://", "https://")):
        return _asked(source.rstrip("/"), versions, timeout_s)
    path = Path(source.removeprefix("file://")).expanduser()
    if not path.exists():
        raise InvalidInput(f"--advisories {source}: there is no such folder or file; expected an OSV address, or a zip.")
    return _looked_up(path, versions)


def _asked(url: str, versions: Mapping[str, str], timeout_s: float) -> Found:
    wire, ends = Wire(Access(), timeout_s), time.monotonic() + 3 * timeout_s
    ids: dict[tuple[str, str], list[str]] = {}
    try:
        pairs = list(versions.items())
        for start in range(0, len(pairs), _BATCH):
            ids |= _ids(wire, url, pairs[start : start + _BATCH], ends)
        distinct = sorted({each for found in ids.values() for each in found})
        if len(distinct) > _MOST_ADVISORIES:
            raise NoAdvice(f"{masked(url)} names {len(distinct)} advisories, more than {_MOST_ADVISORIES}")
        known = {each: _entry(wire, url, each, ends) for each in distinct}
    except Unreachable as error:
        raise NoAdvice(error.message) from error
    found: Found = {}
    for (name, version), named in ids.items():
        advisories = [_advisory(known[each], each, name, version) for each in named]
        found[name, version] = [each for each in advisories if each is not None]
    return found


def _ids(wire: Wire, url: str, pairs: Sequence[tuple[str, str]], ends: float) -> dict[tuple[str, str], list[str]]:
    """The advisories that the server names, for each package; page after page where it has more."""
    found: dict[tuple[str, str], list[str]] = {pair: [] for pair in pairs}
    waiting = [(pair, "") for pair in pairs]
    for _ in range(_MOST_PAGES):
        if not waiting:
            return found
        queries = [
            {"package": {"name": name, "ecosystem": _ECOSYSTEM}, "version": version.partition("+")[0]}
            | ({"page_token": token} if token else {})
            for (name, version), token in waiting
        ]
        answer = _question(wire, "POST", f"{url}/v1/querybatch", ends, {"queries": queries})
        results = answer.get("results")
        if not isinstance(results, list) or len(results) != len(queries):
            raise NoAdvice(f"{masked(url)} did not answer for each of {len(queries)} packages")
        following = []
        for (pair, _), result in zip(waiting, results, strict=True):
            entry = result if isinstance(result, dict) else {}
            for each in entry.get("vulns") or []:
                named = each.get("id") if isinstance(each, dict) else None
                if not isinstance(named, str) or not _ID.fullmatch(named):
                    raise NoAdvice(f"{masked(url)} names an advisory without an id")
                found[pair].append(named)
            token = entry.get("next_page_token")
            if isinstance(token, str) and token:
                following.append((pair, token))
        waiting = following
    raise NoAdvice(f"{masked(url)} answers in more than {_MOST_PAGES} pages")


def _entry(wire: Wire, url: str, named: str, ends: float) -> Mapping[str, Any]:
    """The advisory itself; its id alone where the server has lost it: what is known stays known."""
    try:
        return _question(wire, "GET", f"{url}/v1/vulns/{quote(named)}", ends)
    except (Unreachable, NoAdvice):
        return {"id": named}


def _question(wire: Wire, method: str, url: str, ends: float, body: dict[str, Any] | None = None) -> dict[str, Any]:
    if time.monotonic() > ends:
        raise NoAdvice(f"{masked(url)} takes too long; allow more with --timeout")
    status, answer = wire.ask(method, url, body)
    if status != 200 or not isinstance(answer, dict):
        raise NoAdvice(f"{masked(url)} answered with HTTP {status}" + ("" if status != 200 else " and no JSON object"))
    return answer


def _looked_up(path: Path, versions: Mapping[str, str]) -> Found:
    wanted: dict[str, tuple[str, str]] = {canonicalize_name(name): (name, version) for name, version in versions.items()}
    found: Found = {pair: [] for pair in versions.items()}
    count = 0
    try:
        for text in _entries(path):
            try:
                entry = json.loads(text)
            except (ValueError, RecursionError):
                continue
            if not isinstance(entry, dict):
                continue
            affected = [each for each in entry.get("affected") or [] if isinstance(each, dict)]
            names = {name for each in affected if (name := _package(each)) is not None}
            count += bool(names)
            for name in names & set(wanted):
                pair = wanted[name]
                if any(_package(each) == name and is_affected(each, pair[1]) for each in affected):
                    advisory = _advisory(entry, str(entry.get("id"))[:100], *pair)
                    found[pair] += [] if advisory is None else [advisory]
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise NoAdvice(f"{path} cannot be read: {error}") from error
    if not count:
        raise NoAdvice(f"{path} holds no advisory of {_ECOSYSTEM}")
    return found


def _entries(path: Path) -> Iterator[bytes]:
    """The JSON files of a folder or a zip, as far as they are not too many or too large."""
    if path.is_dir():
        for number, each in enumerate(sorted(path.rglob("*.json"))):
            if number >= _MOST_FILES or each.stat().st_size > _MOST_BYTES:
                raise NoAdvice(f"{path} holds more than {_MOST_FILES} files, or one of more than {_MOST_BYTES} bytes")
            yield each.read_bytes()
        return
    with zipfile.ZipFile(path) as archive:
        members = [each for each in archive.infolist() if each.filename.endswith(".json")]
        if len(members) > _MOST_FILES or any(each.file_size > _MOST_BYTES for each in members):
            raise NoAdvice(f"{path} holds more than {_MOST_FILES} files, or one of more than {_MOST_BYTES} bytes")
        for member in members:
            with archive.open(member) as file:
                yield file.read(_MOST_BYTES)


def is_affected(affected: Mapping[str, Any], version: str) -> bool:
    """Whether a version is in a list of affected ones, or between the events of a range (OSV's schema, "evaluation")."""
    plain = version.partition("+")[0]
    listed = affected.get("versions")
    if isinstance(listed, list) and plain in listed:
        return True
    there = _version(plain)
    if there is None:
        return False
    return any(_is_within(events, there) for events in _ranges(affected))


def _is_within(events: Sequence[tuple[str, Version]], there: Version) -> bool:
    is_in = False
    for kind, at in events:
        if kind == "introduced" and there >= at:
            is_in = True
        elif (kind == "fixed" and there >= at) or (kind == "last_affected" and there > at):
            is_in = False
    return is_in


def _ranges(affected: Mapping[str, Any]) -> Iterator[list[tuple[str, Version]]]:
    """The events of each range of versions, in their order."""
    for each in affected.get("ranges") or []:
        if not isinstance(each, dict) or each.get("type") not in {"ECOSYSTEM", "SEMVER"}:
            continue
        events = [
            (str(kind), version)
            for event in each.get("events") or []
            if isinstance(event, dict)
            for kind, at in event.items()
            if (version := _version("0.dev0" if at == "0" else str(at))) is not None
        ]
        rank: Callable[[tuple[str, Version]], Any] = lambda event: (event[1], event[0] != "introduced")  # noqa: E731
        yield sorted(events, key=rank)


def _advisory(entry: Mapping[str, Any], named: str, name: str, version: str) -> Advisory | None:
    """What counts of an entry; None where it was withdrawn."""
    if entry.get("withdrawn"):
        return None
    own = [
        each for each in entry.get("affected") or [] if isinstance(each, dict) and _package(each) == canonicalize_name(name)
    ]
    vectors = [
        str(each.get("score")) for place in (entry, *own) for each in place.get("severity") or [] if isinstance(each, dict)
    ]
    specific = [place.get(key) for place in (entry, *own) for key in ("database_specific", "ecosystem_specific")]
    words = [str(each.get("severity")) for each in specific if isinstance(each, dict)]
    there = _version(version.partition("+")[0])
    fixes = [at for each in own for events in _ranges(each) for kind, at in events if kind == "fixed"]
    later = sorted(at for at in fixes if there is not None and at > there)
    aliases = entry.get("aliases")
    return Advisory(
        named,
        tuple(each for each in aliases if isinstance(each, str) and _ID.fullmatch(each))
        if isinstance(aliases, list)
        else (),
        str(entry.get("summary") or str(entry.get("details") or "").partition("\n")[0]),
        score_of(vectors, words),
        str(later[0]) if later else None,
    )


def _package(affected: Mapping[str, Any]) -> str | None:
    package = affected.get("package")
    if not isinstance(package, dict) or str(package.get("ecosystem", "")).partition(":")[0] != _ECOSYSTEM:
        return None
    return canonicalize_name(str(package.get("name", "")))


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None
