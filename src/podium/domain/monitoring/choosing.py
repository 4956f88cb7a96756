"""By which method each column's drift is scored, as somebody chose, where a column can be scored so."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from podium.domain.monitoring.comparison import compared
from podium.domain.monitoring.drift.contract import DriftMethod, Thresholds
from podium.domain.monitoring.findings import Choice
from podium.domain.monitoring.profile import Profile
from podium.domain.nearest import did_you_mean
from podium.errors import InvalidInput

# A column's name may have any sign in it: what stands behind the last `=` is the method.
_FORM = re.compile(r"(?:(?P<column>.+)=)?(?P<method>[a-z_][a-z0-9_]*)(?::(?P<warn>[^:=]+):(?P<alert>[^:=]+))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SaidMethod:
    """What somebody said of one column, or of all of which nothing else is said.

    Args:
        method: Its name.
        column: Which; None: all others.
        thresholds: In place of the method's own.
    """

    method: str
    column: str | None = None
    thresholds: Thresholds | None = None

    @classmethod
    def of(cls, text: str) -> "SaidMethod":
        """By `METHOD`, `COLUMN=METHOD`, and either with `:WARN:ALERT` behind it.

        Raises:
            InvalidInput: It is not of that form, or thresholds are not 0 < WARN <= ALERT.
        """
        found = _FORM.fullmatch(text)
        if found is None:
            raise InvalidInput(
                f"{text!r:.200} says no drift method: write METHOD or COLUMN=METHOD, as js or age=ks:0.1:0.2."
            )
        try:
            thresholds = None if found["warn"] is None else Thresholds(float(found["warn"]), float(found["alert"]))
        except ValueError as error:
            raise InvalidInput(f"{text!r:.200} has no thresholds 0 < WARN <= ALERT, as in age=ks:0.1:0.2.") from error
        return cls(found["method"], found["column"], thresholds)


def all_said(texts: Sequence[str], known: Sequence[str]) -> tuple[SaidMethod, ...]:
    """What somebody said, every method one that there is.

    Args:
        texts: As for `SaidMethod.of`.
        known: Names of methods.

    Raises:
        InvalidInput: A text is not of that form, there is no such method, or of one column two things are said.
    """
    found = tuple(SaidMethod.of(text) for text in texts)
    for each in found:
        if each.method not in known:
            hint = did_you_mean(each.method, known)
            raise InvalidInput(f"There is no drift method {each.method!r:.60}.{hint} There are {', '.join(known)}.")
    of = [each.column for each in found]
    for column in of:
        if of.count(column) > 1:
            whose = "all columns" if column is None else f"the column {column!r:.100}"
            raise InvalidInput(f"Of {whose} two drift methods are said; leave one of them out.")
    return found


class Choices(NamedTuple):
    """What came of it for one profile.

    Attributes:
        by_column: Of those that are scored otherwise than all are.
        problems: What was said and cannot be, a sentence each: such columns are scored as all are.
    """

    by_column: Mapping[str, Choice]
    problems: tuple[str, ...]


def choices_of(said: Sequence[SaidMethod], methods: Mapping[str, DriftMethod], profile: Profile) -> Choices:
    """How each column of a profile is scored.

    What is said of all columns holds for those that the method can score: one for numbers leaves categories alone.

    Args:
        said: As from `all_said`.
        methods: By name.
        profile: Whose columns.
    """
    by_column: dict[str, Choice] = {}
    problems = [
        f"drift: there is no column {each.column!r:.100}, for which {each.method} was chosen."
        for each in said
        if each.column is not None and each.column not in profile.columns
    ]
    problems += [
        f"drift: the method {name} is not installed here." for name in {each.method for each in said} if name not in methods
    ]
    of_all = next((each for each in said if each.column is None), None)
    of_one = {each.column: each for each in said if each.column is not None}
    for name, column in profile.columns.items():
        chosen = of_one.get(name, of_all)
        if chosen is None or chosen.method not in methods:
            continue
        method = methods[chosen.method]
        if method.needs_order and not compared(column, column.counts, is_fine=True).places:
            if chosen.column is not None:
                problems.append(f"drift: {name!r:.100} has categories, and {chosen.method} compares numbers only.")
            continue
        by_column[name] = Choice(method, chosen.thresholds)
    return Choices(by_column, tuple(problems))
