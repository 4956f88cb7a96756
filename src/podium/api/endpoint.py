"""From what was said to what is served: the settings of one server, put together for whoever starts it."""

import dataclasses
import importlib.util
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from podium.api.beside import beside_of
from podium.api.catalogue import CATALOGUE, NOTHING, RegisteredModels, ServerCatalogue, safe_name
from podium.api.exports import exports_of
from podium.api.protection import OWNERS as PROTECTING
from podium.api.protection import protection_of
from podium.domain.masking import masked
from podium.domain.model_files.archives import archive_stem
from podium.domain.monitoring.quality.tasks import SaidTask
from podium.domain.nearest import did_you_mean
from podium.domain.references import AliasRef, FolderRef, LatestRef, ModelRef, StageRef, VersionRef, parse_reference
from podium.errors import InvalidInput, Misconfigured, MissingDependency, NotFound, PodiumError
from podium.fleet.host.logs import access_log
from podium.fleet.host.machine import cpu_limit
from podium.fleet.site import EndpointOrder, ServerOrder
from podium.fleet.sources import Wish
from podium.monitoring.drift_methods import methods_said
from podium.monitoring.store.opening import history_of
from podium.registry.observe import RegistryObserver
from podium.registry.resolve import resolve
from podium.registry.rollout_sides import side_of
from podium.serving.settings import GatewaySettings
from podium.settings.access import AccessSettings
from podium.settings.config_file import ALERTS, find_config, from_config, read_config
from podium.settings.declared import settings_of
from podium.settings.environments import EnvironmentSettings
from podium.settings.exports import ExportSettings
from podium.settings.hash_key import hash_key_in
from podium.settings.home import Home
from podium.settings.model import ModelSettings
from podium.settings.provenance import MODELS_NAMED, NAME_AND_URI, URI, Chosen, Said, from_environ, gather
from podium.settings.serve import EndpointSettings, ServeSettings

_MULTI_MODEL, _SAGEMAKER_MODELS = "SAGEMAKER_MULTI_MODEL", "/opt/ml/models"
_SIDE_S = 2.0
_NEEDS = {
    "serve.grpc_port": (
        "grpc",
        {"grpc": "grpcio", "grpc_health": "grpcio-health-checking", "grpc_reflection": "grpcio-reflection"},
    ),
    "serve.dashboard_port": ("dashboard", {"starlette": "starlette", "uvicorn": "uvicorn", "jinja2": "jinja2"}),
}
SETTINGS = settings_of(
    EndpointSettings, ServeSettings, ModelSettings, EnvironmentSettings, GatewaySettings, *PROTECTING, ExportSettings
)


def choose(
    said: Iterable[Said],
    beneath: Iterable[Said] = (),
    environ: Mapping[str, str] = os.environ,
    folder: Path | None = None,
) -> Chosen:
    """Defaults, podium.toml, variables and what was said here, in rising order.

    Args:
        said: By flags or arguments.
        beneath: Other defaults than podium's own.
        environ: Variables.
        folder: Where podium.toml is looked for; None is the current one.

    Raises:
        Misconfigured: A value does not fit, or a name is no setting's.
    """
    config = find_config(environ, folder or Path.cwd())
    in_file = from_config(SETTINGS, config) if config is not None else []
    processors = cpu_limit()
    computed = [
        Said("serve.gateways", max(1, int(processors // 4)), "default"),
        Said("serve.max_loading", max(1, round(processors)), "default"),
        # Where there is one processor, whoever is waited for needs it.
        Said("serve.busy_wait_us", 200 if processors >= 2 else 0, "default"),
    ]
    if environ.get(_MULTI_MODEL, "").lower() == "true":
        # SageMaker starts such a container with no model, and puts each where it then asks for it to be loaded from.
        computed.append(Said("serve.allow_load", _SAGEMAKER_MODELS, _MULTI_MODEL))
    return gather(SETTINGS, [*computed, *beneath, *in_file, *from_environ(SETTINGS, environ), *said])


@dataclass(frozen=True, slots=True)
class Named:
    """A model as somebody named it: `NAME=URI`, or the URI alone."""

    uri: str
    name: str | None = None


def models_named(chosen: Chosen) -> list[Named]:
    """Which models are to be served, in the order in which they were named.

    Raises:
        Misconfigured: None is, or what is said for one of several contradicts itself.
    """
    texts: tuple[str, ...] = chosen[MODELS_NAMED]
    if not texts and _may_grow(chosen):
        return []
    if not texts:
        raise Misconfigured(
            "No model is named. Say which: podium serve -m models:/NAME/production, PODIUM_SERVE_MODEL_URI, "
            "or model_uri under [serve] in podium.toml."
        )
    named = [Named(found[2], found[1]) if (found := NAME_AND_URI.fullmatch(text)) else Named(text) for text in texts]
    given = chosen["serve.name"]
    if given is None:
        return named
    if len(named) > 1:
        raise Misconfigured(
            f"{chosen.source('serve.name')}: serve.name is {given}, but {len(named)} models are named. "
            "Give each its own: -m NAME=URI."
        )
    if named[0].name is not None or not re.fullmatch(r"[\w.\-]{1,100}", given.lstrip(".")):
        source = chosen.source("serve.name")
        twice = f" The model is already called {named[0].name} by {chosen.source(MODELS_NAMED)}." if named[0].name else ""
        raise Misconfigured(f"{source}: serve.name is {given}; use letters, digits, '_', '-' and '.', at most 100.{twice}")
    return [Named(named[0].uri, given)]


def server_of(chosen: Chosen, home: Home, owner_digest: str | None = None) -> ServerOrder:
    """What is to be served, looked up.

    The one model of a server must be there. Of several, one that is not does not keep the others from being served: what
    follows a stage or an alias is served once it is there.

    Args:
        chosen: What was said.
        home: PODIUM_HOME.
        owner_digest: As in `AccessSettings`.

    Raises:
        Misconfigured: Settings contradict each other, no model is named, or two are called the same.
        MissingDependency: gRPC is asked for, and its library is not installed.
        InvalidReference: What is named is no reference.
        NotFound, RegistryError, InvalidModel: As `registry.resolve.resolve`; of several models, when it is true of all.
    """
    _check_installed(chosen)
    alerts = _alerts(chosen)
    named = models_named(chosen)
    references = [parse_reference(each.uri) for each in named]
    names = [
        safe_name(each.name) if each.name else name_of(reference) for each, reference in zip(named, references, strict=True)
    ]
    _refuse_clashes(names, named, chosen)
    models = {name: _settings_of(name, chosen) for name in names}
    default = _default_of(chosen, names)
    side = side_of(chosen["serve.rollout_store"], _SIDE_S) if chosen["serve.rollout_store"] else None
    wishes, errors = [], []
    for reference in references:
        try:
            wishes.append(Wish(resolve(reference, home)))
        except PodiumError as error:
            errors.append(error)
            wishes.append(Wish(None, error.message, is_up=isinstance(error, NotFound)))
    if errors and len(errors) == len(wishes) and not _may_grow(chosen):
        raise errors[0]
    endpoints = tuple(
        EndpointOrder(
            name,
            reference,
            wish,
            models[name],
            RegistryObserver(home, side=side),
            beside_of(name, reference, models[name], home),
        )
        for name, reference, wish in zip(names, references, wishes, strict=True)
    )
    known = dict(zip(names, references, strict=True))
    which = chosen["serve.registry"]
    registry = None
    if which is not None:
        registry = RegisteredModels(home, which, lambda name: _settings_of(name, chosen), known, side)
    catalogue = ServerCatalogue(
        home, known, lambda name: _settings_of(name, chosen), chosen["serve.allow_load"], registry, side
    )
    if registry is not None:
        endpoints += registry.first()
        default = default or (endpoints[0].name if len(endpoints) == 1 else "")
    if chosen["serve.monitor"]:
        # Says what is wrong with its address, or not installed; whether it answers is the monitor's business.
        history_of(home, chosen["serve.monitor_store"])
        if (key_file := chosen["serve.monitor_key_file"]) is not None:
            hash_key_in(key_file, "serve.monitor_key_file")
    config = find_config(os.environ, Path.cwd())
    where = "" if config is None else str(config.absolute())
    settings = ServeSettings(**chosen.fields(ServeSettings), alerts=alerts, config=where)
    if settings.monitor_key_file is not None:
        # It is read anew for each model that is loaded, wherever the server is by then.
        key_file = str(Path(settings.monitor_key_file).expanduser().absolute())
        settings = dataclasses.replace(settings, monitor_key_file=key_file)
    order = ServerOrder(home, endpoints, default, settings, chosen.shown(), catalogue)
    if registry is not None:
        order = dataclasses.replace(order, take=registry.take, order_of=registry.order_of)
    return dataclasses.replace(order, settings=_with_gateways(chosen, order, owner_digest))


def _alerts(chosen: Chosen) -> str:
    """What `[alerts]` of podium.toml says, for the monitor; checked, with the secrets that it names looked for."""
    if (config := find_config(os.environ, Path.cwd())) is None or ALERTS not in read_config(config)[0]:
        return ""
    from podium.api.alerting import channels_of, settings_here

    settings = settings_here()
    if channels_of(settings) and not chosen["serve.monitor"]:
        raise Misconfigured(
            f"[alerts] names channels, and nobody would be told: serve.monitor is off "
            f"({chosen.source('serve.monitor')}). Leave one of them out."
        )
    return json.dumps(settings.table)


def _may_grow(chosen: Chosen) -> bool:
    """Whether the server may be told later what to serve."""
    return chosen["serve.allow_load"] not in {NOTHING, CATALOGUE} or chosen["serve.registry"] is not None


def _settings_of(name: str, chosen: Chosen) -> ModelSettings:
    """What one model is asked to be."""
    chosen = chosen.of_model(name)
    if chosen["serve.row_independent"] and chosen["serve.batching"] == "off":
        raise Misconfigured(
            "row_independent and batching off contradict each other; leave one of them out. "
            f"({chosen.source('serve.row_independent')}, {chosen.source('serve.batching')})"
        )
    try:
        SaidTask.of(chosen["serve.task"], chosen["serve.positive"])
    except ValueError as error:
        raise Misconfigured(f"{error} ({chosen.source('serve.task')}, {chosen.source('serve.positive')})") from error
    if chosen["serve.drift"]:
        try:
            methods_said(chosen["serve.drift"])
        except InvalidInput as error:
            raise Misconfigured(f"{error.message} ({chosen.source('serve.drift')})") from error
    environments = EnvironmentSettings(**chosen.fields(EnvironmentSettings))
    return ModelSettings(**chosen.fields(ModelSettings), environments=environments)


def _check_installed(chosen: Chosen) -> None:
    """See that what serves gRPC and the dashboard is installed, before anything is started."""
    for setting, (extra, modules) in _NEEDS.items():
        for module, library in modules.items():
            if chosen[setting] is not None and importlib.util.find_spec(module) is None:
                raise MissingDependency(library, f"{setting} ({chosen.source(setting)})", extra)


def _with_gateways(chosen: Chosen, order: ServerOrder, owner_digest: str | None) -> ServeSettings:
    protection = protection_of(chosen, order.home, [each.name for each in order.endpoints])
    protection["access"] = dataclasses.replace(protection["access"], owner_digest=owner_digest)
    exports = exports_of(chosen, order.home)
    gateway = GatewaySettings(
        **chosen.fields(GatewaySettings),
        timeout_s=chosen["serve.timeout"],
        drain_limit_s=chosen["serve.drain_timeout"],
        busy_wait_us=chosen["serve.busy_wait_us"],
        **protection,
        exports=exports.of_gateway,
        access_log=str(access_log(order.home.logs / order.name)) if chosen["serve.access_log"] else None,
    )
    shown, told = gateway.access.tls_cert, exports.to_json() if exports.is_on else ""
    certificate = None if shown is None else str(Path(shown).absolute())
    settings = dataclasses.replace(order.settings, dashboard_terms=_dashboard_terms(gateway.access, order.settings))
    return dataclasses.replace(settings, certificate=certificate, gateway_settings=gateway.to_json(), exports=told)


def _dashboard_terms(access: AccessSettings, settings: ServeSettings) -> tuple[str, ...]:
    """A server that asks who asks has a dashboard that does; one that speaks TLS, one that does."""
    changes = ("--allow-changes",) if settings.dashboard_changes else ()
    asks = access.requires_keys or access.jwks is not None or access.tls_client_ca is not None
    files = () if access.tls_cert is None or access.tls_key is None else (access.tls_cert, access.tls_key)
    named = [text for flag, path in zip(("--tls-cert", "--tls-key"), files, strict=False) for text in (flag, path)]
    return (*(("--require-keys",) if asks else ()), *changes, *named)


def _refuse_clashes(names: list[str], named: list[Named], chosen: Chosen) -> None:
    for number, name in enumerate(names):
        if name in names[:number]:
            first = named[names.index(name)]
            raise Misconfigured(
                f"Two models are called {name}: {masked(first.uri)} and {masked(named[number].uri)}. "
                f"Give one of them another name: -m NAME=URI. ({chosen.source(MODELS_NAMED)})"
            )
    for name, entries in chosen.models.items():
        if name not in names and URI.key not in entries and not _may_grow(chosen):
            source = next(iter(entries.values())).source
            raise Misconfigured(
                f"{source}: no model that is served is called {name}.{did_you_mean(name, names)} "
                f"There are {', '.join(names)}; with a uri under [models.{name}] it would be another."
            )


def _default_of(chosen: Chosen, names: list[str]) -> str:
    default: str | None = chosen["serve.default"]
    if default is not None and default not in names and not _may_grow(chosen):
        raise Misconfigured(
            f"{chosen.source('serve.default')}: serve.default is {default}, and no model is called that."
            f"{did_you_mean(default, names)} There are {', '.join(names)}."
        )
    return default or (names[0] if names else "")


def name_of(reference: ModelRef) -> str:
    """The public name of a model that nobody named otherwise."""
    return safe_name(_name_of(reference))


def _name_of(reference: ModelRef) -> str:
    """A registered model's own, or the last part of its address without an archive's ending or a signature."""
    match reference:
        case VersionRef() | StageRef() | LatestRef() | AliasRef():
            return reference.name
        case FolderRef():
            name = Path(reference.path).expanduser().absolute().name
        case _:
            name = str(reference).partition("?")[0].rstrip("/").rpartition("/")[2]
    return archive_stem(name) or name
