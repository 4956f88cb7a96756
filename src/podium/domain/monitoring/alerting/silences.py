"""Silences: whose alerts nobody is told of for a while, who said so, and why.

Patterns are shell patterns with `*` only, matched quickly whatever they are: a regular expression could hold up the
monitor.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from podium.errors import InvalidInput

LONGEST_S = 365 * 86_400.0
_LONGEST_TEXT = 1000


class Comparison(StrEnum):
    """How a label is held against a value; longer signs first, so that they are found first."""

    UNLIKE = "!~"
    NOT = "!="
    LIKE = "~"
    IS = "="


@dataclass(frozen=True, slots=True)
class Matcher:
    """What one label must be. A label that is not there is empty text.

    Args:
        label: `rule`, `severity`, `model`, `version`, `column` …
        comparison: Equal or not, like a pattern or not.
        value: Text, or a pattern in which `*` stands for any text.
    """

    label: str
    comparison: Comparison
    value: str

    def fits(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these labels is meant."""
        got = labels.get(self.label, "")
        match self.comparison:
            case Comparison.IS:
                return got == self.value
            case Comparison.NOT:
                return got != self.value
            case Comparison.LIKE:
                return is_like(got, self.value)
            case Comparison.UNLIKE:
                return not is_like(got, self.value)

    def __str__(self) -> str:
        return f"{self.label}{self.comparison.value}{self.value}"


@dataclass(frozen=True, slots=True)
class Silence:
    """Alerts of which nobody is told from one time to another.

    Args:
        id: By which it is ended.
        matchers: All of them must fit; at least one of them names something that a label is, or is like.
        author: Who said so.
        reason: Why.
        begins_at, ends_at: The end is not included; at most a year.

    Raises:
        InvalidInput: One of them is not so.
    """

    id: str
    matchers: tuple[Matcher, ...]
    author: str
    reason: str
    begins_at: float
    ends_at: float

    def __post_init__(self) -> None:
        if not any(_names_something(matcher) for matcher in self.matchers):
            raise InvalidInput(
                "A silence must say of which alerts nobody is to hear, as in model=fraud or rule~feature-*: "
                f"{', '.join(map(str, self.matchers)) or 'nothing'} would silence everything."
            )
        for name, text in (("an author", self.author), ("a reason", self.reason)):
            if not text.strip() or len(text) > _LONGEST_TEXT:
                raise InvalidInput(f"A silence has {name} of 1 to {_LONGEST_TEXT} characters, got {len(text.strip())}.")
        if not 0 < self.ends_at - self.begins_at <= LONGEST_S:
            raise InvalidInput("A silence ends after it begins, and at most a year later.")

    def covers(self, labels: Mapping[str, str], now: float) -> bool:
        """Whether nobody is told of an alert with these labels now."""
        return self.begins_at <= now < self.ends_at and all(matcher.fits(labels) for matcher in self.matchers)


def silenced_by(labels: Mapping[str, str], silences: Iterable[Silence], now: float) -> Silence | None:
    """The first silence that covers it."""
    return next((silence for silence in silences if silence.covers(labels, now)), None)


def parse_matchers(texts: Sequence[str]) -> tuple[Matcher, ...]:
    """`model=fraud`, `column~age*`, `severity!=page`, `model!~test-*`.

    Raises:
        InvalidInput: One is not written so.
    """
    return tuple(_parse(text) for text in texts)


def is_like(text: str, pattern: str) -> bool:
    """Whether all of a text fits a pattern in which `*` stands for any text; takes time proportional to both at most."""
    first, *rest = pattern.split("*")
    if not rest:
        return text == pattern
    *middle, last = rest
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    place, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True


def _names_something(matcher: Matcher) -> bool:
    match matcher.comparison:
        case Comparison.IS:
            return bool(matcher.value)
        case Comparison.LIKE:
            return bool(matcher.value.strip("*"))
        case _:
            return False


def _parse(text: str) -> Matcher:
    places = [(text.find(sign.value), order, sign) for order, sign in enumerate(Comparison) if sign.value in text]
    if places:
        place, _, sign = min(places)
        label, value = text[:place].strip(), text[place + len(sign.value) :].strip()
        # Alertmanager's =~ takes regular expressions; read as = it would silence nothing without a word.
        is_other_sign = sign is Comparison.IS and value.startswith("~")
        if label.isidentifier() and len(value) <= _LONGEST_TEXT and not is_other_sign:
            return Matcher(label, sign, value)
    raise InvalidInput(f"{text[:100]!r} is no matcher: write model=fraud, severity!=page, column~age* or model!~test-*.")
