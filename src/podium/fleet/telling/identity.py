"""What of a server's status stays as it is while it lives."""

import json
import os
import time
from typing import Any

from podium._version import __version__
from podium.domain.monitoring.objectives import Slo
from podium.fleet.host.machine import started_at
from podium.fleet.host.runfiles import RunFolder
from podium.fleet.site import ServerOrder
from podium.settings.alerts import AlertSettings, ModelAlerts, alert_settings
from podium.settings.config_file import ALERTS


def identity_of(order: ServerOrder, folder: RunFolder, port: int, grpc_address: str | None) -> dict[str, Any]:
    """The part of the document.

    Args:
        order: What it was told.
        folder: Its own.
        port: Where it listens.
        grpc_address: Where it does for gRPC; None where it does not.
    """
    host, certificate = order.settings.host, order.settings.certificate
    scheme = "http" if certificate is None else "https"
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104
    return {
        "schema": 1,
        "id": folder.id,
        "pid": os.getpid(),
        "pid_started": started_at(os.getpid()),
        "podium": __version__,
        "started_at": time.time(),
        "host": host,
        "port": port,
        "url": f"{scheme}://[{reached}]:{port}" if ":" in reached else f"{scheme}://{reached}:{port}",
        "logs": order.name,
        "certificate": certificate,
        "grpc_address": grpc_address,
        "settings": dict(order.shown),
        "objectives": _objectives(order.settings.alerts),
    }


def _objectives(alerts: str) -> dict[str, list[dict[str, Any]]]:
    """Those of models that have their own, and under the empty name those of all others."""
    settings = alert_settings({ALERTS: json.loads(alerts)}, {}, "podium.toml") if alerts else AlertSettings()
    every: dict[str, ModelAlerts] = {"": settings.usual, **settings.models}
    return {name: [_told(each) for each in own.objectives] for name, own in every.items()}


def _told(objective: Slo) -> dict[str, Any]:
    return {
        "kind": objective.kind.value,
        "target": objective.target,
        "threshold_s": objective.threshold_s,
        "period_s": objective.period_s,
    }
