"""From a Load message to a model that is warm, judged and described: everything between the handshake and Ready."""

import gc
import json
import os
import platform
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podium.domain.causes import load_cause
from podium.domain.devices import CPU
from podium.domain.inputs.plan import plan_for
from podium.domain.monitoring.profile import PROFILE_PATH
from podium.errors import PodiumError
from podium.flavors.contract import HasShortcut, OnDevice
from podium.models.installed import installed_versions
from podium.models.predictor import Predictor
from podium.transport.counting_messages import Bootstrapped
from podium.transport.messages import Load, LoadError, Loading, Message, Ready
from podium.worker.log import log_event, traceback_of
from podium.worker.made_up import made_up_request
from podium.worker.planned import PlannedInput
from podium.worker.probe import Probed, probe
from podium.worker.proofs.runtime import AllowedRuntimes
from podium.worker.verdict import Merging, judge

if TYPE_CHECKING:
    from podium.worker.tap import Tap
    from podium.worker.watching import OpenTap

_MOST_WARNINGS = 10
_MOST_CAUSES = 10


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that can serve, and what Ready says of it.

    Attributes:
        tap: Counts what it is asked and answers; None where nobody watches it.
        slab: The descriptor of where that is counted, which goes to the supervisor with Ready; none without a tap.
    """

    predictor: Predictor
    verdict: Merging
    planned: PlannedInput | None
    ready: Ready
    tap: "Tap | None" = None
    slab: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Example:
    """The input example: its JSON, and its enforced form once it was scored without an error."""

    text: str | None
    data: Any = None
    params: Mapping[str, Any] | None = None
    failure: str | None = None


def load(
    order: Load, tell: Callable[[Message], None], warned: Sequence[warnings.WarningMessage] = ()
) -> LoadedModel | LoadError:
    """Import, load, score the input example, probe.

    An input example that does not score is a warning, not an error: examples grow stale while models are well, and the
    first request would say the same. Whatever importing or unpickling raises, up to sys.exit, is a LoadError.

    Args:
        order: What to load.
        tell: Sends a step's message.
        warned: What was warned of before.
    """
    begun = time.monotonic()
    folder = Path(order.path)
    # Importing makes many objects and no garbage: a collector that looks through them takes a tenth of the time.
    gc.disable()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        try:
            tell(Loading("import"))
            from podium.models.load import load_predictor

            tell(Loading("load"))
            predictor = load_predictor(folder, order.mlmodel, order.model_config, order.dialect, order.terms)
        except BaseException as error:  # noqa: BLE001 - the model's own code runs here
            log_event("load_failed", error=type(error).__name__, traceback=traceback_of(error))
            return LoadError(load_cause(error), _sentence(error))
        if order.has_shortcuts and isinstance(predictor.loaded, HasShortcut):
            predictor.loaded.hasten()
        tell(Loading("warm"))
        example = score_example(predictor, folder, order.mlmodel)
        tell(Loading("probe"))
        verdict = _judge(order, predictor, example)
    planned = _plan(predictor, example.data, order)
    said = [example.failure] if example.failure else []
    watched = _watched(order, predictor, planned, said, tell) if order.is_watched else None
    slab = None if watched is None else watched.slab
    gc.collect()
    # What is loaded stays: a collector that looks through it on every pass only costs time.
    gc.freeze()
    gc.enable()
    ready = Ready(
        flavor=predictor.flavor,
        python=platform.python_version(),
        executable=sys.executable,
        installed=installed_versions(order.packages),
        is_batching=verdict.is_batching,
        batching_reason=verdict.reason,
        example=example.text,
        load_s=round(time.monotonic() - begun, 3),
        rss_bytes=resident_bytes(),
        warnings=said + _sentences([*warned, *caught]),
        plan=None if planned is None else planned.plan.to_json(),
        runtime=_runtime(predictor, planned),
        proof=_proof(planned),
        device=predictor.loaded.use() if isinstance(predictor.loaded, OnDevice) else CPU,
        is_streaming=predictor.is_streaming,
        profile_id=None if slab is None else slab.profile_id,
    )
    if watched is None:
        return LoadedModel(predictor, verdict, planned, ready)
    return LoadedModel(predictor, verdict, planned, ready, watched.tap, () if slab is None else (slab.descriptor,))


def _watched(
    order: Load,
    predictor: Predictor,
    planned: PlannedInput | None,
    said: list[str],
    tell: Callable[[Message], None],
) -> "OpenTap | None":
    """What counts the model's rows, or samples them until they make a profile where it has none.

    A profile that cannot be used is told, and serving goes on.
    """
    path = Path(order.path) / PROFILE_PATH
    try:
        from podium.worker.watching import open_sampling, open_tap

        if not path.is_file():
            if predictor.is_streaming:
                return None
            return open_sampling(predictor, planned, lambda text: tell(Bootstrapped(text)))
        opened = open_tap(path, predictor, planned, None if order.hash_key is None else order.hash_key.encode())
        if opened.slab is not None and opened.slab.uncounted:
            said.append(_uncounted(opened.slab.uncounted, has_key=order.hash_key is not None))
        return opened
    except (PodiumError, OSError, ValueError) as error:
        said.append(f"Nothing watches the model's data: {_sentence(error)}")
        return None


def _uncounted(names: tuple[str, ...], *, has_key: bool) -> str:
    named = ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    why = "the key in serve.monitor_key_file is another" if has_key else "serve.monitor_key_file names no key"
    return (
        f"Not judged: {named}. Their categories are hashed in the monitoring profile, and {why}. Name the file of the key "
        "that the profile was made with, or make the profile anew without --hash-key-file."
    )


def _plan(predictor: Predictor, example: Any, order: Load) -> PlannedInput | None:
    """What gateways may decode by themselves; nothing where the model's params lack a default."""
    plan = plan_for(predictor.signature) if predictor.takes_plans else None
    if plan is None:
        return None
    try:
        predictor.default_params()
        ways = AllowedRuntimes(order.has_shortcuts, order.conversion, order.prefers_conversion)
        return PlannedInput(plan, predictor, example, ways)
    except PodiumError:
        return None


def _runtime(predictor: Predictor, planned: PlannedInput | None) -> str:
    """What answers, for people."""
    shortcut = None if planned is None else planned.shortcut
    name = type(predictor.loaded.native).__name__
    return f"{name} by itself" if shortcut is None else f"{name} by {shortcut.what}, proven {shortcut.proof.sentence}"


def _proof(planned: PlannedInput | None) -> dict[str, Any] | None:
    """What was compared before anything but the model's own method was let to answer."""
    return None if planned is None or planned.shortcut is None else planned.shortcut.proof.to_json()


def resident_bytes() -> int:
    """This process's resident memory now."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def score_example(predictor: Predictor, folder: Path, mlmodel: Mapping[str, Any]) -> _Example:
    """The input example as requests would bring it, scored once."""
    from podium.models.examples import serving_example
    from podium.protocols.mlflow.codec import decode, encode

    text: str | None = None
    try:
        text = serving_example(folder, mlmodel)
        if text is None:
            return _Example(None)
        decoded = decode(text.encode(), "application/json", predictor.signature, predictor.dialect)
        data, params = predictor.enforce(decoded.data, decoded.params)
        encode(predictor.call(data, params), decoded.is_enveloped, predictor.dialect)
        return _Example(text, data, params)
    except BaseException as error:  # noqa: BLE001 - as in load
        log_event("example_failed", error=type(error).__name__, traceback=traceback_of(error))
        return _Example(text, failure=f"The model's input example did not score: {_sentence(error)}")


def _judge(order: Load, predictor: Predictor, example: _Example) -> Merging:
    def look() -> Probed:
        if example.failure:
            return Probed(None, "the input example does not score")
        try:
            if example.text is None:
                return _probe_without_example(predictor)
            return probe(predictor, example.data, example.params)
        except BaseException as error:  # noqa: BLE001 - as in load; a model that fails here is no reason not to serve it
            log_event("probe_failed", error=type(error).__name__, traceback=traceback_of(error))
            return Probed(False, f"the probe failed: {type(error).__name__}")

    return judge(order.batching, predictor.rows, look)


def _probe_without_example(predictor: Predictor) -> Probed:
    """Look with numbers made up from the signature; where these do not score, the model's owner alone knows what would."""
    from podium.protocols.mlflow.codec import decode

    text = made_up_request(predictor.signature)
    if text is None:
        return Probed(None, "the model has no input example, and its signature says too little to make one up")
    try:
        decoded = decode(text.encode(), "application/json", predictor.signature, predictor.dialect)
        data, params = predictor.enforce(decoded.data, decoded.params)
        predictor.call(data, params)
    except PodiumError:
        return Probed(None, "the model has no input example, and does not score numbers made up from its signature")
    return probe(predictor, data, params, "numbers made up from the signature")


def _sentence(error: BaseException) -> str:
    absent = _absent_variable(error)
    if absent is not None:
        return (
            f"It reads the environment variable {absent}, which this process does not have: workers get few of them. "
            f"Set it for the server and name it: worker_env = {json.dumps([absent])} (--worker-env {absent})."
        )
    if isinstance(error, PodiumError):
        cause = error.__cause__
        is_told = cause is None or type(cause).__name__ in error.message
        return error.message if is_told else f"{error.message} ({type(cause).__name__})"
    text = str(error).strip().partition("\n")[0][:500]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _absent_variable(error: BaseException | None) -> str | None:
    """The variable that an error is about, wherever in its causes os.environ was asked for one that is not there."""
    for _ in range(_MOST_CAUSES):
        if isinstance(error, KeyError) and error.__traceback__ is not None:
            *_, (frame, _line) = traceback.walk_tb(error.__traceback__)
            if frame.f_globals.get("__name__") == "os" and frame.f_code.co_name == "__getitem__":
                return str(error.args[0])
        error = None if error is None else error.__cause__ or error.__context__
    return None


def _sentences(caught: Sequence[warnings.WarningMessage]) -> list[str]:
    """What libraries warned of while loading that people should see; all of it goes to the log."""
    found: dict[str, None] = {}
    for warning in caught:
        text = " ".join(str(warning.message).split())
        log_event("warning", category=warning.category.__name__, message=text[:2000])
        if issubclass(warning.category, UserWarning):
            found[f"{warning.category.__name__}: {text[:400]}"] = None
    return list(found)[:_MOST_WARNINGS]
