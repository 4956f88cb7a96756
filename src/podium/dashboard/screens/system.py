"""System: servers with their gateways, workers and settings; what is on disk; what builds this page."""

import shutil
from collections.abc import Iterator, Sequence
from typing import Any

from podium._version import __version__
from podium.dashboard.pages import Page, Question, Table
from podium.dashboard.sources import DashboardSources, told
from podium.errors import NotFound
from podium.fleet.host.runfiles import RunningServer
from podium.monitoring.store import reading
from podium.monitoring.store.reading import Served

_WORKER = ("server", "model", "replica", "version", "state", "step", "pid", "rss_bytes", "device", "is_forked")


def system(sources: DashboardSources, asked: Question) -> Page:  # noqa: ARG001
    """The screen."""
    servers = sources.servers()
    workers = [list(row) for server in servers for row in _workers(server)]
    settings = [
        [server.facts.get("port"), key, each.get("value"), each.get("source")]
        for server in servers
        for key, each in (server.facts.get("settings") or {}).items()
    ]
    gateways = [
        [server.facts.get("port"), each.get("slot"), each.get("pid")]
        for server in servers
        for each in server.facts.get("gateways") or ()
    ]
    content = {
        "servers": [_server(server) for server in servers],
        "dead": sources.dead(),
        "disk": _disk(sources),
        "monitor": _monitor(sources),
        "home": str(sources.home.root),
        "version": __version__,
    }
    tables = [
        Table("workers", _WORKER, workers),
        Table("gateways", ("server", "slot", "pid"), gateways),
        Table("settings", ("server", "setting", "value", "source"), settings),
    ]
    return Page("system.html", "System", "system", content, tables)


def _server(server: RunningServer) -> dict[str, Any]:
    facts = server.facts
    return {
        "id": server.id,
        "url": facts.get("url"),
        "grpc": facts.get("grpc_address"),
        "pid": facts.get("pid"),
        "podium": facts.get("podium"),
        "started_at": facts.get("started_at"),
        "gateways": facts.get("gateways") or [],
        "restarts": facts.get("restarts") or {},
        "models": len(server.endpoints),
        "workers": [dict(zip(_WORKER, row, strict=True)) for row in _workers(server)],
        "settings": sorted((facts.get("settings") or {}).items()),
        "isolation": sorted({str(each.get("isolation")) for each in server.endpoints.values()}),
    }


def _workers(server: RunningServer) -> Iterator[Sequence[Any]]:
    for name, facts in server.endpoints.items():
        for replica in facts.get("replicas") or ():
            device = replica.get("device") or {}
            yield (
                server.facts.get("port"), name, replica.get("id"), replica.get("version"), replica.get("state"),
                replica.get("step"), replica.get("pid"), replica.get("rss_bytes"), device.get("device"),
                (replica.get("start") or {}).get("is_forked"),
            )  # fmt: skip


def _monitor(sources: DashboardSources) -> dict[str, Any]:
    """Whether somebody watches, since when and how much that takes; a problem where it cannot be read."""
    history = sources.monitor

    def read() -> tuple[list[Served], int] | None:
        try:
            with history.reading() as connection:
                seen = reading.served(connection)
            return seen, history.size_bytes()
        except NotFound:
            return None

    found = told(read, None)
    served, size = found.value or (list[Served](), 0)
    return {
        "place": history.place,
        "is_there": found.value is not None or found.problem is not None,
        "problem": found.problem,
        "size": size,
        "versions": len(served),
        "profiles": sum(each.profile_id is not None for each in served),
        "last_seen": max((each.last_seen for each in served), default=None),
    }


def _disk(sources: DashboardSources) -> dict[str, int] | None:
    try:
        found = shutil.disk_usage(sources.home.root)
    except OSError:
        return None
    return {"total": found.total, "used": found.used, "free": found.free}
