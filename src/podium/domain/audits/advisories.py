"""How bad a known vulnerability is, from what its advisory says. Pure.

An advisory in OSV's format (https://ossf.github.io/osv-schema/) has CVSS vectors, a word of its database, or neither.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_WEIGHTS: Mapping[str, Mapping[str, float]] = {
    "AV": {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2},
    "AC": {"L": 0.77, "H": 0.44},
    "PR": {"N": 0.85, "L": 0.62, "H": 0.27},
    "UI": {"N": 0.85, "R": 0.62},
    "C": {"H": 0.56, "L": 0.22, "N": 0.0},
    "I": {"H": 0.56, "L": 0.22, "N": 0.0},
    "A": {"H": 0.56, "L": 0.22, "N": 0.0},
}
_PRIVILEGES_OF_ANOTHER_SCOPE = {"N": 0.85, "L": 0.68, "H": 0.5}
_WORDS = {"critical": 9.0, "high": 7.0, "important": 7.0, "moderate": 4.0, "medium": 4.0, "low": 0.1}


@dataclass(frozen=True, slots=True)
class Advisory:
    """A known vulnerability of an installed version.

    Args:
        id: `PYSEC-2018-28`; `aliases` are its names elsewhere (`CVE-2018-18074`).
        summary: One line.
        score: CVSS' base score, 0 to 10; None where the advisory does not say how bad it is.
        fixed: The first version after the installed one that is without it; None where there is none.
    """

    id: str
    aliases: tuple[str, ...] = ()
    summary: str = ""
    score: float | None = None
    fixed: str | None = None


def score_of(vectors: Iterable[str], words: Iterable[str]) -> float | None:
    """The worst of what an advisory says; None where nothing of it can be read.

    Args:
        vectors: `CVSS:3.1/AV:N/…`, or a number; versions other than 3 cannot be scored, and their words count.
        words: `HIGH`, `MODERATE`, as databases write them.
    """
    scores = [score for vector in vectors if (score := base_score(vector)) is not None]
    scores += [_WORDS[word.lower()] for word in words if word.lower() in _WORDS]
    return max(scores, default=None)


def base_score(vector: str) -> float | None:
    """CVSS 3's base score (specification, section 7.1) of a vector; None where it is no such vector."""
    if not vector.startswith(("CVSS:3.0/", "CVSS:3.1/")):
        try:
            number = float(vector)
        except ValueError:
            return None
        return number if 0.0 <= number <= 10.0 else None
    said = dict(part.split(":", 1) for part in vector.split("/")[1:] if ":" in part)
    try:
        weight = {name: table[said[name]] for name, table in _WEIGHTS.items()}
        is_changed = {"U": False, "C": True}[said["S"]]
    except KeyError:
        return None
    privileges = _PRIVILEGES_OF_ANOTHER_SCOPE[said["PR"]] if is_changed else weight["PR"]
    share = 1 - (1 - weight["C"]) * (1 - weight["I"]) * (1 - weight["A"])
    impact = 7.52 * (share - 0.029) - 3.25 * (share - 0.02) ** 15 if is_changed else 6.42 * share
    if impact <= 0:
        return 0.0
    ease = 8.22 * weight["AV"] * weight["AC"] * privileges * weight["UI"]
    return _rounded_up(min((1.08 if is_changed else 1.0) * (impact + ease), 10.0))


def merged(advisories: Sequence[Advisory]) -> list[Advisory]:
    """One for each vulnerability: databases have the same one under several names, and name each other's.

    Of how bad it is the worst counts; a fix must be one for all, and `advisories` hold no order of versions, so the fix is
    kept only where they agree, else that of the first that has one stands.
    """
    found: list[tuple[set[str], Advisory]] = []
    for each in advisories:
        names = {each.id, *each.aliases}
        same = [entry for entry in found if entry[0] & names]
        found = [entry for entry in found if entry not in same]
        all_names = names.union(*(entry[0] for entry in same))
        one = each
        for _, other in same:
            one = _together(other, one, all_names)
        found.append((all_names, one))
    return [one for _, one in found]


def _together(first: Advisory, second: Advisory, names: set[str]) -> Advisory:
    scores = [score for score in (first.score, second.score) if score is not None]
    return Advisory(
        first.id,
        tuple(sorted(names - {first.id})),
        first.summary or second.summary,
        max(scores, default=None),
        first.fixed or second.fixed,
    )


def _rounded_up(score: float) -> float:
    """To one decimal, upwards, without what floating point adds (specification, appendix A)."""
    whole = round(score * 100_000)
    return whole / 100_000 if whole % 10_000 == 0 else (math.floor(whole / 10_000) + 1) / 10
