"""The first value of an answer, read off its bytes: what a version predicts, at the price of a look at the first ones."""

import re

from podium.domain.rollouts.sketch import cell_of_number, cell_of_text
from podium.errors import MalformedBody
from podium.protocols.first_element import first_element
from podium.protocols.tensors import CONTENT_TYPE as TENSORS
from podium.protocols.tensors import decode_tensors

_LOOK = 512
# Brackets, and names of columns with their colon, before the first value: a text, or what ends at a separator.
_FIRST = re.compile(rb'\s*\{\s*"predictions"\s*:(?:[\[{\s]|"(?:[^"\\]|\\.)*"\s*:)*("(?:[^"\\]|\\.)*|[^\[\]{},\s"]+)')


def cell_of_answer(body: bytes | memoryview, content_type: str = "application/json") -> int | None:
    """The cell of an answer's first value (`domain/rollouts/sketch.py`); None where there is none to be seen.

    Args:
        body: The answer's.
        content_type: JSON as MLflow writes it, or podium's own tensors.
    """
    if content_type == TENSORS:
        return _cell_of_tensors(body)
    found = _FIRST.match(body, 0, _LOOK)
    if found is None:
        return None
    text = found[1]
    try:
        return cell_of_number(float(text))
    except ValueError:
        return cell_of_text(text)


def _cell_of_tensors(body: bytes | memoryview) -> int | None:
    try:
        tensors, _ = decode_tensors(body)
    except MalformedBody:
        return None
    match first_element(tensors[0]) if tensors else None:
        case None:
            return None
        case bool(truth):
            return cell_of_text(b"true" if truth else b"false")
        case bytes(label):
            # As JSON has it, for the same label has the same cell in both protocols.
            return cell_of_text(b'"' + label)
        case number:
            return cell_of_number(number)
