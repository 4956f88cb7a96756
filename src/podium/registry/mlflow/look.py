"""What a reference stands for in MLflow's stores, and what stands there where it stands for nothing."""

import hashlib
from dataclasses import dataclass, field

from podium.domain.nearest import did_you_mean, listed
from podium.domain.references import AliasRef, LatestRef, LoggedRef, ModelRef, RunRef, StageRef, VersionRef
from podium.domain.stages import Stage
from podium.errors import NotFound, RegistryError
from podium.registry.mlflow.contract import MlflowVersion, ModelRegistry, Tracking
from podium.registry.mlflow.stores import Stores

NamedRef = VersionRef | StageRef | LatestRef | AliasRef


@dataclass(frozen=True, slots=True)
class Found:
    """What stands there, before any file of it was fetched.

    Attributes:
        version: None for a logged model and for what a run logged.
        sources: URIs, the first of which that holds a model is meant; they may hold secrets.
        place: Which store said so, without a secret.
        identity: Differs from that of any other model that ever stood there under the same name and number.
    """

    version: MlflowVersion | None
    sources: tuple[str, ...] = field(repr=False)
    place: str
    identity: str


def look(stores: Stores, reference: ModelRef) -> Found:
    """Ask for what a reference stands for.

    Raises:
        NotFound: It was asked, and says what is there instead.
        RegistryError: It cannot be asked, or not answer.
    """
    match reference:
        case LoggedRef(model_id):
            tracking = _tracking(stores, str(reference))
            uri = tracking.logged(model_id)
            if uri is None:
                raise NotFound(f"No model was logged as {model_id}.", [f"{tracking.place}: logged models"])
            return Found(None, (uri,), tracking.place, _identity(tracking.place, str(reference), uri))
        case RunRef(run_id, path):
            return _of_run(_tracking(stores, str(reference)), run_id, path, str(reference))
        case VersionRef() | StageRef() | LatestRef() | AliasRef():
            version = _ask(stores.registry, reference)
            if version is None:
                raise _not_found(stores.registry, reference)
            return found_version(stores.registry, version)
        case _:
            raise AssertionError("folders and addresses are in no registry")


def run_sources(tracking: Tracking, run_id: str, path: str) -> tuple[str, ...]:
    """Where what a run logged may lie: a logged model by that name, else among the run's own artifacts.

    Raises:
        NotFound: There is no such run.
    """
    artifacts = tracking.run(run_id)
    if artifacts is None:
        raise NotFound(f"There is no run {run_id}.", [f"{tracking.place}: runs"])
    name, _, rest = path.partition("/")
    logged = tracking.logged_in(run_id, name)
    own = joined(artifacts, path)
    return (own,) if logged is None else (joined(logged, rest), own)


def joined(uri: str, path: str) -> str:
    """A place below a folder's URI, in front of its query if it has one."""
    head, mark, query = uri.partition("?")
    return f"{head.rstrip('/')}/{path}{mark}{query}" if path else uri


def _tracking(stores: Stores, reference: str) -> Tracking:
    if stores.tracking is None:
        raise RegistryError(
            f"{reference}: only MLFLOW_REGISTRY_URI is set, and runs and logged models are with the tracking server. "
            "Set MLFLOW_TRACKING_URI as well."
        )
    return stores.tracking


def found_version(registry: ModelRegistry, version: MlflowVersion) -> Found:
    """What stands there, of a version that is known.

    Raises:
        RegistryError: It names no files.
    """
    if not version.is_ready:
        raise RegistryError(f"{registry.place}: version {version.number} of {version.name!r} names no files.")
    made = f"{version.name}/{version.number}/{version.created_ms}"
    return Found(version, (version.source,), registry.place, _identity(registry.place, made, version.source))


def _of_run(tracking: Tracking, run_id: str, path: str, reference: str) -> Found:
    sources = run_sources(tracking, run_id, path)
    return Found(None, sources, tracking.place, _identity(tracking.place, reference, *sources))


def _identity(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _ask(registry: ModelRegistry, reference: NamedRef) -> MlflowVersion | None:
    match reference:
        case VersionRef(name, number):
            return registry.version(name, number)
        case StageRef(name, stage):
            return registry.highest(name, stage)
        case AliasRef(name, alias) if alias.lower() != "latest":
            return registry.aliased(name, alias)
        case _:
            return registry.highest(reference.name, None)


def _not_found(registry: ModelRegistry, reference: NamedRef) -> NotFound:
    name, place = reference.name, registry.place
    versions = registry.versions(name)
    if versions is None:
        names = sorted(registry.names() or ())
        return NotFound(
            f"{reference}: no registered model is named {name!r}.{did_you_mean(name, names)}",
            [f"{place}: {listed('models', names)}"],
        )
    match reference:
        case StageRef(_, stage):
            there = [f"{version.number} ({(version.stage or Stage.NONE).value})" for version in versions]
            return NotFound(
                f"{reference}: no version of {name!r} is in stage {stage.value}.",
                [f"{place}: {listed('versions', there)}"],
            )
        case AliasRef(_, alias):
            aliases = registry.aliases(name)
            pairs = [f"{other} -> {number}" for other, number in sorted(aliases.items())]
            return NotFound(
                f"{reference}: {name!r} has no alias {alias!r}.{did_you_mean(alias, aliases)}",
                [f"{place}: {listed('aliases', pairs)}"],
            )
        case _:
            numbers = [str(version.number) for version in versions]
            what = f"no version {reference.version}" if isinstance(reference, VersionRef) else "no versions"
            return NotFound(f"{reference}: {name!r} has {what}.", [f"{place}: {listed('versions', numbers)}"])
