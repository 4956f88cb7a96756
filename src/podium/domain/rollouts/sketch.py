"""Which of a few cells a prediction is counted in: the same for all versions, so that a shift between two can be seen.

Whole numbers from -32 to 32 are taken for labels, each with a cell of its own in turn. Other numbers go by their size: each
doubling has four cells of equal width, and after eight doublings the cells begin again, so that no range need be known
beforehand; negative ones stand four doublings beside. So a shift of numbers that spread over some part of their size is
seen, but not one within a range that is narrow beside it (a temperature in kelvin). Text goes by its CRC-32.
"""

from math import frexp
from zlib import crc32

from podium.domain.rollouts.evidence import SKETCH_CELLS

_PER_DOUBLING = 4
_HALF = SKETCH_CELLS // 2


def cell_of_number(value: float) -> int:
    """A number's cell, 0 to `SKETCH_CELLS` - 1; infinite and missing ones share a cell with others."""
    if -SKETCH_CELLS < value < SKETCH_CELLS and value == int(value):
        return int(value) % SKETCH_CELLS
    mantissa, exponent = frexp(value)
    if mantissa != mantissa or mantissa - mantissa != 0:
        return 0
    size = mantissa if mantissa > 0 else -mantissa
    place = _PER_DOUBLING * exponent + int((size - 0.5) * 2 * _PER_DOUBLING)
    return (place if mantissa > 0 else place + _HALF) % SKETCH_CELLS


def cell_of_text(text: bytes) -> int:
    """A label's cell."""
    return crc32(text) % SKETCH_CELLS
