"""How far a file is scored: a small document beside the output, by which a run goes on where another ended.

OUTPUT.part       a JSON line for each row that is done, in order
OUTPUT.bad.jsonl  the rows that could not be scored: {"row", "reason", "input"}
OUTPUT.journal    how long both are, and where in the input that is: what lies beyond was perhaps not written whole

The journal says only what has reached the disk. Whatever ends a run, the next one cuts both files to what the journal
says and goes on there, so that each row is in them once.
"""

import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from podium.client.files.rows import RowMark
from podium.errors import AlreadyExists, InvalidInput
from podium.settings.whole_files import write_whole

_SCHEMA = 1
_HEAD_BYTES = 1 << 20
_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Progress:
    """What is done, and on the disk.

    Args:
        end: Where in the input the rest begins.
        part_bytes: How long the file of answers is, `bad_bytes` that of the bad rows.
        bad_bytes: Likewise.
        bad_rows: How many they are.
        versions: Who answered so far.
    """

    end: RowMark = field(default_factory=RowMark)
    part_bytes: int = 0
    bad_bytes: int = 0
    bad_rows: int = 0
    versions: tuple[str, ...] = ()


def fingerprint(path: Path) -> dict[str, Any]:
    """By what an input file is known again: its size, when it changed, and how it begins."""
    found = path.stat()
    with path.open("rb") as file:
        head = hashlib.sha256(file.read(_HEAD_BYTES)).hexdigest()
    return {"size": found.st_size, "modified_ns": found.st_mtime_ns, "head": head}


def content_print(path: Path) -> dict[str, Any]:
    """By what rows that came through a pipe are known again: all that they are."""
    with path.open("rb") as file:
        return {"size": path.stat().st_size, "content": hashlib.file_digest(file, "sha256").hexdigest()}


class ProgressJournal:
    """The files beside an output, open and held by one process. Use it in a `with` block.

    Args:
        output: Where the answers will be.
        order: What is done, as JSON: a journal of something else is not gone on with.
        is_fresh: Begin anew, whatever is there.

    Attributes:
        progress: What is done; at first what an earlier run left.
        part: Path of the answers so far.
        bad: Path of the bad rows.

    Raises:
        AlreadyExists: Another process is at it.
        InvalidInput: An earlier run did something else; says the way out.
    """

    def __init__(self, output: Path, order: Mapping[str, Any], is_fresh: bool) -> None:
        self.progress = Progress()
        self.part = output.with_name(output.name + ".part")
        self.bad = output.with_name(output.name + ".bad.jsonl")
        self._path = output.with_name(output.name + ".journal")
        self._order = json.loads(json.dumps(order))
        self._written_at = 0.0
        self._answers = _held(self.part, output)
        try:
            _clear_drafts(output)
            if not is_fresh:
                self._go_on()
            self._faults = self.bad.open("ab")
            _cut(self._answers, self.progress.part_bytes, self.part)
            _cut(self._faults, self.progress.bad_bytes, self.bad)
            self._pending = self.progress
            self._write()
        except BaseException:
            self._answers.close()
            raise

    def add(self, answers: Sequence[str], faults: Sequence[str], end: RowMark, versions: Sequence[str]) -> None:
        """Add the lines of rows that follow what is there; now and then this reaches the disk."""
        written = "".join(f"{line}\n" for line in answers).encode()
        bad = "".join(f"{line}\n" for line in faults).encode()
        self._answers.write(written)
        self._faults.write(bad)
        before = self._pending
        self._pending = Progress(
            end,
            before.part_bytes + len(written),
            before.bad_bytes + len(bad),
            before.bad_rows + len(faults),
            tuple(dict.fromkeys([*before.versions, *versions])),
        )
        if time.monotonic() - self._written_at > _EVERY_S:
            self._write()

    @property
    def reached(self) -> Progress:
        """What is done, whether or not it is on the disk yet."""
        return self._pending

    def sync(self) -> None:
        """Let all that is done reach the disk."""
        self._write()

    def remove(self) -> None:
        """The output is whole: the journal goes, and the file of bad rows where there are none."""
        self._path.unlink(missing_ok=True)
        self.part.unlink(missing_ok=True)
        if not self.progress.bad_rows:
            self.bad.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if self._path.exists():
                self._write()
        finally:
            self._answers.close()
            self._faults.close()

    def _go_on(self) -> None:
        try:
            content = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return
        except ValueError as error:
            raise InvalidInput(f"{self._path} is no journal of this version's; --restart begins anew.") from error
        if content.get("schema") != _SCHEMA or content.get("order") != self._order:
            raise InvalidInput(
                f"{self._path} is of a run that did something else ({_differences(content.get('order'), self._order)}); "
                "--restart begins anew."
            )
        done = content["progress"]
        self.progress = Progress(**{**done, "end": RowMark(**done["end"]), "versions": tuple(done["versions"])})

    def _write(self) -> None:
        for file in (self._answers, self._faults):
            file.flush()
            os.fsync(file.fileno())
        content = {"schema": _SCHEMA, "order": self._order, "progress": asdict(self._pending)}
        write_whole(self._path, json.dumps(content, indent=1).encode())
        self.progress = replace(self._pending)
        self._written_at = time.monotonic()


def _held(part: Path, output: Path) -> IO[bytes]:
    """The file of answers, locked for this process alone."""
    while True:
        file = part.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A run that ended between the two has removed what was opened here: nobody else would see this lock.
            if os.path.samestat(os.fstat(file.fileno()), part.stat()):
                return file
        except BlockingIOError:
            file.close()
            raise AlreadyExists(f"Another podium predict writes {output}; wait for it, or name another output.") from None
        except FileNotFoundError:
            pass
        file.close()


def _clear_drafts(output: Path) -> None:
    """Remove what a run that was killed had begun to write; nobody else writes while this one holds the lock."""
    draft = re.compile(rf"\.{re.escape(output.name)}(\.journal)?\.[0-9a-f]{{8}}\.part")
    for path in output.absolute().parent.iterdir():
        if draft.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _cut(file: IO[bytes], size: int, path: Path) -> None:
    if os.fstat(file.fileno()).st_size < size:
        raise InvalidInput(f"{path} is shorter than its journal says; --restart begins anew.")
    file.truncate(size)


def _differences(before: Any, now: Mapping[str, Any]) -> str:
    if not isinstance(before, Mapping):
        return "of another version"
    return ", ".join(sorted(name for name in {*before, *now} if before.get(name) != now.get(name)))
