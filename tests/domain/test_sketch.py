"""Cells for predictions: the same for the same value, other ones for what a shift makes of it."""

import math
import random

import pytest

from podium.domain.rollouts.evidence import SKETCH_CELLS
from podium.domain.rollouts.sketch import cell_of_number, cell_of_text


def counted(values):
    cells = [0] * SKETCH_CELLS
    for value in values:
        cells[cell_of_number(value)] += 1
    return cells


def chi_square(one, other):
    """Pearson's, of two samples of equal size."""
    return sum((a - b) ** 2 / (a + b) for a, b in zip(one, other, strict=True) if a + b)


@pytest.mark.parametrize("value", [0, 1, -1, 31, -31, 0.5, -0.5, 1e-300, 1e300, 5e-324, math.inf, -math.inf, math.nan, 0.0])
def test_every_number_has_a_cell(value):
    assert 0 <= cell_of_number(float(value)) < SKETCH_CELLS


def test_small_whole_numbers_are_labels():
    """Thirty-two classes have thirty-two cells."""
    assert len({cell_of_number(label) for label in range(SKETCH_CELLS)}) == SKETCH_CELLS


def test_labels_of_text_are_spread():
    assert len({cell_of_text(b'"%d' % number) for number in range(1000)}) == SKETCH_CELLS


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (lambda draw: draw.betavariate(2, 5), lambda draw: draw.betavariate(2, 4)),
        (lambda draw: draw.gauss(0, 1), lambda draw: draw.gauss(0.3, 1)),
        (lambda draw: draw.lognormvariate(12, 0.5), lambda draw: draw.lognormvariate(12.2, 0.5)),
        (lambda draw: draw.gauss(150, 50), lambda draw: draw.gauss(165, 50)),
        (lambda draw: float(draw.random() < 0.2), lambda draw: float(draw.random() < 0.25)),
        (lambda draw: draw.uniform(100, 200), lambda draw: -draw.uniform(100, 200)),
    ],
    ids=["probabilities", "standardised", "prices", "disease progression", "a rare class", "another sign"],
)
def test_a_shift_is_seen_and_no_shift_is_not(before, after):
    """Two thousand answers each: beyond what chance does in one of a million, and for A/A below one of a thousand."""
    draw = random.Random(7)
    one, same, other = (counted([each(draw) for _ in range(2000)]) for each in (before, before, after))
    freedom = sum(1 for a, b in zip(one, same, strict=True) if a + b) - 1

    assert chi_square(one, same) < freedom + 4.5 * math.sqrt(2 * freedom) + 3
    assert chi_square(one, other) > freedom + 5.5 * math.sqrt(2 * freedom) + 3
