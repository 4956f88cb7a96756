"""What `podium serve` was asked to do, as one frozen value."""

import os
from dataclasses import dataclass

from podium.domain.batching import BatchingMode
from podium.domain.dialect import MODES, NAN_FORMS, Dialect, Mode, NanForm
from podium.domain.load_terms import LoadTerms
from podium.errors import Misconfigured
from podium.settings.declared import Kind, declare
from podium.settings.environments import AUTO, MANAGERS, EnvironmentOrder, environment_order

BATCHING = tuple(mode.value for mode in BatchingMode)
RUNTIMES = ("auto", "original")
BY_MULTIPROCESSOR = "200 with two processors or more, else 0"
BY_PROCESSORS = "one for each 4 processors"


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """What is to be served, and as what.

    Args:
        model_uri: What people write of a model; None is an error where nothing else names one.
        endpoint: Its public name; None takes the model's.
        is_row_independent: Whoever serves the model declares that each row is answered by itself.
        has_access_log: Whether each scoring request becomes a line of a file.
    """

    model_uri: str | None = declare(
        None, "model_uri", Kind.TEXT, "models:/NAME/STAGE, models:/NAME@ALIAS, a folder ...", letter="m", parameter="uri"
    )
    endpoint: str | None = declare(
        None, "name", Kind.TEXT, "Public name of the endpoint.", default_text="the model's", parameter="endpoint"
    )
    is_row_independent: bool = declare(
        False, "row_independent", Kind.SWITCH, "Declare that each row is answered by itself: batching is on."
    )
    has_access_log: bool = declare(True, "access_log", Kind.SWITCH, "Write a line for each scoring request.")


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """How one server runs. Times in seconds.

    Args:
        host, port: Where it listens; port 0 takes a free one.
        replicas: Worker processes for the version that serves.
        gateways: Front processes.
        timeout_s: From a request to its answer.
        batching: A `domain.batching.BatchingMode`.
        max_batch_rows, gather_percent, max_queue_rows: As in `transport.messages.Load`.
        threads: For BLAS, OpenMP and onnxruntime in each worker.
        load_timeout_s: A version that is not ready by then has failed to load.
        drain_timeout_s: For requests in flight, when a version is swapped out or the server stops.
        poll_s: How often the registry is looked at.
        acknowledge_s: A gateway that has not taken over a routing table by then is killed and started again.
        boot_s: A gateway that does not accept connections by then is killed and started again.
        busy_wait_us: How long a gateway and a worker look for the next message of a lone client before they sleep.
        runtime: `auto` answers by a shortcut where one is proven to change no bit; `original` by the model's own method.
        mode, nan, inputs_base64: As in `domain.dialect.Dialect`.
        env_manager, installs_mlflow: As in `settings.environments.EnvironmentOrder`.
        allow_code: As `allows_code` in `domain.load_terms.LoadTerms`.
        gateway_settings: What each gateway gets as `--settings`: JSON that only gateways read.
    """

    host: str = declare("127.0.0.1", "host", Kind.TEXT, "Where it listens; 0.0.0.0 serves to the network.", letter="h")
    port: int = declare(8000, "port", Kind.COUNT, "0 takes any free port.", least=0, most=65535, letter="p")
    replicas: int = declare(1, "workers", Kind.COUNT, "Replicas of the model.", letter="w", parameter="replicas")
    gateways: int = declare(1, "gateways", Kind.COUNT, "Front processes.", default_text=BY_PROCESSORS)
    timeout_s: float = declare(60.0, "timeout", Kind.SECONDS, "Seconds from a request to its answer.", letter="t")
    batching: str = declare("auto", "batching", Kind.WORD, "Merge requests.", choices=BATCHING)
    max_batch_rows: int = declare(256, "max_batch_rows", Kind.COUNT, "Largest batch.")
    gather_percent: int = declare(
        10, "gather_percent", Kind.COUNT, "Wait so much of a batch's cost for its clients to return.", least=0, most=100
    )
    max_queue_rows: int = declare(4096, "max_queue_rows", Kind.COUNT, "Rows that may wait for a replica.")
    busy_wait_us: int = declare(
        200,
        "busy_wait_us",
        Kind.COUNT,
        "Microseconds to look for a lone client's next message before sleeping; 0 never.",
        least=0,
        most=10_000,
        default_text=BY_MULTIPROCESSOR,
    )
    runtime: str = declare(
        "auto", "runtime", Kind.WORD, "A shortcut proven equal to the model's own method, or that itself.", choices=RUNTIMES
    )
    threads: int = declare(1, "threads", Kind.COUNT, "Threads of each worker's numeric libraries.")
    load_timeout_s: float = declare(300.0, "load_timeout", Kind.SECONDS, "Seconds for a version to load.")
    drain_timeout_s: float = declare(30.0, "drain_timeout", Kind.SECONDS, "Seconds for requests in flight to finish.")
    poll_s: float = declare(0.5, "poll_interval", Kind.SECONDS, "Seconds between two looks at the registry.")
    acknowledge_s: float = declare(
        10.0, "acknowledge_timeout", Kind.SECONDS, "Seconds for a gateway to take a routing table over, or be replaced."
    )
    boot_s: float = declare(60.0, "boot_timeout", Kind.SECONDS, "Seconds for a gateway to start, or be replaced.")
    mode: Mode = declare(  # noqa: RUF009
        "compat", "mode", Kind.WORD, "As MLflow's server answers, or refusing what it changes silently.", choices=MODES
    )
    nan: NanForm = declare(  # noqa: RUF009
        "bare", "nan", Kind.WORD, "How NaN is written: as MLflow does, as null, as a string.", choices=NAN_FORMS
    )
    inputs_base64: bool = declare(
        False, "inputs_base64", Kind.SWITCH, "Text for binary columns is base64 in `inputs` and `instances` too."
    )
    env_manager: str = declare(
        "local", "env_manager", Kind.WORD, "Python of the workers: this one, or one built.", choices=(*MANAGERS, AUTO)
    )
    installs_mlflow: bool = declare(
        False, "install_mlflow", Kind.SWITCH, "Build mlflow into the environment, also where podium does without."
    )
    allow_code: bool = declare(
        True, "allow_code", Kind.SWITCH, "Load models whose files run code: pickles, modules, loaders of their own."
    )
    gateway_settings: str = "{}"

    def __post_init__(self) -> None:
        for name in ("replicas", "gateways", "max_batch_rows", "max_queue_rows", "threads"):
            if getattr(self, name) < 1:
                raise Misconfigured(f"{name} = {getattr(self, name)}: must be at least 1")
        for name in ("timeout_s", "load_timeout_s", "drain_timeout_s", "poll_s", "acknowledge_s", "boot_s"):
            if not getattr(self, name) > 0:
                raise Misconfigured(f"{name} = {getattr(self, name)}: must be more than 0 seconds")
        if not 0 <= self.gather_percent <= 100:
            raise Misconfigured(f"gather_percent = {self.gather_percent}: must be 0 (never wait) to 100")
        if not 0 <= self.port <= 65535:
            raise Misconfigured(f"port = {self.port}: must be 0 (any free one) to 65535")
        if self.batching not in BATCHING:
            raise Misconfigured(f"batching = {self.batching!r}: must be one of {', '.join(BATCHING)}")
        if self.runtime not in RUNTIMES:
            raise Misconfigured(f"runtime = {self.runtime!r}: must be one of {', '.join(RUNTIMES)}")
        _ = self.dialect  # refuses words that it does not know

    @property
    def dialect(self) -> Dialect:
        """How the models' answers follow MLflow's."""
        return Dialect(self.mode, self.nan, self.inputs_base64)

    @property
    def terms(self) -> LoadTerms:
        """On what terms models are loaded."""
        return LoadTerms(allows_code=self.allow_code)

    @property
    def environment(self) -> EnvironmentOrder:
        """Which Python each version's workers run in; MLflow's own variables have their say."""
        return environment_order(self.env_manager, os.environ, self.installs_mlflow)

    @property
    def hang_s(self) -> float:
        """A worker that is busy with one batch for longer hangs: every client of it has long had its 504."""
        return max(2 * self.timeout_s, self.timeout_s + 30)
