"""What somebody says of an answer: how good it was, or what it should have been."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from podium.errors import InvalidInput

LONGEST_ID = 128
_LABELS = ("label", "ground_truth")
_KNOWN = frozenset({"request_id", "reward", *_LABELS})
_QUOTED = 100


@dataclass(frozen=True, slots=True)
class FeedbackReport:
    """One report.

    Args:
        request_id: Of the answer, as its `x-request-id` says.
        reward: How good it was, 0 to 1; None where that is not said.
        has_label: Whether it says what the answer should have been.
    """

    request_id: str
    reward: float | None
    has_label: bool


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
        raise InvalidInput(f"{unknown[0]}: unknown. A report has request_id, reward, and label or ground_truth.")
    reward = entry.get("reward")
    if reward is not None and (isinstance(reward, bool) or not isinstance(reward, int | float) or not 0 <= reward <= 1):
        raise InvalidInput("reward: expected a number from 0 (bad) to 1 (good).")
    has_label = any(entry.get(name) is not None for name in _LABELS)
    if reward is None and not has_label:
        raise InvalidInput("A report needs a reward or a label; both are missing.")
    return FeedbackReport(request_id, None if reward is None else float(reward), has_label)


def _kind(entry: Any) -> str:
    return {list: "a list", str: "a text", type(None): "null", bool: "true or false"}.get(type(entry), "a number")
