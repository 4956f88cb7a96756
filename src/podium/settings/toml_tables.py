"""Tables of podium.toml that hold other tables: each value checked, each mistake told with its line."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from podium.domain.nearest import did_you_mean
from podium.errors import Misconfigured
from podium.settings.declared import Setting, ValueKind
from podium.settings.provenance import read as read_value


class TomlTable:
    """One table. Its reader asks for what it knows and then ends it: what nobody asked for is a mistake.

    Args:
        entries: What stands in it.
        names: The tables that it stands in, and its own name last.
        lines: On which line what stands.
        place: The file's name.

    Raises:
        Misconfigured: It is no table.
    """

    def __init__(self, entries: Any, names: tuple[str, ...], lines: Mapping[tuple[str, ...], int], place: str) -> None:
        self.names = names
        self._lines = lines
        self._place = place
        self._known: list[str] = []
        if not isinstance(entries, Mapping):
            raise Misconfigured(f"{self.where()}: {self.path} is no table. Write [{self.path}].")
        self._entries = dict(entries)

    @property
    def name(self) -> str:
        """Its own name."""
        return self.names[-1]

    @property
    def path(self) -> str:
        """`alerts.channels.oncall`."""
        return ".".join(self.names)

    def where(self, key: str | None = None) -> str:
        """File and line of the table or of one of its keys."""
        names = self.names if key is None else (*self.names, key)
        while names not in self._lines and len(names) > 1:
            names = names[:-1]
        return f"{self._place}:{self._lines.get(names, 1)}"

    def has(self, key: str, value: str) -> bool:
        """Whether a key is this word; then it counts as read."""
        if self._entries.get(key) != value:
            return False
        del self._entries[key]
        self._known.append(key)
        return True

    def read(
        self, key: str, kind: ValueKind, default: Any, *, choices: Sequence[str] = (), least: int | None = None
    ) -> Any:
        """One value.

        Args:
            key: Its name.
            kind: How it is written.
            default: Where it is not there.
            choices: For a WORD, all of them.
            least: As in `Setting`.

        Raises:
            Misconfigured: It is not written so.
        """
        self._known.append(key)
        if key not in self._entries:
            return default
        path = f"{self.path}.{key}"
        raw = self._entries.pop(key)
        setting = Setting(self.path, key, kind, "", "", "", tuple(choices), least)
        return read_value(setting, raw, self.where(key), path)

    def table(self, key: str) -> "TomlTable":
        """A table in it; an empty one where there is none."""
        self._known.append(key)
        return TomlTable(self._entries.pop(key, {}), (*self.names, key), self._lines, self._place)

    def tables(self, key: str) -> Iterator["TomlTable"]:
        """The tables in a table in it."""
        outer = self.table(key)
        for name, entries in outer.rest().items():
            yield TomlTable(entries, (*outer.names, name), self._lines, self._place)

    def rest(self) -> dict[str, Any]:
        """What was not asked for; that it is known is the caller's business then."""
        rest, self._entries = self._entries, {}
        return rest

    def end(self) -> None:
        """Say that all that may stand in it was asked for.

        Raises:
            Misconfigured: Something else stands in it.
        """
        for key in self._entries:
            known = f" There are {', '.join(self._known)}."
            near = did_you_mean(key.replace("-", "_"), self._known)
            raise Misconfigured(f"{self.where(key)}: there is no setting {self.path}.{key}.{near or known}")
