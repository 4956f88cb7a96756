"""A home with a registry, and a server's files beside it as `fleet/telling/status.py` writes them."""

from pathlib import Path
from typing import Any

from podium import Registry
from podium.fleet.host.runfiles import RunFolder
from podium.settings.home import Home

OBJECTIVES = {
    "": [
        {"kind": "availability", "target": 0.999, "threshold_s": None, "period_s": 2_592_000.0},
        {"kind": "latency", "target": 0.99, "threshold_s": 0.025, "period_s": 2_592_000.0},
    ],
    "nobody": [],
}
HOSTILE = "<img src=x onerror=alert(1)>\"'{{7*7}}${7*7}"
SCRIPT = "</title></svg></script><script>alert(2)</script>"


def endpoint(name: str, uri: str, **changes: Any) -> dict[str, Any]:
    """What a healthy endpoint's status says, with some of it changed."""
    return {
        "endpoint": name,
        "uri": uri,
        "state": "serving",
        "wanted": "3",
        "serving": "3",
        "is_settled": True,
        "wanted_failure": None,
        "source": {"is_up": True, "error": None, "is_followed": True},
        "replicas": [
            {
                "id": 1, "version": "3", "state": "ready", "step": None, "pid": 4242,
                "start": {"is_forked": True, "said": None}, "rss_bytes": 48 << 20, "max_batch_rows": None,
                "device": {"device": "cpu", "name": None, "used_bytes": None, "total_bytes": None},
            }
        ],
        "replicas_wanted": 1,
        "model": {
            "version": "3", "flavor": "sklearn", "python": "3.11.7", "executable": "/usr/bin/python3",
            "runtime": "the model", "requirements": {"are_met": True, "mismatches": []}, "warnings": [], "load_s": 0.31,
            "audit": {"counts": {"critical": 0, "high": 0, "medium": 0, "low": 0, "info": 0}, "findings": []},
        },
        "restarts": {"workers": 0},
        "isolation": "none",
        "traffic": None,
        "rollout": None,
        "pin": None,
        **changes,
    }  # fmt: skip


def trial(
    control: str, other: str, conclusion: str, of_other: dict[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    """What the status says of an experiment, as `fleet/telling/traffic_status.py` writes it, with some of it changed."""
    seen = {"requests": 2010, "due": 2000, "rated": 400, "mean": 0.25}
    nothing = dict.fromkeys(("difference", "low", "high", "p_value", "mismatch", "conclusion"))
    found = {"difference": 0.05, "low": 0.01, "high": 0.09, "p_value": 0.004, "mismatch": 0.7, "conclusion": conclusion}
    beside = {**seen, "mean": 0.3, **found, **(of_other or {})}
    return {
        "control": control, "began_at": 1_700_000_000, "effect": 0.02, "alpha": 0.05, "is_drawn": True, "routed": 0.5,
        "variants": {control: {**seen, **nothing}, other: beside}, **changes,
    }  # fmt: skip


def status(*endpoints: dict[str, Any]) -> dict[str, Any]:
    """The document of a server."""
    return {
        "schema": 1, "id": "a1b2", "pid": 4241, "podium": "0.1.0", "started_at": 1_700_000_000.0, "host": "127.0.0.1",
        "port": 8123, "url": "http://127.0.0.1:8123", "grpc_address": None,
        "settings": {"serve.port": {"value": "8123", "source": "--port"}}, "gateways": [{"slot": 0, "pid": 4243}],
        "objectives": OBJECTIVES,
        "restarts": {"workers": 2, "gateways": 0}, "default": endpoints[0]["endpoint"] if endpoints else "",
        "endpoints": {each["endpoint"]: each for each in endpoints},
    }  # fmt: skip


def registered(home: Home, folder: Path, *names: str, versions: int = 3) -> Registry:
    """Models of these names, the newest version of each in Production."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "MLmodel").write_text("flavors: {python_function: {loader_module: some.module}}\n")
    registry = Registry(home)
    for name in names:
        for number in range(1, versions + 1):
            (folder / "note.txt").write_text(f"{name} {number}")
            registry.register(folder, name, description=SCRIPT, tags={SCRIPT: HOSTILE})
            registry.promote(name, number)
    return registry


def running(home: Home, *endpoints: dict[str, Any]) -> RunFolder:
    """A server that seems to run: its folder is locked by this process until it is removed."""
    folder = RunFolder.create(home)
    folder.write_server(status(*endpoints))
    return folder
