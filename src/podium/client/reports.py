"""What people say of answers, as requests, and what a server says of each report."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from podium.client.calls import Answer, ServerPlace, error_in
from podium.client.exchanges import ClientRequest, Received
from podium.errors import InvalidInput, Misconfigured, PodiumError

MOST_REPORTS = 1000
"""In one request: a server takes no more."""
_COUNTED = frozenset({"matched", "duplicate"})


@dataclass(frozen=True, slots=True)
class Reported:
    """What became of one report.

    Args:
        request_id: Of the answer that it is about.
        result: `matched`: counted now. `duplicate`: counted before, also by a first try of the same call. `unmatched`: the
            server knows no such answer of this model. `late`: the answer is too old. `full`: try again later.
            `invalid`: the report cannot be read.
        version: For which it was counted; None where it was not.
        reason: Why it is invalid.
        row: Of the answer, that its label is of; None: of the whole.
        is_kept: The label went to the monitor all the same, which knows answers for longer and takes corrections.
    """

    request_id: str | None
    result: str
    version: str | None = None
    reason: str | None = None
    row: int | None = None
    is_kept: bool = False

    @property
    def is_counted(self) -> bool:
        """Whether the server has it, by this call or one before."""
        return self.result in _COUNTED


def report_of(
    answer: Answer | str, reward: float | None, label: Any, row: int | None = None, weight: float | None = None
) -> dict[str, Any]:
    """One report as the server reads it; what is None is not said.

    Raises:
        InvalidInput: Nothing is said, the reward is no number from 0 to 1, or a row or a weight is said of no label.
    """
    if reward is None and label is None:
        raise InvalidInput("A report says something of the answer: give a reward from 0 (bad) to 1 (good), or a label.")
    if reward is not None and not 0 <= reward <= 1:
        raise InvalidInput(f"reward: expected a number from 0 (bad) to 1 (good), got {reward}.")
    if label is None and (row is not None or weight is not None):
        raise InvalidInput("row and weight are said of a label: give that, too.")
    identity = answer.request_id if isinstance(answer, Answer) else answer
    said = {"request_id": identity, "reward": None if reward is None else float(reward), "label": label}
    said |= {"row": None if row is None else int(row), "weight": None if weight is None else float(weight)}
    return {name: value for name, value in said.items() if value is not None}


def model_of(answer: Answer | str, model: str | None) -> str | None:
    """Which model is meant: the one that is named, else the one that answered; None where neither is known.

    Raises:
        Misconfigured: They are two.
    """
    answered = answer.model if isinstance(answer, Answer) else ""
    if model is not None and answered and model != answered:
        raise Misconfigured(f"The answer is of {answered}, and the report is to be of {model}; leave model out.")
    return model or answered or None


def requests_of(place: ServerPlace, model: str, reports: Sequence[Mapping[str, Any]]) -> Iterator[ClientRequest]:
    """What is sent, at most `MOST_REPORTS` at a time; each may be sent again, for a report counts once.

    Raises:
        InvalidInput: A label has no form in JSON.
    """
    from podium.client.values import plain_value

    every = iter(reports)
    while some := list(islice(every, MOST_REPORTS)):
        try:
            body = json.dumps([dict(each) for each in some], default=plain_value, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"A report cannot be written as JSON: {error}") from error
        yield place.request(place.feedback(model), body)


def reported(received: Received) -> list[Reported]:
    """What the server says of each report, in their order.

    Raises:
        PodiumError: It says something else.
    """
    try:
        items = json.loads(received.body)["items"] if received.status in {200, 400} else None
        told = None if items is None else [_read(item) for item in items]
    except (ValueError, KeyError, TypeError, AttributeError):
        told = None
    if told is not None:
        return told
    if received.status == 200:
        raise PodiumError("The server's answer does not say what became of the reports; is it podium's?")
    raise error_in(received)


def the_one(results: Sequence[Reported]) -> Reported:
    """The result of a report that was sent alone.

    Raises:
        InvalidInput: It is invalid.
        PodiumError: There is another number of results.
    """
    if len(results) != 1:
        raise PodiumError(f"The server told {len(results)} results for one report; is it podium's?")
    if results[0].result == "invalid":
        raise InvalidInput(results[0].reason or "The server cannot read the report.")
    return results[0]


def _read(item: Any) -> Reported:
    told = item.get("version"), item.get("reason"), item.get("row"), item.get("label") == "kept"
    return Reported(item.get("request_id"), str(item["result"]), *told)
