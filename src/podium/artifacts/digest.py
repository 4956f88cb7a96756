"""The digest of a model folder: what the registry records and what is checked before anything is unpickled.

sha256 over a manifest with one line for each file, sorted by path: the JSON array `[path, size, sha256 of the bytes]`.
JSON quotes every character that could be mistaken for the end of a field or a line. Times, owners, permissions and
empty folders do not count; what else is left out stands in `tree`.
"""

import hashlib
import json
import os
import re
from pathlib import Path

from podium.artifacts.tree import walk

PREFIX = "sha256:"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HEADING = b"podium model folder 1\n"
_CHUNK = 1 << 20


def digest_folder(folder: Path) -> str:
    """The folder's content as `sha256:<64 hex digits>`. Files are read in chunks, never held whole.

    Raises:
        NotFound: The folder is not there.
        InvalidModel: It holds something that is neither a file nor a folder.
    """
    lines = [_line(entry.path, entry.descriptor) for entry in walk(folder) if not entry.is_folder]
    manifest = hashlib.sha256(_HEADING)
    # By the bytes of the path, so that the order is the same in every locale.
    for _, line in sorted(lines):
        manifest.update(line)
    return PREFIX + manifest.hexdigest()


def is_digest(text: str) -> bool:
    """Whether the text is a digest in the one form that podium writes."""
    return bool(_DIGEST.fullmatch(text))


def _line(path: str, descriptor: int) -> tuple[bytes, bytes]:
    content = hashlib.sha256()
    size = 0
    while chunk := os.read(descriptor, _CHUNK):
        content.update(chunk)
        size += len(chunk)
    return path.encode(), json.dumps([path, size, content.hexdigest()], separators=(",", ":")).encode() + b"\n"
