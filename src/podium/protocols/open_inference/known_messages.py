"""`ModelInferRequest` of gRPC that is like one before: all but the tensors' data, and the id, are the same bytes.

What a client sends one after another differs in the numbers alone. Where those are raw, or typed and as wide on the wire
as in memory, no byte of them says how the rest is read, so that whatever a parser made of the first message it would make
of this one.
"""

from collections.abc import Sequence
from typing import NamedTuple

from podium.errors import MalformedBody
from podium.protocols.contents import DELIMITED, FIELDS, fields_of
from podium.protocols.tensors import SIZES, Tensor

MOST_BYTES = 1 << 16
"""Of a message that is remembered: longer ones are few."""

_NAME, _ID, _INPUT, _OUTPUT, _RAW = 1, 3, 5, 6, 7  # of the message
_CONTENTS, _OF_ENTRY = 5, (1, 2, 3)  # of an input: name, datatype, shape
_AS_IN_MEMORY = frozenset({"FP32", "FP64"})
_MOST_OF_A_SIZE, _MOST_SIZES, _MOST_INPUTS = 4, 128, 64

Span = tuple[int, int]


class Known(NamedTuple):
    """A message's contents.

    Args:
        model_name, id: As it says.
        tensors: Its inputs.
        outputs: The names of those that it wants; empty wants all.
        is_raw: Its inputs came raw.
    """

    model_name: str
    id: str
    tensors: list[Tensor]
    outputs: list[str]
    is_raw: bool

    @property
    def model_version(self) -> str:
        """None is asked for."""
        return ""


class _Pattern:
    """Messages like one.

    Args:
        data: That one.
        known: What it says.
        identity: Where its id lies; None where it has none.
        spans: Where its inputs' data lie.
    """

    __slots__ = ("_first", "_identity", "_known", "_rest", "_spans")

    def __init__(self, data: bytes, known: Known, identity: Span | None, spans: Sequence[Span]) -> None:
        self._known, self._identity, self._spans = known, identity, spans
        begin, fixed = 0, []
        for start, stop in sorted([*spans, *([identity] if identity else [])]):
            fixed.append((begin, data[begin:start]))
            begin = stop
        fixed.append((begin, data[begin:]))
        (_, self._first), *rest = fixed
        self._rest = [(position, piece) for position, piece in rest if piece]

    def read(self, data: bytes) -> Known | None:
        """What a message of this one's size says; None where it is not like it."""
        if not data.startswith(self._first):
            return None
        for position, piece in self._rest:
            if not data.startswith(piece, position):
                return None
        model, identity, tensors, outputs, is_raw = self._known
        if self._identity is not None:
            start, stop = self._identity
            if not (said := data[start:stop]).isascii():
                return None
            identity = said.decode()
        found = [
            Tensor(each.name, each.datatype, each.shape, data[start:stop])
            for each, (start, stop) in zip(tensors, self._spans, strict=True)
        ]
        return Known(model, identity, found, outputs, is_raw)


class KnownMessages:
    """Reads messages like those that it was shown; bounded, and forgets."""

    def __init__(self) -> None:
        self._patterns: dict[int, list[_Pattern]] = {}

    def read(self, data: bytes) -> Known | None:
        """What a message says; None where it is like none before."""
        for each in self._patterns.get(len(data), ()):
            found = each.read(data)
            if found is not None:
                return found
        return None

    def learn(self, data: bytes, known: Known) -> None:
        """Remember a message, where its data's bytes cannot say anything of the rest.

        Args:
            data: The message, which was read.
            known: What it says, without version and parameters.
        """
        if len(data) > MOST_BYTES:
            return
        found = _spans_of(data, known)
        if found is None:
            return
        pattern = _Pattern(data, known._replace(tensors=[_without_data(each) for each in known.tensors]), *found)
        if pattern.read(data) != known:
            return
        if len(self._patterns) >= _MOST_SIZES and len(data) not in self._patterns:
            self._patterns.clear()
        of_size = self._patterns.setdefault(len(data), [])
        of_size.insert(0, pattern)
        del of_size[_MOST_OF_A_SIZE:]


def _without_data(tensor: Tensor) -> Tensor:
    return Tensor(tensor.name, tensor.datatype, tensor.shape, b"")


def _spans_of(data: bytes, known: Known) -> tuple[Span | None, list[Span]] | None:
    """Where the id and each input's data lie; None for a message of any but the plainest kind."""
    datatypes = [each.datatype for each in known.tensors]
    widths = SIZES.keys() if known.is_raw else _AS_IN_MEMORY
    if (
        not 0 < len(datatypes) <= _MOST_INPUTS
        or not widths >= set(datatypes)
        or not all(each.data for each in known.tensors)
    ):
        return None
    identities: list[Span] = []
    entries: list[Span] = []
    raw: list[Span] = []
    places = {_ID: identities, _INPUT: entries, _RAW: raw}
    try:
        for number, how, start, stop in fields_of(data):
            if how != DELIMITED or number not in (_NAME, _OUTPUT, *places):
                return None
            if number in places:
                places[number].append((start, stop))
        typed = [span for place, kind in zip(entries, datatypes, strict=True) for span in _contents_in(data, *place, kind)]
    except (MalformedBody, _NotPlain, ValueError):
        return None
    spans, others = (raw, typed) if known.is_raw else (typed, raw)
    if len(identities) > 1 or len(spans) != len(datatypes) or others:
        return None
    return (identities[0] if identities else None), spans


class _NotPlain(Exception):
    """It may be right, but other bytes in the same place might be read otherwise."""


def _contents_in(data: bytes, start: int, stop: int, datatype: str) -> list[Span]:
    """Where the data of an input's contents lie; it has them once or not at all."""
    entry, found = data[start:stop], list[Span]()
    for number, how, begin, end in fields_of(entry):
        if number == _CONTENTS and how == DELIMITED and datatype in FIELDS:
            [(field, kind, first, last)] = fields_of(entry[begin:end])
            if field != FIELDS[datatype][1] or kind != DELIMITED:
                raise _NotPlain
            found.append((start + begin + first, start + begin + last))
        elif number not in _OF_ENTRY:
            raise _NotPlain
    return found
