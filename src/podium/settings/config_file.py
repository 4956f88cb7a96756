"""podium.toml: what is said in it, with the lines where it is said."""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from podium.domain.nearest import did_you_mean
from podium.errors import Misconfigured
from podium.settings.declared import Setting
from podium.settings.provenance import OF_MODELS, URI, Said

NAME = "podium.toml"
VARIABLE = "PODIUM_CONFIG"
ALERTS = "alerts"
"""The table of `settings/alerts.py`, which holds other tables."""


def find_config(environ: Mapping[str, str], folder: Path) -> Path | None:
    """The file that PODIUM_CONFIG names, or podium.toml in this folder; None where there is none.

    Raises:
        Misconfigured: PODIUM_CONFIG names what is not there.
    """
    if named := environ.get(VARIABLE):
        path = Path(os.path.expanduser(named))
        if not path.is_file():
            raise Misconfigured(f"{VARIABLE}={named}: there is no such file. Name an existing file, or unset it.")
        return path
    return folder / NAME if (folder / NAME).is_file() else None


def from_config(settings: Sequence[Setting], path: Path) -> list[Said]:
    """What the file says, but for `[alerts]`; unknown tables and keys are refused with the name that was perhaps meant.

    Raises:
        Misconfigured: It cannot be read, is not TOML, or names what is no setting; says the line.
    """
    content, lines, place = read_config(path)
    content.pop(ALERTS, None)
    known: dict[str, dict[str, Setting]] = {}
    for setting in settings:
        known.setdefault(setting.table, {})[setting.key] = setting
    said = []
    # What is said of single models comes last: [serve] may name models too, and these are added to them.
    for table, entries in sorted(content.items(), key=lambda entry: entry[0] == OF_MODELS):
        where = f"{place}:{lines.get((table,), 1)}"
        if table == OF_MODELS and isinstance(entries, dict):
            said += _of_models(entries, settings, place, lines)
            continue
        if table not in known or not isinstance(entries, dict):
            raise Misconfigured(f"{where}: {_not_a_table(table, entries, known)}")
        for key, raw in entries.items():
            where = f"{place}:{lines.get((table, key), lines.get((table,), 1))}"
            if key not in known[table]:
                raise Misconfigured(f"{where}: there is no setting {table}.{key}.{_meant(table, key, known)}")
            said.append(Said(f"{table}.{key}", raw, where))
    return said


def read_config(path: Path) -> tuple[dict[str, Any], dict[tuple[str, ...], int], str]:
    """What stands in podium.toml, on which line, and what the file is called.

    Raises:
        Misconfigured: It cannot be read, or is not TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}.") from error
    except RecursionError as error:
        raise Misconfigured(f"{path} holds tables or lists that are nested too deep.") from error
    except ValueError as error:  # of TOML, of UTF-8, and numbers with thousands of digits
        raise Misconfigured(f"{path} is not TOML: {error}.") from error
    return content, _lines(text), path.name if path.parent == Path.cwd() else str(path)


def _of_models(
    entries: Mapping[str, Any], settings: Sequence[Setting], place: str, lines: Mapping[tuple[str, ...], int]
) -> list[Said]:
    """What `[models.NAME]` says of one model each."""
    known = {URI.key: URI, **{setting.key: setting for setting in settings if setting.is_of_model}}
    said = []
    for name, own in entries.items():
        line = lines.get((OF_MODELS, name), lines.get((OF_MODELS,), 1))
        if not isinstance(own, dict):
            raise Misconfigured(
                f'{place}:{line}: {OF_MODELS}.{name} is no table. Write [{OF_MODELS}.{name}] and uri = "…".'
            )
        for key, raw in own.items():
            where = f"{place}:{lines.get((OF_MODELS, name, key), line)}"
            if key not in known:
                everywhere = {setting.key: setting.table for setting in settings}
                belongs = f" It is one of the whole server's: [{everywhere[key]}]." if key in everywhere else ""
                meant = belongs or did_you_mean(key.replace("-", "_"), known)
                raise Misconfigured(f"{where}: there is no setting {OF_MODELS}.{name}.{key}.{meant}")
            said.append(Said(f"{OF_MODELS}.{name}.{key}", raw, where))
    return said


def _not_a_table(table: str, entries: Any, known: Mapping[str, Mapping[str, Setting]]) -> str:
    tables = ", ".join([*(f"[{name}]" for name in known), f"[{ALERTS}]", f"[{OF_MODELS}.NAME]"])
    if isinstance(entries, dict):
        return f"there is no table [{table}].{did_you_mean(table, known)} There are {tables}."
    return f"{table} stands outside of a table.{_meant('', table, known) or f' There are {tables}.'}"


def _meant(table: str, key: str, known: Mapping[str, Mapping[str, Setting]]) -> str:
    """The nearest key: of the same table, or the same word in another table."""
    for other, keys in known.items():
        if other != table and key in keys:
            return f" It belongs under [{other}]."
    near = did_you_mean(key.replace("-", "_"), known.get(table) or {word for keys in known.values() for word in keys})
    return near or " podium serve --show-settings lists them all."


def _lines(text: str) -> dict[tuple[str, ...], int]:
    """The line of each key and table, by a look at the text: tomllib does not tell. Good enough for a message."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if found := re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line):
            table = _parts(found[1])
            lines.setdefault(table, number)
        elif found := re.match(r"""\s*([\w\-."' ]+?)\s*=""", line):
            path = (*table, *_parts(found[1]))
            for end in range(1, len(path) + 1):
                lines.setdefault(path[:end], number)
    return lines


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in text.split("."))
