"""What `podium serve` was asked to do as a whole; what it was asked to do with each model stands in `settings/model.py`."""

import contextlib
from dataclasses import dataclass, field

from podium.errors import Misconfigured
from podium.settings.declared import ValueKind, declare
from podium.settings.hash_key import hash_key_in

BY_MULTIPROCESSOR = "200 with two processors or more, else 0"
BY_PROCESSORS = "one for each 4 processors"


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """What is to be served, and as what.

    Args:
        model_uris: What people write of each model, with or without `NAME=`; none at all is an error.
        endpoint: The public name of the only one; None takes the model's.
        default: The name of the endpoint that a request which names none is for; None takes the first.
        registry: Which versions of all registered models; see `registry.census`.
        allow_load: What may be loaded and unloaded while it runs; see `api.catalogue`.
        has_access_log: Whether each scoring request becomes a line of a file.
    """

    model_uris: tuple[str, ...] = declare(
        (),
        "model_uri",
        ValueKind.TEXTS,
        "models:/NAME/STAGE, models:/NAME@ALIAS, a folder ...; NAME=URI once for each of several.",
        letter="m",
        default_text="none",
        parameter="uri",
    )
    endpoint: str | None = declare(
        None, "name", ValueKind.TEXT, "Public name of the endpoint.", default_text="the model's", parameter="endpoint"
    )
    default: str | None = declare(
        None, "default", ValueKind.TEXT, "Which of several models /invocations is for.", default_text="the first"
    )
    registry: str | None = declare(
        None,
        "registry",
        ValueKind.TEXT,
        "Serve every model of a registry that has such a version: production, staging, latest, @ALIAS; mlflow:production …",
        default_text="none",
    )
    allow_load: str = declare(
        "catalogue",
        "allow_load",
        ValueKind.TEXT,
        "What may be loaded and unloaded while it runs: none, catalogue (its own models), what is in a FOLDER, any.",
    )
    has_access_log: bool = declare(True, "access_log", ValueKind.SWITCH, "Write a line for each scoring request.")


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """How one server runs, whatever it serves. Times in seconds.

    Args:
        host, port: Where it listens; port 0 takes a free one.
        grpc_port: Where it listens for gRPC; None does not.
        gateways: Front processes.
        timeout_s: From a request to its answer.
        drain_timeout_s: For requests in flight, when a version is swapped out or the server stops.
        poll_s: How often the registry is looked at.
        acknowledge_s: A gateway that has not taken over a routing table by then is killed and started again.
        boot_s: A gateway that does not accept connections by then is killed and started again.
        busy_wait_us: How long a gateway and a worker look for the next message of a lone client before they sleep.
        rollout_store: Where rollouts and pins are kept when the registry may not be written.
        memory_budget, max_resident: Bytes and models; see `domain.residency`.
        max_loading: As in `domain.load_order`.
        has_monitor: Whether traffic and data are kept and judged.
        drift_window_s, monitor_retention_days: How long a window is judged, and how long history is kept.
        monitor_store: The database of a history that several servers share; None: monitor.db in PODIUM_HOME.
        monitor_key_file: Holds the key of profiles whose categories are hashed; None: these columns are not judged.
        quality_predictions: How many rows of answers are kept for labels to come.
        certificate: The file of what gateways show over TLS; None: they do not speak it.
        gateway_settings: What each gateway gets as `--settings`: JSON that only gateways read.
        dashboard_port, dashboard_host: Where the dashboard listens; None: there is none.
        dashboard_changes: Whether its pages may also change something.
        dashboard_terms: What it is started with beside that: flags of `python -m podium.dashboard`.
        alerts: What the monitor gets of `[alerts]`, JSON likewise; empty where nothing is said.
        config: Path of podium.toml, whose `[alerts]` the monitor reads again when it changes; empty where there is none.
        exports: What the exporter gets, JSON likewise; empty where nothing is exported, and none is started.
    """

    host: str = declare("127.0.0.1", "host", ValueKind.TEXT, "Where it listens; 0.0.0.0 serves to the network.", letter="h")
    port: int = declare(8000, "port", ValueKind.COUNT, "0 takes any free port.", least=0, most=65535, letter="p")
    grpc_port: int | None = declare(
        None,
        "grpc_port",
        ValueKind.COUNT,
        "Port of the Open Inference Protocol over gRPC, on the same host; 0 takes any free one.",
        least=0,
        most=65535,
        default_text="off",
    )
    gateways: int = declare(1, "gateways", ValueKind.COUNT, "Front processes.", default_text=BY_PROCESSORS)
    timeout_s: float = declare(60.0, "timeout", ValueKind.SECONDS, "Seconds from a request to its answer.", letter="t")
    busy_wait_us: int = declare(
        200,
        "busy_wait_us",
        ValueKind.COUNT,
        "Microseconds to look for a lone client's next message before sleeping; 0 never.",
        least=0,
        most=10_000,
        default_text=BY_MULTIPROCESSOR,
    )
    drain_timeout_s: float = declare(30.0, "drain_timeout", ValueKind.SECONDS, "Seconds for requests in flight to finish.")
    poll_s: float = declare(0.5, "poll_interval", ValueKind.SECONDS, "Seconds between two looks at the registry.")
    acknowledge_s: float = declare(
        10.0,
        "acknowledge_timeout",
        ValueKind.SECONDS,
        "Seconds for a gateway to take a routing table over, or be replaced.",
    )
    boot_s: float = declare(60.0, "boot_timeout", ValueKind.SECONDS, "Seconds for a gateway to start, or be replaced.")
    dashboard_port: int | None = declare(
        None,
        "dashboard_port",
        ValueKind.COUNT,
        "Port of the dashboard, a web page; 0 takes any free one.",
        least=0,
        most=65535,
        default_text="off",
    )
    dashboard_host: str = declare(
        "127.0.0.1", "dashboard_host", ValueKind.TEXT, "Where the dashboard listens; from elsewhere it asks for a key."
    )
    dashboard_changes: bool = declare(
        False,
        "dashboard_changes",
        ValueKind.SWITCH,
        "Let the dashboard promote, roll back, move rollouts and silence; with keys, by one of the scope admin.",
    )
    rollout_store: str | None = declare(
        None,
        "rollout_store",
        ValueKind.TEXT,
        "A file or postgresql://… where rollouts and pins are kept; every server and command must be told the same.",
        default_text="the registry",
    )
    memory_budget: int | None = declare(
        None,
        "memory_budget",
        ValueKind.BYTES,
        "Memory of all workers together: models load at their first request, the least recently used go.",
        least=64 << 20,
        default_text="none",
    )
    max_resident: int | None = declare(
        None,
        "max_resident",
        ValueKind.COUNT,
        "Models in memory at a time: they load at their first request, the least recently used go.",
        default_text="none",
    )
    max_loading: int = declare(
        1,
        "max_loading",
        ValueKind.COUNT,
        "Workers that load at a time; the others wait. Half as many where the model serves meanwhile.",
        default_text="one for each processor",
    )
    has_monitor: bool = declare(
        True, "monitor", ValueKind.SWITCH, "Keep traffic and, of models with a profile, data, and judge them."
    )
    drift_window_s: float = declare(
        3600.0,
        "drift_window",
        ValueKind.SECONDS,
        "Seconds of data that are held against a profile: a multiple of 5 minutes, up to a day.",
    )
    monitor_retention_days: int = declare(
        90, "monitor_retention_days", ValueKind.COUNT, "Days for which the monitor keeps history.", most=3650
    )
    monitor_store: str | None = declare(
        None,
        "monitor_store",
        ValueKind.TEXT,
        "postgresql://… where the monitors of several servers keep one history; commands must be told the same.",
        default_text="monitor.db",
    )
    monitor_key_file: str | None = declare(
        None, "monitor_key_file", ValueKind.TEXT, "File with the key of monitoring profiles whose categories are hashed."
    )
    quality_predictions: int = declare(
        500_000,
        "quality_predictions",
        ValueKind.COUNT,
        "Predicted rows that the monitor keeps for labels to come, for 30 days; of more the oldest are given up.",
        most=100_000_000,
    )
    certificate: str | None = None
    gateway_settings: str = "{}"
    alerts: str = field(default="", repr=False)
    config: str = ""
    exports: str = ""
    dashboard_terms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.gateways < 1:
            raise Misconfigured(f"gateways = {self.gateways}: must be at least 1")
        for name in ("timeout_s", "drain_timeout_s", "poll_s", "acknowledge_s", "boot_s"):
            if not getattr(self, name) > 0:
                raise Misconfigured(f"{name} = {getattr(self, name)}: must be more than 0 seconds")
        if not (0 < self.drift_window_s <= 86_400 and self.drift_window_s % 300 == 0):
            raise Misconfigured(
                f"drift_window = {self.drift_window_s:g}: must be a multiple of 5 minutes (300 s), up to a day"
            )
        if not 0 <= self.port <= 65535:
            raise Misconfigured(f"port = {self.port}: must be 0 (any free one) to 65535")

    def hash_key(self) -> str | None:
        """The key of profiles whose categories are hashed, read now; None where there is none, or it cannot be read."""
        if self.monitor_key_file is None or not self.has_monitor:
            return None
        with contextlib.suppress(Misconfigured):
            return hash_key_in(self.monitor_key_file, "serve.monitor_key_file").decode()
        return None  # it was looked for when the server began; a worker says that columns are not judged

    @property
    def is_on_demand(self) -> bool:
        """Whether models are loaded when they are asked for, where nothing else is said of them."""
        return self.memory_budget is not None or self.max_resident is not None

    @property
    def hang_s(self) -> float:
        """A worker that is busy with one batch for longer hangs: every client of it has long had its 504."""
        return max(2 * self.timeout_s, self.timeout_s + 30)
