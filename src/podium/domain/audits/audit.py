"""What an audit of a model's environment makes of what it sees: `podium env audit`, and the same at load. Pure.

Facts come as values, each with where it was read; what comes back are findings with a severity and the words to type. What
could not be looked at is a finding as well: not audited is never clean.
"""

import shlex
from collections.abc import Iterable, Sequence

from podium.domain.audits.advisories import Advisory, merged
from podium.domain.audits.facts import (
    AuditedPython,
    AuditFinding,
    Conflict,
    Drift,
    Facts,
    FindingKind,
    PickledFile,
    Release,
    SavedLibrary,
    Severity,
    Unaudited,
    WantedRequirement,
)

_SHOWN = 10
_LONGEST = 300
# podium's worker runs beside the model.
_OLDEST_PYTHON = (3, 11)


def judge(facts: Facts) -> list[AuditFinding]:
    """All findings, the worst first; of one package that is wrong in several ways the deepest cause is told."""
    place = facts.place
    found = [] if facts.is_built else [_not_built(place)]
    if facts.is_silent:
        fact, remedy = "the model names no requirement, so nobody knows what it needs", place.pin("NAME==VERSION")
        found.append(AuditFinding(Severity.MEDIUM, FindingKind.UNPINNED, None, fact, "requirements.txt", remedy=remedy))
    if facts.saved_python is not None:
        found += judge_python(facts.saved_python, place, facts.python_where, is_pickled=facts.is_pickled)
    frameworks = [finding for each in facts.saved for finding in judge_framework(each, place)]
    told = {finding.package for finding in frameworks}
    found += frameworks
    for wanted in facts.wanted:
        found += [each for each in judge_wanted(wanted, place, is_built=facts.is_built) if _is_new(each, told)]
    told |= {each.package for each in found if each.kind in {FindingKind.MISSING, FindingKind.MISMATCHED}}
    found += [finding for each in facts.pickles for finding in judge_pickle(each, place)]
    found += [judge_drift(each, place) for each in facts.drifts if each.package not in told]
    gone = {
        each.package
        for each in found
        if each.kind is FindingKind.MISSING or (each.kind is FindingKind.DRIFTED and not each.got)
    }
    found += [judge_conflict(each, place) for each in facts.conflicts if each.found or each.needed not in gone]
    for release in facts.releases:
        found += judge_release(release, place)
    for (package, version), advisories in (facts.advisories or {}).items():
        found += [judge_advisory(each, package, version, place) for each in merged(advisories)]
    found += [judge_unaudited(each) for each in facts.unaudited]
    if facts.wanted:
        found.append(_pinned(facts.wanted))
    order = list(Severity)
    return sorted(found, key=lambda each: (order.index(each.severity), each.kind.value, each.package or ""))


def judge_wanted(wanted: WantedRequirement, place: AuditedPython, *, is_built: bool = True) -> list[AuditFinding]:
    """A requirement: can it be read, is it met, does it name one version."""
    line, where, name = _short(wanted.line), wanted.where, wanted.package
    if not wanted.is_readable:
        remedy = "Write it as name==version"
        return [
            AuditFinding(Severity.MEDIUM, FindingKind.UNREADABLE, None, f"{line!r} is no requirement", where, remedy=remedy)
        ]
    asked = _short(f"{name}{wanted.specifier}")
    found = []
    if not is_built or (wanted.version is None and wanted.is_dispensable):
        pass
    elif wanted.version is None:
        fact = f"{name} is not installed"
        found.append(AuditFinding(Severity.HIGH, FindingKind.MISSING, name, fact, where, line, None, place.meet(asked)))
    elif not wanted.is_met:
        exact = wanted.specifier.removeprefix("===").removeprefix("==")
        is_near = wanted.is_exact and step(exact, wanted.version) in {"", "patch"}
        severity = Severity.MEDIUM if is_near else Severity.HIGH
        asks = _short(wanted.specifier)
        fact = f"{name} {wanted.version} is installed, the model wants {asks}"
        remedy = place.meet(asked)
        found.append(AuditFinding(severity, FindingKind.MISMATCHED, name, fact, where, asks, wanted.version, remedy))
    if not wanted.is_exact and not wanted.is_dispensable:
        is_known = wanted.version is not None and wanted.is_met
        exactly = f"{name}=={(wanted.version or '').partition('+')[0]}" if is_known else asked
        fact = f"{line} may become another version with every build"
        severity = Severity.LOW if place.is_locked else Severity.MEDIUM
        remedy = (
            place.pin(exactly) if is_known else f"Write {name}==VERSION, with the version that the model was trained with"
        )
        expected = exactly if is_known else f"{name}==…"
        found.append(AuditFinding(severity, FindingKind.UNPINNED, name, fact, where, expected, line, remedy))
    return found


def judge_framework(saved: SavedLibrary, place: AuditedPython) -> list[AuditFinding]:
    """The library that reads the model's own file, beside the one that wrote it.

    Pickles and skops hold the library's private attributes, which change with each minor version; a format of data is read
    by newer versions and not by older ones.
    """
    where = saved.where
    exactly = f"{saved.package}=={saved.version.partition('+')[0]}"
    remedy = place.meet(exactly)
    if saved.there is None:
        fact = f"{saved.package}, which wrote the model, is not installed"
        return [
            AuditFinding(Severity.CRITICAL, FindingKind.MISSING, saved.package, fact, where, saved.version, None, remedy)
        ]
    apart = step(saved.version, saved.there)
    if apart in {"", "patch"}:
        return []
    is_older = release_of(saved.there) < release_of(saved.version)
    if saved.holds_state:
        severity = Severity.CRITICAL if apart == "major" else Severity.HIGH
        why = "reading its objects may fail, or change predictions without a word"
    elif apart == "major":
        severity, why = Severity.HIGH, "formats change with major versions"
    else:
        severity = Severity.MEDIUM if is_older else Severity.LOW
        why = "older versions may not read newer files" if is_older else "newer versions read older files, as a rule"
    fact = f"saved with {saved.package} {saved.version}, the environment has {saved.there}: {why}"
    return [AuditFinding(severity, FindingKind.FRAMEWORK, saved.package, fact, where, saved.version, saved.there, remedy)]


def judge_python(saved: str, place: AuditedPython, where: str, *, is_pickled: bool) -> list[AuditFinding]:
    """The minor version of Python: cloudpickle's byte code runs in no other, and compiled packages load in no other."""
    if not place.version:
        return []
    there, was = release_of(place.version)[:2], release_of(saved)[:2]
    remedy = f"podium env build {shlex.quote(place.model)}, and serve it with --env-manager virtualenv"
    if there < _OLDEST_PYTHON:
        fact = f"Python {place.version} is too old for podium's worker"
        return [
            AuditFinding(Severity.CRITICAL, FindingKind.PYTHON, None, fact, where, "3.11 or newer", place.version, remedy)
        ]
    if there == was or len(was) < 2:
        return []
    severity = Severity.HIGH if is_pickled else Severity.LOW
    why = "code in pickles is of one minor version" if is_pickled else "nothing of it is pickled, so it need not matter"
    fact = f"saved with Python {saved}, the environment is {place.version}: {why}"
    return [AuditFinding(severity, FindingKind.PYTHON, None, fact, where, saved, place.version, remedy)]


def judge_pickle(pickled: PickledFile, place: AuditedPython) -> list[AuditFinding]:
    """The protocol of a pickle: a Python reads none that is newer than itself."""
    if pickled.protocol <= pickled.highest:
        return []
    fact = (
        f"{pickled.file} is written in pickle protocol {pickled.protocol}, Python {place.version} reads {pickled.highest}"
    )
    remedy = f"Use a newer Python, or save the model with protocol={pickled.highest}"
    expected, got = str(pickled.highest), str(pickled.protocol)
    return [AuditFinding(Severity.CRITICAL, FindingKind.PICKLE, None, fact, pickled.file, expected, got, remedy)]


def judge_conflict(conflict: Conflict, place: AuditedPython) -> AuditFinding:
    """What `pip check` says; it counts less where the model has nothing to do with it."""
    is_there = "is not installed" if conflict.found is None else f"{conflict.needed} {conflict.found} is installed"
    severity = Severity.HIGH if conflict.is_needed else Severity.LOW
    fact = f"{conflict.package} {conflict.version} needs {_short(conflict.needs)}, {is_there}"
    where = f"{conflict.package} {conflict.version} in {place.python}"
    remedy = place.install(conflict.needs.partition(";")[0].strip())
    return AuditFinding(
        severity, FindingKind.CONFLICT, conflict.needed, fact, where, _short(conflict.needs), conflict.found, remedy
    )


def judge_drift(drift: Drift, place: AuditedPython) -> AuditFinding:
    """An environment that is not what was built, and tried with the model, any more."""
    where = f"{place.python}"
    if drift.built is None:
        fact = f"{drift.package} {drift.there} was not there when the environment was built"
        remedy = f"uv pip uninstall --python {shlex.quote(place.python)} {shlex.quote(drift.package)}"
        return AuditFinding(Severity.LOW, FindingKind.DRIFTED, drift.package, fact, where, None, drift.there, remedy)
    is_there = "is gone" if drift.there is None else f"is {drift.there} now"
    severity = Severity.MEDIUM if drift.there and step(drift.built, drift.there) in {"", "patch"} else Severity.HIGH
    fact = f"{drift.package} {drift.built} was built in, and {is_there}"
    remedy = place.install(f"{drift.package}=={drift.built}")
    return AuditFinding(severity, FindingKind.DRIFTED, drift.package, fact, where, drift.built, drift.there, remedy)


def judge_release(release: Release, place: AuditedPython) -> list[AuditFinding]:
    """A version that its author took back, or that has a successor."""
    found, where = [], f"{release.package} {release.version} in {place.python or 'the requirements'}"
    newer = f"{release.package}=={release.newest}" if release.newest else None
    if release.is_yanked:
        why = f": {_short(release.reason)}" if release.reason else ""
        fact = f"{release.package} {release.version} was yanked from the index{why}"
        remedy = _renewed(newer or f"{release.package}!={release.version}", place)
        found.append(
            AuditFinding(Severity.MEDIUM, FindingKind.YANKED, release.package, fact, where, newer, release.version, remedy)
        )
    if newer is not None and release.is_asked:
        is_fix = step(release.version, release.newest or "") == "patch"
        severity = Severity.LOW if is_fix else Severity.INFO
        fact = f"{release.package} {release.version} is installed, {release.newest} is out"
        remedy = _renewed(newer, place)
        got = release.version
        found.append(
            AuditFinding(severity, FindingKind.SUPERSEDED, release.package, fact, where, release.newest, got, remedy)
        )
    return found


def judge_advisory(advisory: Advisory, package: str, version: str, place: AuditedPython) -> AuditFinding:
    """A known vulnerability; one that nobody has graded counts as high."""
    score = advisory.score
    if score is None or 7.0 <= score < 9.0:
        severity = Severity.HIGH
    elif score >= 9.0:
        severity = Severity.CRITICAL
    else:
        severity = Severity.MEDIUM if score >= 4.0 else Severity.LOW
    names = f"{advisory.id} ({', '.join(advisory.aliases[:3])})" if advisory.aliases else advisory.id
    grade = "of unknown severity" if score is None else f"CVSS {score:g}"
    about = f": {_short(advisory.summary)}" if advisory.summary else ""
    fact = f"{package} {version} has {names}, {grade}{about}"
    safe = f"{package}>={advisory.fixed}" if advisory.fixed else None
    remedy = place.install(safe) if safe else f"No version is known to be without it; see {advisory.id}"
    where = f"{package} {version} in {place.python or 'the requirements'}"
    return AuditFinding(severity, FindingKind.VULNERABLE, package, fact, where, safe, version, remedy)


def judge_unaudited(unaudited: Unaudited) -> AuditFinding:
    """What nobody looked at."""
    fact = f"not audited for {unaudited.what}: {_short(unaudited.reason)}"
    return AuditFinding(unaudited.severity, FindingKind.NOT_AUDITED, None, fact, unaudited.where, remedy=unaudited.remedy)


def counted_by_severity(findings: Iterable[AuditFinding]) -> dict[str, int]:
    """How many of each severity, all of them named, the worst first."""
    every = [finding.severity for finding in findings]
    return {severity.value: every.count(severity) for severity in Severity}


def is_reached(findings: Iterable[AuditFinding], least: Severity) -> bool:
    """Whether one is so bad, or worse."""
    order = list(Severity)
    return any(order.index(finding.severity) <= order.index(least) for finding in findings)


def listed(names: Sequence[str]) -> str:
    """The first of them, and how many more."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def step(first: str, second: str) -> str:
    """In which place two versions differ first: `major`, `minor`, `patch`, or nowhere."""
    one, other = (*release_of(first), 0, 0, 0)[:3], (*release_of(second), 0, 0, 0)[:3]
    return next((name for name, a, b in zip(("major", "minor", "patch"), one, other, strict=True) if a != b), "")


def release_of(version: str) -> tuple[int, ...]:
    """The numbers of a version in front: `2.13.0+cpu` is 2, 13, 0."""
    numbers = []
    for part in version.partition("+")[0].split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits or len(digits) > 9:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)


def _is_new(finding: AuditFinding, told: set[str | None]) -> bool:
    return finding.kind not in {FindingKind.MISSING, FindingKind.MISMATCHED} or finding.package not in told


def _not_built(place: AuditedPython) -> AuditFinding:
    remedy = f"podium env build {shlex.quote(place.model)}"
    fact = "no environment is built for the model, so only its requirements were looked at"
    return AuditFinding(Severity.MEDIUM, FindingKind.NOT_BUILT, None, fact, place.model, remedy=remedy)


def _renewed(requirement: str, place: AuditedPython) -> str:
    """Another version is another model: it is tried, and what then answers is registered."""
    if place.is_own or not place.python:
        return f"Train or try the model with {requirement}, and register what requires it"
    return f"Try the model with it, and register it so: {place.install(requirement)}"


def _pinned(wanted: Sequence[WantedRequirement]) -> AuditFinding:
    exact = [each.package for each in wanted if each.is_exact]
    fact = f"{len(exact)} of {len(wanted)} requirements name one version" + (f": {listed(exact)}" if exact else "")
    return AuditFinding(Severity.INFO, FindingKind.PINNED, None, fact, "the model's requirements")


def _short(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= _LONGEST else f"{one_line[:_LONGEST]}…"
