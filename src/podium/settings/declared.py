"""What a setting is: declared once, beside the field that it fills; flags, variables, file keys and pages come from that.

A setting `table.key` is `key` under `[table]` in podium.toml, the variable `PODIUM_<TABLE>_<KEY>` and the flag `--key`.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

_MARK = "podium.setting"
LONGEST_S = 1e9  # 31 years: as nanoseconds, added to any clock, still 64 bits
LARGEST = 1 << 50


class ValueKind(StrEnum):
    """What may be written for a setting's value."""

    TEXT = "text"
    WORD = "word"
    COUNT = "number"
    SECONDS = "seconds"
    BYTES = "size"
    SWITCH = "true or false"
    TEXTS = "texts"
    NAMES = "names"
    RATIO = "ratio"
    SHARES = "shares"
    CLASS = "class"


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that can be set.

    Args:
        table, key: `[table]` and `key` in podium.toml.
        kind: How its value is written.
        default: Its value where nobody says anything; None where it is computed or absent, `default_text` says how.
        help: One sentence, with the unit.
        field: The dataclass field that it fills.
        choices: For a WORD, all of them.
        least: The smallest number; a value must be above 0 where this is None and the kind is a number.
        most: The largest number.
        letter: Of the short flag.
        parameter: What the command line's function calls it.
        is_of_model: Whether it may be said for one model of several, under [models.NAME].
        is_hook: Whether it is an address that is protected by its path, which is therefore not shown.
    """

    table: str
    key: str
    kind: ValueKind
    default: Any
    help: str
    field: str
    choices: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None
    letter: str | None = None
    default_text: str | None = None
    parameter: str = ""
    is_of_model: bool = False
    is_hook: bool = False

    @property
    def path(self) -> str:
        return f"{self.table}.{self.key}"

    @property
    def variable(self) -> str:
        return f"PODIUM_{self.table}_{self.key}".upper()

    @property
    def flag(self) -> str:
        return "--" + self.key.replace("_", "-")

    @property
    def expected(self) -> str:
        """What may be written, for an error and for the page."""
        least = self.least if self.least is not None else 1
        match self.kind:
            case ValueKind.WORD:
                return f"one of {', '.join(self.choices)}"
            case ValueKind.COUNT:
                return f"a whole number of at least {least}" + (f" and at most {self.most}" if self.most else "")
            case ValueKind.SECONDS:
                least_s = "of at least 0" if self.least == 0 else "above 0"
                return f'seconds {least_s}, up to 31 years, such as 30, 0.5, "500ms" or "2m"'
            case ValueKind.BYTES:
                most = f" and at most {self.shown(self.most)}" if self.most else ""
                return f'a size of at least {least}{most}, such as "100MiB", "512K" or 1048576'
            case ValueKind.SWITCH:
                return "true or false"
            case ValueKind.TEXTS:
                return "text, or a list of texts"
            case ValueKind.RATIO:
                return "a number from 0 to 1, such as 0.01"
            case ValueKind.SHARES:
                return 'names with percents of 0 to 100, together at most 100, such as "@challenger=10,staging=5"'
            case ValueKind.CLASS:
                return "a class as answers have it: text, a whole number, or true or false"
            case ValueKind.NAMES:
                return 'names of variables, such as "A,B" or ["A", "B"]'
            case _:
                return "text"

    def shown(self, value: Any) -> str:
        """A value as a person would write it."""
        match value:
            case None:
                return self.default_text or "none"
            case bool():
                return "true" if value else "false"
            case tuple() if self.kind is ValueKind.SHARES:
                return ",".join(f"{name}={percent}" for name, percent in value) or self.default_text or "none"
            case tuple():
                return (" " if self.kind is ValueKind.TEXTS else ",").join(value) or self.default_text or "none"
            case int() if self.kind is ValueKind.BYTES:
                for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
                    if value and value % (1 << power) == 0:
                        return f"{value >> power}{unit}"
                return str(value)
            case float():
                return f"{value:g}"
            case _:
                return str(value)


def declare(
    default: Any,
    key: str,
    kind: ValueKind,
    help: str,  # noqa: A002
    *,
    table: str = "serve",
    choices: Sequence[str] = (),
    least: int | None = None,
    most: int | None = None,
    letter: str | None = None,
    default_text: str | None = None,
    parameter: str | None = None,
    is_of_model: bool = False,
    is_hook: bool = False,
) -> Any:
    """A dataclass field that people may set; the arguments are those of `Setting`."""
    setting = Setting(
        table,
        key,
        kind,
        default,
        help,
        "",
        tuple(choices),
        least,
        most,
        letter,
        default_text,
        parameter or key,
        is_of_model,
        is_hook,
    )
    return dataclasses.field(default=default, metadata={_MARK: setting})


def settings_of(*owners: type) -> tuple[Setting, ...]:
    """The declared settings of some dataclasses, in the order of their fields."""
    return tuple(
        dataclasses.replace(item.metadata[_MARK], field=item.name)
        for owner in owners
        for item in dataclasses.fields(owner)
        if _MARK in item.metadata
    )
