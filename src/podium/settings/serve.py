"""What `podium serve` was asked to do, as one frozen value."""

from dataclasses import dataclass, field

from podium.domain.batching import BatchingMode
from podium.errors import Misconfigured
from podium.settings.environments import EnvironmentOrder

BATCHING = tuple(mode.value for mode in BatchingMode)


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """How one server runs. Times in seconds.

    Args:
        host, port: Where it listens; port 0 takes a free one.
        replicas: Worker processes for the version that serves.
        gateways: Front processes.
        timeout_s: From a request to its answer.
        batching: A `domain.batching.BatchingMode`.
        max_batch_rows, max_queue_rows: As in `transport.messages.Load`.
        threads: For BLAS, OpenMP and onnxruntime in each worker.
        load_timeout_s: A version that is not ready by then has failed to load.
        drain_timeout_s: For requests in flight, when a version is swapped out or the server stops.
        poll_s: How often the registry is looked at.
        acknowledge_s: A gateway that has not taken over a routing table by then is killed and started again.
        boot_s: A gateway that does not accept connections by then is killed and started again.
        environment: Which Python each version's workers run in.
        gateway_settings: What each gateway gets as `--settings`: JSON that only gateways read.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    replicas: int = 1
    gateways: int = 1
    timeout_s: float = 60.0
    batching: str = BatchingMode.AUTO.value
    max_batch_rows: int = 256
    max_queue_rows: int = 4096
    threads: int = 1
    load_timeout_s: float = 300.0
    drain_timeout_s: float = 30.0
    poll_s: float = 0.5
    acknowledge_s: float = 10.0
    boot_s: float = 60.0
    environment: EnvironmentOrder = field(default_factory=EnvironmentOrder)
    gateway_settings: str = "{}"

    def __post_init__(self) -> None:
        for name in ("replicas", "gateways", "max_batch_rows", "max_queue_rows", "threads"):
            if getattr(self, name) < 1:
                raise Misconfigured(f"{name} = {getattr(self, name)}: must be at least 1")
        for name in ("timeout_s", "load_timeout_s", "drain_timeout_s", "poll_s", "acknowledge_s", "boot_s"):
            if not getattr(self, name) > 0:
                raise Misconfigured(f"{name} = {getattr(self, name)}: must be more than 0 seconds")
        if not 0 <= self.port <= 65535:
            raise Misconfigured(f"port = {self.port}: must be 0 (any free one) to 65535")
        if self.batching not in BATCHING:
            raise Misconfigured(f"batching = {self.batching!r}: must be one of {', '.join(BATCHING)}")

    @property
    def hang_s(self) -> float:
        """A worker that is busy with one batch for longer hangs: every client of it has long had its 504."""
        return max(2 * self.timeout_s, self.timeout_s + 30)
