"""`python -m podium.serving`: one gateway process, started by the supervisor with its descriptors inherited."""

import argparse
import asyncio
import gc
import logging
import os
import resource
import socket
import sys
from collections.abc import Callable
from dataclasses import replace

from podium.serving.gateway import Gateway
from podium.serving.settings import GatewaySettings
from podium.telemetry.slots import Slots
from podium.transport.slices import set_slices

_OWN_DESCRIPTORS = 256  # replicas, boards, logs, the loop
_MANY = 1 << 20
LOOP_VARIABLE = "PODIUM_LOOP"


def main(arguments: list[str] | None = None) -> int:
    """Run a gateway until it is drained; 0 then."""
    parser = argparse.ArgumentParser(prog="python -m podium.serving", description=__doc__)
    parser.add_argument("--control-fd", type=int, required=True, help="socket pair's end: messages with the supervisor")
    parser.add_argument("--listen-fd", type=int, required=True, help="the listening socket")
    parser.add_argument("--slots-fd", type=int, required=True, help="the server's table of counters")
    parser.add_argument("--slot", type=int, required=True, help="this gateway's place in it")
    parser.add_argument("--exports-fd", type=int, help="where to hand on what others are told of requests")
    parser.add_argument("--remembered-fd", type=int, help="where to hand on answers and labels")
    parser.add_argument("--settings", default="{}", help="GatewaySettings as JSON")
    parser.add_argument("--grpc-address", help="HOST:PORT to listen on for gRPC")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format=f"%(asctime)s %(levelname)s gateway {chosen.slot}: %(message)s"
    )
    settings = GatewaySettings.from_json(chosen.settings)
    settings = replace(settings, max_connections=max(1, min(settings.max_connections, _descriptors() - _OWN_DESCRIPTORS)))
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(settings, chosen))
    return 0


async def _serve(settings: GatewaySettings, chosen: argparse.Namespace) -> None:
    gateway = Gateway(
        settings,
        socket.socket(fileno=chosen.control_fd),
        socket.socket(fileno=chosen.listen_fd),
        Slots(chosen.slots_fd),
        chosen.slot,
        chosen.grpc_address,
        None if chosen.exports_fd is None else socket.socket(fileno=chosen.exports_fd),
        None if chosen.remembered_fd is None else socket.socket(fileno=chosen.remembered_fd),
    )
    # What is here now stays: the collector need not look at it, and it need not look often at what requests leave.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    gateway.take_signals()
    set_slices(0)  # the supervisor's were inherited: whoever boots is in no hurry, whoever serves is
    await gateway.run()


def _descriptors() -> int:
    """How many descriptors this process may have, after asking for as many as are allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard and hard != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else soft if soft != resource.RLIM_INFINITY else _MANY


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Of uvloop, where it is to be had and nobody asked for asyncio."""
    if os.environ.get(LOOP_VARIABLE, "") == "asyncio":
        return None
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


if __name__ == "__main__":
    sys.exit(main())
