"""A model without a profile: its first rows make one, by which a worker counts once it is told to."""

import os
import tempfile
from typing import Any

import numpy as np
import pandas as pd
from profile_world import counted

from podium.domain.monitoring.counting import Layout
from podium.domain.monitoring.profile_reading import read_profile
from podium.transport.counting_messages import Bootstrapped, CountBy, Counting
from podium.transport.slab import read_slab
from podium.worker.sampling import Sampling
from podium.worker.tap import Tap

SUM = "def predict(model_input):\n    return (model_input['a'] * model_input['n']).to_numpy()\n"
TABLE = '[{"type": "double", "name": "a"}, {"type": "long", "name": "n"}]'
ROWS = pd.DataFrame({"a": np.arange(1000.0), "n": np.arange(1000)})


def send(worker: Any, profile: str) -> None:
    """As the supervisor sends the file that it keeps."""
    with tempfile.TemporaryFile() as file:
        file.write(profile.encode())
        file.seek(0)
        worker.control.send(CountBy(), (file.fileno(),))


def test_a_worker_samples_tells_its_profile_and_counts_by_the_one_that_it_is_given(workshop: Any) -> None:
    """Which may be another worker's, where that was first."""
    folder, mlmodel = workshop.function(SUM, is_declared=True)
    mlmodel["signature"] = {"inputs": TABLE, "outputs": None, "params": None}
    worker = workshop.worker((folder, mlmodel))
    ready = worker.ready(is_watched=True)
    gateway = worker.attach()
    assert (ready.profile_id, worker.handed) == (None, [])

    for _ in range(11):
        assert gateway.ask({"dataframe_split": ROWS.to_dict(orient="split", index=False)}).status == 200
    told = worker.hear()
    assert isinstance(told, Bootstrapped)
    send(worker, told.profile)
    counting = worker.hear()
    assert isinstance(counting, Counting)
    gateway.ask({"dataframe_split": ROWS[:7].to_dict(orient="split", index=False)})
    worker.drain()
    worker.wait()

    profile = read_profile(told.profile.encode())
    found = read_slab(worker.handed[0])
    assert profile.is_bootstrapped
    assert (profile.source.rows, list(profile.columns)) == (10_000, ["a", "n"])
    assert found.profile_id == counting.profile_id == profile.profile_id
    assert found.seen == found.counted + found.dropped
    assert found.counted >= 7


def test_what_waits_is_counted_by_the_profile_that_comes() -> None:
    """Rows that were seen before nobody counts are in no account; those that wait are."""
    told: list[str] = []
    sampling = Sampling(None, lambda: 0.0, told.append)
    tap = Tap(sampling, sampling, None, None)
    for start in range(0, 10_240, 256):
        values = np.arange(start, start + 256.0)
        sampling.add(256, {"a": values, "n": values}, {"value": values})
    tap.take(1000, tap.keep(ROWS), ROWS["a"].to_numpy())

    opened = tap.count_by(told[0].encode())
    tap.finish()

    profile, found = read_profile(told[0].encode()), read_slab(opened.descriptor)
    columns = {name: ROWS[name].to_numpy() for name in ROWS}
    assert (found.seen, found.dropped) == (1000, 0)
    cells = np.frombuffer(found.cells, np.int64)
    assert Layout(profile).counts(cells) == counted(profile, columns, {"value": ROWS["a"].to_numpy()})
    assert len(told) == 1
    os.close(opened.descriptor)


def test_a_profile_that_is_none_leaves_the_worker_as_it_is(workshop: Any) -> None:
    worker = workshop.worker(workshop.function(SUM, is_declared=True))
    worker.ready(is_watched=True)
    gateway = worker.attach()

    send(worker, "{}")

    assert gateway.ask({"dataframe_split": ROWS[:3].to_dict(orient="split", index=False)}).status == 200
    assert worker.handed == []
