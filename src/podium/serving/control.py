"""The gateway's end of the control socket: what the supervisor says becomes calls, in the order it was said."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

from podium.domain.inputs.plan import InputPlan
from podium.errors import PodiumError
from podium.protocols.mlflow.fast_reading import FastReader
from podium.serving.asking import OpenQuestions
from podium.serving.doors import Doors
from podium.serving.settings import GatewaySettings
from podium.serving.standing import Standing
from podium.serving.walks.replica import Replica
from podium.serving.walks.router import Router, table_from_json
from podium.serving.walks.scoring import Scoring
from podium.transport.board import BoardReader
from podium.transport.control import ControlSocket
from podium.transport.door_messages import StandBack, StandIn
from podium.transport.messages import (
    Acknowledge,
    AddReplica,
    AskOutcome,
    BrokenMessage,
    Drain,
    DropReplica,
    Message,
    Publish,
    Tell,
)

_log = logging.getLogger("podium.gateway")
_SEND_S = 2.0


class Control:
    """Reads on the event loop; sends at once, waiting at most two seconds for a supervisor that does not read.

    Args:
        loop: The event loop.
        sock: The inherited control socket; this object's from now on.
        on_drain: Called with the limit in seconds when the supervisor asks to drain.
        on_orphaned: Called once when the supervisor is gone or talks nonsense.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        on_drain: Callable[[float], None],
        on_orphaned: Callable[[], None],
    ) -> None:
        sock.settimeout(_SEND_S)
        self._loop = loop
        self._control = ControlSocket(sock)
        self._on_drain = on_drain
        self._on_orphaned = on_orphaned
        self._is_open = True
        self._last_reader: tuple[dict[str, Any], FastReader] | None = None

    def start(
        self,
        settings: GatewaySettings,
        scoring: Scoring,
        router: Router,
        standing: Standing,
        asking: OpenQuestions,
        doors: Doors,
    ) -> None:
        """Read from now on."""
        self._doors = doors
        self._settings = settings
        self._scoring = scoring
        self._router = router
        self._standing = standing
        self._asking = asking
        self._loop.add_reader(self._control.fileno, self._readable)

    def say(self, message: Message) -> None:
        """Tell the supervisor; it is not an error that it is gone."""
        if self._is_open:
            try:
                self._control.send(message)
            except OSError as error:
                self._end(f"the supervisor does not read: {error}")

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._control.fileno)
            self._control.close()

    def _readable(self) -> None:
        try:
            messages = self._control.receive()
            if messages is None:
                self._end("the supervisor is gone")
                return
            for message, descriptors in messages:
                self._take(message, descriptors)
        except TimeoutError:
            return  # woken for nothing
        except (BrokenMessage, OSError) as error:
            self._end(f"the supervisor's message cannot be read: {error}")

    def _end(self, reason: str) -> None:
        if self._is_open:
            _log.error("%s; finishing what is in flight", reason)
            self.close()
            self._on_orphaned()

    def _take(self, message: Message, descriptors: Sequence[int]) -> None:
        match message:
            case AddReplica():
                self._add(message, descriptors)
                return
            case Publish(table, is_ready):
                self._router.publish(table_from_json(table))
                self._standing.is_ready = is_ready
                self.say(Acknowledge(self._router.table.epoch))
                self._scoring.serve_waiting()
                self._scoring.look_after_waiting()
            case StandIn(slot) if len(descriptors) == 1:
                self._doors.open(slot, socket.socket(fileno=descriptors[0]))
                return
            case StandBack(slot):
                self._doors.close(slot)
            case DropReplica(replica):
                self._scoring.drop(replica)
            case Tell():
                self._standing.tell(message)
            case Drain(limit_s):
                self._on_drain(limit_s)
            case AskOutcome():
                self._asking.hear(message)
            case _:
                for descriptor in descriptors:
                    os.close(descriptor)
                raise BrokenMessage(f"a gateway does not take {type(message).__name__}")
        for descriptor in descriptors:
            os.close(descriptor)

    def _add(self, message: AddReplica, descriptors: Sequence[int]) -> None:
        if len(descriptors) != 2:
            for descriptor in descriptors:
                os.close(descriptor)
            raise BrokenMessage(f"AddReplica came with {len(descriptors)} descriptors; it needs a data socket and a board")
        sock = socket.socket(fileno=descriptors[0])
        reader = None if message.plan is None else self._reader(message.plan)
        try:
            board = BoardReader(descriptors[1])
        except (OSError, ValueError) as error:
            sock.close()
            raise BrokenMessage(f"AddReplica came with something that is no board: {error}") from error
        finally:
            os.close(descriptors[1])
        self._standing.know(message.series, message.endpoint, message.version)
        self._scoring.add(
            Replica(
                self._loop,
                sock,
                board,
                message,
                max_buffer_bytes=self._settings.max_replica_buffer_bytes,
                busy_wait_us=self._settings.busy_wait_us,
                reader=reader,
            )
        )

    def _reader(self, plan: dict[str, Any]) -> FastReader | None:
        """One for all replicas with the same plan; None, and a line in the log, for one that cannot be read."""
        if self._last_reader is None or self._last_reader[0] != plan:
            try:
                self._last_reader = (plan, FastReader(InputPlan.from_json(plan)))
            except PodiumError as error:
                _log.error("a model's input plan cannot be read, its requests are decoded by the worker: %s", error.message)
                return None
        return self._last_reader[1]
