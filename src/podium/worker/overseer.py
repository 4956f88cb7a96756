"""The thread that listens to the supervisor while the main thread loads or predicts, and that ends the process in time.

Attach                     the data socket goes to the loop
GiveWay                    the process takes less of the processor
CountBy                    the loop counts rows by the profile that comes with it
Drain, SIGTERM             the loop drains; after the limit the process ends anyway
end-of-file                the supervisor is gone: the same, with a limit of our own
any of these while the model loads: there is nothing to finish, the process ends at once
"""

import contextlib
import faulthandler
import math
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from typing import NoReturn

from podium.transport.control import ControlSocket
from podium.transport.counting_messages import CountBy
from podium.transport.messages import Attach, BrokenMessage, Drain, Drained, GiveWay, Message
from podium.worker.log import log_event
from podium.worker.mailbox import AttachLink, BeginDrain, CountRows, Mailbox
from podium.worker.priority import give_way

ORPHAN_LIMIT_S = 10.0
SIGTERM_LIMIT_S = 30.0
EXIT_OVERDUE = 4


class Overseer(threading.Thread):
    """Owns the control socket's receiving half and the deadline of a drain.

    Args:
        control: The control socket, blocking; others may send on it.
        mailbox: Where the loop takes its orders from.
    """

    def __init__(self, control: ControlSocket, mailbox: Mailbox) -> None:
        super().__init__(name="podium-overseer", daemon=True)
        self._control = control
        self._mailbox = mailbox
        self._signals, self._signalled = socket.socketpair()
        self._deadline: float | None = None
        self._is_serving = False
        self._lock = threading.Lock()

    def listen_to_signals(self) -> None:
        """SIGTERM drains; SIGINT, which a terminal sends to everyone, is the supervisor's business. Main thread only."""
        self._signalled.setblocking(False)
        self._signals.setblocking(False)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # The byte is written by the C handler at once, even while the main thread is deep in a model's own code.
        signal.set_wakeup_fd(self._signalled.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._nudge)

    def guard_forks(self) -> None:
        """See that a child which the model's code forks has none of our signals and sockets.

        Else the SIGTERM that ends such a child (`Pool.terminate`) would drain this worker, through the descriptor that both
        hold, and not end the child; and nobody would see this worker's end while a child holds its socket.
        """
        masks: list[set[signal.Signals | int]] = []

        # Held back around the fork: a child that is ended before it has let go of our descriptor must not write to it.
        def before() -> None:
            masks.append(set(signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})))

        def after() -> None:
            signal.pthread_sigmask(signal.SIG_SETMASK, masks.pop() if masks else ())

        def in_child() -> None:
            self._abandon()
            after()

        os.register_at_fork(before=before, after_in_parent=after, after_in_child=in_child)

    def _abandon(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._signals.close()
        self._signalled.close()
        self._control.close()

    def begin_serving(self) -> None:
        """From now on there may be requests to finish before the process ends."""
        with self._lock:
            self._is_serving = True

    def obey_early(self, heard: list[tuple[Message, list[int]]]) -> None:
        """Obey what came in one read with the Load message; before the thread is started."""
        for message, descriptors in heard:
            self._obey(message, descriptors)

    def run(self) -> None:
        try:
            self._listen()
        except BaseException as error:  # noqa: BLE001 - a worker that nobody oversees must not stay
            log_event("overseer_failed", error=repr(error))
            os._exit(EXIT_OVERDUE)

    def _listen(self) -> None:
        poll = select.poll()
        poll.register(self._signals.fileno(), select.POLLIN)
        control = self._control.fileno
        poll.register(control, select.POLLIN)
        while True:
            for descriptor, _event in poll.poll(self._remaining_ms()):
                if descriptor == control:
                    if not self._hear():
                        poll.unregister(control)
                        self._drain(ORPHAN_LIMIT_S, "the supervisor is gone")
                elif signal.SIGTERM in self._signals.recv(64):
                    self._drain(SIGTERM_LIMIT_S, "SIGTERM")
            if self._deadline is not None and time.monotonic() >= self._deadline:
                log_event("drain_overdue", reason="the requests that run were not finished within the limit")
                os._exit(EXIT_OVERDUE)

    def _hear(self) -> bool:
        try:
            heard = self._control.receive()
        except (BrokenMessage, OSError) as error:
            log_event("control_broken", reason=str(error))
            return False
        for message, descriptors in heard or []:
            self._obey(message, descriptors)
        return heard is not None

    def _obey(self, message: Message, descriptors: list[int]) -> None:
        match message:
            case Attach(serial) if len(descriptors) == 1:
                self._mailbox.put(AttachLink(socket.socket(fileno=descriptors.pop()), serial))
            case GiveWay(is_on):
                give_way(is_on)
            case CountBy() if len(descriptors) == 1:
                self._mailbox.put(CountRows(descriptors.pop(), self._tell))
            case Drain(limit_s):
                self._drain(limit_s, "the supervisor asked")
            case _:
                log_event("control_ignored", message=type(message).__name__)
        for descriptor in descriptors:
            os.close(descriptor)

    def _tell(self, message: Message, descriptors: Sequence[int]) -> None:
        with contextlib.suppress(OSError):
            self._control.send(message, descriptors)

    def _drain(self, limit_s: float, reason: str) -> None:
        with self._lock:
            if not self._is_serving:
                self._leave(reason)
        deadline = time.monotonic() + limit_s
        if self._deadline is None:
            self._mailbox.put(BeginDrain())
        self._deadline = deadline if self._deadline is None else min(deadline, self._deadline)
        # A model that never gives the interpreter back would keep this thread from ending the process; this watch is in C.
        remaining = max(self._deadline - time.monotonic(), 0.0)
        with contextlib.suppress(ValueError, RuntimeError, OSError):
            faulthandler.dump_traceback_later(remaining + 2.0, exit=True, file=sys.__stderr__ or 2)
        log_event("draining", reason=reason, limit_s=round(remaining, 3))

    def _leave(self, reason: str) -> NoReturn:
        log_event("load_abandoned", reason=reason)
        with contextlib.suppress(OSError):
            self._control.send(Drained())
        os._exit(0)

    def _remaining_ms(self) -> int | None:
        if self._deadline is None:
            return None
        return math.ceil(max(self._deadline - time.monotonic(), 0.0) * 1000)

    def _nudge(self, *_: object) -> None:
        # In case the model's code (an event loop of its own) took the wake-up descriptor away.
        with contextlib.suppress(OSError):
            self._signalled.send(bytes([signal.SIGTERM]))
