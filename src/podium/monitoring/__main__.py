"""`python -m podium.monitoring`: the monitor of one server, started by the supervisor with its descriptors inherited."""

import argparse
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from podium.domain.monitoring.windows import DAY_S, HOUR_S
from podium.monitoring.alerting import alerting_of
from podium.monitoring.intake import Intake
from podium.monitoring.process import TICK_S, Monitor, MonitorTerms, server_name
from podium.monitoring.quality.watching import MOST_PREDICTIONS, QualityTerms, QualityWatch
from podium.monitoring.store.opening import address_in, history_of
from podium.settings.alerts import AlertSettings, alert_settings
from podium.settings.config_file import ALERTS
from podium.settings.home import Home
from podium.telemetry.slots import Slots
from podium.transport.control import ControlSocket

_NICE = 10
_LAST_S = 2.0
_log = logging.getLogger("podium.monitor")


def main(arguments: Sequence[str] | None = None) -> int:
    """Watch until the supervisor says that all is over, or ends."""
    parser = argparse.ArgumentParser(prog="python -m podium.monitoring", description=__doc__)
    parser.add_argument("--control-fd", type=int, required=True, help="socket pair's end: messages with the supervisor")
    parser.add_argument("--slots-fd", type=int, required=True, help="the server's table of counters")
    parser.add_argument("--alerts-fd", type=int, default=None, help="[alerts] of podium.toml as JSON; may be empty")
    parser.add_argument("--home", type=Path, required=True, help="PODIUM_HOME, where monitor.db is")
    parser.add_argument("--address-fd", type=int, default=None, help="another history's address; may be empty")
    parser.add_argument("--records-fd", type=int, default=None, help="where gateways hand on answers and labels")
    parser.add_argument("--spool-fd", type=int, default=None, help="memory that keeps them until they are written down")
    parser.add_argument(
        "--alerts-from", type=Path, default=None, help="podium.toml, whose [alerts] is read when it changes"
    )
    parser.add_argument("--window", type=int, default=HOUR_S, help="seconds of a window that is judged")
    parser.add_argument("--retention", type=int, default=90 * DAY_S, help="seconds for which history is kept")
    parser.add_argument("--predictions", type=int, default=MOST_PREDICTIONS, help="rows of answers that are kept")
    parser.add_argument("--tick", type=float, default=TICK_S, help="seconds between two looks")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s monitor: %(message)s")
    for number in (signal.SIGINT, signal.SIGTERM):
        # The supervisor says when it is time: until then somebody may still be answered and has to be counted.
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):
        os.nice(_NICE)
    store = history_of(Home(chosen.home), address_in(chosen.address_fd))
    slots = Slots(chosen.slots_fd)
    said = _alerts(chosen.alerts_fd)
    alerting = alerting_of(store, said, _log.warning, chosen.retention, path=chosen.alerts_from, server=server_name(slots))
    alerting.begin()
    quality = QualityWatch(store, QualityTerms(chosen.retention, chosen.predictions))
    intake = None
    if chosen.records_fd is not None and chosen.spool_fd is not None:
        intake = Intake(socket.socket(fileno=chosen.records_fd), chosen.spool_fd)
    terms = MonitorTerms(store, chosen.window, chosen.retention, chosen.tick, alerting, intake, quality)
    control = ControlSocket(socket.socket(fileno=chosen.control_fd))
    Monitor(control, slots, terms).run()
    alerting.close(_LAST_S)
    return 0


def _alerts(descriptor: int | None) -> AlertSettings:
    """What the supervisor has checked."""
    if descriptor is None:
        return AlertSettings()
    with open(descriptor, "rb") as file:
        text = file.read()
    return alert_settings({ALERTS: json.loads(text)} if text else {}, {}, "podium.toml")


if __name__ == "__main__":
    sys.exit(main())
