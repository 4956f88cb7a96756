"""Whether this model's requests are merged, and the sentence that says why."""

from collections.abc import Callable
from dataclasses import dataclass

from podium.domain.batching import BatchingMode
from podium.flavors.contract import RowIndependence
from podium.worker.probe import Probed

_HOW_TO_DECLARE = (
    "declare it row_independent when you log it, or serve with --batching on, if each row's answer depends on that row only"
)


@dataclass(frozen=True, slots=True)
class Merging:
    """Whether requests are merged, and why or why not, for people."""

    is_batching: bool
    reason: str


def judge(mode: str, rows: RowIndependence, probe: Callable[[], Probed]) -> Merging:
    """Decide whether to merge requests.

    A model is batched when its flavor knows it to be row-independent, or its author (when logging it, which `rows` then
    says) or its operator (when serving it) declared it so, and the probe does not refute it. Where the probe cannot look
    (no input example and no numbers to make one up, or one that fails), the word of the list or of the declaration stands
    alone, and the reason says so. The probe is not run where it could change nothing.

    Args:
        mode: A `BatchingMode`, as it came in the Load message.
        rows: What the flavor knows, or the author declared.
        probe: Calls the model.
    """
    if mode == BatchingMode.OFF:
        return Merging(False, "switched off")
    if rows.static_batch is not None:
        return Merging(False, f"the model takes exactly {rows.static_batch} rows a call")
    if rows.is_known_independent:
        claim = rows.reason
    elif mode == BatchingMode.ON:
        claim = "declared row-independent when served"
    else:
        return Merging(False, f"{rows.reason}; {_HOW_TO_DECLARE}")
    found = probe()
    if found.is_row_wise is False:
        return Merging(False, f"{claim}, but the probe says {found.reason}")
    if found.is_row_wise is None:
        return Merging(True, f"{claim}; not probed: {found.reason}")
    return Merging(True, f"{claim}; {found.reason}")
