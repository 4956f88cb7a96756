"""Reads a profile from a file that nobody vouches for: whatever is not as it must be is refused, by its place.

Bounded: 4 MB of text, 500 columns, and in each no more bins, categories and characters than a profile has.
"""

import json
from collections.abc import Mapping
from itertools import pairwise
from math import isfinite
from typing import Any

from podium.domain.monitoring.bins import STORED, CategoryBins, NumberBins, Of, category_name
from podium.domain.monitoring.columns import MOST_CATEGORIES
from podium.domain.monitoring.counts import ColumnCounts
from podium.domain.monitoring.features import MOST_COLUMNS, MOST_ELEMENTS
from podium.domain.monitoring.profile import (
    SCHEMA,
    SHARES,
    Calibration,
    CategoryProfile,
    ColumnProfile,
    Multivariate,
    NumberProfile,
    Predictions,
    Profile,
    Source,
    SourceKind,
    TextProfile,
)
from podium.domain.monitoring.quality.tasks import SaidTask
from podium.domain.monitoring.values import LONGEST_NAME
from podium.errors import InvalidModel

MOST_BYTES = 4 * 2**20

# As many rows as a count may say: sums of many windows stay within 64 bits.
_MOST_ROWS = 2**53
_MOST_TEXT = 256
_MOST_METRICS = 100
_MOST_STEPS = 10_000


class InvalidProfile(InvalidModel):
    """The text is no monitoring profile, or one that was changed since it was made."""


class _Refused(Exception):
    """Why, with the path of what is wrong."""


def read_profile(text: bytes) -> Profile:
    """The profile that a file holds.

    Args:
        text: The whole file.

    Raises:
        InvalidProfile: It is not one. Says where, what was expected and what was there.
    """
    try:
        content = _Part(_parsed(text), "the file")
        profile = _profile(content)
        claimed = content.text("profile_id")
        if profile.profile_id != claimed:
            raise _Refused(f"its content has the id {profile.profile_id}, and it says {claimed}: it was changed since")
    except _Refused as error:
        raise InvalidProfile(
            f"The monitoring profile cannot be read: {error}. Make it anew with `podium monitor baseline`."
        ) from None
    return profile


def _parsed(text: bytes) -> Any:
    if len(text) > MOST_BYTES:
        raise _Refused(f"it has {len(text)} bytes; expected at most {MOST_BYTES}")
    try:
        return json.loads(text, object_pairs_hook=_without_twins, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _Refused(f"it is not JSON: {type(error).__name__}") from None


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused("a name stands twice in one object")
    return found


def _no_constant(word: str) -> Any:
    raise _Refused(f"{word} is no number in JSON")


class _Part:
    """An object of the file, and where it stands. Each method takes one name of it, or refuses what is there."""

    def __init__(self, content: Any, place: str) -> None:
        if not isinstance(content, dict):
            raise _Refused(f"{place} is {_shown(content)}; expected an object")
        self.content: Mapping[str, Any] = content
        self.place = place

    def has(self, name: str) -> bool:
        return name in self.content

    def refuse(self, name: str, expected: str) -> _Refused:
        if name not in self.content:
            return _Refused(f"{self.place}.{name} is missing; expected {expected}")
        return _Refused(f"{self.place}.{name} is {_shown(self.content[name])}; expected {expected}")

    def text(self, name: str, longest: int = _MOST_TEXT) -> str:
        value = self.content.get(name)
        if not isinstance(value, str) or len(value) > longest:
            raise self.refuse(name, f"a text of at most {longest} characters")
        return value

    def optional_text(self, name: str) -> str | None:
        return self.text(name) if self.has(name) else None

    def flag(self, name: str) -> bool:
        value = self.content.get(name)
        if not isinstance(value, bool):
            raise self.refuse(name, "true or false")
        return value

    def whole(self, name: str, most: int = _MOST_ROWS) -> int:
        value: Any = self.content.get(name)
        if not _is_count(value) or value > most:
            raise self.refuse(name, f"a whole number from 0 to {most}")
        return int(value)

    def number(self, name: str) -> float:
        value = _number(self.content.get(name))
        if value is None:
            raise self.refuse(name, "a finite number")
        return value

    def optional_number(self, name: str) -> float | None:
        return self.number(name) if self.has(name) else None

    def numbers(self, name: str, most: int) -> tuple[float, ...]:
        values = self.content.get(name)
        if isinstance(values, list) and len(values) <= most:
            found = tuple(number for number in map(_number, values) if number is not None)
            if len(found) == len(values):
                return found
        raise self.refuse(name, f"a list of at most {most} finite numbers")

    def ascending(self, name: str, most: int) -> tuple[float, ...]:
        found = self.numbers(name, most)
        if any(first >= second for first, second in pairwise(found)):
            raise self.refuse(name, "each number to be greater than the one before")
        return found

    def part(self, name: str) -> "_Part":
        if name not in self.content:
            raise self.refuse(name, "an object")
        return _Part(self.content[name], f"{self.place}.{name}")

    def parts(self, name: str, most: int) -> dict[str, "_Part"]:
        whole = self.part(name)
        if len(whole.content) > most:
            raise _Refused(f"{whole.place} has {len(whole.content)} entries; expected at most {most}")
        if any(len(label) > _MOST_TEXT for label in whole.content):
            raise _Refused(f"{whole.place} has a name of more than {_MOST_TEXT} characters")
        return {label: _Part(content, f"{whole.place}.{_shown(label)}") for label, content in whole.content.items()}


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if isfinite(value) else None
    except OverflowError:
        return None


def _shown(value: Any) -> str:
    """A value as an error may quote it."""
    text = ascii(value) if isinstance(value, str | int | float | bool) or value is None else f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


def _profile(content: _Part) -> Profile:
    schema = content.whole("podium_profile")
    if schema != SCHEMA:
        raise _Refused(f"its schema is {schema}, and this podium reads {SCHEMA}; another release of podium wrote it")
    source = content.part("source")
    kind = source.text("kind")
    if kind not in set(SourceKind):
        raise source.refuse("kind", "one of " + ", ".join(SourceKind))
    rows = source.whole("rows")
    profile = Profile(
        created_at=content.text("created_at"),
        source=Source(SourceKind(kind), rows, *(source.optional_text(name) for name in ("from", "to", "run_id"))),
        columns={label: _column(part) for label, part in content.parts("columns", MOST_COLUMNS).items()},
        predictions=_predictions(content.parts("predictions", 3)),
        quality=_metrics(content.part("quality")),
        calibration=_calibration(content.part("calibration")) if content.has("calibration") else None,
        said=_said(content.part("said")) if content.has("said") else SaidTask(),
        multivariate=_multivariate(content.part("multivariate")) if content.has("multivariate") else None,
        left_out=_reasons(content.part("left_out")),
        is_private=content.flag("private"),
        key_mark=content.optional_text("key_mark") or "",
    )
    for label, counts in (*profile.counts().columns.items(), *profile.counts().predictions.items()):
        if counts.rows != rows:
            raise _Refused(f"{_shown(label)} has {counts.rows} rows, and the source {rows}")
    return profile


def _column(part: _Part) -> ColumnProfile:
    kind = part.text("type")
    match kind:
        case "number":
            return _number_column(part)
        case "category":
            return _category_column(part)
        case "text":
            return TextProfile(part.text("dtype"), _number_column(part.part("length")))
    raise part.refuse("type", "number, category or text")


def _number_column(part: _Part) -> NumberProfile:
    low, high = part.optional_number("min"), part.optional_number("max")
    if (low is None) != (high is None) or (low is not None and high is not None and low > high):
        raise part.refuse("max", "both min and max, in this order, or none")
    bins = NumberBins(part.ascending("edges", STORED - 1), part.ascending("atoms", STORED), low, high)
    places = part.content.get("counts")
    if not isinstance(places, list) or len(places) != len(bins) or not all(map(_is_count, places)):
        raise part.refuse("counts", f"a list of {len(bins)} whole numbers, one for each bin")
    counts = ColumnCounts(
        tuple(places), part.whole("missing"), part.whole("non_finite"), part.whole("below"), part.whole("above")
    )
    if counts.known != part.whole("count"):
        raise part.refuse("count", f"the {counts.known} rows that the bins have together")
    if counts.non_finite > counts.missing:
        raise part.refuse("non_finite", f"at most the {counts.missing} that are missing")
    if counts.below + counts.above > counts.known:
        raise part.refuse("above", f"with those below no more than the {counts.known} rows that have a value")
    return NumberProfile(
        part.text("dtype"),
        bins,
        counts,
        part.optional_number("mean"),
        part.optional_number("std"),
        _quantiles(part.part("quantiles")),
        *_usual(part),
    )


def _quantiles(part: _Part) -> tuple[float, ...]:
    if part.content and set(part.content) != set(map(str, SHARES)):
        raise _Refused(f"{part.place} has other shares than {', '.join(map(str, SHARES))}")
    return tuple(part.number(str(share)) for share in SHARES) if part.content else ()


def _category_column(part: _Part) -> CategoryProfile:
    of, listed = part.text("of"), part.content.get("categories")
    if of not in set(Of):
        raise part.refuse("of", "one of " + ", ".join(Of))
    if not isinstance(listed, list) or len(listed) > MOST_CATEGORIES or not all(map(_is_category, listed)):
        raise part.refuse("categories", f"at most {MOST_CATEGORIES} pairs of a name and a number of rows")
    bins = CategoryBins(tuple(label for label, _ in listed), Of(of), part.flag("hashed"))
    if any(first < second for (_, first), (_, second) in pairwise(listed)):
        raise part.refuse("categories", "the most frequent first")
    if not _are_names(bins):
        raise part.refuse("categories", f"different names of the {of} values")
    counts = ColumnCounts(
        tuple(count for _, count in listed), part.whole("missing"), part.whole("non_finite"), unseen=part.whole("other")
    )
    if counts.known != part.whole("count"):
        raise part.refuse("count", f"the {counts.known} rows that the categories have together")
    if counts.non_finite > counts.missing:
        raise part.refuse("non_finite", f"at most the {counts.missing} that are missing")
    return CategoryProfile(part.text("dtype"), bins, counts, part.whole("distinct"), *_usual(part))


def _usual(part: _Part) -> tuple[float | None, float | None]:
    return part.optional_number("chunk_psi_q99"), part.optional_number("hour_psi_max")


def _is_category(pair: Any) -> bool:
    if not isinstance(pair, list) or len(pair) != 2:
        return False
    label, count = pair
    return isinstance(label, str) and len(label) <= LONGEST_NAME and _is_count(count)


def _are_names(bins: CategoryBins) -> bool:
    if len(set(bins.names)) != len(bins):
        return False
    if bins.of is Of.TEXT or bins.is_hashed:
        return True
    try:
        values = bins.numbers()
    except (ValueError, OverflowError):
        return False
    return bins.names == tuple(category_name(value, bins.of) for value in values)


def _predictions(parts: Mapping[str, _Part]) -> Predictions:
    found = {label: _column(part) for label, part in parts.items()}
    value, classes, score = (found.pop(label, None) for label in ("value", "classes", "score"))
    if found:
        raise _Refused(f"the file.predictions has {_shown(next(iter(found)))}; expected value, classes or score")
    if classes is not None and not isinstance(classes, CategoryProfile):
        raise parts["classes"].refuse("type", "category")
    if score is not None and not isinstance(score, NumberProfile):
        raise parts["score"].refuse("type", "number")
    return Predictions(value, classes, score)


def _metrics(part: _Part) -> dict[str, float]:
    if len(part.content) > _MOST_METRICS or any(len(label) > _MOST_TEXT for label in part.content):
        raise _Refused(f"{part.place} has {len(part.content)} metrics; expected at most {_MOST_METRICS}, with short names")
    return {label: part.number(label) for label in part.content}


def _reasons(part: _Part) -> dict[str, str]:
    if len(part.content) > MOST_COLUMNS or any(len(label) > _MOST_TEXT for label in part.content):
        raise _Refused(f"{part.place} has {len(part.content)} entries; expected at most {MOST_COLUMNS}, with short names")
    return {label: part.text(label) for label in part.content}


def _said(part: _Part) -> SaidTask:
    try:
        return SaidTask.of(part.optional_text("task"), part.optional_text("positive"))
    except ValueError:
        raise _Refused(f"{part.place} names no task, or none that has such a positive class") from None


def _calibration(part: _Part) -> Calibration:
    x, y = part.ascending("isotonic_x", _MOST_STEPS), part.numbers("isotonic_y", _MOST_STEPS)
    if len(x) != len(y) or any(first > second for first, second in pairwise(y)):
        raise part.refuse("isotonic_y", f"{len(x)} numbers, none smaller than the one before")
    if any(not 0 <= probability <= 1 for probability in y):
        raise part.refuse("isotonic_y", "probabilities, from 0 to 1")
    return Calibration(x, y)


def _multivariate(part: _Part) -> Multivariate:
    names, directions = part.content.get("columns"), part.content.get("components")
    if not isinstance(names, list) or len(names) > MOST_ELEMENTS or not all(_is_label(label) for label in names):
        raise part.refuse("columns", f"a list of at most {MOST_ELEMENTS} names")
    if not isinstance(directions, list) or len(directions) > len(names):
        raise part.refuse("components", f"a list of at most {len(names)} lists of numbers")
    held = {str(place): direction for place, direction in enumerate(directions)}
    inside = _Part(held, f"{part.place}.components")
    components = tuple(inside.numbers(place, len(names)) for place in held)
    vectors = {"mean": part.numbers("mean", len(names)), "std": part.numbers("std", len(names))}
    if any(len(vector) != len(names) for vector in (*components, *vectors.values())):
        raise _Refused(f"{part.place} has {len(names)} columns, and a vector of another length")
    errors = part.number("error_mean"), part.number("error_std")
    rows = part.whole("rows") if part.has("rows") else 0
    return Multivariate(tuple(names), vectors["mean"], vectors["std"], components, *errors, rows)


def _is_label(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _MOST_TEXT
