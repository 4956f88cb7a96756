"""Rows are counted after they were answered, exactly or as dropped, and nobody waits for it."""

import json
import os
import signal
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from profile_world import counted, profile_of

from podium.domain.inputs.plan import Field, InputPlan
from podium.domain.monitoring.counting import BatchCounter, Layout
from podium.domain.monitoring.features import features_of
from podium.domain.monitoring.profile import PROFILE_PATH
from podium.domain.signature import TensorSchema, TensorSpec
from podium.protocols.mlflow.fast_reading import FastReader
from podium.transport import frames
from podium.transport.slab import SlabReading, SlabWriter, create_slab, read_slab
from podium.worker.piles import RecordColumns
from podium.worker.planned import Group
from podium.worker.tap import MOST_BYTES, MOST_ROWS, SHARE, Tap

Eventually = Callable[[Callable[[], bool], str], None]
TABLE = '[{"type": "double", "name": "a"}, {"type": "string", "name": "s"}, {"type": "long", "name": "n"}]'
SUM = "def predict(model_input):\n    return (model_input['a'] * model_input['n']).to_numpy()\n"
ROWS = pd.DataFrame({"a": np.arange(1000.0), "s": ["red", "green"] * 500, "n": np.arange(1000)})
PROFILE = profile_of({name: ROWS[name].to_numpy() for name in ROWS}, value=(ROWS["a"] * ROWS["n"]).to_numpy())


class Clock:
    """Time that passes when it is told to; and by `step` at each look."""

    now = step = 0

    def __call__(self) -> int:
        self.now += self.step
        return self.now


class Counting:
    """A tap on a slab, with a clock of its own; counting costs two milliseconds a slice."""

    def __init__(self, plan: InputPlan | None = None) -> None:
        self.descriptor = create_slab(PROFILE.profile_id, Layout(PROFILE).size)
        self.clock, self.spent = Clock(), Clock()
        slab = SlabWriter(self.descriptor)
        counter = BatchCounter(Layout(PROFILE), np.frombuffer(slab.cells, np.int64))
        self.tap = Tap(slab, counter, None, plan, self.clock, self.spend)

    def spend(self) -> int:
        self.spent.now += 2_000_000
        return self.spent.now

    def answer(self, rows: pd.DataFrame, answer: Any = None, likeness: int | None = 7) -> None:
        kept = self.tap.keep(rows)
        self.tap.take(len(rows), kept, (rows["a"] * rows["n"]).to_numpy() if answer is None else answer, likeness)

    def count_all(self) -> None:
        self.clock.now += 10**12
        while not self.tap.is_idle:
            self.clock.now += int(self.tap.spare() * 1e9)

    @property
    def slab(self) -> SlabReading:
        found = read_slab(self.descriptor)
        assert found is not None
        return found

    def counts(self) -> Any:
        return Layout(PROFILE).counts(np.frombuffer(self.slab.cells, np.int64))


@pytest.fixture
def counting() -> Any:
    made = Counting()
    yield made
    os.close(made.descriptor)


def expected(rows: pd.DataFrame) -> Any:
    columns = {name: rows[name].to_numpy() for name in rows}
    return counted(PROFILE, columns, {"value": (rows["a"] * rows["n"]).to_numpy()})


@pytest.mark.parametrize("sizes", [[1] * 40, [7, 300, 1, 2], [1000]])
def test_batches_of_any_size_are_counted_as_all_their_rows(counting: Counting, sizes: list[int]) -> None:
    rows = ROWS.sample(sum(sizes), replace=True, random_state=1).reset_index(drop=True)
    start = 0
    for size in sizes:
        counting.answer(rows.iloc[start : start + size].reset_index(drop=True))
        start += size

    counting.count_all()

    assert counting.counts() == expected(rows)
    assert (counting.slab.seen, counting.slab.dropped) == (len(rows), 0)


def test_a_model_that_changes_its_input_changes_no_count(counting: Counting) -> None:
    rows = ROWS[::20].reset_index(drop=True)
    kept = counting.tap.keep(rows)
    answer = (rows["a"] * rows["n"]).to_numpy(copy=True)
    rows.loc[:, "a"] = -1.0
    counting.tap.take(50, kept, answer)
    counting.tap.settle()
    answer[:] = 0

    counting.count_all()

    assert counting.counts() == expected(ROWS[::20])


def test_an_answer_is_seen_before_it_leaves_and_copied_before_the_model_is_called_again(counting: Counting) -> None:
    answer = (ROWS["a"] * ROWS["n"]).to_numpy(copy=True)
    counting.tap.take(1000, counting.tap.keep(ROWS), answer)
    seen = counting.slab.seen

    counting.tap.keep(ROWS)
    answer[:] = 0
    counting.count_all()

    assert seen == 1000
    assert counting.counts() == expected(ROWS)


def test_a_full_backlog_drops_the_newest_rows_and_says_so(counting: Counting) -> None:
    for _ in range(MOST_ROWS // 1000 + 5):
        counting.answer(ROWS)

    counting.count_all()

    kept = MOST_ROWS // 1000 * 1000
    assert counting.tap.is_idle
    assert (counting.slab.seen, counting.slab.dropped, counting.slab.counted) == (kept + 5000, 5000, kept)


def test_of_a_batch_that_is_larger_than_the_backlog_an_even_sample_is_counted(counting: Counting) -> None:
    rows = pd.concat([ROWS] * 40, ignore_index=True)
    counting.answer(rows)

    counting.count_all()

    assert counting.counts() == expected(rows.iloc[::3])
    assert counting.slab.seen == len(rows) == counting.slab.counted + counting.slab.dropped


def test_few_rows_wait_for_more_but_not_for_long(counting: Counting) -> None:
    counting.answer(ROWS.head(3))

    wait_s = counting.tap.spare()
    before = counting.slab.counted
    counting.clock.now += int(wait_s * 1e9)
    counting.tap.spare()

    assert (before, counting.slab.counted) == (0, 3)


def test_counting_takes_no_more_than_its_share_of_the_time(counting: Counting) -> None:
    began, ends = counting.spent.now, 10 * 10**9
    while counting.clock.now < ends:
        for _ in range(3):
            counting.answer(ROWS)
        counting.clock.now += max(int(counting.tap.spare() * 1e9), 10**7)

    assert counting.slab.dropped > 0
    # Each look at the clock of the processor is half of the slice that is made up here.
    assert counting.spent.now - began <= 2 * (SHARE * ends + 2e8)
    assert counting.slab.counted >= 1000 * SHARE * ends / 2e6 * 0.9


def test_answers_that_are_not_one_for_each_row_are_dropped_with_their_rows(counting: Counting) -> None:
    counting.answer(ROWS.head(5), answer=np.zeros(3), likeness=None)
    counting.answer(ROWS.head(5), likeness=None)

    counting.count_all()

    assert (counting.slab.seen, counting.slab.dropped, counting.slab.counted) == (10, 5, 5)


def test_rows_that_differ_are_counted_apart(counting: Counting) -> None:
    """Batches of one likeness whose answers cannot be put together."""
    counting.answer(ROWS.head(5))
    counting.answer(ROWS.head(5), answer=(ROWS["a"] * ROWS["n"]).head(5).tolist())

    counting.count_all()

    assert counting.counts() == expected(pd.concat([ROWS.head(5)] * 2, ignore_index=True))


def test_the_end_counts_what_is_left(counting: Counting) -> None:
    """However late it is: a machine that stands still takes time, and no processor."""
    counting.answer(ROWS)
    counting.clock.step = 10**9

    counting.tap.finish()

    assert counting.counts() == expected(ROWS)


PLAN = InputPlan("columns", (Field("a", "float"), Field("s", "string"), Field("n", "long")))


def group_of(rows: pd.DataFrame) -> Group:
    """A planned request for these rows."""
    packed = FastReader(PLAN).read(json.dumps({"dataframe_split": rows.to_dict(orient="split", index=False)}).encode())
    assert packed is not None
    texts = json.dumps(packed.texts).encode()
    block = memoryview(packed.block)
    return Group(cast("Any", None), frames.Rows(1, 0, 1, len(rows), (len(rows),), b"id", texts, block), 0)


@pytest.mark.parametrize(
    "forms",
    [
        [np.asarray],
        [np.ndarray.tolist],
        [pd.Series],
        [np.asarray, np.ndarray.tolist, lambda found: found.astype("f4"), lambda found: found[:, None], pd.Series],
    ],
    ids=["arrays", "lists", "series", "each in its own way"],
)
def test_planned_requests_are_counted_whatever_the_model_answers_with(forms: list[Callable[[Any], Any]]) -> None:
    counting = Counting(PLAN)
    for number in range(100):
        rows = ROWS[10 * number : 10 * number + 10].reset_index(drop=True)
        answer = forms[number % len(forms)]((rows["a"] * rows["n"]).to_numpy(copy=True))
        counting.tap.take_groups([group_of(rows[:4]), group_of(rows[4:])], 10, answer)

    counting.count_all()

    assert counting.counts() == expected(ROWS)
    assert (counting.slab.seen, counting.slab.dropped) == (1000, 0)
    os.close(counting.descriptor)


def test_planned_requests_that_wait_are_bounded() -> None:
    counting = Counting(PLAN)
    group, answer = group_of(ROWS), (ROWS["a"] * ROWS["n"]).to_numpy()
    for _ in range(MOST_ROWS // 1000 + 5):
        counting.tap.take_groups([group], 1000, answer)

    counting.count_all()

    kept = MOST_ROWS // 1000 * 1000
    assert (counting.slab.seen, counting.slab.dropped, counting.slab.counted) == (kept + 5000, 5000, kept)
    os.close(counting.descriptor)


def test_records_are_columns_where_they_lie() -> None:
    packed = FastReader(PLAN).read(
        json.dumps({"dataframe_split": {"columns": ["a", "s", "n"], "data": [[0.5, "x", 7], [1.5, "y", 8]]}}).encode()
    )
    assert packed is not None

    columns = RecordColumns(PLAN).of(2, packed.block, packed.texts)

    assert {name: list(values) for name, values in columns.items()} == {"n": [7, 8], "a": [0.5, 1.5], "s": ["x", "y"]}


@pytest.mark.parametrize("size", [8, 64, 8 * 16, 4096])
def test_a_descriptor_that_is_no_slab_is_none(size: int) -> None:
    descriptor = os.memfd_create("other")
    os.truncate(descriptor, size)

    assert read_slab(descriptor) is None
    os.close(descriptor)


def test_a_slab_that_could_be_cut_short_is_none() -> None:
    """Whoever reads it would be killed by that, and the worker's code is somebody's."""
    good = create_slab(PROFILE.profile_id, 10)
    copy = os.memfd_create("copy", os.MFD_ALLOW_SEALING)
    os.write(copy, os.pread(good, 4096, 0))

    assert read_slab(good) is not None
    assert read_slab(copy) is None
    os.close(good)
    os.close(copy)


# ── in a worker


class Watched:
    """A worker whose model has a profile, and how its rows are sent."""

    def __init__(self, workshop: Any) -> None:
        folder, mlmodel = workshop.function(SUM, is_declared=True)
        mlmodel["signature"] = {"inputs": TABLE, "outputs": None, "params": None}
        path = folder / PROFILE_PATH
        path.parent.mkdir()
        path.write_text(PROFILE.to_json())
        self.worker = workshop.worker((folder, mlmodel))
        self.ready = self.worker.ready(is_watched=True)
        self.gateway = self.worker.attach()
        self.reader = FastReader(InputPlan.from_json(self.ready.plan))

    def ask_raw(self, rows: pd.DataFrame) -> None:
        assert self.gateway.ask({"dataframe_split": rows.to_dict(orient="split", index=False)}).status == 200

    def ask_planned(self, rows: pd.DataFrame) -> None:
        packed = self.reader.read(json.dumps({"dataframe_split": rows.to_dict(orient="split", index=False)}).encode())
        first = next(self.gateway.ids)
        texts = json.dumps(packed.texts).encode()
        self.gateway.sock.sendall(frames.encode_rows(first, 0, [packed.rows], packed.rows, b"r", texts, [packed.block]))
        assert [frame.kind for frame in self.gateway.receive(1)] == [frames.ANSWERS]

    @property
    def slab(self) -> SlabReading:
        (descriptor,) = self.worker.handed
        found = read_slab(descriptor)
        assert found is not None
        return found


@pytest.fixture
def watched(workshop: Any) -> Watched:
    return Watched(workshop)


def test_a_worker_counts_what_it_answered_whichever_way_it_came_and_not_what_it_refused(watched: Watched) -> None:
    for start in range(0, 100, 10):
        watched.ask_planned(ROWS[start : start + 10])
        watched.ask_raw(ROWS[start : start + 3])
    assert watched.gateway.ask({"dataframe_split": {"columns": ["a"], "data": [[1.0]]}}).status == 400
    watched.worker.drain()
    watched.worker.wait()

    rows = pd.concat([ROWS[start : start + size] for size in (10, 3) for start in range(0, 100, 10)])
    found = watched.slab
    assert watched.ready.profile_id == found.profile_id == PROFILE.profile_id
    assert (found.seen, found.dropped) == (130, 0)
    assert Layout(PROFILE).counts(np.frombuffer(found.cells, np.int64)) == expected(rows)


def test_a_slab_outlives_a_worker_that_is_killed(watched: Watched, eventually: Eventually) -> None:
    watched.ask_planned(ROWS)
    eventually(lambda: watched.slab.counted == 1000, "all rows are counted while nobody asks")
    watched.ask_planned(ROWS[:500])
    watched.worker.process.send_signal(signal.SIGKILL)
    watched.worker.wait()

    found = watched.slab
    assert found.seen == 1500
    assert 1000 <= found.counted + found.dropped <= found.seen


def test_a_profile_that_cannot_be_used_is_a_warning(workshop: Any) -> None:
    folder, mlmodel = workshop.function(SUM, is_declared=True)
    (folder / PROFILE_PATH).parent.mkdir()
    (folder / PROFILE_PATH).write_text(PROFILE.to_json().replace("1000", "1001", 1))
    worker = workshop.worker((folder, mlmodel))

    ready = worker.ready(is_watched=True)

    assert ready.profile_id is None
    assert worker.handed == []
    assert "Nothing watches the model's data" in ready.warnings[0]
    assert "podium monitor baseline" in ready.warnings[0]


# ── how much waits


def tap_of(shape: tuple[int, ...]) -> tuple[Tap, list[Any]]:
    """A tap of a model that takes a tensor, and what it counts."""
    counted: list[Any] = []

    class Counter:
        def see(self, rows: int) -> None: ...

        def drop(self, rows: int) -> None: ...

        def add(self, *piece: Any) -> None:
            counted.append(piece)

    return Tap(Counter(), Counter(), features_of(TensorSchema((TensorSpec("float64", shape, None),))), None), counted


def test_of_images_nothing_is_copied_and_their_answers_are_counted() -> None:
    tap, counted = tap_of((-1, 64, 64))

    kept = tap.keep(np.zeros((300, 64, 64)))
    tap.take(300, kept, np.arange(300.0))
    tap.finish()

    assert kept.nbytes == 0
    assert sum(rows for rows, _, _ in counted) == 300
    assert np.concatenate([answers["value"] for _, _, answers in counted]).tolist() == list(range(300))


def test_what_waits_is_bounded_in_bytes_too() -> None:
    """200 numbers in each row: 64 MiB are 41,943 rows, and fewer where each takes more."""
    tap, _ = tap_of((-1, 200))
    wide = np.zeros((1000, 200), dtype=[("cell", "f8", 100)])

    first = tap.keep(wide)
    tap.take(1000, first, np.zeros(1000))

    assert first.nbytes <= MOST_BYTES
    assert len(first) < 1000
    assert tap.keep(wide) is None


def test_an_answer_that_is_far_from_one_value_in_each_row_is_not_copied() -> None:
    tap, counted = tap_of((-1, 2))

    tap.take(8, tap.keep(np.ones((8, 2))), np.zeros((8, 3, 600, 600)))
    tap.finish()

    ((rows, columns, answers),) = counted
    assert (rows, sorted(columns), answers) == (8, ["0", "1"], {})
