"""What one model that is served was asked to be, as one frozen value: its replicas, its Python, how it is answered for."""

import os
from dataclasses import dataclass
from functools import partial

from podium.domain.batching import BatchingMode
from podium.domain.dialect import MODES, NAN_FORMS, Dialect, Mode, NanForm
from podium.domain.load_terms import PRECISIONS, LoadTerms
from podium.domain.monitoring.choosing import SaidMethod
from podium.domain.monitoring.quality.tasks import TASKS, SaidTask
from podium.domain.traffic import Sticky
from podium.domain.worker_starts import AUTO as AUTO_START
from podium.domain.worker_starts import WORKER_STARTS
from podium.errors import InvalidInput, Misconfigured
from podium.settings.declared import ValueKind, declare
from podium.settings.environments import AUTO, MANAGERS, EnvironmentOrder, EnvironmentSettings, environment_order

BATCHING = tuple(mode.value for mode in BatchingMode)
RUNTIMES = ("auto", "exact", "onnx", "original")
RESIDENT = ("auto", "always", "demand")
ISOLATIONS = ("none", "user", "sandbox")

# Said under [serve], by a variable or a flag it is meant for every model; under [models.NAME] for that one.
_model = partial(declare, is_of_model=True)


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """How one model is served, apart from all others of the same server. Times in seconds.

    Args:
        replicas: Worker processes for the version that serves, at the start.
        min_workers, max_workers, target_latency_s: As in `domain.capacity.scaling.ScalingPolicy`; None: as `replicas`.
        scale_up_after_s, scale_down_after_s: As `up_after_s` and `down_after_s` there.
        resident: Whether its workers run before anybody asks, and stay: `always`, `demand`, or `auto`.
        sleep_after_s: Without a request for so long it sleeps, and wakes for the next; None: never.
        batching: A `domain.batching.BatchingMode`.
        max_batch_rows, gather_percent, max_queue_rows: As in `transport.messages.Load`.
        is_row_independent: Whoever serves the model declares that each row is answered by itself.
        runtime: What may answer, once proven: `exact` a shortcut that changes no bit, `onnx` an accepted conversion before
            that, `auto` a shortcut before a conversion; `original` the model's own method alone.
        threads: For BLAS, OpenMP and onnxruntime in each worker.
        device, precision, compiles: As in `domain.load_terms.LoadTerms`.
        load_timeout_s: A version that is not ready by then has failed to load.
        mode, nan, inputs_base64: As in `domain.dialect.Dialect`.
        env_manager, installs_mlflow: As in `settings.environments.EnvironmentOrder`.
        worker_python: As `python` there.
        isolation, worker_user: As in `fleet.workers.isolation.World`; `worker_env` are its `variables`.
        worker_start: As in `domain.worker_starts.why_fresh`.
        verify_key: Path of the key that has signed every model which is loaded here.
        worker_memory: Bytes of resident memory.
        allow_code: As `allows_code` in `domain.load_terms.LoadTerms`.
        split: Names of other versions, stages or aliases of the same model, with percents of the traffic.
        bandit: Names like those of `split`, whose parts follow feedback; `bandit_floor` as in `domain.bandit.shares`,
            `bandit_half_life_s` as in `domain.bandit.Arm.aged`.
        sticky: As `domain.traffic.Sticky.parse` reads it.
        version_header: As `allows_naming` in `domain.traffic.Rules`.
        shadow: A version, stage or alias of the same model; its percent and tolerance as in `domain.traffic.Shadow`.
        drift: Each as `domain.monitoring.choosing.SaidMethod.of` reads it.
        task, positive: As `domain.monitoring.quality.tasks.SaidTask` has them.
        environments: How environments are built, the same for all models of a server.
    """

    replicas: int = _model(1, "workers", ValueKind.COUNT, "Replicas of the model.", letter="w", parameter="replicas")
    min_workers: int | None = _model(
        None, "min_workers", ValueKind.COUNT, "Fewest replicas while it is awake.", default_text="workers"
    )
    max_workers: int | None = _model(
        None, "max_workers", ValueKind.COUNT, "Most replicas: more start under load, up to this.", default_text="workers"
    )
    target_latency_s: float | None = _model(
        None,
        "target_latency",
        ValueKind.SECONDS,
        "Seconds that 95 of 100 requests may take before more replicas start.",
        default_text="none",
    )
    scale_up_after_s: float = _model(
        5.0,
        "scale_up_after",
        ValueKind.SECONDS,
        "Seconds for which more replicas must be called for before there are more.",
    )
    scale_down_after_s: float = _model(
        60.0,
        "scale_down_after",
        ValueKind.SECONDS,
        "Seconds for which fewer replicas would have done before there are fewer.",
    )
    resident: str = _model(
        "auto",
        "resident",
        ValueKind.WORD,
        "In memory always, or on demand: from its first request on; auto: on demand where memory or models are bounded.",
        choices=RESIDENT,
    )
    sleep_after_s: float | None = _model(
        None,
        "sleep_after",
        ValueKind.SECONDS,
        "Seconds without a request after which its workers end.",
        default_text="none",
    )
    batching: str = _model("auto", "batching", ValueKind.WORD, "Merge requests.", choices=BATCHING)
    max_batch_rows: int = _model(256, "max_batch_rows", ValueKind.COUNT, "Largest batch.")
    gather_percent: int = _model(
        10,
        "gather_percent",
        ValueKind.COUNT,
        "Wait so much of a batch's cost for its clients to return.",
        least=0,
        most=100,
    )
    max_queue_rows: int = _model(4096, "max_queue_rows", ValueKind.COUNT, "Rows that may wait for a replica.")
    is_row_independent: bool = _model(
        False, "row_independent", ValueKind.SWITCH, "Declare that each row is answered by itself: batching is on."
    )
    runtime: str = _model(
        "auto",
        "runtime",
        ValueKind.WORD,
        "What may answer: any proven way, an exact one, ONNX first, the model.",
        choices=RUNTIMES,
    )
    threads: int = _model(1, "threads", ValueKind.COUNT, "Threads of each worker's numeric libraries.")
    device: str = _model(
        "auto", "device", ValueKind.TEXT, "Where models compute: auto (a GPU where there is one), cpu, cuda, cuda:N, mps."
    )
    precision: str = _model(
        "full", "precision", ValueKind.WORD, "The model's own, or less where PyTorch can (autocast).", choices=PRECISIONS
    )
    compiles: bool = _model(False, "compile", ValueKind.SWITCH, "Let PyTorch compile its models (torch.compile).")
    load_timeout_s: float = _model(300.0, "load_timeout", ValueKind.SECONDS, "Seconds for a version to load.")
    mode: Mode = _model(  # noqa: RUF009
        "compat", "mode", ValueKind.WORD, "As MLflow's server answers, or refusing what it changes silently.", choices=MODES
    )
    nan: NanForm = _model(  # noqa: RUF009
        "bare", "nan", ValueKind.WORD, "How NaN is written: as MLflow does, as null, as a string.", choices=NAN_FORMS
    )
    inputs_base64: bool = _model(
        False, "inputs_base64", ValueKind.SWITCH, "Text for binary columns is base64 in `inputs` and `instances` too."
    )
    env_manager: str = _model(
        AUTO,
        "env_manager",
        ValueKind.WORD,
        "Python of the workers: auto takes this one where it meets the model's requirements, else builds one.",
        choices=(*MANAGERS, AUTO),
    )
    installs_mlflow: bool = _model(
        False, "install_mlflow", ValueKind.SWITCH, "Build mlflow into the environment, also where podium does without."
    )
    worker_python: str | None = _model(
        None,
        "worker_python",
        ValueKind.TEXT,
        "Interpreter of an environment that is there already; env_manager is not asked.",
    )
    allow_code: bool = _model(
        True, "allow_code", ValueKind.SWITCH, "Load models whose files run code: pickles, modules, loaders of their own."
    )
    isolation: str = _model(
        "none",
        "isolation",
        ValueKind.WORD,
        "Round each worker: nothing, another user, a sandbox.",
        choices=ISOLATIONS,
    )
    worker_user: str | None = _model(None, "worker_user", ValueKind.TEXT, "Whom workers run as, with isolation user.")
    worker_env: tuple[str, ...] = _model(
        (), "worker_env", ValueKind.NAMES, "More of the server's variables that workers get, by name.", default_text="none"
    )
    worker_start: str = _model(
        AUTO_START,
        "worker_start",
        ValueKind.WORD,
        "Workers begin forked from a process that has their libraries, or in a fresh interpreter; auto: forked where safe.",
        choices=WORKER_STARTS,
    )
    verify_key: str | None = _model(
        None,
        "verify_key",
        ValueKind.TEXT,
        "A public key (PEM): only models that it verifies are loaded.",
        default_text="none",
    )
    worker_memory: int | None = _model(
        None,
        "worker_memory",
        ValueKind.BYTES,
        "Memory beyond which a worker is ended.",
        least=64 << 20,
        default_text="none",
    )
    split: tuple[tuple[str, int], ...] = _model(
        (),
        "split",
        ValueKind.SHARES,
        "Other versions, stages or @aliases that take these percents of the traffic.",
        default_text="none",
    )
    bandit: tuple[str, ...] = _model(
        (),
        "bandit",
        ValueKind.TEXTS,
        "Another version, stage or @alias whose part of the traffic follows feedback; once for each.",
        default_text="none",
    )
    bandit_floor: int = _model(
        5, "bandit_floor", ValueKind.COUNT, "Percent that each version of a bandit has at least.", least=0, most=50
    )
    bandit_half_life_s: float | None = _model(
        None,
        "bandit_half_life",
        ValueKind.SECONDS,
        "Seconds after which feedback counts half in a bandit.",
        default_text="feedback counts for ever",
    )
    sticky: str | None = _model(
        None,
        "sticky",
        ValueKind.TEXT,
        "What keeps a client with one version: header:NAME, cookie:NAME, field:NAME.",
        default_text="each request by itself",
    )
    version_header: bool = _model(
        False, "version_header", ValueKind.SWITCH, "Let requests name versions without traffic, too: x-podium-version."
    )
    shadow: str | None = _model(
        None, "shadow", ValueKind.TEXT, "A version, stage or @alias that gets copies of requests.", default_text="none"
    )
    shadow_percent: int = _model(100, "shadow_percent", ValueKind.COUNT, "Of so many percent of the requests.", most=100)
    shadow_tolerance: float = _model(
        0.01,
        "shadow_tolerance",
        ValueKind.RATIO,
        "Numbers of two answers that differ by no more of the larger are the same.",
    )
    drift: tuple[str, ...] = _model(
        (),
        "drift",
        ValueKind.TEXTS,
        "Method that scores columns' drift, or COLUMN=METHOD of one; with :WARN:ALERT, other thresholds than its own.",
        default_text="psi",
    )
    task: str | None = _model(
        None,
        "task",
        ValueKind.WORD,
        "What the model is for, where labels say how good it is.",
        choices=TASKS,
        default_text="as its profile, answers and labels tell",
    )
    positive: str | None = _model(
        None,
        "positive",
        ValueKind.CLASS,
        "Of two classes the one that the model is about.",
        default_text="1, true or yes",
    )
    environments: EnvironmentSettings = EnvironmentSettings()  # noqa: RUF009

    def __post_init__(self) -> None:
        for name in ("replicas", "max_batch_rows", "max_queue_rows", "threads"):
            if getattr(self, name) < 1:
                raise Misconfigured(f"{name} = {getattr(self, name)}: must be at least 1")
        if not self.least <= self.replicas <= self.most:
            raise Misconfigured(
                f"workers = {self.replicas}: must lie between min_workers ({self.least}) and max_workers ({self.most})"
            )
        if not self.load_timeout_s > 0:
            raise Misconfigured(f"load_timeout_s = {self.load_timeout_s}: must be more than 0 seconds")
        if not 0 <= self.gather_percent <= 100:
            raise Misconfigured(f"gather_percent = {self.gather_percent}: must be 0 (never wait) to 100")
        if ours := [name for name in self.worker_env if name.startswith("PODIUM_")]:
            raise Misconfigured(f"worker_env names {', '.join(ours)}: podium's own variables are never passed to workers")
        if self.bandit and self.split:
            raise Misconfigured("bandit and split both say who has which part of the traffic; leave one of them out.")
        words = {"batching": BATCHING, "isolation": ISOLATIONS, "worker_start": WORKER_STARTS, "runtime": RUNTIMES}
        for name, known in words.items():
            if getattr(self, name) not in known:
                raise Misconfigured(f"{name} = {getattr(self, name)!r}: must be one of {', '.join(known)}")
        if self.is_row_independent and self.batching == "off":
            raise Misconfigured("row_independent and batching off contradict each other; leave one of them out.")
        _ = self.dialect, self.terms, self.sticks_to, self.purpose  # refuse words that they do not know
        try:
            _ = [SaidMethod.of(text) for text in self.drift]
        except InvalidInput as error:
            raise Misconfigured(error.message) from error

    @property
    def least(self) -> int:
        """The fewest replicas while it is awake."""
        return self.replicas if self.min_workers is None else self.min_workers

    @property
    def most(self) -> int:
        """The most replicas."""
        return self.replicas if self.max_workers is None else self.max_workers

    @property
    def merges(self) -> str:
        """The batching mode, with what was declared of the model's rows."""
        return "on" if self.is_row_independent else self.batching

    @property
    def dialect(self) -> Dialect:
        """How the model's answers follow MLflow's."""
        return Dialect(self.mode, self.nan, self.inputs_base64)

    @property
    def sticks_to(self) -> Sticky | None:
        """What requests must share to get the same version."""
        return None if self.sticky is None else Sticky.parse(self.sticky)

    @property
    def purpose(self) -> SaidTask:
        """What it is for, as far as somebody said it."""
        try:
            return SaidTask.of(self.task, self.positive)
        except ValueError as error:
            raise Misconfigured(str(error)) from error

    @property
    def terms(self) -> LoadTerms:
        """On what terms the model is loaded."""
        return LoadTerms(self.device, self.precision, self.compiles, self.allow_code)

    @property
    def environment(self) -> EnvironmentOrder:
        """Which Python each version's workers run in; MLflow's own variables have their say."""
        return environment_order(
            self.env_manager, os.environ, self.installs_mlflow, settings=self.environments, python=self.worker_python
        )
