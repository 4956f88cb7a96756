"""`podium env audit`: which Python a model runs in, what is wrong with it, and what nobody could look at."""

import contextlib
import dataclasses
import os
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podium.api.environments import found_for
from podium.domain.audits.advisories import Advisory
from podium.domain.audits.audit import judge, listed
from podium.domain.audits.facts import AuditedPython, AuditFinding, Facts, Release, Severity, Unaudited
from podium.domain.masking import masked
from podium.domain.references import FolderRef, parse_reference
from podium.environments import audit_advisories, audit_index
from podium.environments.audit import ModelFacts, facts_of, facts_of_model
from podium.environments.audit_installed import Installed, ask, conflicts, drifts, reached
from podium.environments.choice import Asking
from podium.environments.interpreters import version_of
from podium.environments.kept import KeptEnvironment
from podium.errors import InvalidModel, LoadFailed, Misconfigured
from podium.fleet.host.runfiles import find_servers
from podium.registry.resolve import Resolved
from podium.settings.home import Home

NOBODY = "none"
_VULNERABILITIES, _RELEASES = "vulnerabilities", "yanked and newer versions"


@dataclass(frozen=True, slots=True)
class Sources:
    """Who is asked.

    Args:
        advisories: Address of an OSV server, a folder or zip of its JSON; `none` asks nobody.
        index: Address of a simple API; None takes those that pip and uv are told of, `none` asks nobody.
        timeout_s: For each answer.
        is_offline: Nothing but files is asked.
    """

    advisories: str = audit_advisories.PUBLIC
    index: str | None = None
    timeout_s: float = 10.0
    is_offline: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """The Python that is audited.

    Args:
        place: It, as the findings see it.
        reason: Why this one.
        environment: As it is kept, where it was built for models.
        is_built: Whether there is one at all.
    """

    place: AuditedPython
    reason: str
    environment: KeptEnvironment | None = None
    is_built: bool = True


@dataclass(frozen=True, slots=True)
class Audit:
    """What came out.

    Args:
        subject: What was audited.
        findings: The worst first.
        packages: How many are installed there.
        audited: Of vulnerabilities, and of yanked and newer versions: whether they were looked for in everything.
    """

    subject: Subject
    findings: tuple[AuditFinding, ...]
    packages: int
    audited: Mapping[str, bool]

    @property
    def is_clean(self) -> bool:
        """Nothing was found, and nothing was left out; what is only told (info) does not count."""
        return all(self.audited.values()) and all(each.severity is Severity.INFO for each in self.findings)


def subject_of(asking: Asking, model: str, found: Resolved, home: Home, python: str | None, manager: str | None) -> Subject:
    """The Python that the model runs in, or would.

    Args:
        asking: The model, and the environment that would be built for it.
        model: As a person named it.
        found: The version that this is now.
        home: Where servers and environments are.
        python: An interpreter to look at instead.
        manager: `local`, or one that builds; None takes what a running server uses, else what was built, else our own.

    Raises:
        Misconfigured: `python` is none; or the environment that was asked for cannot be had on this machine.
    """
    if python is not None:
        version = version_of(python)
        if version is None:
            raise Misconfigured(f"--python {python} does not run, or is no Python; expected an interpreter's path.")
        return Subject(_place(model, python, version), "as --python says")
    if manager is None and (running := _running(model, found, home)) is not None:
        python, version, url = running
        return Subject(_place(model, python, version), f"the server at {url} runs the model in it")
    if manager != "local":
        with contextlib.nullcontext() if manager is not None else contextlib.suppress(Misconfigured, InvalidModel):
            kept = _kept(asking)
            if kept is not None:
                place = _place(model, kept.python, kept.version, is_locked=kept.tool == "uv")
                return Subject(place, f"it was built for the model, {kept.key[:12]}", kept)
        if manager is not None:
            place = _place(model, "", "")
            return Subject(place, f"--env-manager {manager} would build one", is_built=False)
    reason = "the Python that runs podium" + ("" if manager else ", for none is built for the model")
    return Subject(_place(model, sys.executable, platform.python_version()), reason)


def audit(asking: Asking, subject: Subject, sources: Sources, tell: Callable[[str], None] = lambda _: None) -> Audit:
    """Look at everything.

    Args:
        asking: The model.
        subject: Its Python.
        sources: Who is asked.
        tell: Called with a line before something that may take a while.

    Raises:
        InvalidInput: There is no folder or file of advisories where the sources say.
    """
    model = facts_of_model(asking.folder, asking.mlmodel, asking.order.override)
    installed, unaudited = None, []
    if subject.is_built:
        try:
            installed = ask(subject.place.python, os.environ)
        except LoadFailed as error:
            remedy = f"podium env prune --unused, and podium env build {subject.place.model}"
            unaudited.append(
                Unaudited("installed packages", error.message, remedy, Severity.CRITICAL, subject.place.python)
            )
    facts = _facts(model, subject, installed)
    versions, strange = _versions(facts, installed)
    if strange:
        text = f"{listed(strange)}: from a folder or a repository, which no database knows"
        remedy = "Install them from an index, or watch their sources yourself"
        unaudited.append(Unaudited(_VULNERABILITIES, text, remedy, Severity.LOW, subject.place.python))
    tell(f"asking for {len(versions)} packages")
    advisories, more = _advisories(sources, versions)
    unaudited += more
    needed = versions if installed is None else _needed(versions, installed, model)
    releases, not_asked = _releases(sources, needed, subject.place.version or platform.python_version(), facts)
    unaudited += not_asked
    whole = dataclasses.replace(facts, releases=releases, advisories=advisories, unaudited=unaudited)
    # A finding of low severity is about a part: what was asked was answered.
    missed = {each.what for each in unaudited}
    audited = {what: what not in missed and installed is not None for what in (_VULNERABILITIES, _RELEASES)}
    return Audit(subject, tuple(judge(whole)), len(installed.packages) if installed else 0, audited)


def _facts(model: ModelFacts, subject: Subject, installed: Installed | None) -> Facts:
    if installed is None:
        facts = facts_of(model, subject.place, {})
        # Of a Python that does not answer nothing is known: its packages are not missing.
        wanted = () if subject.is_built else facts.wanted
        return dataclasses.replace(facts, is_built=subject.is_built, wanted=wanted, saved=(), saved_python=None)
    facts = facts_of(model, subject.place, installed.versions, installed.markers, installed.highest_protocol)
    kept = subject.environment
    return dataclasses.replace(
        facts,
        place=dataclasses.replace(facts.place, has_pip="pip" in installed.packages, version=installed.python),
        conflicts=conflicts(installed, model.packages),
        drifts=drifts(kept.packages, installed, is_whole=kept.tool == "uv") if kept is not None else (),
    )


def _versions(facts: Facts, installed: Installed | None) -> tuple[dict[str, str], list[str]]:
    """What can be asked for, and what cannot because no index has it; without an environment, what is pinned."""
    if installed is None:
        pins = {each.package: each.specifier.lstrip("=") for each in facts.wanted if each.is_exact and each.specifier}
        return pins, []
    of_index = {name: each.version for name, each in installed.packages.items() if each.is_of_index}
    return of_index, sorted(set(installed.packages) - set(of_index))


def _needed(versions: Mapping[str, str], installed: Installed, model: ModelFacts) -> dict[str, str]:
    needed = reached(installed, model.packages)
    return {name: version for name, version in versions.items() if name in needed}


_Found = tuple[Mapping[tuple[str, str], list[Advisory]] | None, list[Unaudited]]


def _advisories(sources: Sources, versions: Mapping[str, str]) -> _Found:
    source = sources.advisories
    remedy = "Name a database that can be reached: --advisories URL, or a folder or zip of OSV's JSON"
    is_far = source.startswith(("http://", "https://"))
    if source == NOBODY or (is_far and sources.is_offline):
        reason = "nobody was asked" if source == NOBODY else "nothing is fetched (--env-offline)"
        return None, [Unaudited(_VULNERABILITIES, reason, remedy, Severity.INFO, "--advisories")]
    try:
        return audit_advisories.advisories_of(source, versions, sources.timeout_s), []
    except audit_advisories.NoAdvice as error:
        return None, [Unaudited(_VULNERABILITIES, str(error), remedy, Severity.HIGH, "--advisories")]


def _releases(
    sources: Sources, versions: Mapping[str, str], python: str, facts: Facts
) -> tuple[tuple[Release, ...], list[Unaudited]]:
    indexes = audit_index.configured_indexes(os.environ) if sources.index is None else [sources.index]
    remedy = "Name an index that can be reached: --index URL, or PIP_INDEX_URL"
    if sources.index == NOBODY or not indexes or sources.is_offline:
        reason = "nobody was asked" if sources.index == NOBODY else "no index is to be asked"
        return (), [Unaudited(_RELEASES, reason, remedy, Severity.INFO, "the index")]
    try:
        ca_path = audit_index.configured_certificates(os.environ)
        answers = audit_index.releases_of(indexes, versions, python, sources.timeout_s, ca_path)
    except audit_index.NoIndexAnswer as error:
        return (), [Unaudited(_RELEASES, str(error), remedy, Severity.MEDIUM, "the index")]
    asked = {each.package for each in facts.wanted}
    releases = tuple(dataclasses.replace(each, is_asked=each.package in asked) for each in answers.releases)
    if not answers.unknown:
        return releases, []
    text = f"{listed(answers.unknown)}: the index does not know them"
    return releases, [Unaudited(_RELEASES, text, remedy, Severity.LOW, "the index")]


def _kept(asking: Asking) -> KeptEnvironment | None:
    """The environment that was built for the model; where it did not do without mlflow, the one with it."""
    found = found_for(asking)
    if found is None and not asking.order.installs_mlflow and asking.request().spec.left_out:
        found = found_for(dataclasses.replace(asking, order=dataclasses.replace(asking.order, installs_mlflow=True)))
    return found


def _running(model: str, found: Resolved, home: Home) -> tuple[str, str, str] | None:
    """Interpreter, version and address of a server that runs this version now."""
    uri = str(parse_reference(model))
    with contextlib.suppress(OSError):
        for server in find_servers(home):
            for endpoint in server.endpoints.values():
                served: dict[str, Any] = endpoint.get("model") or {}
                if endpoint.get("uri") == uri and served.get("version") == found.label:
                    return str(served["executable"]), str(served["python"]), str(server.facts["url"])
    return None


def _place(model: str, python: str, version: str, *, is_locked: bool = False) -> AuditedPython:
    is_own = bool(python) and os.path.realpath(os.path.dirname(python)) == os.path.realpath(os.path.dirname(sys.executable))
    reference = parse_reference(model)
    # A password in an address is typed again by who knows it.
    model = masked(model)
    is_folder = isinstance(reference, FolderRef) and Path(reference.path).expanduser().is_dir()
    return AuditedPython(model, python, version, is_own=is_own, is_folder=is_folder, is_locked=is_locked)
