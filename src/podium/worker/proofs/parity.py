"""The proof that another way of answering gives the model's own answers: one for all ways, bounded in time.

Both are asked the same made-up and shown rows (`cases.py`), in batches of several sizes, because a batch's size
decides which kernels run. A way either keeps every bit or, where it was converted, every label and each number within a
tolerance. What the model answers and the other way leaves alone is no difference: the model answers it then.
"""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from podium.domain.frames import is_frame
from podium.worker.proofs.cases import Case

# The large and the single batch first: where time runs out, these were seen for every kind of row.
SIZES = (64, 1, 7, 2, 3, 16)
_FIRST_SIZES = 2
_LEAST_SHARE = 0.5

Way = Callable[[Case], Any]


@dataclass(frozen=True, slots=True)
class Pair:
    """The same thing, computed by the model's own code and by the other way; `name` for people."""

    name: str
    original: Way
    other: Way


@dataclass(frozen=True, slots=True)
class Proof:
    """What was compared, and what came of it.

    Args:
        is_accepted: Nothing differed by more than is allowed, and most rows were answered.
        tolerance: How much numbers may differ, relative to the larger of 1 and their size; None: by no bit.
        rows: How many rows of which kind were compared.
        left: Rows that the other way left to the model.
        largest: The largest such difference of numbers; 0 where no bit differed.
        seconds: What the proof took.
        reason: Why it was not accepted.
        counterexample: The first row that differed: `kind`, `row`, `expected`, `got`.
    """

    is_accepted: bool
    tolerance: float | None
    rows: dict[str, int] = field(default_factory=dict)
    left: int = 0
    largest: float = 0.0
    seconds: float = 0.0
    reason: str | None = None
    counterexample: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The proof as a JSON object."""
        return asdict(self)

    @property
    def sentence(self) -> str:
        """For people, in a few words."""
        rows = sum(self.rows.values())
        if not self.is_accepted:
            return str(self.reason)
        if self.tolerance is None:
            return f"equal to the last bit on {rows} rows"
        return f"labels equal and numbers within {self.tolerance:g} (largest {self.largest:.1e}) on {rows} rows"


class _Differs(Exception):
    def __init__(self, reason: str, counterexample: dict[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.counterexample = counterexample


def prove(pairs: Sequence[Pair], cases: Sequence[Case], tolerance: float | None = None, limit_s: float = 0.25) -> Proof:
    """Compare both ways on all cases.

    Args:
        pairs: The answer itself, and what it is made of. The first one counts rows.
        cases: A table of rows for each kind.
        tolerance: None compares bits.
        limit_s: When this is over, only the sizes that must be seen are still tried.
    """
    began = time.monotonic()
    rows: dict[str, int] = {}
    left, largest = 0, 0.0
    reason: str | None = None
    counterexample: dict[str, Any] | None = None
    try:
        for case, is_needed in _batches(cases):
            if not is_needed and time.monotonic() - began > limit_s:
                break
            # What these rows make a library warn of is no fault of anybody's.
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                found = [_compared(pair, case, tolerance) for pair in pairs]
            if found[0] is None:
                left += case.rows
            else:
                rows[case.kind] = rows.get(case.kind, 0) + case.rows
            largest = max([largest, *(each for each in found if each is not None)])
    except _Differs as difference:
        reason, counterexample = str(difference), difference.counterexample
    answered = sum(rows.values())
    if reason is None and (not answered or answered < _LEAST_SHARE * (answered + left)):
        reason = f"it left {left} of {answered + left} rows to the model"
    seconds = round(time.monotonic() - began, 3)
    return Proof(reason is None, tolerance, rows, left, largest, seconds, reason, counterexample)


def _batches(cases: Sequence[Case]) -> Iterator[tuple[Case, bool]]:
    for i, size in enumerate(SIZES):
        for case in cases:
            for start in _starts(case.rows, size):
                yield case.cut(start, size), i < _FIRST_SIZES


def _starts(rows: int, size: int) -> Sequence[int]:
    """Where batches of a size begin: a few of them, spread over the table."""
    if size >= rows:
        return (0,)
    return range(0, rows - size + 1, max(size, rows // 2))


def _compared(pair: Pair, case: Case, tolerance: float | None) -> float | None:
    """The largest difference in one batch; None where the other way left it to the model.

    Raises:
        _Differs: It differs by more than is allowed.
    """
    try:
        expected, error = pair.original(case), None
    except Exception as raised:  # noqa: BLE001 - the model's own code refuses some rows
        expected, error = None, raised
    try:
        found = pair.other(case)
    except Exception:  # noqa: BLE001 - then the model answers
        return None
    if error is not None:
        raise _Differs(f"it answers rows that the model refuses ({type(error).__name__}), of the kind {case.kind}")
    if is_frame(expected) and is_frame(found):
        if not (expected.columns.equals(found.columns) and expected.index.equals(found.index)):
            raise _Differs(f"{pair.name}: its table has other columns or another index than the model's")
        expected, found = expected.to_numpy(), found.to_numpy()
    if not isinstance(expected, np.ndarray) or type(found) is not np.ndarray:
        raise _Differs(f"the model answers with a {type(expected).__name__}, it with a {type(found).__name__}")
    if expected.shape != found.shape or (tolerance is None and expected.dtype != found.dtype):
        raise _Differs(
            f"{pair.name}: the model answers {expected.dtype} of shape {expected.shape}, it {found.dtype} of {found.shape}"
        )
    if tolerance is None:
        if _are_bits_equal(expected, found):
            return 0.0
        raise _differs(pair, case, expected, found, _unequal(expected, found))
    return _distance(pair, case, expected, found, tolerance)


def _are_bits_equal(expected: Any, found: Any) -> bool:
    # Objects (labels of text) have no bytes of their own to compare.
    if expected.dtype.hasobject:
        return bool(expected.tolist() == found.tolist())
    return bool(expected.tobytes() == found.tobytes())


def _unequal(expected: Any, found: Any) -> Any:
    if expected.dtype.hasobject or expected.dtype.kind not in "fc":
        return np.asarray(expected != found)
    size = expected.dtype.itemsize
    bits = [np.ascontiguousarray(each).view(np.uint8).reshape(*each.shape, size) for each in (expected, found)]
    return (bits[0] != bits[1]).any(axis=-1)


def _distance(pair: Pair, case: Case, expected: Any, found: Any, tolerance: float) -> float:
    if expected.dtype.kind != "f":
        is_other = np.asarray(expected != found)
        if is_other.any():
            raise _differs(pair, case, expected, found, is_other)
        return 0.0
    wide, other = expected.astype(np.float64), found.astype(np.float64)
    is_alike = (wide == other) | (np.isnan(wide) & np.isnan(other))
    with np.errstate(invalid="ignore"):
        distance = np.where(is_alike, 0.0, np.abs(wide - other) / np.maximum(1.0, np.abs(wide)))
    is_other = ~(distance <= tolerance)
    if is_other.any():
        raise _differs(pair, case, expected, found, is_other)
    return float(distance.max(initial=0.0))


def _differs(pair: Pair, case: Case, expected: Any, found: Any, is_other: Any) -> _Differs:
    rows = is_other.reshape(len(is_other), -1).any(axis=1)
    row = int(np.flatnonzero(rows)[0]) if rows.any() else 0
    counterexample = {
        "kind": case.kind,
        "row": case.row(row),
        "expected": expected[row].tolist(),
        "got": found[row].tolist(),
        "batch": case.rows,
    }
    return _Differs(f"{pair.name} differs in {int(rows.sum())} of {case.rows} rows of the kind {case.kind}", counterexample)
