"""Tables for people, JSON for programs: data to stdout, talk to stderr."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

# What moves a terminal's cursor, changes its title or makes it answer: all control characters but tab and newline.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160))}


def shown(text: str) -> str:
    """Text that somebody else wrote (a model's error, a log, a file's name), harmless on a terminal."""
    return text.translate(_CONTROLS).encode("utf-8", "backslashreplace").decode()


def print_json(value: Any) -> None:
    """One JSON document on stdout, two spaces deep."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns as wide as their widest cell, two spaces between; nothing but the headings where there are no rows."""
    cells = [["" if cell is None else shown(str(cell)) for cell in row] for row in rows]
    widths = [max(len(text) for text in column) for column in zip(headings, *cells, strict=True)]
    for row in [list(headings), *cells]:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def print_facts(facts: Mapping[str, object]) -> None:
    """`name   value` lines, aligned; a fact that is None is left out."""
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        if value is not None:
            click.echo(f"{name.ljust(width)}  {shown(str(value))}")


def counted(number: int, noun: str) -> str:
    """`1 replica`, `2 replicas`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def devices_of(replicas: Sequence[Mapping[str, Any]]) -> str | None:
    """Where replicas compute, for people; None before any of them is ready."""
    found = [replica["device"] for replica in replicas if replica["device"]]
    names = dict.fromkeys(f"{each['device']} ({each['name']})" if each["name"] else each["device"] for each in found)
    return ", ".join(names) or None
