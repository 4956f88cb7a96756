"""What a gateway counts of answers, for whoever judges versions by it."""

import os

from podium.serving.recording import Recorder
from podium.serving.walks.walk import Walk
from podium.telemetry.evidence import evidence_of
from podium.telemetry.slots import Slots, create_slots


def test_what_a_model_takes_counts_and_not_the_queue_before_it():
    """A candidate with fewer replicas waits longer for them, which is no fault of its; copies and leavers do not count."""
    descriptor = create_slots(1)
    slots = Slots(descriptor)
    recorder, waited = Recorder(slots, 0, None), Walk.__new__(Walk)
    waited.started = 0.0  # The machine's start: a queue longer than any cell.

    recorder.record_predictions(3, "application/json", (b'{"predictions": [1]}',), (waited, None), 700)

    found = evidence_of(slots.totals(3))
    slots.close()
    os.close(descriptor)
    assert (found.latency.index(1), sum(found.latency), sum(found.predictions)) == (6, 1, 1)
