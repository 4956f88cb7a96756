"""Tables for people, JSON for programs: data to stdout, talk to stderr."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click

# What moves a terminal's cursor, changes its title or makes it answer: all control characters but tab and newline. And
# what turns the order of what is shown around, so that a text looks like another one (CVE-2021-42574).
_TURNS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029)
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160))} | {
    code: f"\\u{code:04x}" for code in _TURNS
}
_IN_ONE_LINE = _CONTROLS | {9: "\\t", 10: "\\n"}
_IN_JSON = {code: f"\\u{code:04x}" for code in (*range(127, 160), *_TURNS)}


def shown(text: str) -> str:
    """Text that somebody else wrote (a model's error, a log, a file's name), harmless on a terminal."""
    return text.translate(_CONTROLS).encode("utf-8", "backslashreplace").decode()


def say(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a text, whoever wrote parts of it: what every command does instead of `click.echo`."""
    click.echo(shown(str(text)), err=err, nl=nl)


def print_json(value: Any) -> None:
    """One JSON document on stdout, two spaces deep."""
    # JSON itself writes the lower control characters as escapes, and leaves the others.
    click.echo(json.dumps(value, indent=2, ensure_ascii=False).translate(_IN_JSON))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns as wide as their widest cell, two spaces between; nothing but the headings where there are no rows."""
    # A cell that ends its line could pass for a row.
    cells = [["" if cell is None else shown(str(cell).translate(_IN_ONE_LINE)) for cell in row] for row in rows]
    widths = [max(len(text) for text in column) for column in zip(headings, *cells, strict=True)]
    for row in [list(headings), *cells]:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def print_facts(facts: Mapping[str, object]) -> None:
    """`name   value` lines, aligned; a fact that is None is left out."""
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        if value is not None:
            # Lines of one fact stand under each other, so that none passes for another fact.
            click.echo(f"{name.ljust(width)}  " + shown(str(value)).replace("\n", f"\n{'':<{width}}  "))


def counted(number: int, noun: str) -> str:
    """`1 replica`, `2 replicas`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def devices_of(replicas: Sequence[Mapping[str, Any]]) -> str | None:
    """Where replicas compute, for people; None before any of them is ready."""
    found = [replica["device"] for replica in replicas if replica["device"]]
    names = dict.fromkeys(f"{each['device']} ({each['name']})" if each["name"] else each["device"] for each in found)
    return ", ".join(names) or None


def local_time(seconds: float) -> str:
    """Seconds since 1970 as a time where the reader is, to the second."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
