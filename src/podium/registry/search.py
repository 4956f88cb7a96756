"""MLflow's filters, as `search_registered_models` and `search_model_versions` take them.

    name ILIKE 'iris%' AND tags.team = 'risk'        version_number >= 2 AND source_path LIKE '%/fraud'

Clauses are joined by AND only. A clause on a tag matches what carries that tag, so `tags.x != 'y'` leaves out whatever
has no tag x; but for `mlflow.prompt.is_prompt`, which MLflow's client asks for in every search and which no model carries.
Messages are MLflow's own where its clients' tests compare them.
"""

import base64
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, TypeVar

from podium.errors import InvalidInput
from podium.registry.contract import RegisteredModel, Version

T = TypeVar("T", RegisteredModel, Version)

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
    | (?P<quoted>`[^`]+`)
    | (?P<number>-?\d+(?:\.\d+)?(?![\w.]))
    | (?P<word>\w[\w.\-]*)
    | (?P<mark>==|!=|<>|<=|>=|[=<>(),])
    )""",
    re.VERBOSE,
)
_PROMPT = "mlflow.prompt.is_prompt"
_TEXT = ("=", "!=", "LIKE", "ILIKE")
_LISTS = ("IN", "NOT IN")
_NUMBERS = ("=", "!=", ">", ">=", "<", "<=")


@dataclass(frozen=True, slots=True)
class Searchable(Generic[T]):
    """What can be asked of a kind of thing.

    Attributes:
        attributes: For each key its value.
        comparators: For each key the comparators that it takes.
        orders: What results can be ordered by.
        default_order: What decides where nothing, or nothing more, was asked.
        most: How many results one page may have.
    """

    attributes: dict[str, Callable[[T], Any]]
    comparators: dict[str, tuple[str, ...]]
    orders: dict[str, Callable[[T], Any]]
    default_order: tuple[str, ...]
    most: int


MODELS: Searchable[RegisteredModel] = Searchable(
    attributes={"name": lambda model: model.name},
    comparators={"name": _TEXT + _LISTS},
    orders={
        "name": lambda model: model.name,
        "timestamp": lambda model: model.updated_ms,
        "last_updated_timestamp": lambda model: model.updated_ms,
        "creation_timestamp": lambda model: model.created_ms,
    },
    default_order=("name ASC",),
    most=1000,
)
VERSIONS: Searchable[Version] = Searchable(
    attributes={
        "name": lambda version: version.name,
        "run_id": lambda _: None,
        "source_path": lambda version: version.source,
        "version_number": lambda version: version.version,
    },
    comparators={
        "name": _TEXT + _LISTS,
        "run_id": _TEXT + _LISTS,
        "source_path": _TEXT,
        "version_number": _NUMBERS,
    },
    orders={
        "name": lambda version: version.name,
        "version_number": lambda version: version.version,
        "creation_timestamp": lambda version: version.created_ms,
        "last_updated_timestamp": lambda version: version.updated_ms,
    },
    default_order=("last_updated_timestamp DESC", "name ASC", "version_number DESC"),
    most=200_000,
)


@dataclass(frozen=True, slots=True)
class Clause:
    """One comparison. `tag` is the tag's key, or None when `key` is an attribute."""

    key: str
    tag: str | None
    comparator: str
    value: str | float | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ResultPage(Generic[T]):
    """Some of the results, and the token that asks for the next ones; None at the end."""

    items: tuple[T, ...]
    next_token: str | None


def search(
    items: Sequence[T],
    kind: Searchable[T],
    text: str = "",
    order_by: Sequence[str] = (),
    max_results: int | None = None,
    page_token: str | None = None,
) -> ResultPage[T]:
    """Those items that fit a filter, ordered, one page of them (all of them without `max_results`).

    Raises:
        InvalidInput: The filter, the order, the token or the number cannot be used.
    """
    clauses = parse_filter(text, kind)
    found = [item for item in items if all(_matches(clause, item, kind) for clause in clauses)]
    ordered = _ordered(found, kind, order_by)
    if max_results is not None and not 0 < max_results <= kind.most:
        raise InvalidInput(f"Invalid value for max_results: expected 1 to {kind.most}, got {max_results}.")
    start = _offset(page_token)
    end = len(ordered) if max_results is None else start + max_results
    return ResultPage(tuple(ordered[start:end]), _token(end) if end < len(ordered) else None)


def parse_filter(text: str, kind: Searchable[T]) -> tuple[Clause, ...]:
    """Read a filter. An empty one has no clauses and fits everything.

    Raises:
        InvalidInput: Names the clause that cannot be used.
    """
    tokens = _Tokens(text)
    clauses = []
    while tokens.left:
        clauses.append(_parse_clause(tokens, kind))
        if tokens.left and tokens.next()[1].upper() != "AND":
            tokens.fail()
    return tuple(clauses)


class _Tokens:
    """The filter's words, taken one after the other."""

    def __init__(self, text: str) -> None:
        self.left: list[tuple[str, str]] = []
        self._taken = ("", text.strip())
        place = 0
        end = len(text.rstrip())
        while place < end:
            found = _TOKEN.match(text, place)
            if not found:
                raise InvalidInput(f"Invalid clause(s) in filter string: {text[place:].strip()}")
            assert found.lastgroup is not None
            self.left.append((found.lastgroup, found[found.lastgroup]))
            place = found.end()

    def next(self) -> tuple[str, str]:
        if not self.left:
            raise InvalidInput(f"The filter string ends too early, after {self._taken[1]}.")
        self._taken = self.left.pop(0)
        return self._taken

    def fail(self) -> NoReturn:
        raise InvalidInput(f"Invalid clause(s) in filter string: {self._taken[1]}")


def _parse_clause(tokens: _Tokens, kind: Searchable[T]) -> Clause:
    key, tag = _parse_key(tokens, kind)
    comparator = tokens.next()[1].upper()
    if comparator == "NOT":
        comparator = f"NOT {tokens.next()[1].upper()}"
    allowed = _TEXT if tag is not None else kind.comparators[key]
    if comparator not in allowed:
        what = f"tag {tag}" if tag is not None else f"attribute {key}"
        raise InvalidInput(f"Invalid comparator for {what}: {comparator}. Use one of {', '.join(allowed)}.")
    if comparator in _LISTS:
        return Clause(key, tag, comparator, _parse_list(tokens))
    group, text = tokens.next()
    if key == "version_number" and tag is None:
        return Clause(key, tag, comparator, _parse_number(_unquoted(text) if group == "text" else text, key))
    if group != "text":
        raise InvalidInput(
            f"Parameter value is either not quoted or unidentified quote types used for string value {text}. "
            "Use either single or double quotes."
        )
    return Clause(key, tag, comparator, _unquoted(text))


def _parse_key(tokens: _Tokens, kind: Searchable[T]) -> tuple[str, str | None]:
    group, word = tokens.next()
    if group != "word":
        tokens.fail()
    prefix, dot, rest = word.partition(".")
    if dot and prefix.lower() in {"tag", "tags"}:
        if rest:
            return prefix, rest
        group, quoted = tokens.next()
        if group not in {"quoted", "text"}:
            tokens.fail()
        return prefix, quoted[1:-1]
    key = rest if dot and prefix.lower() in {"attribute", "attributes", "attr"} else word
    if key not in kind.attributes:
        names = ", ".join(repr(name) for name in kind.attributes)
        raise InvalidInput(f"Invalid attribute key '{key}' specified. Valid keys are '{{{names}}}'")
    return key, None


def _parse_list(tokens: _Tokens) -> tuple[str, ...]:
    if tokens.next()[1] != "(":
        tokens.fail()
    values: list[str] = []
    while True:
        group, text = tokens.next()
        if group != "text":
            raise InvalidInput(
                f"While parsing a list in the query, expected a non-empty list of string values, but got {text}"
            )
        values.append(_unquoted(text))
        match tokens.next()[1]:
            case ")":
                return tuple(values)
            case ",":
                continue
            case _:
                tokens.fail()


def _parse_number(text: str, key: str) -> float:
    if not re.fullmatch(r"-?\d{1,18}", text):
        raise InvalidInput(f"Invalid value for numeric attribute '{key}': {text}")
    return int(text)


def _unquoted(text: str) -> str:
    quote = text[0]
    return text[1:-1].replace(quote * 2, quote)


def _matches(clause: Clause, item: T, kind: Searchable[T]) -> bool:
    if clause.tag is None:
        actual = kind.attributes[clause.key](item)
    else:
        actual = item.tags.get(clause.tag, "false" if clause.tag == _PROMPT else None)
    return actual is not None and _compare(actual, clause.comparator, clause.value)


def _compare(actual: Any, comparator: str, value: Any) -> bool:
    match comparator:
        case "=":
            return bool(actual == value)
        case "!=":
            return bool(actual != value)
        case "<":
            return bool(actual < value)
        case "<=":
            return bool(actual <= value)
        case ">":
            return bool(actual > value)
        case ">=":
            return bool(actual >= value)
        case "LIKE":
            return _is_like(actual, value)
        case "ILIKE":
            return _is_like(actual, value, re.IGNORECASE)
        case "IN":
            return actual in value
        case "NOT IN":
            return actual not in value
        case _:
            raise AssertionError(comparator)


def _is_like(text: str, pattern: str, flags: re.RegexFlag = re.NOFLAG) -> bool:
    """SQL's LIKE: `%` is anything, `_` is one character.

    Each part between two `%` is looked for after the one before it, so that the time is bounded by the product of the
    two lengths; one regular expression for all of it could take exponentially long.
    """
    head, *rest = pattern.split("%")
    if not rest:
        return _like_part(head, flags).fullmatch(text) is not None
    tail = rest.pop()
    place, end = len(head), len(text) - len(tail)
    if end < place or not _like_part(head, flags).match(text) or not _like_part(tail, flags).fullmatch(text, end):
        return False
    for part in rest:
        found = _like_part(part, flags).search(text, place, end)
        if not found:
            return False
        place = found.end()
    return True


def _like_part(part: str, flags: re.RegexFlag) -> re.Pattern[str]:
    return re.compile("".join("." if character == "_" else re.escape(character) for character in part), re.DOTALL | flags)


def _ordered(items: Sequence[T], kind: Searchable[T], order_by: Sequence[str]) -> list[T]:
    asked: list[tuple[str, bool]] = [_parse_order(text, kind) for text in order_by]
    if len({key for key, _ in asked}) < len(asked):
        raise InvalidInput(f"`order_by` contains duplicate fields: {list(order_by)}")
    ordered = list(items)
    # Sorting is stable: the least important key first.
    for key, is_descending in reversed([*asked, *(_parse_order(text, kind) for text in kind.default_order)]):
        ordered.sort(key=kind.orders[key], reverse=is_descending)
    return ordered


def _parse_order(text: str, kind: Searchable[T]) -> tuple[str, bool]:
    words = text.split()
    key = words[0].strip('`"') if words else ""
    direction = words[1].upper() if len(words) > 1 else "ASC"
    if key not in kind.orders or direction not in {"ASC", "DESC"} or len(words) > 2:
        names = ", ".join(repr(name) for name in kind.orders)
        raise InvalidInput(f"Invalid order by key '{text}' specified. Valid keys are '{{{names}}}', each with ASC or DESC.")
    return key, direction == "DESC"


def _token(offset: int) -> str:
    return base64.b64encode(json.dumps({"offset": offset}).encode()).decode()


def _offset(token: str | None) -> int:
    if not token:
        return 0
    try:
        offset = json.loads(base64.b64decode(token, validate=True))["offset"]
    except (ValueError, KeyError, TypeError):
        offset = None
    if not isinstance(offset, int) or isinstance(offset, bool) or offset < 0:
        raise InvalidInput("Invalid page token: it is not one that a search returned.")
    return offset
