"""Rows from standard input and answers to standard output, by way of files in a folder that is gone at the end.

A file of rows is read from a place, and its columns are known when all of it is answered: both need a file. So standard
input is read to its end first, and nothing is written to standard output before every row is scored.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from podium.errors import InvalidInput

PIPE = Path("-")


@dataclass(frozen=True, slots=True)
class PipedFiles:
    """Where the rows are and the answers go, as files."""

    source: Path
    output: Path


@contextlib.contextmanager
def as_files(source: Path, output: Path, stdin: IO[bytes], stdout: IO[bytes], stderr: IO[bytes]) -> Iterator[PipedFiles]:
    """Stand files in for pipes; what was written goes to its pipe where the block ends well.

    Args:
        source: The file of rows, or `-` for standard input, which is read to its end here.
        output: Where the answers go, or `-` for standard output; bad rows go to standard error then.
        stdin: Standard input.
        stdout: Standard output.
        stderr: Standard error.

    Raises:
        InvalidInput: Standard input is a terminal.
    """
    if PIPE not in (source, output):
        yield PipedFiles(source, output)
        return
    with tempfile.TemporaryDirectory(prefix="podium-rows-") as folder:
        places = PipedFiles(_spooled(stdin, Path(folder)) if source == PIPE else source, _place_of(output, Path(folder)))
        yield places
        if output == PIPE:
            _copy(places.output.with_name(f"{places.output.name}.bad.jsonl"), stderr)
            _copy(places.output, stdout)


def _spooled(stdin: IO[bytes], folder: Path) -> Path:
    if stdin.isatty():
        raise InvalidInput("Standard input is a terminal; send rows into it, as in: podium predict -i - ... < rows.csv")
    place = folder / "rows"
    with place.open("wb") as file:
        shutil.copyfileobj(stdin, file)
    return place


def _place_of(output: Path, folder: Path) -> Path:
    return folder / "answers" if output == PIPE else output


def _copy(path: Path, stream: IO[bytes]) -> None:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        shutil.copyfileobj(file, stream)
    stream.flush()
