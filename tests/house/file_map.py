"""The files of the package, each with the sentence that it begins with: `python tests/house/file_map.py [ROOM]`."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from tree import SOURCE


def sentences(room: str = "") -> Iterator[tuple[Path, str]]:
    """Each file below a room, a room's own sentence first."""
    for path in sorted(
        (SOURCE / room).rglob("*.py"), key=lambda path: (path.parent, path.name != "__init__.py", path.name)
    ):
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        yield path.relative_to(SOURCE), text.partition("\n")[0]


if __name__ == "__main__":
    for path, sentence in sentences(*sys.argv[1:2]):
        print(f"{path}: {sentence}")
