"""The control socket between the supervisor and one child: messages with descriptors, over an inherited socket pair.

length u32 | count of descriptors u32 | JSON          descriptors ride on the first byte (SCM_RIGHTS)

What arrives is not trusted: lengths, counts and types are checked, and descriptors that no message announced are refused.
"""

import json
import os
import socket
import struct
from collections import deque
from collections.abc import Sequence

from podium.transport.messages import BrokenMessage, Message, message_from_json, message_to_json

_HEADER = struct.Struct("<II")
_LIMIT = 64 * 1024 * 1024
_MAX_DESCRIPTORS = 8
_MAX_UNCLAIMED = 4 * _MAX_DESCRIPTORS


class ControlSocket:
    """One end. Blocking or not as the underlying socket is; one thread at a time on each of send and receive."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()
        self._descriptors: deque[int] = deque()

    @property
    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """Send all of a message, waiting (up to the socket's timeout) if the other side reads slowly.

        Raises:
            ValueError: More descriptors than one message carries, or a body beyond the limit; nothing was sent.
            OSError: The other side is gone or did not read in time; the socket is of no further use.
        """
        body = json.dumps(message_to_json(message), separators=(",", ":")).encode()
        if len(body) > _LIMIT or len(descriptors) > _MAX_DESCRIPTORS:
            raise ValueError(f"a control message of {len(body)} bytes with {len(descriptors)} descriptors is too large")
        data = memoryview(_HEADER.pack(len(body), len(descriptors)) + body)
        sent = socket.send_fds(self._sock, [data[:65536]], list(descriptors)) if descriptors else 0
        if sent < len(data):
            self._sock.sendall(data[sent:])

    def receive(self) -> list[tuple[Message, list[int]]] | None:
        """Read what is there and return the messages that are now whole, each with its descriptors; None at end-of-file.

        On a blocking socket it waits until something arrives. The caller owns the descriptors.

        Raises:
            BrokenMessage: What arrived is not a message.
            BlockingIOError: Nothing is there, on a non-blocking socket.
        """
        data, descriptors, is_truncated = _receive_with_descriptors(self._sock)
        self._descriptors.extend(descriptors)
        if not data:
            return None
        if is_truncated or len(self._descriptors) > _MAX_UNCLAIMED:
            raise BrokenMessage("a control message came with more descriptors than it may carry")
        self._buffer += data
        messages: list[tuple[Message, list[int]]] = []
        while (message := self._take()) is not None:
            messages.append(message)
        return messages

    def close(self) -> None:
        """Close the socket and every descriptor that nobody took."""
        while self._descriptors:
            os.close(self._descriptors.popleft())
        self._sock.close()

    def _take(self) -> tuple[Message, list[int]] | None:
        if len(self._buffer) < _HEADER.size:
            return None
        length, count = _HEADER.unpack_from(self._buffer)
        if length > _LIMIT or count > _MAX_DESCRIPTORS:
            raise BrokenMessage(f"a control message announces {length} bytes and {count} descriptors")
        if len(self._buffer) < _HEADER.size + length:
            return None
        if count > len(self._descriptors):
            raise BrokenMessage("a control message came without its descriptors")
        body = bytes(self._buffer[_HEADER.size : _HEADER.size + length])
        del self._buffer[: _HEADER.size + length]
        try:
            entry = json.loads(body)
            if b"\\ud" in body.lower():
                # Half a surrogate pair is no text: it could be neither written down nor shown.
                entry = json.loads(json.dumps(entry, ensure_ascii=False).encode("utf-8", "replace"))
        except (ValueError, RecursionError) as error:
            raise BrokenMessage("a control message that is not JSON") from error
        message = message_from_json(entry)
        return message, [self._descriptors.popleft() for _ in range(count)]


def _receive_with_descriptors(sock: socket.socket) -> tuple[bytes, list[int], bool]:
    # Not socket.recv_fds, which drops its flags (CPython 3.11 to 3.13): without MSG_CMSG_CLOEXEC a process that the
    # model's code starts would inherit the descriptors, and no peer would ever see our end close.
    word = struct.calcsize("i")
    space = socket.CMSG_SPACE(_MAX_DESCRIPTORS * word)
    data, ancillary, flags, _address = sock.recvmsg(1 << 18, space, socket.MSG_CMSG_CLOEXEC)
    descriptors: list[int] = []
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            count = len(content) // word
            descriptors.extend(struct.unpack(f"{count}i", content[: count * word]))
    return data, descriptors, bool(flags & socket.MSG_CTRUNC)
