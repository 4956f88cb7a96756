"""A history in which every table has rows, written by whoever writes them in production."""

from dataclasses import replace

import numpy as np
from alerting_world import GOOD, KEY, NOON, WAIT_S, World, answered
from profile_world import counted, profile_of
from receivers import channel

from podium.domain.monitoring.alerting.silences import Silence, parse_matchers
from podium.domain.monitoring.findings import judge, watch
from podium.domain.monitoring.quality.figures import WIDTH_S
from podium.domain.monitoring.standing import StandingFinding
from podium.domain.monitoring.windows import HOUR_S, Span
from podium.monitoring.quality.joining import Joining
from podium.monitoring.store import alerts, writing
from podium.monitoring.store.writing import Counted
from podium.telemetry.remembered import Labelled, Remembered

PROFILE = profile_of({"amount": np.arange(1000.0)}, value=np.arange(1000.0))


def fill(folder, store):
    """Three days of a version that is asked, judged, alarming and labelled."""
    world = World(folder, channels=(channel("webhook", url="http://127.0.0.1:9/"),), store=store)
    world.run(6, answered(100, errors=3, rejected=2, slow=1), replace(GOOD, environment={"critical": 1}))
    world.alerting.close(WAIT_S)
    with store.writing() as connection:
        writing.see_version(connection, KEY, "Production", PROFILE, NOON)
        for hours in range(0, 72, 7):
            at = NOON - HOUR_S * hours
            counts = counted(PROFILE, {"amount": np.arange(800.0)}, {"value": np.zeros(800)})
            writing.watch(connection, at, at + 60, "one")
            writing.add_traffic(connection, KEY, at, answered(40 + hours))
            writing.add_window(connection, KEY, at - at % WIDTH_S, Counted(counts, 3, 2))
            findings = judge(watch(PROFILE, counts), Span(at - HOUR_S, at))
            held = {(each.role, each.name, each.check): StandingFinding(True, at) for each in findings}
            writing.put_findings(connection, KEY, PROFILE.profile_id, findings, held)
        writing.put_reading(connection, "a life", KEY, b"\0\xff cells", NOON)
        writing.note_written(connection, "one", "a turn", NOON)
        alerts.put_waits(connection, {KEY.model: ("8", NOON - 60.5)})
        alerts.put_silence(
            connection,
            Silence("s1", parse_matchers(["model=fraud"]), "ann", "it is known: 50 % of it", NOON - 1.5, NOON + 3600.0),
        )
        _label(connection)


def _label(connection):
    def answer(number):
        body = b'{"predictions": [%d, 1]}' % (number % 2)
        return Remembered(
            NOON - 600.0 * number, f"r{number}", KEY.model, KEY.version, "", "/invocations", "application/json", body
        )

    answers = [answer(number) for number in range(40)]
    labels = [Labelled(NOON + 1.0, f"r{number}", KEY.model, None, f"[{number % 3 % 2}, 1]") for number in range(5, 45)]
    Joining(connection, NOON + 2.0).join([*answers, *labels])
