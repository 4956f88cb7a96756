"""`grpc.health.v1`: the server as a whole (no name, or the service's), and each model by its name, as it changes."""

import asyncio
from typing import Any

import grpc
from grpc.aio import ServicerContext
from grpc_health.v1 import health_pb2

from podium.domain.clients.access import Need
from podium.serving.grpc.calls import Heads, Refused, say
from podium.serving.grpc.keeping import Keeper
from podium.serving.grpc.messages import SERVICE
from podium.serving.standing import Standing

NAME = "grpc.health.v1.Health"
DESCRIPTOR = health_pb2.DESCRIPTOR
_OF_ALL = ("", SERVICE, NAME)
_MOST_WATCHERS = 4096
_Response = health_pb2.HealthCheckResponse
_SERVING, _NOT_SERVING = _Response.SERVING, _Response.NOT_SERVING


class Health:
    """Answers Check at once and Watch whenever it changes; `sweep` looks whether it did.

    Args:
        standing: What the gateway says of itself.
        keeper: Lets calls pass.
    """

    def __init__(self, standing: Standing, keeper: Keeper) -> None:
        self._standing = standing
        self._keeper = keeper
        self._heads = Heads(f"/{NAME}")
        self._is_ending = False
        self._watchers: dict[asyncio.Event, tuple[str, int]] = {}

    def handlers(self) -> dict[str, Any]:
        """Of the service's methods."""
        read, write = health_pb2.HealthCheckRequest.FromString, _Response.SerializeToString
        return {
            "Check": grpc.unary_unary_rpc_method_handler(self._check, read, write),
            "Watch": grpc.unary_stream_rpc_method_handler(self._watch, read, write),
        }

    def end(self) -> None:
        """Tell whoever watches for the last time."""
        self._is_ending = True
        for woken in self._watchers:
            woken.set()

    def sweep(self) -> None:
        """Wake whoever watches what has changed."""
        for woken, (service, told) in self._watchers.items():
            if self._status(service) != told:
                woken.set()

    def _status(self, service: str) -> Any:
        if service in _OF_ALL:
            return _SERVING if self._standing.takes_traffic else _NOT_SERVING
        status = self._standing.readiness_of(service).status
        return _Response.SERVICE_UNKNOWN if status == 404 else _SERVING if status == 200 else _NOT_SERVING

    async def _admit(self, method: str, request: Any, context: ServicerContext) -> None:
        """Let everybody ask of the server, and of a model who may know of it."""
        if request.service not in _OF_ALL:
            try:
                head = self._heads.of(context.invocation_metadata())
                self._keeper.admit(Need.DESCRIBE, request.service, head, context)
            except Refused as refused:
                await refused.tell(context, self._keeper.write_down(f"/{NAME}/{method}", context, refused))

    async def _check(self, request: Any, context: ServicerContext) -> Any:
        await self._admit("Check", request, context)
        status = self._status(request.service)
        if status == _Response.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"No model is served here as {request.service[:200]}.")
        return _Response(status=status)

    async def _watch(self, request: Any, context: ServicerContext) -> None:
        await self._admit("Watch", request, context)
        if len(self._watchers) >= _MOST_WATCHERS:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "As many watch this server's health as it lets.")
        woken = asyncio.Event()
        try:
            while True:
                status = self._status(request.service)
                self._watchers[woken] = (request.service, status)
                await say(context, _Response(status=status))
                if self._is_ending:
                    return
                await woken.wait()
                woken.clear()
        finally:
            self._watchers.pop(woken, None)
