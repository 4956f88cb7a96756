"""Values of settings from several places in rising order, each knowing where it came from."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from podium.domain.masking import masked
from podium.domain.nearest import did_you_mean
from podium.errors import Misconfigured
from podium.settings.declared import LARGEST, LONGEST_S, Setting, ValueKind, settings_of

_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_SCALES = {"": 1.0, "s": 1.0, "ms": 1e-3, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
# What Kubernetes puts into every container for a service that is called podium-serve.
_OF_KUBERNETES = re.compile(r"_(SERVICE_HOST|SERVICE_PORT\w*|PORT_\d+_(TCP|UDP|SCTP)\w*)$")
_LONGEST_QUOTE = 60
_HOOK = re.compile(r"(://[^/?#]*)[/?#].+", re.DOTALL)
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


OF_MODELS = "models"
"""The table of podium.toml with a table for each model: what is said there is `Said` of `models.NAME.key`."""
MODELS_NAMED = "serve.model_uri"
MODEL_NAME = re.compile(r"\w[\w.\-]{0,99}")
NAME_AND_URI = re.compile(rf"({MODEL_NAME.pattern})=(.+)", re.DOTALL)
URI = Setting(OF_MODELS, "uri", ValueKind.TEXT, None, "What is served under this name.", "")


class Chosen:
    """Every setting's value.

    Args:
        values: By path.
        models: What was said of one model alone: values by key, by the model's name.
    """

    def __init__(self, values: Mapping[str, Value], models: Mapping[str, Mapping[str, Value]] | None = None) -> None:
        self.values = dict(values)
        self.models = {name: dict(entries) for name, entries in (models or {}).items()}

    def of_model(self, name: str) -> "Chosen":
        """As they are for one model: what was said of it alone wins over what was said for all."""
        own = {each.setting.path: each for key, each in self.models.get(name, {}).items() if key != URI.key}
        return Chosen({**self.values, **own})

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
        shown = {path: {"value": _shown(each), "source": each.source} for path, each in self.values.items()}
        for name, entries in self.models.items():
            for key, each in entries.items():
                shown[f"{OF_MODELS}.{name}.{key}"] = {"value": _shown(each), "source": each.source}
        return shown

    def said(self) -> list[Said]:
        """What was said by anybody, to hand it to another process."""
        said = [
            Said(f"{OF_MODELS}.{name}.{key}", each.value, each.source)
            for name, entries in self.models.items()
            for key, each in entries.items()
        ]
        # After those of single models: which models are named is already the outcome of both.
        return said + [
            Said(path, each.value, each.source) for path, each in self.values.items() if each.source != "default"
        ]


def _shown(each: Value) -> Any:
    if each.setting.kind is ValueKind.TEXTS:
        return " ".join(_masked(text) for text in each.value) or each.setting.shown(each.value)
    shown = each.setting.shown(each.value)
    if each.setting.is_hook:
        return _HOOK.sub(r"\1/***", masked(shown))
    return _masked(shown) if isinstance(shown, str) else shown


def _masked(text: str) -> str:
    if found := NAME_AND_URI.fullmatch(text):
        return f"{found[1]}={_masked(found[2])}"
    return masked(text) if "://" in text else text


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
    of_model = {URI.key: URI, **{setting.key: setting for setting in settings if setting.is_of_model}}
    models: dict[str, dict[str, Value]] = {}
    for each in said:
        # Also what is overridden: a file with a mistake in it is not half good.
        if each.path.startswith(f"{OF_MODELS}."):
            name, _, key = each.path.removeprefix(f"{OF_MODELS}.").rpartition(".")
            setting = of_model[key]
            models.setdefault(_model_name(name, each), {})[key] = Value(
                setting, read(setting, each.raw, each.source, each.path), each.source
            )
            if setting is URI and (named := values.get(MODELS_NAMED)) is not None:
                texts = (*named.value, f"{name}={each.raw}")
                values[MODELS_NAMED] = Value(named.setting, texts, each.source if not named.value else named.source)
        else:
            setting = known[each.path]
            values[each.path] = Value(setting, read(setting, each.raw, each.source), each.source)
    return Chosen(values, models)


def _model_name(name: str, said: Said) -> str:
    if not MODEL_NAME.fullmatch(name):
        raise Misconfigured(
            f"{said.source}: a model cannot be called {name!r}; use letters, digits, '_', '-' and '.', at most 100."
        )
    return name


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


def read(setting: Setting, raw: Any, source: str, path: str | None = None) -> Any:
    """A value out of what was written in a file, a variable or a flag.

    Raises:
        Misconfigured: It does not fit.
    """
    if raw is None and setting.default is None:
        return None
    value = _READERS[setting.kind](raw)
    if value is None or not _is_in_bounds(setting, value):
        got = repr(raw) if len(repr(raw)) <= _LONGEST_QUOTE else f"{repr(raw)[:_LONGEST_QUOTE]}…"
        raise Misconfigured(f"{source}: {path or setting.path} is {got}; expected {setting.expected}.")
    return value


def _is_in_bounds(setting: Setting, value: Any) -> bool:
    match setting.kind:
        case ValueKind.WORD:
            return value in setting.choices
        case ValueKind.COUNT | ValueKind.BYTES:
            least = 1 if setting.least is None else setting.least
            return bool(least <= value <= (setting.most or LARGEST))
        case ValueKind.RATIO:
            return bool(0 <= value <= 1)
        case ValueKind.SECONDS:
            return bool(0 < value <= LONGEST_S or value == setting.least == 0)
        case _:
            return True


def _text(raw: Any) -> str | None:
    return raw if isinstance(raw, str) and raw and not _CONTROLS.search(raw) else None


def _class(raw: Any) -> str | None:
    if isinstance(raw, bool):
        return "true" if raw else "false"
    return str(raw) if isinstance(raw, int) and abs(raw) <= LARGEST else _text(raw)


def _texts(raw: Any) -> tuple[str, ...] | None:
    given = [raw] if isinstance(raw, str) else raw
    if not isinstance(given, list | tuple) or not given:
        return None
    read = tuple(_text(each) for each in given)
    return None if None in read else tuple(each for each in read if each is not None)


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


def _ratio(raw: Any) -> float | None:
    if isinstance(raw, str):
        return float(raw) if re.fullmatch(r"\s*(\d+(\.\d*)?|\.\d+)(e-?\d{1,3})?\s*", raw) else None
    return float(raw) if isinstance(raw, int | float) and not isinstance(raw, bool) else None


def _shares(raw: Any) -> tuple[tuple[str, int], ...] | None:
    if isinstance(raw, str):
        parts = [part.rpartition("=") for part in raw.split(",") if part.strip()]
        raw = {name.strip(): _count(percent.strip()) for name, equals, percent in parts if equals}
        raw = raw if len(raw) == len(parts) else None
    elif isinstance(raw, tuple | list) and all(isinstance(each, tuple | list) and len(each) == 2 for each in raw):
        raw = dict(raw)
    if not isinstance(raw, dict) or not all(isinstance(name, str) and name for name in raw):
        return None
    percents = [_count(percent) for percent in raw.values()]
    if any(percent is None or not 0 <= percent <= 100 for percent in percents) or sum(filter(None, percents)) > 100:
        return None
    return tuple((name, percent or 0) for name, percent in zip(raw, percents, strict=True))


_READERS = {
    ValueKind.TEXT: _text,
    ValueKind.WORD: _text,
    ValueKind.COUNT: _count,
    ValueKind.SECONDS: _seconds,
    ValueKind.BYTES: _bytes,
    ValueKind.SWITCH: _switch,
    ValueKind.TEXTS: _texts,
    ValueKind.NAMES: _names,
    ValueKind.RATIO: _ratio,
    ValueKind.SHARES: _shares,
    ValueKind.CLASS: _class,
}
