"""A server whose workers run as another user, who is to reach this interpreter whatever closed folders stand round it."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import podium

_ANYBODY_MAY_ENTER = 0o001


def opened() -> list[str] | None:
    """What to begin a command with; None where this process may not become another user or see other mounts than ours.

    The command sees the folders that only we may enter (/root, a CI's scratch) as folders that hold nothing but what is
    needed of them. Nobody else does.
    """
    prefix = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", f'{_mounts()}exec "$@"', "sh"]
    if os.geteuid() != 0 or subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode != 0:
        return None
    return prefix


def _mounts() -> str:
    needed = [sys.prefix, sys.base_prefix, podium.__file__, os.path.realpath(sys.executable), *filter(None, sys.path)]
    lines = []
    for folder, names in _closed(map(Path, needed)).items():
        lines += ["held=$(mktemp -d)", f"mount --bind {shlex.quote(folder)} $held"]
        lines += [f"mount -t tmpfs -o mode=755 none {shlex.quote(folder)}"]
        for name in names:
            place = shlex.quote(f"{folder}/{name}")
            lines += [f"mkdir {place}", f"mount --rbind $held/{shlex.quote(name)} {place}"]
        lines += ["umount -l $held", "rmdir $held"]
    return "".join(line + "\n" for line in lines)


def _closed(paths: Iterable[Path]) -> dict[str, list[str]]:
    """The closed folders on the way to some paths, and which folders in them are needed."""
    found: dict[str, list[str]] = {}
    for path in paths:
        for folder in reversed(path.parents):
            if folder.is_dir() and not folder.stat().st_mode & _ANYBODY_MAY_ENTER:
                name = path.relative_to(folder).parts[0]
                if name not in found.setdefault(str(folder), []):
                    found[str(folder)].append(name)
                break
    return found
