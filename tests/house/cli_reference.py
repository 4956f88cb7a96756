"""docs/reference/cli.md, made from the commands themselves:

python tests/house/cli_reference.py > docs/reference/cli.md
"""

import inspect
from collections.abc import Iterator

import click

from podium.cli.main import podium

_HEAD = """# Commands

Made from the commands' own help by `tests/house/cli_reference.py`; a test keeps it so.

Data goes to stdout and talk to stderr; `--json` prints one JSON document instead of a table.
Exit codes: 0 done, 1 failed, 2 asked wrongly, 130 interrupted.
Every command uses the home folder that `PODIUM_HOME` names, or `~/.podium`.
"""


def reference() -> str:
    """The whole page."""
    return _HEAD + "".join(_section(path, command) for path, command in commands(podium, ("podium",)))


def commands(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Each command of the tree with its words, those of a group after the group."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def _section(path: tuple[str, ...], command: click.Command) -> str:
    arguments = [_argument(parameter) for parameter in command.params if isinstance(parameter, click.Argument)]
    lines = ["", f"## `{' '.join([*path, *arguments])}`", "", *_prose(command.help or "")]
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option) and not parameter.hidden]
    if options:
        lines += ["", "| option | meaning |", "|---|---|", *(_row(option) for option in options)]
    return "\n".join(lines) + "\n"


def _argument(parameter: click.Argument) -> str:
    name = parameter.metavar or (parameter.name or "").upper()
    return name if parameter.required or name.startswith("[") else f"[{name}]"


def _prose(text: str) -> list[str]:
    """Paragraphs with one sentence on a line; what click is told not to rewrap stays as it is."""
    lines: list[str] = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        lines += [""] if lines else []
        if paragraph.startswith("\b"):
            lines += ["```text", *paragraph.splitlines()[1:], "```"]
        else:
            lines += " ".join(paragraph.split()).replace(". ", ".\n").splitlines()
    return lines


def _row(option: click.Option) -> str:
    flags = ", ".join(f"`{flag}`" for flag in [*option.opts, *option.secondary_opts])
    kind = option.metavar or option.type.name.upper().removesuffix(" RANGE")
    value = "" if option.is_flag or option.count else f" {kind}"
    default = option.default
    is_told = option.show_default and default is not None and not callable(default)
    meaning = (option.help or "") + (f" Default: {default}." if is_told else "")
    return f"| {flags}{value} | {meaning.replace('|', chr(92) + '|')} |"


if __name__ == "__main__":
    print(reference(), end="")
