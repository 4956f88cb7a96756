"""From what was said to what is served: the settings of one server, put together for whoever starts it."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podium.domain.archives import archive_stem
from podium.domain.references import FolderRef, ModelRef, parse_reference
from podium.errors import Misconfigured
from podium.fleet.events import Event
from podium.fleet.logs import access_log
from podium.fleet.machine import cpu_limit
from podium.fleet.site import Programs
from podium.fleet.supervisor import Supervisor
from podium.registry.observe import RegistryObserver
from podium.registry.resolve import Resolved, resolve
from podium.serving.settings import GatewaySettings
from podium.settings.config_file import find_config, from_config
from podium.settings.declared import settings_of
from podium.settings.environments import EnvironmentSettings
from podium.settings.home import Home
from podium.settings.model import ModelSettings
from podium.settings.provenance import Chosen, Said, from_environ, gather
from podium.settings.serve import EndpointSettings, ServeSettings

SETTINGS = settings_of(EndpointSettings, ServeSettings, ModelSettings, EnvironmentSettings, GatewaySettings)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Everything that a supervisor is started with.

    Args:
        first: What the reference stands for now.
        shown: Each setting's value and who said it, for people.
    """

    home: Home
    reference: ModelRef
    first: Resolved
    name: str
    settings: ServeSettings
    model: ModelSettings
    shown: Mapping[str, Mapping[str, Any]]

    def supervisor(self, tell: Callable[[Event], None], programs: Programs | None = None) -> Supervisor:
        """What serves it, not yet running; the arguments are `Supervisor`'s."""
        return Supervisor(
            self.home,
            self.reference,
            self.first,
            self.name,
            self.settings,
            self.model,
            RegistryObserver(self.home),
            tell,
            programs or Programs(),
            shown=self.shown,
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
        # Where there is one processor, whoever is waited for needs it.
        Said("serve.busy_wait_us", 200 if processors >= 2 else 0, "default"),
    ]
    return gather(SETTINGS, [*computed, *beneath, *in_file, *from_environ(SETTINGS, environ), *said])


def endpoint_of(chosen: Chosen, home: Home) -> Endpoint:
    """What is to be served, looked up.

    Raises:
        Misconfigured: Settings contradict each other, or no model is named.
        NotFound, RegistryError, InvalidModel: As `registry.resolve.resolve`.
    """
    uri, batching = chosen["serve.model_uri"], chosen["serve.batching"]
    if uri is None:
        raise Misconfigured(
            "No model is named. Say which: podium serve -m models:/NAME/production, PODIUM_SERVE_MODEL_URI, "
            "or model_uri under [serve] in podium.toml."
        )
    if chosen["serve.row_independent"] and batching == "off":
        raise Misconfigured(
            "row_independent and batching off contradict each other; leave one of them out. "
            f"({chosen.source('serve.row_independent')}, {chosen.source('serve.batching')})"
        )
    reference = parse_reference(uri)
    first = resolve(reference, home)
    name = _endpoint_name(chosen, first)
    gateway = GatewaySettings(
        **chosen.fields(GatewaySettings),
        timeout_s=chosen["serve.timeout"],
        drain_limit_s=chosen["serve.drain_timeout"],
        busy_wait_us=chosen["serve.busy_wait_us"],
        access_log=str(access_log(home.logs / name)) if chosen["serve.access_log"] else None,
    )
    settings = ServeSettings(**chosen.fields(ServeSettings), gateway_settings=gateway.to_json())
    environments = EnvironmentSettings(**chosen.fields(EnvironmentSettings))
    model = ModelSettings(**chosen.fields(ModelSettings), environments=environments)
    return Endpoint(home, reference, first, name, settings, model, chosen.shown())


def _endpoint_name(chosen: Chosen, first: Resolved) -> str:
    """A name that is safe as a folder's and as a metric's label."""
    given = chosen["serve.name"]
    name = given if given is not None else first.name or folder_name(first)
    if given is not None and not re.fullmatch(r"[\w.\-]{1,100}", given.lstrip(".")):
        source = chosen.source("serve.name")
        raise Misconfigured(f"{source}: serve.name is {given}; use letters, digits, '_', '-' and '.', at most 100.")
    return re.sub(r"[^\w.\-]+", "-", name).strip(".-")[:100] or "model"


def folder_name(first: Resolved) -> str:
    """What the last part of its address calls it: neither an archive's ending nor a signature is a name."""
    if isinstance(first.reference, FolderRef):
        name = Path(first.reference.path).expanduser().absolute().name
    else:
        name = str(first.reference).partition("?")[0].rstrip("/").rpartition("/")[2]
    return archive_stem(name) or name
