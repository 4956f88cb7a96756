"""Which columns of a request or an answer may be kept, and in which form: left out, hashed or as they are.

Whoever says which columns may be kept trusts that no other one is. So what cannot be told apart by names is not kept at
all: a list without names, a text that is no JSON. Names in answers are held to the same rules as those in requests; an
answer without names, a list of numbers say, is kept.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from podium.errors import PodiumError

_SPLIT, _RECORDS = "dataframe_split", "dataframe_records"
_INPUTS = ("inputs", "instances")
_ANSWERS = ("predictions", "outputs")
_ABOUT = frozenset({"model_name", "model_version"})
_OF_TENSOR = ("name", "shape", "datatype", "data")


class Nameless(PodiumError):
    """It cannot be said which columns a body's values are of."""

    code = "NAMELESS"


@dataclass(frozen=True, slots=True)
class ColumnRules:
    """What may be kept.

    Args:
        kept: Names of columns; None keeps all.
        hashed: Those of which a digest is kept instead, whether `kept` names them or not.
    """

    kept: frozenset[str] | None = None
    hashed: frozenset[str] = frozenset()

    @property
    def is_open(self) -> bool:
        """Whether everything is kept as it is."""
        return self.kept is None and not self.hashed

    def keeps(self, name: str) -> bool:
        return self.kept is None or name in self.kept or name in self.hashed


def held_to(rules: ColumnRules, body: Any, digest: Callable[[Any], str]) -> Any:
    """What of a body may be kept.

    Args:
        rules: What may be.
        body: Decoded JSON, in any form of MLflow's protocol or the Open Inference Protocol.
        digest: Of one value.

    Raises:
        Nameless: The body has values without names.
    """
    if rules.is_open:
        return body
    filtering = _Filter(rules, digest)
    if isinstance(body, Mapping):
        return filtering.document(body)
    return filtering.named(body)


def subjects_in(body: Any, column: str) -> list[Any]:
    """The values of one column: whose data a body holds; without what is missing."""
    found: list[Any] = []
    for name, value in _columns_of(body):
        if name == column:
            found.extend(each for each in _leaves(value) if each is not None)
    return found


@dataclass(frozen=True, slots=True)
class _Filter:
    """`held_to`, by the kind of a value."""

    rules: ColumnRules
    digest: Callable[[Any], str]

    def document(self, body: Mapping[str, Any]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for key, value in body.items():
            if key == _SPLIT:
                kept[key] = self.split(value)
            elif key == _RECORDS or key in _INPUTS:
                kept[key] = self.named(value)
            elif key in _ANSWERS:
                kept[key] = self.answer(value)
            elif key in _ABOUT:
                kept[key] = value
            elif key == "params" and isinstance(value, Mapping):
                kept[key] = self.fields(value)
            elif self.rules.keeps(key):
                kept[key] = self.value(key, value)
        return kept

    def split(self, value: Any) -> dict[str, Any]:
        """A data frame; its index is a column without a name, and is left out."""
        if not isinstance(value, Mapping) or not _is_list(value.get("columns")) or not _is_list(value.get("data")):
            raise Nameless("a dataframe_split without columns and data")
        names, rows = [str(name) for name in value["columns"]], value["data"]
        if any(not _is_list(row) or len(row) != len(names) for row in rows):
            raise Nameless("a dataframe_split whose rows have other lengths than its columns")
        places = [place for place, name in enumerate(names) if self.rules.keeps(name)]
        return {
            "columns": [names[place] for place in places],
            "data": [[self.value(names[place], row[place]) for place in places] for row in rows],
        }

    def named(self, value: Any) -> Any:
        """Records, columns or tensors."""
        if isinstance(value, Mapping):
            return self.fields(value)
        if not _is_list(value) or not all(isinstance(each, Mapping) for each in value):
            raise Nameless("values without names")
        if value and all(_is_tensor(each) for each in value):
            return [self.tensor(each) for each in value if self.rules.keeps(str(each["name"]))]
        return [self.fields(each) for each in value]

    def answer(self, value: Any) -> Any:
        if isinstance(value, Mapping) or (_is_list(value) and value and all(isinstance(each, Mapping) for each in value)):
            return self.named(value)
        if any(isinstance(each, Mapping) for each in _deeply(value)):
            raise Nameless("an answer with names below what has none")
        return value

    def fields(self, value: Mapping[str, Any]) -> dict[str, Any]:
        return {key: self.value(key, each) for key, each in value.items() if self.rules.keeps(key)}

    def tensor(self, value: Mapping[str, Any]) -> dict[str, Any]:
        kept = {key: value[key] for key in _OF_TENSOR if key in value}
        if "data" in kept:
            kept["data"] = self.value(str(value["name"]), kept["data"])
        return kept

    def value(self, name: str, value: Any) -> Any:
        return self.hashed(value) if name in self.rules.hashed else value

    def hashed(self, value: Any) -> Any:
        if value is None:
            return None
        return [self.hashed(each) for each in value] if _is_list(value) else self.digest(value)


def _columns_of(body: Any) -> Iterator[tuple[str, Any]]:
    """Names with what stands under them, wherever a body of any form has columns."""
    if _is_list(body):
        for each in body:
            if isinstance(each, Mapping):
                yield from _columns_of_record(each)
        return
    if not isinstance(body, Mapping):
        return
    for key, value in body.items():
        if key == _SPLIT and isinstance(value, Mapping):
            names, rows = value.get("columns") or (), value.get("data") or ()
            if _is_list(names) and _is_list(rows):
                for row in rows:
                    yield from zip(map(str, names), row if _is_list(row) else (), strict=False)
        elif key == _RECORDS or key in _INPUTS:
            yield from _columns_of_record(value) if isinstance(value, Mapping) else _columns_of(value)
        else:
            yield key, value


def _columns_of_record(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if _is_tensor(record):
        yield str(record["name"]), record.get("data")
    else:
        yield from record.items()


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("name"), str) and "datatype" in value and "shape" in value


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)


def _leaves(value: Any) -> Iterator[Any]:
    if _is_list(value):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _deeply(value: Any) -> Iterator[Any]:
    yield value
    if _is_list(value):
        for each in value:
            yield from _deeply(each)
