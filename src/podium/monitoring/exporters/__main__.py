"""`python -m podium.monitoring.exporters`: the exporter, started by the supervisor with its descriptors inherited."""

import argparse
import logging
import os
import signal
import socket
import sys

from podium.monitoring.exporters.process import export
from podium.settings.exports import ExportSettings
from podium.telemetry.slots import Slots


def main(arguments: list[str] | None = None) -> int:
    """Export until the server has ended; 0 then."""
    parser = argparse.ArgumentParser(prog="python -m podium.monitoring.exporters", description=__doc__)
    parser.add_argument("--control-fd", type=int, required=True, help="socket pair's end: messages with the supervisor")
    parser.add_argument("--records-fd", type=int, required=True, help="where gateways hand on requests")
    parser.add_argument("--slots-fd", type=int, required=True, help="the server's table of counters")
    parser.add_argument("--settings-fd", type=int, required=True, help="ExportSettings as JSON")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s exporter: %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the supervisor's business
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(5)  # who is served goes first
    with open(chosen.settings_fd, encoding="utf-8") as file:
        settings = ExportSettings.from_json(file.read())
    slots = Slots(chosen.slots_fd)
    with socket.socket(fileno=chosen.records_fd) as records:
        export(records, settings, slots)
    slots.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
