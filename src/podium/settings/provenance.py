"""Values of settings from several places in rising order, each knowing where it came from."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from podium.domain.masking import masked
from podium.domain.nearest import did_you_mean
from podium.errors import Misconfigured
from podium.settings.declared import LARGEST, LONGEST_S, Kind, Setting, settings_of

_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_SCALES = {"": 1.0, "s": 1.0, "ms": 1e-3, "m": 60.0, "min": 60.0, "h": 3600.0}
# What Kubernetes puts into every container for a service that is called podium-serve.
_OF_KUBERNETES = re.compile(r"_(SERVICE_HOST|SERVICE_PORT\w*|PORT_\d+_(TCP|UDP|SCTP)\w*)$")
_LONGEST_QUOTE = 60
_VARIABLE = re.compile(r"[A-Za-z_]\w*")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Value:
    """What a setting is, and who said so: `default`, a file and line, a variable or a flag."""

    setting: Setting
    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class Said:
    """One value as one place has it, not looked at yet."""

    path: str
    raw: Any
    source: str


class Chosen:
    """Every setting's value."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self.values = dict(values)

    def __getitem__(self, path: str) -> Any:
        return self.values[path].value

    def source(self, path: str) -> str:
        """Who said it."""
        return self.values[path].source

    def fields(self, owner: type) -> dict[str, Any]:
        """What the declared fields of a dataclass are filled with."""
        return {setting.field: self[setting.path] for setting in settings_of(owner)}

    def shown(self) -> dict[str, dict[str, Any]]:
        """For programs: `{path: {value, source}}`, values as people write them, but for the secrets of addresses."""
        return {path: {"value": _shown(each), "source": each.source} for path, each in self.values.items()}

    def said(self) -> list[Said]:
        """What was said by anybody, to hand it to another process."""
        return [Said(path, each.value, each.source) for path, each in self.values.items() if each.source != "default"]


def _shown(each: Value) -> Any:
    shown = each.setting.shown(each.value)
    return masked(shown) if isinstance(shown, str) and "://" in shown else shown


def gather(settings: Sequence[Setting], said: Iterable[Said]) -> Chosen:
    """Each setting's last value, checked; its default where nobody said anything.

    Args:
        settings: All that there are.
        said: In rising order: what comes later wins.

    Raises:
        Misconfigured: A value does not fit; says where it stands, what is expected and what was found.
    """
    known = {setting.path: setting for setting in settings}
    values = {path: Value(setting, setting.default, "default") for path, setting in known.items()}
    for each in said:
        setting = known[each.path]
        # Also what is overridden: a file with a mistake in it is not half good.
        values[each.path] = Value(setting, read(setting, each.raw, each.source), each.source)
    return Chosen(values)


def from_environ(settings: Sequence[Setting], environ: Mapping[str, str]) -> list[Said]:
    """What variables say.

    Raises:
        Misconfigured: A variable looks like a setting's and is none.
    """
    known = {setting.variable: setting for setting in settings}
    prefixes = tuple(sorted({f"PODIUM_{setting.table.upper()}_" for setting in settings}))
    said = []
    for name, raw in environ.items():
        if not name.startswith(prefixes) or _OF_KUBERNETES.search(name) or re.match(r"(tcp|udp|sctp)://", raw):
            continue
        if name not in known:
            raise Misconfigured(
                f"{name}: there is no such setting.{did_you_mean(name, known)} podium serve --show-settings lists them all."
            )
        said.append(Said(known[name].path, raw, name))
    return said


def read(setting: Setting, raw: Any, source: str) -> Any:
    """A value out of what was written in a file, a variable or a flag.

    Raises:
        Misconfigured: It does not fit.
    """
    if raw is None and setting.default is None:
        return None
    value = _READERS[setting.kind](raw)
    if value is None or not _is_in_bounds(setting, value):
        got = repr(raw) if len(repr(raw)) <= _LONGEST_QUOTE else f"{repr(raw)[:_LONGEST_QUOTE]}…"
        raise Misconfigured(f"{source}: {setting.path} is {got}; expected {setting.expected}.")
    return value


def _is_in_bounds(setting: Setting, value: Any) -> bool:
    match setting.kind:
        case Kind.WORD:
            return value in setting.choices
        case Kind.COUNT | Kind.BYTES:
            least = 1 if setting.least is None else setting.least
            return bool(least <= value <= (setting.most or LARGEST))
        case Kind.SECONDS:
            return bool(0 < value <= LONGEST_S or value == setting.least == 0)
        case _:
            return True


def _text(raw: Any) -> str | None:
    return raw if isinstance(raw, str) and raw and not _CONTROLS.search(raw) else None


def _count(raw: Any) -> int | None:
    if isinstance(raw, str) and re.fullmatch(r"[+-]?\d{1,18}", raw.strip()):
        return int(raw)
    return raw if isinstance(raw, int) and not isinstance(raw, bool) else None


def _seconds(raw: Any) -> float | None:
    if isinstance(raw, str):
        found = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*([a-z]*)", raw.strip())
        return float(found[1]) * _SCALES[found[2]] if found and found[2] in _SCALES else None
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    try:
        return float(raw)
    except OverflowError:
        return None


def _bytes(raw: Any) -> int | None:
    if isinstance(raw, str):
        found = re.fullmatch(r"(\d{1,18})\s*([KMG]i?)?B?", raw.strip(), re.IGNORECASE)
        return int(found[1]) << (10 * " KMG".index((found[2] or " ")[0].upper())) if found else None
    return raw if isinstance(raw, int) and not isinstance(raw, bool) else None


def _switch(raw: Any) -> bool | None:
    return _WORDS.get(raw.strip().lower()) if isinstance(raw, str) else raw if isinstance(raw, bool) else None


def _names(raw: Any) -> tuple[str, ...] | None:
    names = [name.strip() for name in raw.split(",") if name.strip()] if isinstance(raw, str) else raw
    is_fit = isinstance(names, list | tuple) and all(isinstance(each, str) and _VARIABLE.fullmatch(each) for each in names)
    return tuple(names) if is_fit else None


_READERS = {
    Kind.TEXT: _text,
    Kind.WORD: _text,
    Kind.COUNT: _count,
    Kind.SECONDS: _seconds,
    Kind.BYTES: _bytes,
    Kind.SWITCH: _switch,
    Kind.NAMES: _names,
}
