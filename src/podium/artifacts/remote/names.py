"""Names that a server gave: what may become a path below a folder of ours, and what is refused."""

from collections.abc import Iterable

from podium.artifacts.remote.contract import RemoteFile
from podium.errors import InvalidModel

MOST_FILES = 20_000
_LONGEST_PATH = 1024
_LONGEST_PART = 255
_DEEPEST = 32


def checked(path: str, place: str) -> str:
    """A relative path that stays below its folder on any machine.

    Raises:
        InvalidModel: Absolute, with `..`, `.`, an empty part, a backslash or a control character, too long or too deep.
    """
    parts = path.split("/")
    is_odd = (
        {"", ".", ".."} & set(parts)
        or "\\" in path
        or any(ord(character) < 32 or ord(character) == 127 or 0xD800 <= ord(character) <= 0xDFFF for character in path)
        or len(path.encode("utf-8", "surrogatepass")) > _LONGEST_PATH
        or any(len(part.encode("utf-8", "surrogatepass")) > _LONGEST_PART for part in parts)
        or len(parts) > _DEEPEST
    )
    if is_odd:
        raise InvalidModel(f"{place} names a file {path[:200]!r}, which no model folder may hold; nothing of it is used.")
    return path


def checked_list(files: Iterable[RemoteFile], place: str) -> list[RemoteFile]:
    """Files by path, each path once and none of them another's folder.

    Raises:
        InvalidModel: As `checked`; or more than 20,000 files, or two that cannot stand beside each other.
    """
    known: dict[str, RemoteFile] = {}
    for file in files:
        if checked(file.path, place) in known:
            raise InvalidModel(f"{place} names {file.path!r} twice; nothing was fetched.")
        known[file.path] = file
        if len(known) > MOST_FILES:
            raise InvalidModel(f"{place} holds more than {MOST_FILES} files; a model has some dozens.")
    for path in known:
        parents = path.split("/")[:-1]
        for depth in range(1, len(parents) + 1):
            if "/".join(parents[:depth]) in known:
                raise InvalidModel(
                    f"{place}: {'/'.join(parents[:depth])!r} is both a file and a folder; nothing was fetched."
                )
    return [known[path] for path in sorted(known)]
