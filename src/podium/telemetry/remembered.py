"""What gateways hand to the monitor: some of the answers that were given, and what people say they should have been."""

import socket
from collections.abc import Callable, Sequence

import msgspec

from podium.telemetry.backlog import Backlog, send

BUFFER_BYTES = 4 << 20
"""Of the socket; the kernel gives what it allows (`net.core.wmem_max`). The monitor reads it several times a second."""
LARGEST_ANSWER, LARGEST_LABEL = 64 << 10, 64 << 10
# The rest is for labels, of which whoever sends them hears whether they were taken.
_SHARE_OF_ANSWERS = 0.5


class Remembered(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=0):
    """One answer, as the model's worker gave it.

    Attributes:
        at: When it left, seconds since 1970.
        request_id: As its `x-request-id` says.
        variant: Whose name it has where traffic is split: the version's label; empty where there is one version, or where
            the request named its version itself, and so is nobody's sample.
        path: Where the request was sent.
        content_type: Of `answer`: JSON as MLflow writes it (`{"predictions": …}`), podium's own tensors
            (`protocols.tensors.CONTENT_TYPE`), or whatever else the request accepted.
        answer: The worker's body, at most `LARGEST_ANSWER` bytes, of all rows of the request.
    """

    at: float
    request_id: str
    model: str
    version: str
    variant: str
    path: str
    content_type: str
    answer: bytes

    @property
    def size(self) -> int:
        """About what it takes in memory."""
        return 256 + len(self.answer)


class Labelled(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=1):
    """What one answer, or one row of it, should have been. May come before its answer, again, or corrected.

    Attributes:
        at: When it was known, seconds since 1970.
        request_id: Of the answer.
        model: Whose answer it is.
        row: Of the answer, from 0; None: `label` is for the whole answer, a list of as many as it has rows (null where it
            is not known yet), or the value itself where it has one.
        label: JSON, at most `LARGEST_LABEL` bytes; null takes nothing back.
        weight: How much the row counts, above 0.
    """

    at: float
    request_id: str
    model: str
    row: int | None
    label: str
    weight: float = 1.0

    @property
    def size(self) -> int:
        """About what it takes in memory."""
        return 256 + len(self.label)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Remembered | Labelled])


def answers_backlog(channel: socket.socket, count_dropped: Callable[[int], None]) -> Backlog[Remembered]:
    """What a gateway has not handed on yet; as `Backlog`. Leaves room in the socket for labels."""
    return Backlog(channel, _encoder.encode, count_dropped, _SHARE_OF_ANSWERS)


def hand_on(channel: socket.socket, labels: Sequence[Labelled]) -> bool:
    """Hand on labels, all of them or none; whether they are now where no gateway's or monitor's death loses them."""
    return send(channel, _encoder.encode(labels))


def records_in(message: bytes) -> list[Remembered | Labelled]:
    """Read a message.

    Raises:
        msgspec.MsgspecError: It is none of ours.
    """
    return _decoder.decode(message)
