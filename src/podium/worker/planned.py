"""Requests that a gateway decoded by the model's input plan: many in one frame, run together, cut apart for trouble."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from podium.domain.inputs.plan import InputPlan
from podium.models.assemble import Assembler
from podium.models.predictor import Predictor
from podium.protocols.tensor_outputs import TensorWriter
from podium.transport.frames import BrokenFrame, Rows
from podium.worker.inbox import Job
from podium.worker.proofs.runtime import ALL_WAYS, AllowedRuntimes, find_way

if TYPE_CHECKING:
    from podium.worker.link import Link

# The merge key of all of them: the plan has no nulls and no params, so they look alike to the model.
PLANNED = -1


class Group:
    """Requests that came in one ROWS frame. They wait and run as one; who left is still computed, and not answered.

    Attributes:
        id: The first one's; the others count up from it.
        sizes: Rows of each.
        widest: Rows of the largest.
        wants_tensors: It is one request, which is to be answered with tensors.
    """

    __slots__ = (
        "_gone", "_names", "arrived_ns", "block", "deadline_ns", "id", "link", "merge_key", "requests", "rows",
        "size_bytes", "sizes", "texts", "wants_tensors", "widest",
    )  # fmt: skip

    def __init__(self, link: "Link", rows: Rows, arrived_ns: int) -> None:
        self.link = link
        self.id = rows.first
        self.requests = rows.requests
        self.rows = rows.rows
        self.sizes: Sequence[int] = (1,) * rows.requests if rows.counts is None else rows.counts
        self.widest = 1 if rows.counts is None else max(rows.counts)
        self.block = rows.block
        self.texts = rows.texts
        self.wants_tensors = rows.wants_tensors
        self.deadline_ns = rows.deadline_ns
        self.arrived_ns = arrived_ns
        self.size_bytes = len(rows.block) + len(rows.texts)
        self.merge_key: int | None = None
        self._names = rows.names
        self._gone: set[int] = set()

    def holds(self, identity: int) -> bool:
        """Whether one of these requests has this id."""
        return self.id <= identity < self.id + self.requests

    def cancel(self, identity: int) -> bool:
        """Nobody waits for this one any more; whether nobody waits for any."""
        self._gone.add(identity)
        return len(self._gone) == self.requests

    def singles(self) -> list[Job]:
        """Each request by itself, without its data; those that were cancelled left out."""
        names = self._names.decode("latin-1").split("\n")
        jobs = []
        for position, rows in enumerate(self.sizes):
            identity = self.id + position
            if identity in self._gone:
                continue
            name = names[position] if position < len(names) else ""
            job = Job(self.link, identity, name, self.deadline_ns, self.arrived_ns, self.size_bytes // self.requests)
            job.rows = rows
            jobs.append(job)
        return jobs


class PlannedInput:
    """Makes of groups what the model takes.

    Args:
        plan: What the gateways decode by.
        predictor: The model: its signature says what columns look like, and which params have defaults.
        example: The enforced input example, or None.
        ways: What beside the model's own method may answer.
    """

    def __init__(
        self, plan: InputPlan, predictor: Predictor, example: Any = None, ways: AllowedRuntimes = ALL_WAYS
    ) -> None:
        self.plan = plan
        self._predictor = predictor
        self._record_bytes = plan.record_bytes  # the plan counts them anew each time
        self._words = plan.texts_per_row
        self._writer = TensorWriter(predictor.signature)
        self.form_of = self._writer.form_of
        self._assembler = Assembler(plan)
        self.shortcut = find_way(predictor, plan, self._assembler, example, ways)

    def check(self, rows: Rows) -> None:
        """See that a frame holds what it says.

        Raises:
            BrokenFrame: It does not.
        """
        if len(rows.block) != rows.rows * self._record_bytes:
            raise BrokenFrame(f"a ROWS frame of {rows.rows} rows holds {len(rows.block)} bytes of records")

    def predict(self, groups: Sequence[Group]) -> Any:
        """What the model answers to the rows of all groups, in order.

        Raises:
            PodiumError: As `Predictor.call`.
            ValueError: The texts are not as many as the rows need.
        """
        rows, block, texts = self.merged(groups)
        if self.shortcut is not None:
            # Whatever it does not take, the model's own method answers, or refuses in its own words.
            try:
                return self.shortcut.answer(rows, block, texts)
            except Exception:  # noqa: BLE001, S110 - `suppress` takes three calls more, for each batch
                pass
        return self._predictor.call(self._made(rows, block, texts), self.params())

    def assemble(self, groups: Sequence[Group]) -> Any:
        """One input with the rows of all groups, in order.

        Raises:
            ValueError: The texts are not as many as the rows need.
        """
        return self._made(*self.merged(groups))

    def params(self) -> dict[str, Any] | None:
        """The params' defaults; a fresh dict for each call of the model."""
        return self._predictor.default_params()

    def singles(self, groups: Sequence[Group]) -> list[Job]:
        """Each request by itself with its own data, as if it had come alone."""
        jobs = []
        size, words = self._record_bytes, self._words
        for group in groups:
            texts = _texts(group)
            starts = _starts(group.sizes)
            for job in group.singles():
                start = starts[job.id - group.id]
                stop = start + job.rows
                block = group.block[start * size : stop * size]
                job.data = self._made(job.rows, block, texts[start * words : stop * words])
                job.params = self.params()
                job.merge_key = group.merge_key
                job.writer = self._writer if group.wants_tensors else None
                jobs.append(job)
        return jobs

    def lone(self, group: Group) -> list[Job]:
        """The one request of a group that is to be answered with tensors, without its data; none if it was cancelled."""
        jobs = group.singles()
        for job in jobs:
            job.writer = self._writer
        return jobs

    def merged(self, groups: Sequence[Group]) -> tuple[int, bytes | memoryview, list[str]]:
        """Rows, records and texts of all groups."""
        if len(groups) == 1:
            return groups[0].rows, groups[0].block, _texts(groups[0])
        rows = sum([group.rows for group in groups])
        texts = [text for group in groups for text in _texts(group)] if self._words else []
        return rows, b"".join([group.block for group in groups]), texts

    def _made(self, rows: int, block: bytes | memoryview, texts: list[str]) -> Any:
        if len(texts) != rows * self._words:
            raise ValueError(f"{rows} rows came with {len(texts)} texts")
        return self._assembler.assemble(rows, block, texts)


def _texts(group: Group) -> list[str]:
    if not group.texts:
        return []
    texts: list[str] = json.loads(group.texts)
    return texts


def _starts(sizes: Sequence[int]) -> list[int]:
    starts, position = [], 0
    for size in sizes:
        starts.append(position)
        position += size
    return starts
