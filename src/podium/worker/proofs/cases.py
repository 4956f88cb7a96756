"""Rows to prove parity on: those of the example, and made-up ones near it, far from it, and where answers change.

All of it fits the input plan, as everything does that a proven way is asked. Drawn with a fixed seed: the same model is
proven on the same rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from podium.domain.inputs.conversions import NUMPY_TYPES
from podium.domain.inputs.plan import TEXT, InputPlan
from podium.domain.signature import DataType

ROWS = 64
_SEED = 7
_UNIX_TIME = 1.7e9
_SPECIAL = (0.0, -0.0, 1.0, -1.0, 5e-324, 1e-310, 0.1, 1 / 3, 16777217.0, 2.0**31, 2.0**53, -(2.0**53), 1e15, 1e38)
_HUGE = (3.4e38, 3.5e38, -3.5e38, 1e300, -1e300, 1.7e308)
_WHOLE = (0, 1, -1, 2, 16777217, 2**31 - 1, -(2**31), 2**53 - 1, 2**53 + 1, -(2**53) - 1, 2**62 + 1, 2**63 - 1)
_WORDS = ("", " ", "0", "1", "1.0", "nan", "None", "null", "true", "a\0", "\u00e9", "e\u0301", "unseen", "-")


@dataclass(frozen=True, slots=True)
class Case:
    """A table of rows as the input plan carries them.

    Args:
        kind: `example`, `near`, `edges` …
        columns: A sequence of values for each input.
        plan: How to pack them.
    """

    kind: str
    columns: tuple[Any, ...]
    plan: InputPlan

    @property
    def rows(self) -> int:
        return len(self.columns[0])

    def cut(self, start: int, size: int) -> "Case":
        """Some of its rows."""
        return Case(self.kind, tuple(column[start : start + size] for column in self.columns), self.plan)

    def row(self, which: int) -> dict[str, Any]:
        """One row's inputs by name, for people."""
        names = _names(self.plan)
        return {name: _plain(column[which]) for name, column in zip(names, self.columns, strict=True)}

    @property
    def block(self) -> bytes:
        """The records."""
        dtypes = dtypes_of(self.plan)
        order = self.plan.record if self.plan.kind == "columns" else range(len(dtypes))
        wanted = [(position, dtype.newbyteorder("<")) for position in order if (dtype := dtypes[position]) is not None]
        records = np.empty(self.rows, np.dtype([(str(position), dtype) for position, dtype in wanted]))
        for position, _ in wanted:
            records[str(position)] = self.columns[position]
        return records.tobytes() if wanted else b""

    @property
    def texts(self) -> list[str]:
        """The texts, row by row."""
        columns = [column for column, dtype in zip(self.columns, dtypes_of(self.plan), strict=True) if dtype is None]
        return [text for row in zip(*columns, strict=True) for text in row]


def proof_cases(
    plan: InputPlan,
    example: Any = None,
    edges: Mapping[int, Sequence[Any]] | None = None,
    profile: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Case]:
    """Tables of rows, one for each kind.

    Args:
        plan: Of columns, or of one tensor of vectors.
        example: The enforced input example, or None.
        edges: For inputs by position, values beside which answers may change.
        profile: For inputs by name, what training saw: `min`, `max`, `categories`.
    """
    rng = np.random.default_rng(_SEED)
    dtypes = dtypes_of(plan)
    shown = _shown(plan, example)
    drawers = []
    for position, (name, dtype) in enumerate(zip(_names(plan), dtypes, strict=True)):
        seen = None if shown is None else shown[position]
        known = [*(edges or {}).get(position, ()), *_profiled((profile or {}).get(name, {}))]
        drawers.append(_Texts(rng, seen, known) if dtype is None else _Numbers(rng, dtype, seen, known))
    cases = [] if shown is None or not len(shown[0]) else [Case("example", tuple(shown), plan)]
    kinds = ("near", "edges", "wide", "narrow", "large offset", "special", "unseen")
    cases += [Case(kind, tuple(each.draw(kind) for each in drawers), plan) for kind in kinds]
    if any(dtype is not None and dtype.kind == "f" for dtype in dtypes):
        # One number alone beyond single precision: what a model refuses, no other way may answer.
        near, huge = cases[-len(kinds)].columns, [each.draw("huge") for each in drawers]
        alone = np.arange(ROWS) % len(dtypes)
        mixed = [np.where(alone == i, far, column) for i, (column, far) in enumerate(zip(near, huge, strict=True))]
        cases.append(Case("huge", tuple(_typed(c, d) for c, d in zip(mixed, dtypes, strict=True)), plan))
    return cases


def dtypes_of(plan: InputPlan) -> list["np.dtype[Any] | None"]:
    """The type of each input; None for text."""
    if plan.kind != "columns":
        return [np.dtype(plan.fields[0].type)] * plan.fields[0].size
    return [None if field.type == TEXT else NUMPY_TYPES[DataType(field.type)] for field in plan.fields]


class _Numbers:
    def __init__(self, rng: Any, dtype: "np.dtype[Any]", seen: Any, known: Sequence[Any]) -> None:
        self._rng, self._dtype = rng, dtype
        values = np.asarray(seen, np.float64) if seen is not None and len(seen) else None
        numbers = [each for each in known if isinstance(each, int | float)]
        if values is None and numbers:
            values = np.asarray(numbers, np.float64)
        self._middle = 0.0 if values is None else float(values.mean())
        spread = 1.0 if values is None else max(float(values.std()), abs(self._middle) * 0.1 + 1e-3)
        self._spread = spread if np.isfinite(spread) else 1.0
        self._known = numbers

    def draw(self, kind: str) -> Any:
        normal = self._rng.standard_normal(ROWS)
        if self._dtype.kind == "b":
            return self._rng.random(ROWS) < 0.5
        near = self._middle + self._spread * normal
        match kind:
            case "edges" if self._known:
                values = self._beside(self._rng.choice(np.asarray(self._known, np.float64), ROWS))
            case "wide":
                values = self._middle + 100 * self._spread * normal
            case "narrow":
                values = self._middle + 1e-3 * self._spread * normal
            case "large offset":
                values = near + self._rng.choice([1e6, -1e6, _UNIX_TIME, -_UNIX_TIME], ROWS)
            case "special" if self._dtype.kind in "iu":
                return self._whole(self._rng.choice(np.array(_WHOLE, object), ROWS))
            case "special":
                values = self._rng.choice(_SPECIAL, ROWS)
            case "huge":
                values = self._rng.choice(_HUGE, ROWS)
            case _:
                values = near
        return self._typed(values)

    def _beside(self, values: Any) -> Any:
        """At the value, and next to it on either side, in single and in double precision."""
        with np.errstate(over="ignore"):
            single = values.astype(np.float32)
        choices = [values, *(np.nextafter(values, end) for end in (-np.inf, np.inf))]
        choices += [single, *(np.nextafter(single, np.float32(end)) for end in (-np.inf, np.inf))]
        if self._dtype.kind in "iu":
            choices = [values, np.floor(values), np.ceil(values), values + 1, values - 1]
        return np.choose(self._rng.integers(0, len(choices), ROWS), [np.asarray(each, np.float64) for each in choices])

    def _typed(self, values: Any) -> Any:
        if self._dtype.kind in "iu":
            return self._whole(np.array([int(each) for each in np.clip(np.rint(values), -(2.0**64), 2.0**64)], object))
        return _typed(values, self._dtype)

    def _whole(self, values: Any) -> Any:
        bounds = np.iinfo(self._dtype)
        return np.array([min(max(int(each), bounds.min), bounds.max) for each in values], self._dtype)


class _Texts:
    def __init__(self, rng: Any, seen: Any, known: Sequence[Any]) -> None:
        self._rng = rng
        shown = [] if seen is None else [str(each) for each in seen]
        self._known = list(dict.fromkeys([*(each for each in known if isinstance(each, str)), *shown])) or list(_WORDS)
        self._near = [*self._known, *(w for k in self._known[:8] for w in (k.upper(), f"{k} ", f" {k}", k[:-1], f"{k}\0"))]

    def draw(self, kind: str) -> Any:
        words = {"unseen": _WORDS, "special": _WORDS, "edges": self._near}.get(kind, self._known)
        made = np.empty(ROWS, object)
        made[:] = [words[i] for i in self._rng.integers(0, len(words), ROWS)]
        return made


def _typed(values: Any, dtype: "np.dtype[Any] | None") -> Any:
    """In the type, within what it holds."""
    if dtype is None or dtype.kind != "f":
        return values if dtype is None else np.asarray(values).astype(dtype)
    most = float(np.finfo(dtype).max)
    return np.clip(np.asarray(values, np.float64), -most, most).astype(dtype)


def _names(plan: InputPlan) -> list[str]:
    if plan.kind == "columns":
        return [str(field.name) for field in plan.fields]
    return [str(i) for i in range(plan.fields[0].size)]


def _profiled(entry: Mapping[str, Any]) -> list[Any]:
    found = [entry[each] for each in ("min", "max") if isinstance(entry.get(each), int | float)]
    categories = entry.get("categories")
    return [*found, *(categories if isinstance(categories, list) else ())]


def _shown(plan: InputPlan, example: Any) -> list[Any] | None:
    """The example's columns, of rows that have no gaps; None where there is no example of such a form."""
    if example is None:
        return None
    try:
        if plan.kind == "columns":
            columns: list[Any] = [list(example[str(field.name)])[:ROWS] for field in plan.fields]
        else:
            table = np.asarray(example)
            if table.ndim != 2 or table.shape[1] != plan.fields[0].size:
                return None
            columns = [list(column) for column in table[:ROWS].T]
        whole = [all(map(_is_there, row)) for row in zip(*columns, strict=True)]
        found: list[Any] = []
        for column, dtype in zip(columns, dtypes_of(plan), strict=True):
            kept = [value for value, is_kept in zip(column, whole, strict=True) if is_kept]
            made = np.empty(len(kept), object if dtype is None else dtype)
            made[:] = kept
            found.append(made)
    except (TypeError, ValueError, KeyError, IndexError, OverflowError):
        return None
    return found


def _is_there(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, int | float | np.generic) and bool(np.isfinite(value)))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
