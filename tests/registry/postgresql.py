"""A PostgreSQL server on a socket in a folder, for tests and benchmarks, where its programs are installed."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

PROGRAMS = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None) or (
    Path(found).resolve().parent if (found := shutil.which("postgres")) else None
)


@contextmanager
def postgresql() -> Iterator[str]:
    """The address of a server with its data in a folder of its own, to which a user's name is to be added.

    `ann` may do anything, `bob` only read.
    """
    # Not below pytest's folders: whoever begins tests beside these closes those to everybody else.
    with TemporaryDirectory(prefix="podium-pg-") as made:
        yield from _running(Path(made))


def _running(folder: Path) -> Iterator[str]:
    assert PROGRAMS is not None
    # PostgreSQL refuses to run as root.
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
    if as_nobody:
        folder.chmod(0o755)
        os.chown(folder, 65534, 65534)

    def run(program: str, *arguments: str) -> None:
        subprocess.run([*as_nobody, str(PROGRAMS / program), *arguments], check=True, cwd=folder, capture_output=True)

    data = folder / "data"
    run("initdb", "-D", str(data), "-U", "ann", "--auth=trust", "--no-sync")
    # Nothing of it outlives the tests: nobody waits for a disk that others keep busy.
    ours = ("-l", str(folder / "log"), "-o", f"-k {folder} -c listen_addresses= -c fsync=off")
    run("pg_ctl", "-D", str(data), "-w", "-t", "240", *ours, "start")
    try:
        run("psql", "-h", str(folder), "-U", "ann", "-d", "postgres", "-c", "CREATE ROLE bob LOGIN")
        yield f"postgresql:///postgres?host={folder}&user="
    finally:
        run("pg_ctl", "-D", str(data), "-w", "-t", "240", "-m", "immediate", "stop")
