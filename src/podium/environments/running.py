"""Running the tools that build: one after the other, each with a log, an end, and nobody left behind."""

import contextlib
import errno
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from podium.domain.masking import without_passwords
from podium.errors import LoadFailed
from podium.transport.sessions import end_session

_POLL_S = 0.05
_SHOWN_LINES = 12
_STILL_S = 30.0
_FULL_BYTES = 1 << 20
_UNREACHABLE = re.compile(
    r"failed to fetch|error sending request|connection refused|newconnectionerror|dns error|name resolution", re.IGNORECASE
)
_FULL = re.compile(r"no space left on device|disk quota exceeded|os error (28|122)\b", re.IGNORECASE)
# A build beside a server that answers must not take its processors.
_NICE = 10


class Stopped(Exception):
    """Whoever wanted the environment does not want it any more."""


@dataclass(frozen=True, slots=True)
class BuildJob:
    """What all steps of one build share.

    Args:
        log: What the tools say; emptied when the first step begins.
        environ: For the tools.
        deadline: Seconds, monotonic.
        tell: Called with a line for people at each step.
        is_stopped: Asked again and again; once it says so, what runs is ended.
    """

    log: Path
    environ: Mapping[str, str]
    deadline: float
    tell: Callable[[str], None] = lambda _: None
    is_stopped: Callable[[], bool] = lambda: False

    def begin(self) -> None:
        """Empty the log.

        Raises:
            LoadFailed: It cannot be written.
        """
        with self._explained():
            self.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))

    def run(
        self,
        command: Sequence[str],
        what: str,
        environ: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        cwd: str = "/",
    ) -> None:
        """Run a tool to its end.

        Args:
            command: Its words.
            what: What it does, for people: "resolving 7 requirements".
            environ: Its variables, where they are not the job's.
            stdin: What it reads.
            cwd: Where it runs.

        Raises:
            LoadFailed: It cannot be started, failed or took too long; says where its words stand.
            Stopped: `is_stopped` said so.
        """
        status = self.status_of(command, what, environ, stdin, cwd)
        if status != 0:
            raise self.failure(f"{Path(command[0]).name} ended with status {status}")

    def status_of(
        self,
        command: Sequence[str],
        what: str,
        environ: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        cwd: str = "/",
        stdout: int | None = None,
    ) -> int:
        """The same, with whatever status it ends; what it prints goes to `stdout` where that is given."""
        with self._explained(), self._opened() as descriptor, _handed(stdin) as source:
            os.write(descriptor, f"$ {without_passwords(' '.join(command))}\n".encode())
            try:
                process = subprocess.Popen(
                    [*_dying_with_us(), *command],
                    stdin=source,
                    stdout=descriptor if stdout is None else stdout,
                    stderr=descriptor,
                    env=dict(self.environ if environ is None else environ),
                    cwd=cwd,
                    start_new_session=True,
                )
            except OSError as error:
                raise LoadFailed(f"{command[0]} cannot be started: {error.strerror}.", "environment") from error
            try:
                with contextlib.suppress(OSError):
                    os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
                status = self._wait(process, what)
            finally:
                # Also what it started itself: pip's builds of packages.
                end_session(process)
        if status is None:
            raise self.failure(f"{Path(command[0]).name} did not come to an end in time")
        return status

    def failure(self, what: str) -> LoadFailed:
        """An error with the tools' last words and their place; a full disk is called one."""
        lines = last_lines(self.log)
        said = "\n".join(f"  {line}" for line in lines)
        # On a full disk the log is cut off as well.
        if _FULL.search("\n".join(lines)) or shutil.disk_usage(self._folder()).free < _FULL_BYTES:
            what = f"{what}: the disk is full. {self._room()}"
        elif _UNREACHABLE.search("\n".join(lines)):
            said += "\nWithout an index: --env-wheels FOLDER (podium env export --wheels), or --env-offline (what uv has)."
        return LoadFailed(
            f"The model's environment could not be built: {what}.\n{said}\n"
            f"All of it: {self.log}\nTo run the model in podium's own Python instead: --env-manager local",
            "environment",
        )

    def says(self, pattern: str) -> bool:
        """Whether the log has it."""
        try:
            return re.search(pattern, self.log.read_text(encoding="utf-8", errors="replace")) is not None
        except OSError:
            return False

    def note(self, text: str) -> None:
        """Write a line of ours into the log."""
        with contextlib.suppress(OSError), self._opened() as descriptor:
            os.write(descriptor, f"{text.rstrip()}\n".encode())

    def _wait(self, process: "subprocess.Popen[bytes]", what: str) -> int | None:
        begun = told = time.monotonic()
        while (now := time.monotonic()) < self.deadline:
            if self.is_stopped():
                raise Stopped
            if now - told > _STILL_S:
                told = now
                self.tell(f"environment: still {what}, {now - begun:.0f} s; see {self.log}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(_POLL_S)
        return None

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self.not_written(error) from error

    def not_written(self, error: OSError) -> LoadFailed:
        """What podium itself could not write becomes an error of the same kind."""
        is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        what = f"the disk is full. {self._room()}" if is_full else f"{error.filename or self.log}: {error.strerror}."
        return LoadFailed(f"The model's environment could not be built: {what}", "environment")

    def _room(self) -> str:
        folder = self._folder()
        free = shutil.disk_usage(folder).free >> 20
        return (
            f"{folder} has {free} MiB left, and uv keeps what it downloads in its own cache (UV_CACHE_DIR). Free some "
            "space, with `podium env prune --unused` or `uv cache prune`; the next try builds it"
        )

    def _folder(self) -> Path:
        return next((each for each in self.log.parents if each.is_dir()), Path("/"))


def _dying_with_us() -> list[str]:
    """What lets a tool be killed when we are, so that it does not go on writing what nobody will use."""
    setpriv = shutil.which("setpriv")
    return [] if setpriv is None else [setpriv, "--pdeathsig", "KILL", "--"]


@contextlib.contextmanager
def _handed(content: bytes) -> Iterator[int]:
    """A descriptor that reads these bytes: a file in memory, so that nobody has to wait for a reader."""
    if not content:
        yield subprocess.DEVNULL
        return
    descriptor = os.memfd_create("podium-stdin")
    try:
        os.write(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def last_lines(log: Path, most: int = _SHOWN_LINES) -> list[str]:
    """The end of what the tools said, without passwords in addresses."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    lines = [line for line in text.splitlines() if line.strip()][-most:]
    return [without_passwords(line)[:400] for line in lines]
