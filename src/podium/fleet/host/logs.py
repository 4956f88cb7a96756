"""The log files of an endpoint's processes: one for each kind, appended to across restarts, rotated, bounded in number.

A child writes straight into its file, so it can print whatever happens to us. Rotation copies the file and cuts it in
place: the child's descriptor stays valid, and as it appends, it goes on at the start.
"""

import os
import shutil
from pathlib import Path

_MAX_BYTES = 10 * 1024 * 1024
_KEEP = 3
_WORKER_LOGS = 20
SERVER = "server"
"""Where a server with several endpoints keeps what its supervisor and gateways write; with one it is the endpoint's."""


def supervisor_log(folder: Path) -> Path:
    """What the supervisor did and saw."""
    return folder / "supervisor.log"


def gateway_log(folder: Path, slot: int) -> Path:
    """All gateways of a slot write to one file."""
    return folder / f"gateway-{slot}.log"


def worker_log(folder: Path, version: str) -> Path:
    """All replicas of a version write to one file."""
    return folder / f"worker-{version}.log"


def forks_log(folder: Path) -> Path:
    """All fork servers write to one file."""
    return folder / "forks.log"


def monitor_log(folder: Path) -> Path:
    """All monitors write to one file."""
    return folder / "monitor.log"


def exporter_log(folder: Path) -> Path:
    """All exporters write to one file."""
    return folder / "exporter.log"


def dashboard_log(folder: Path) -> Path:
    """What the dashboard's process prints."""
    return folder / "dashboard.log"


def access_log(folder: Path) -> Path:
    """Written and rotated by the gateways."""
    return folder / "access.log"


def rotate(folder: Path, max_bytes: int = _MAX_BYTES, keep: int = _KEEP) -> None:
    """Rotate each file that has grown too long, and remove the logs of versions of long ago."""
    for path in folder.glob("*.log"):
        if path.name != "access.log" and path.stat().st_size > max_bytes:
            _rotate(path, max_bytes, keep)
    workers = sorted(folder.glob("worker-*.log"), key=lambda path: path.stat().st_mtime)
    for path in workers[:-_WORKER_LOGS]:
        for part in (path, *(_older(path, number) for number in range(1, keep + 1))):
            part.unlink(missing_ok=True)


def _rotate(path: Path, max_bytes: int, keep: int) -> None:
    for number in range(keep - 1, 0, -1):
        older = _older(path, number)
        if older.exists():
            older.replace(_older(path, number + 1))
    with path.open("rb+") as source, _older(path, 1).open("wb") as target:
        os.fchmod(target.fileno(), 0o600)
        # The end of it: a model may print gigabytes between two looks.
        source.seek(-min(2 * max_bytes, os.fstat(source.fileno()).st_size), os.SEEK_END)
        # Copy until nothing is left and cut at once: what is printed in between, some microseconds, is lost.
        shutil.copyfileobj(source, target, 1 << 20)
        source.truncate(0)


def _older(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")
