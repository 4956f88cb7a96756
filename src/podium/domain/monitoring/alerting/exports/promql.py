"""PromQL that the rules are written in: their templates filled in for some models, numbers, durations and quoted text."""

import re
from collections.abc import Sequence
from string import Template

from podium.domain.monitoring.alerting.rules import Rule

_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_NAME = re.compile(r"\bpodium_[a-z_]+\b")


def expression_of(rule: Rule, only: str | None = None, without: Sequence[str] = ()) -> str:
    """A rule's expression for one model, for all, or for all but some.

    Args:
        rule: Whose parameters are filled in.
        only: The model.
        without: Models that have their own.
    """
    models = [f"model={quoted(only)}"] if only is not None else [f"model!={quoted(name)}" for name in sorted(without)]
    filled = {name: number(value) for name, value in rule.parameters.items()}
    filled |= {name: duration(value) for name, value in rule.parameters.items() if name.endswith("_s")}
    # What is filled in for the models comes last: a model may be called anything.
    text = Template(rule.expression).substitute(filled, models="\0")
    if not models:
        return text.replace(",\0}", "}").replace("{\0}", "")
    return text.replace("\0", ",".join(models))


def metrics_of(expression: str) -> set[str]:
    """The metrics that an expression asks for."""
    return set(_NAME.findall(expression))


def duration(seconds: float) -> str:
    """`1h`, `30m`, `3d`: whole seconds in the largest unit that fits."""
    whole = max(1, round(seconds))
    return next(f"{whole // unit}{name}" for unit, name in _UNITS if whole % unit == 0)


def number(value: float) -> str:
    """The shortest text that is the same number."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def quoted(text: str) -> str:
    """Text in double quotes as PromQL, Go and YAML read it alike: whatever is not printable ASCII is escaped."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if " " <= character <= "~":
        return character
    code = ord(character)
    # Half of a pair is no character; what cannot be written is written as the sign for that.
    if 0xD800 <= code <= 0xDFFF:
        code = 0xFFFD
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"
