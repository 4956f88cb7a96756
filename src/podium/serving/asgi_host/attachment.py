"""A supervisor beside this process, and the gateway that it hands over to us: how podium runs inside another server.

    this process ──front socket──► podium serve --front-fd ──► handover (in a gateway process's place)
         ▲                                                          │ control, listening socket, counters, leash
         └──────────────────────────────────────────────────────────┘

Whoever dies, the other sides see end-of-file: the supervisor stops when we are gone; a gateway whose supervisor or
handover is gone finishes what it has, and a new one is handed over.
"""

import asyncio
import contextlib
import json
import logging
import os
import socket
import sys
from collections.abc import Sequence
from typing import Any

from podium.errors import Unavailable
from podium.serving.asgi_host.handover import CHANNELS
from podium.serving.gateway import Gateway
from podium.serving.settings import GatewaySettings
from podium.settings.source_tree import environ_for_children
from podium.telemetry.slots import Slots

_log = logging.getLogger("podium.gateway")
_STEP_S = 0.05
_STOP_MARGIN_S = 15.0
_DESCRIPTORS = 4


class Attachment:
    """One supervisor of our own and the gateway in this process.

    Args:
        arguments: Flags of `podium serve`.

    Attributes:
        gateway: The one that takes requests now; None until the first is handed over.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self._command = ["-m", "podium", "serve", "--port", "0", "--gateways", "1", *arguments]
        self.gateway: Gateway | None = None
        self._drain_s = 0.0
        self._running: set[asyncio.Task[None]] = set()
        self._process: asyncio.subprocess.Process | None = None
        self._front: socket.socket | None = None

    async def start(self) -> None:
        """Start the supervisor; returns when requests can be answered.

        Raises:
            Unavailable: It ended before; its own words are on the standard error stream.
        """
        self._front, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *self._command,
                "--front-fd",
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=2,  # the server's standard output is the server's
                env=environ_for_children(),
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # a terminal's Ctrl-C is the server's, which then stops us
            )
        self._front.setblocking(False)
        asyncio.get_running_loop().add_reader(self._front.fileno(), self._take)
        while self.gateway is None or not self.gateway.standing.is_ready:
            if self._process.returncode is not None:
                raise Unavailable(f"podium serve ended with status {self._process.returncode}; it said why above.")
            await asyncio.sleep(_STEP_S)

    async def stop(self) -> None:
        """Let the supervisor drain and end; returns when nothing of it is left."""
        process, front = self._process, self._front
        if process is not None and process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(2 * self._drain_s + _STOP_MARGIN_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        if front is not None:
            asyncio.get_running_loop().remove_reader(front.fileno())
            front.close()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _take(self) -> None:
        """A gateway is handed over, or the supervisor is gone."""
        if self._front is None:
            return
        with contextlib.suppress(BlockingIOError):
            told, descriptors, _, _ = socket.recv_fds(self._front, 1 << 16, _DESCRIPTORS + len(CHANNELS))
            if len(descriptors) >= _DESCRIPTORS:
                for descriptor in descriptors:
                    os.set_inheritable(descriptor, False)
                task = asyncio.ensure_future(self._run(json.loads(told), *descriptors))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
                return
            for descriptor in descriptors:
                os.close(descriptor)
            asyncio.get_running_loop().remove_reader(self._front.fileno())

    async def _run(self, told: dict[str, Any], control: int, listener: int, slots: int, leash: int, *others: int) -> None:
        """One gateway's life, from being handed over to its end."""
        settings = GatewaySettings.from_json(told["settings"])
        self._drain_s = settings.drain_limit_s
        counters = Slots(slots)
        os.close(slots)
        with socket.socket(fileno=leash) as end:
            given = {name: socket.socket(fileno=each) for name, each in zip(told["channels"], others, strict=True)}
            channels = (given.get(name) for name in CHANNELS)
            ours = socket.socket(fileno=control), socket.socket(fileno=listener)
            gateway = Gateway(settings, *ours, counters, int(told["slot"]), told.get("grpc_address"), *channels)
            loop = asyncio.get_running_loop()

            def cut() -> None:
                loop.remove_reader(end.fileno())
                gateway.drain(settings.drain_limit_s)

            loop.add_reader(end.fileno(), cut)
            self.gateway = gateway
            try:
                await gateway.run()
            finally:
                loop.remove_reader(end.fileno())
                if self.gateway is gateway:
                    self.gateway = None
