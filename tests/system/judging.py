"""What a run of requests may look like: which version was live when, and what to say of answers that were not right."""

import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from driven import Server
from load import Sample


@dataclass(frozen=True, slots=True)
class Switch:
    """One move of the stage: either version may answer from the command's start until `status --wait` has returned.

    Args:
        began, ended: Seconds, CLOCK_MONOTONIC.
    """

    version: str
    began: float
    ended: float


def not_live(samples: Sequence[Sample], first: str, switches: Sequence[Switch]) -> list[Sample]:
    """The answers of a version that was live at no moment between sending and answer."""
    spans = []
    begins = float("-inf")
    version = first
    for switch in switches:
        spans.append((version, begins, switch.ended))
        version, begins = switch.version, switch.began
    spans.append((version, begins, float("inf")))
    return [
        sample
        for sample in samples
        if sample.version is not None
        and not any(
            sample.version == name and sample.done >= began and (sample.sent or sample.due) <= ended
            for name, began, ended in spans
        )
    ]


def summary(samples: Sequence[Sample]) -> dict[str, int]:
    """How many samples ended in which way; for messages."""
    return dict(Counter(sample.error or f"{sample.status} right={sample.is_right} v{sample.version}" for sample in samples))


def bad(samples: Sequence[Sample]) -> list[Sample]:
    """Those that were not answered, or not with 200 and their version's own prediction."""
    return [sample for sample in samples if not sample.is_good]


def move(server: Server, command: Sequence[str], version: int) -> Switch:
    """Move the stage with `podium models ...`, wait until it is done, and say between when either version may answer."""
    began = time.monotonic()
    server.podium.run("models", *command)
    assert server.settle() == 0, server.said()
    return Switch(str(version), began, time.monotonic())


def counted(server: Server, code: str) -> int:
    """Requests that `/metrics` counts with this status, over all versions."""
    page = server.get("/metrics")[2].decode()
    return sum(
        int(number)
        for labels, number in re.findall(r"^podium_requests_total\{(.*)\} (\d+)$", page, re.MULTILINE)
        if f'code="{code}"' in labels
    )
