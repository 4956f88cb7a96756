"""Flags made from the declared settings, and what was said by them."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from podium.settings.declared import Setting, ValueKind
from podium.settings.provenance import Said

_Function = TypeVar("_Function", bound=Callable[..., Any])
_METAVARS = {
    ValueKind.TEXT: "TEXT",
    ValueKind.TEXTS: "TEXT",
    ValueKind.NAMES: "NAME,...",
    ValueKind.SHARES: "NAME=PERCENT,...",
    ValueKind.RATIO: "RATIO",
    ValueKind.COUNT: "INTEGER",
    ValueKind.SECONDS: "SECONDS",
    ValueKind.BYTES: "SIZE",
    ValueKind.CLASS: "CLASS",
}


def setting_options(settings: Sequence[Setting]) -> Callable[[_Function], _Function]:
    """Give a command a flag for each setting. Values are read where those of files and variables are."""

    def decorate(function: _Function) -> _Function:
        for setting in reversed(settings):
            function = _option(setting)(function)
        return function

    return decorate


def said_by_flags(settings: Sequence[Setting]) -> tuple[list[Said], list[Said]]:
    """What the current command was told: its own defaults where it has other ones, and then variables and flags."""
    context = click.get_current_context()
    options = {option.name: option for option in context.command.params}
    beneath, said = [], []
    for setting in settings:
        value, option = context.params.get(setting.parameter), options.get(setting.parameter)
        if value is None or value == () or option is None:
            continue
        match context.get_parameter_source(setting.parameter):
            case ParameterSource.COMMANDLINE:
                flag = setting.flag if value is not False else f"--no-{setting.flag.removeprefix('--')}"
                said.append(Said(setting.path, value, flag))
            case ParameterSource.ENVIRONMENT:
                beneath.append(Said(setting.path, value, str(option.envvar)))
            case _:
                beneath.append(Said(setting.path, value, f"default of {context.command_path}"))
    return beneath, said


def _option(setting: Setting) -> Callable[[Any], Any]:
    default = setting.shown(setting.default) if setting.default_text is None else setting.default_text
    meaning = setting.help + ("" if default == "none" else f" [default: {default}]")
    if setting.kind is ValueKind.SWITCH:
        names = f"{setting.flag}/--no-{setting.flag.removeprefix('--')}"
        return click.option(names, setting.parameter, default=None, help=meaning)
    letters = [f"-{setting.letter}"] if setting.letter else []
    metavar = "|".join(setting.choices) if setting.choices else _METAVARS[setting.kind]
    if setting.kind is ValueKind.TEXTS:
        return click.option(*letters, setting.flag, setting.parameter, multiple=True, metavar=metavar, help=meaning)
    return click.option(*letters, setting.flag, setting.parameter, default=None, metavar=metavar, help=meaning)
