"""What an audit of a model's environment sees and says, as values: facts with their places, findings with remedies."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from podium.domain.audits.advisories import Advisory


class Severity(StrEnum):
    """How bad it is, worst first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


class FindingKind(StrEnum):
    """What a finding is about."""

    MISSING = "missing"
    MISMATCHED = "mismatched"
    UNPINNED = "unpinned"
    PINNED = "pinned"
    UNREADABLE = "unreadable"
    NOT_BUILT = "not built"
    DRIFTED = "drifted"
    PYTHON = "python"
    FRAMEWORK = "framework"
    PICKLE = "pickle"
    CONFLICT = "conflict"
    VULNERABLE = "vulnerable"
    YANKED = "yanked"
    SUPERSEDED = "superseded"
    NOT_AUDITED = "not audited"


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One judgement.

    Args:
        severity, kind: What people sort by.
        package: The one that it is about; None for the environment as a whole.
        fact: What is.
        where: File and line, requirement, or the interpreter that said so.
        expected, got: Both sides, where there are two.
        remedy: What to type, or to do.
    """

    severity: Severity
    kind: FindingKind
    package: str | None
    fact: str
    where: str
    expected: str | None = None
    got: str | None = None
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class AuditedPython:
    """The Python that was looked at, and how to change what is in it.

    Args:
        model: The model, as a person named it.
        python: The interpreter's path; empty where none is built.
        version: `3.11.7`
        has_pip: Whether it has pip of its own; uv's have not.
        is_own: Whether it is the Python that runs podium, which nobody changes for one model.
        is_folder: Whether the model is a folder, whose files may be edited.
        is_locked: Whether its versions stand in a lock, or were resolved and kept.
    """

    model: str
    python: str
    version: str
    has_pip: bool = False
    is_own: bool = False
    is_folder: bool = False
    is_locked: bool = False

    def install(self, requirement: str) -> str:
        """The command that puts a package there."""
        python, what = shlex.quote(self.python), shlex.quote(requirement)
        if self.has_pip:
            return f"{python} -m pip install {what}"
        return f"uv pip install --python {python} {what}"

    def meet(self, requirement: str) -> str:
        """What to do so that the model gets this package: in podium's own Python nothing is changed for one model."""
        if self.is_own:
            return f"podium env build {shlex.quote(self.model)}, and serve it with --env-manager virtualenv"
        return self.install(requirement)

    def pin(self, requirement: str) -> str:
        """The command that writes an exact version down."""
        model = shlex.quote(self.model)
        if self.is_folder:
            return f"podium models update-pip-requirements -m {model} add {shlex.quote(requirement)}"
        return f"podium env lock {model}"


@dataclass(frozen=True, slots=True)
class WantedRequirement:
    """A requirement of the model beside what is installed; as `models.requirements.Comparison`, with its place.

    Args:
        package: Its name.
        line: As it is written; `where` is its file and line.
        specifier: `==1.5.0`; empty where every version will do.
        version: What is installed; None where nothing is.
        is_readable, is_met: As there.
        is_exact: Whether it names one version.
        is_dispensable: Whether podium does without (mlflow, where podium reads the model itself).
    """

    package: str
    line: str
    where: str
    specifier: str = ""
    version: str | None = None
    is_readable: bool = True
    is_met: bool = False
    is_exact: bool = False
    is_dispensable: bool = False


@dataclass(frozen=True, slots=True)
class SavedLibrary:
    """A library that the model was saved with, and the one that is there.

    Args:
        package, version: The one that wrote it.
        there: The version that is there; None where it is missing.
        holds_state: Whether the file holds the library's private attributes, as pickles and skops do, and not its format.
        where: What says so.
    """

    package: str
    version: str
    there: str | None
    holds_state: bool
    where: str


@dataclass(frozen=True, slots=True)
class PickledFile:
    """A pickle of the model: its file, its protocol, and the highest one that the Python reads."""

    file: str
    protocol: int
    highest: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """An installed package whose own requirement is not met.

    Args:
        package, version: The one that asks; `needs` is what for, and `needed` that one's name.
        found: What is there; None where nothing is.
        is_needed: Whether the model's requirements lead there; a Python holds what other things need as well.
    """

    package: str
    version: str
    needs: str
    needed: str
    found: str | None
    is_needed: bool


@dataclass(frozen=True, slots=True)
class Drift:
    """A package that was built in with one version (None: not at all) and is there with another (None: gone)."""

    package: str
    built: str | None
    there: str | None


@dataclass(frozen=True, slots=True)
class Release:
    """What the index says of an installed version.

    Args:
        package, version: What is installed.
        is_yanked: Whether its author took it back; `reason` is why, as they wrote it.
        newest: The newest version that runs on this Python; None where that is not newer.
        is_asked: Whether the model asks for it itself.
    """

    package: str
    version: str
    is_yanked: bool = False
    reason: str = ""
    newest: str | None = None
    is_asked: bool = True


@dataclass(frozen=True, slots=True)
class Unaudited:
    """What could not be looked at.

    Args:
        what: `vulnerabilities`, `yanked and newer versions`, `installed packages`.
        reason: Why not.
        remedy: What to do.
        severity: What it keeps people from knowing.
        where: Who did not answer.
    """

    what: str
    reason: str
    remedy: str
    severity: Severity
    where: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that was seen of one environment.

    `advisories` is None where nobody said anything; `is_silent` is of a model that names no requirement at all.
    """

    place: AuditedPython
    wanted: Sequence[WantedRequirement] = ()
    saved: Sequence[SavedLibrary] = ()
    saved_python: str | None = None
    python_where: str = "MLmodel"
    is_pickled: bool = False
    pickles: Sequence[PickledFile] = ()
    conflicts: Sequence[Conflict] = ()
    drifts: Sequence[Drift] = ()
    releases: Sequence[Release] = ()
    advisories: Mapping[tuple[str, str], Sequence[Advisory]] | None = None
    unaudited: Sequence[Unaudited] = ()
    is_built: bool = True
    is_silent: bool = False
