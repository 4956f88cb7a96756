"""What somebody says of an answer: how good it was, or what it should have been."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from podium.errors import InvalidInput

LONGEST_ID = 128
MOST_ROWS = 100_000
"""Of an answer, as far as its rows can be named."""
MOST_WEIGHT = 1e6
_LABELS = ("label", "ground_truth", "actual")
_KNOWN = frozenset({"request_id", "reward", "row", "at", "weight", *_LABELS})
_QUOTED = 100
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class FeedbackReport:
    """One report.

    Args:
        request_id: Of the answer, as its `x-request-id` says.
        reward: How good it was, 0 to 1; None where that is not said.
        label: What the answer should have been, any JSON; None where that is not said.
        row: Of the answer, from 0, that the label is of; None: of the whole answer.
        weight: How much it counts among labels.
        at: When the label was known, seconds since 1970; None: now.
    """

    request_id: str
    reward: float | None = None
    label: Any = None
    row: int | None = None
    weight: float = 1.0
    at: float | None = None

    @property
    def has_label(self) -> bool:
        """Whether it says what the answer should have been."""
        return self.label is not None


def reports_in(told: Any) -> Sequence[Any]:
    """The reports of a body: a list, or an object's `items`, or the one that it is."""
    if isinstance(told, Mapping) and "items" in told and "request_id" not in told:
        items, more = told["items"], sorted(str(name)[:_QUOTED] for name in told.keys() - {"items"})
        if not isinstance(items, list):
            raise InvalidInput(f'items: expected a list of reports, {{"items": [...]}}, not {_kind(items)}.')
        if more:
            raise InvalidInput(f"{more[0]}: unknown beside items. What is said of an answer stands in its report.")
        return items
    return told if isinstance(told, list) else [told]


def read_report(entry: Any) -> FeedbackReport:
    """Read one report out of JSON.

    Raises:
        InvalidInput: It is none.
    """
    if not isinstance(entry, Mapping):
        raise InvalidInput(f'A report is an object such as {{"request_id": "…", "reward": 1}}, not {_kind(entry)}.')
    request_id = entry.get("request_id")
    if not isinstance(request_id, str) or not 0 < len(request_id) <= LONGEST_ID:
        raise InvalidInput(f"request_id: expected a text of 1 to {LONGEST_ID} characters, the answer's x-request-id.")
    unknown = sorted(str(name)[:_QUOTED] for name in entry.keys() - _KNOWN)
    if unknown:
        raise InvalidInput(
            f"{unknown[0]}: unknown. A report has request_id, reward, and label, ground_truth or actual, "
            "maybe with row, weight and at."
        )
    reward = entry.get("reward")
    if reward is not None and (not _is_number(reward) or not 0 <= reward <= 1):
        raise InvalidInput("reward: expected a number from 0 (bad) to 1 (good).")
    label = _label_of(entry)
    if reward is None and label is None:
        raise InvalidInput("A report needs a reward or a label; both are missing.")
    row = entry.get("row")
    if row is not None and (isinstance(row, bool) or not isinstance(row, int) or not 0 <= row < MOST_ROWS):
        raise InvalidInput(f"row: expected a whole number from 0 to {MOST_ROWS - 1}, or nothing for the whole answer.")
    weight = entry.get("weight")
    if weight is not None and (not _is_number(weight) or not 0 < weight <= MOST_WEIGHT):
        raise InvalidInput(f"weight: expected a number above 0, up to {MOST_WEIGHT:.0f}.")
    said = None if reward is None else float(reward)
    return FeedbackReport(request_id, said, label, row, 1.0 if weight is None else float(weight), _time_of(entry.get("at")))


def _label_of(entry: Mapping[str, Any]) -> Any:
    said = [(name, entry[name]) for name in _LABELS if entry.get(name) is not None]
    if not said:
        return None
    for name, other in said[1:]:
        if other != said[0][1]:
            raise InvalidInput(f"{said[0][0]} and {name} differ. They are names of one thing: send one of them.")
    level = [said[0][1]]
    for _ in range(_DEEPEST):
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return said[0][1]
    raise InvalidInput(f"{said[0][0]}: lists and objects in each other more than {_DEEPEST} deep.")


def _inside(value: Any) -> Sequence[Any]:
    if isinstance(value, Mapping):
        return [each for each in value.values() if isinstance(each, list | Mapping)]
    return [each for each in value if isinstance(each, list | Mapping)] if isinstance(value, list) else ()


def _time_of(said: Any) -> float | None:
    if said is None:
        return None
    if _is_number(said) and 0 < said < 1e11:
        return float(said)
    if isinstance(said, str) and len(said) <= _QUOTED:
        try:
            found = datetime.fromisoformat(said)
            return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            pass
    raise InvalidInput("at: expected a time such as 2026-03-01T12:00:00Z, or seconds since 1970.")


def _is_number(value: Any) -> bool:
    return (
        not isinstance(value, bool) and isinstance(value, int | float) and (isinstance(value, int) or math.isfinite(value))
    )


def _kind(entry: Any) -> str:
    kinds = {list: "a list", dict: "an object", str: "a text", type(None): "null", bool: "true or false"}
    return kinds.get(type(entry), "a number")
