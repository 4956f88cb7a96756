"""What any drift method must pass, ours and a stranger's alike.

    class TestMyMethod(DriftMethodLaws):
        method = MyMethod()

The methods are collected by pytest in the subclass; they need neither pytest nor a fixture, so `examine` runs them without.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from podium.domain.monitoring.drift.contract import DriftMethod, Histograms

_SHARES: tuple[tuple[float, ...], ...] = (
    (0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1),
    (0.5, 0.3, 0.15, 0.05),
    (0.97, 0.01, 0.01, 0.01),
    (0.2, 0.8),
)
_ODD: tuple[tuple[Sequence[int], Sequence[int]], ...] = (
    ((1, 0), (0, 1)),
    ((5,), (7,)),
    ((10, 10, 10, 10), (0, 5, 5, 10)),
    ((0, 0, 0, 10**12), (1, 0, 0, 0)),
    ((10**12, 10**12, 1), (10**12, 10**12 + 1, 0)),
    ((1, 0, 0, 1), (0, 1, 1, 0)),
    ((1,) * 500, (0,) * 499 + (3,)),
)
_ROWS = 100_000
_MISTAKEN = 0.05


class DriftMethodLaws:
    """The laws of `contract`, one test each."""

    method: DriftMethod

    def test_a_method_says_what_it_is(self) -> None:
        """A name to choose it by, whom it follows and when that was written."""
        assert self.method.name.isidentifier(), f"name is {self.method.name!r}; expected a word such as psi"
        assert self.method.name == self.method.name.lower(), f"name is {self.method.name!r}; expected small letters"
        years = [word for word in self.method.source.replace(",", " ").split() if len(word) == 4 and word.isdigit()]
        assert years, f"source names no year: {self.method.source!r}"
        assert self.method.needs_order in (True, False), "needs_order says neither yes nor no"

    def test_the_same_shares_are_no_drift(self) -> None:
        """Nothing for the same counts; next to nothing where one side has ten times the rows."""
        for shares in _SHARES:
            counts = _counts(shares, _ROWS)
            score = self.method.score(_histograms(counts, counts))
            assert abs(score) <= 1e-12, f"score is {score} for the same counts {counts}"
            score = self.method.score(_histograms(counts, _counts(shares, 10 * _ROWS)))
            assert abs(score) <= 1e-4, f"score is {score} for the same shares {shares}"

    def test_whatever_was_counted_the_score_is_a_number_from_0(self) -> None:
        """No row in a bin, one bin, one row, a million millions of them: the page shows a figure and no NaN."""
        for reference, current in _ODD:
            score = self.method.score(_histograms(reference, current))
            assert math.isfinite(score), f"score is {score} for {reference} and {current}"
            assert score >= 0, f"score is {score} for {reference} and {current}"

    def test_the_farther_values_moved_the_higher_is_the_score(self) -> None:
        """Where more and more of the rows are in another place."""
        for shares in _SHARES:
            elsewhere = (
                tuple(reversed(_counts(shares, _ROWS))) if len(set(shares)) > 1 else _counts((1,), _ROWS, len(shares))
            )
            here = _counts(shares, _ROWS)
            before = 0.0
            for part in range(1, 11):
                mixed = [(count * (10 - part) + other * part) // 10 for count, other in zip(here, elsewhere, strict=True)]
                score = self.method.score(_histograms(here, mixed))
                assert score > before, f"{part} tenths of {here} became {elsewhere}: score {score}, a tenth less {before}"
                before = score

    def test_the_score_is_an_effect_and_not_how_sure_one_may_be(self) -> None:
        """Ten times the rows of the same shares are no more drift; a p-value would be another."""
        moved = (0.2, 0.3, 0.4, 0.1)
        few, many = (
            self.method.score(_histograms(_counts((0.25,) * 4, rows), _counts(moved, rows))) for rows in (_ROWS, 10 * _ROWS)
        )
        assert abs(many - few) <= 0.01 * few, f"score is {few} for {_ROWS} rows and {many} for ten times as many"

    def test_bins_without_rows_change_nothing(self) -> None:
        """A category that nobody has any more, a score that nobody gets: it is no degree of freedom."""
        plain = _histograms((400, 300, 300), (300, 300, 400))
        padded = Histograms((400, 300, 0, 300), (300, 300, 0, 400), (0.0, 1.0, 1.5, 2.0) if plain.places else ())
        for ask in (self.method.score, self.method.p_value):
            assert _alike(ask(plain), ask(padded)), (
                f"{ask(plain)} without a bin in which nobody has a row, {ask(padded)} with"
            )

    def test_categories_have_no_order(self) -> None:
        """Only a method that says so knows which bin stands beside which."""
        if self.method.needs_order:
            return
        there = _histograms((500, 300, 150, 50), (400, 300, 200, 100))
        back = _histograms((300, 50, 500, 150), (300, 100, 400, 200))
        score, turned = self.method.score(there), self.method.score(back)
        assert _alike(score, turned), f"score is {score}, and {turned} for the bins in another order"

    def test_asking_changes_nothing(self) -> None:
        """The same counts are the same score, and are the caller's."""
        reference, current = [500, 300, 0, 50], [400, 300, 200, 0]
        histograms = _histograms(reference, current)
        before = copy.deepcopy(histograms)
        scores = {self.method.score(histograms) for _ in range(3)}
        self.method.p_value(histograms)
        assert len(scores) == 1, f"three scores for the same counts: {sorted(scores)}"
        assert histograms == before, "the counts are not what they were"

    def test_its_thresholds_lie_within_its_reach(self) -> None:
        """What half of the rows do that moved to the other end is an alert, and one row in a thousand is none."""
        reference = _counts((0.1,) * 10, _ROWS)
        far = [count // 2 for count in reference[:-1]]
        score = self.method.score(_histograms(reference, [*far, _ROWS - sum(far)]))
        alert, warn = self.method.thresholds.alert, self.method.thresholds.warn
        assert 0 < warn <= alert, f"thresholds are warn={warn}, alert={alert}; expected 0 < warn <= alert"
        assert score >= alert, f"half of all rows moved to one bin: score {score} is below the alert threshold {alert}"
        near = [count - (_ROWS // 1000 if i == 0 else 0) for i, count in enumerate(reference)]
        near[-1] += _ROWS // 1000
        score = self.method.score(_histograms(reference, near))
        assert score < warn, f"one row in a thousand moved: score {score} is not below the warn threshold {warn}"

    def test_a_p_value_is_a_chance(self) -> None:
        """From 0 to 1, near 1 for the same counts, and the smaller the more rows say the same."""
        same = _counts((0.25,) * 4, 1000)
        of_same = self.method.p_value(_histograms(same, same))
        if of_same is None:
            return
        assert 0.99 <= of_same <= 1, f"p_value is {of_same} for the same counts"
        for reference, current in _ODD:
            chance = self.method.p_value(_histograms(reference, current))
            assert chance is not None, "p_value is None for some counts and a number for others"
            assert 0 <= chance <= 1, f"p_value is {chance} for {reference} and {current}"
        moved = (0.2, 0.3, 0.28, 0.22)
        chances = [self.method.p_value(_histograms(_counts((0.25,) * 4, n), _counts(moved, n))) for n in (200, 400, 800)]
        falling = sorted({each for each in chances if each is not None}, reverse=True)
        assert chances == falling, f"p_value is {chances} for 200, 400 and 800 rows"

    def test_a_p_value_keeps_its_promise(self) -> None:
        """Of windows without drift no more have p <= 5 % than should: 1,000 windows, so 5 % and four errors of that."""
        draw = np.random.default_rng(17)
        shares = np.full(10, 0.1)
        mistaken = 0
        for _ in range(1000):
            reference, current = draw.multinomial(5000, shares).tolist(), draw.multinomial(500, shares).tolist()
            chance = self.method.p_value(_histograms(reference, current))
            if chance is None:
                return
            mistaken += chance <= _MISTAKEN
        most = 1000 * _MISTAKEN + 4 * math.sqrt(1000 * _MISTAKEN * (1 - _MISTAKEN))
        assert mistaken <= most, (
            f"{mistaken} of 1000 windows without drift have p <= {_MISTAKEN}; expected at most {most:.0f}"
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether one law held.

    Args:
        law: `the same shares are no drift`
        failure: What was expected and what was found; None where the law held.
    """

    law: str
    failure: str | None


def examine(method: DriftMethod) -> Iterator[Outcome]:
    """Every law, in order; a law that does not hold is an outcome and not an error."""
    laws = DriftMethodLaws()
    laws.method = method
    for name in [name for name in vars(DriftMethodLaws) if name.startswith("test_")]:
        failure = None
        try:
            getattr(laws, name)()
        except AssertionError as error:
            failure = str(error) or "the law does not hold"
        except Exception as error:  # noqa: BLE001 - a stranger's code
            failure = f"{type(error).__name__}: {error}"
        yield Outcome(name.removeprefix("test_").replace("_", " "), failure)


def _histograms(reference: Sequence[int], current: Sequence[int]) -> Histograms:
    """With places, which whoever needs none leaves alone."""
    return Histograms(reference, current, tuple(float(place) for place in range(len(reference))))


def _counts(shares: Sequence[float], rows: int, bins: int = 0) -> list[int]:
    return [round(share * rows) for share in shares] + [0] * (bins - len(shares))


def _alike(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
