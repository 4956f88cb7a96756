"""A worker: one model in one process, started by the supervisor as `python -m podium.worker --control-fd N --board-fd M`.

Or forked off by a fork server (`forking.py`), which has the libraries already; then it begins at `work`.
Imports only what no numeric library hides behind, until the Load message has said how many threads those may start.
Exit status: 0 drained, 2 started wrongly, 3 the model did not load, 4 a drain took longer than its limit.
"""

import argparse
import atexit
import contextlib
import os
import socket
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from podium.transport.board import CAPACITY, BoardWriter
from podium.transport.control import ControlSocket
from podium.transport.messages import BrokenMessage, Drained, Load, LoadError, Message
from podium.transport.slices import MODERATE_NS, set_slices
from podium.worker.confinement import confine
from podium.worker.log import log_event, warn_once
from podium.worker.mailbox import Mailbox
from podium.worker.overseer import Overseer
from podium.worker.priority import limit_threads, low_priority

EXIT_STARTED_WRONGLY, EXIT_LOAD_FAILED = 2, 3


def main(arguments: Sequence[str]) -> NoReturn:
    """Shake hands, load, serve, leave."""
    parser = argparse.ArgumentParser(prog="python -m podium.worker", description="Started by podium's supervisor.")
    parser.add_argument("--control-fd", type=int, required=True)
    parser.add_argument("--board-fd", type=int, required=True)
    options = parser.parse_args(arguments)
    try:
        control_socket = socket.socket(fileno=options.control_fd)
        board = BoardWriter(options.board_fd)
    except (OSError, ValueError) as error:
        parser.error(f"the descriptors are not a socket and a board: {error}")
    for descriptor in (options.control_fd, options.board_fd):
        os.set_inheritable(descriptor, False)
    work(control_socket, board)


def work(control_socket: socket.socket, board: BoardWriter, warned: Sequence[warnings.WarningMessage] = ()) -> NoReturn:
    """Hear what to load, load it, serve it, leave.

    Args:
        control_socket: To the supervisor.
        board: Where it is told what runs.
        warned: What was warned of when this process's libraries were imported, where that was before.
    """
    control_socket.setblocking(True)
    control = ControlSocket(control_socket)
    order, early = _first_order(control)
    limit_threads(order.threads)
    confine(order.is_hidden, order.memory_bytes)
    mailbox = Mailbox()
    overseer = Overseer(control, mailbox)
    overseer.listen_to_signals()
    overseer.guard_forks()
    overseer.obey_early(early)
    overseer.start()
    _serve(order, control, board, mailbox, overseer, warned)
    _leave(0)


def _first_order(control: ControlSocket) -> tuple[Load, list[tuple[Message, list[int]]]]:
    """The Load message, and what came with it in one read."""
    try:
        heard = control.receive()
        while heard == []:
            heard = control.receive()
    except (BrokenMessage, OSError) as error:
        log_event("control_broken", reason=str(error))
        sys.exit(EXIT_STARTED_WRONGLY)
    if heard is None:
        sys.exit(0)
    (first, _), *rest = heard
    if not isinstance(first, Load):
        log_event("control_broken", reason=f"the first message is a {type(first).__name__}, not a Load")
        sys.exit(EXIT_STARTED_WRONGLY)
    return first, rest


def _serve(
    order: Load,
    control: ControlSocket,
    board: BoardWriter,
    mailbox: Mailbox,
    overseer: Overseer,
    warned: Sequence[warnings.WarningMessage],
) -> None:
    with low_priority(order.threads, is_awaited=order.is_awaited) if order.is_low_priority else contextlib.nullcontext():
        # Here, not above: these import numpy, which must find its threads limited.
        from podium.domain.batching import BatchPolicy
        from podium.worker.loading import load
        from podium.worker.loop import Loop
        from podium.worker.runner import Runner

        loaded = load(order, lambda message: _tell(control, message), warned)
    if isinstance(loaded, LoadError):
        _tell(control, loaded)
        _leave(EXIT_LOAD_FAILED)
    gather_share = order.gather_percent / 100
    policy = BatchPolicy(max_rows=max(order.max_batch_rows, 1), max_requests=CAPACITY, gather_share=gather_share)
    tap, planned = loaded.tap, loaded.planned
    set_slices(0)  # long until here, as the supervisor's and a fork server's are
    runner = Runner(loaded.predictor, board, loaded.verdict.is_batching, planned, policy.max_rows, tap)
    limits = policy, order.max_queue_rows
    loop = Loop(loaded.predictor, runner, board, mailbox, *limits, planned, order.busy_wait_us, tap)
    os.register_at_fork(after_in_child=loop.abandon)
    warn_once()
    overseer.begin_serving()
    _tell(control, loaded.ready, loaded.slab)
    for descriptor in loaded.slab:
        os.close(descriptor)
    loop.run()
    _tell(control, Drained())


def _tell(control: ControlSocket, message: Message, descriptors: Sequence[int] = ()) -> None:
    # A supervisor that is gone is the overseer's business; whoever speaks here has nothing to add.
    with contextlib.suppress(OSError):
        control.send(message, descriptors)


def _leave(status: int) -> NoReturn:
    """End the process: what was registered to run at exit runs, threads that the model left behind are not waited for.

    To give a large model's memory back takes the kernel a while, in this process' time.
    """
    with contextlib.suppress(BaseException):
        set_slices(MODERATE_NS)
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    main(sys.argv[1:])
