"""A gateway's gRPC servers: they listen on the server's port beside its HTTP, and drain with it.

grpcio's library binds its own socket, on a port that the supervisor holds (`fleet/host/ports.py`); the gateways share it by
SO_REUSEPORT. Draining: not serving at once (who watches the health is told), a moment for whoever is on the way, then
GOAWAY; what is in flight is finished within the limit.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import grpc
import grpc.aio
from grpc_reflection.v1alpha import reflection

from podium.errors import Unavailable
from podium.serving.asking import OpenQuestions
from podium.serving.grpc import health
from podium.serving.grpc.authorization import NAME as AUTHORIZATION_NAME
from podium.serving.grpc.authorization import SCHEMA as AUTHORIZATION
from podium.serving.grpc.authorization import Authorization
from podium.serving.grpc.describing import NAME as REFLECTION
from podium.serving.grpc.describing import add_description
from podium.serving.grpc.health import NAME as HEALTH
from podium.serving.grpc.health import Health
from podium.serving.grpc.inference import Inference
from podium.serving.grpc.keeping import Keeper
from podium.serving.grpc.messages import SERVICE, Messages
from podium.serving.grpc.service import Service
from podium.serving.grpc.tls import credentials_of
from podium.serving.guard.guard import Guard
from podium.serving.guard.protection import tls_files_of
from podium.serving.pages import Finder
from podium.serving.recording import Recorder
from podium.serving.settings import GatewaySettings
from podium.serving.standing import Standing
from podium.serving.walks.scoring import Scoring
from podium.web.routes import Routes

_FRAMING_BYTES = 1 << 20  # a message's own beside its tensors
_STREAMS = 1024
_SIDE_BY_SIDE, _MANY_CONNECTIONS = 4, 1024
_OTHER_CALLS = 1024  # beside those that score, which have a bound of their own: health is told of a full server
_QUIET_MS = 60_000
_UNANSWERED_MS = 20_000
_NEAREST_PINGS_MS = 5_000


class Door:
    """Listens from `open` to `close`.

    Args:
        settings: Limits and time-outs, as HTTP's.
        address: HOST:PORT.
        service: Answers the protocol's methods.
        inference: Of these, those that score; its streams are ended when it closes.
        health: Says who is ready.
        messages: The protocol's.
        keeper: Lets calls pass.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        address: str,
        service: Service,
        inference: Inference,
        health: Health,
        messages: Messages,
        keeper: Keeper,
    ) -> None:
        self._address = address
        self._health = health
        self._inference = inference
        # Each takes one call in a turn of the loop; several side by side give rows of one turn to share a frame.
        count = _SIDE_BY_SIDE if settings.max_connections >= _MANY_CONNECTIONS else 1
        options, calls = _options(settings, settings.max_connections // count), settings.max_in_flight + _OTHER_CALLS
        self._servers = [grpc.aio.server(options=options, maximum_concurrent_rpcs=calls) for _ in range(count)]
        files = tls_files_of(settings.access)
        self._credentials = [None if files is None else credentials_of(files) for _ in self._servers]
        self.add(SERVICE, service.handlers())
        self.add(HEALTH, health.handlers())
        names = (SERVICE, HEALTH, REFLECTION)
        pool = _described(messages)
        for server in self._servers:
            add_description(server, names, pool, keeper)

    async def open(self) -> None:
        """Take calls from now on.

        Raises:
            Unavailable: The port cannot be had.
        """
        try:
            # The kernel spreads connections over them, as over the gateways.
            for server, credentials in zip(self._servers, self._credentials, strict=True):
                if credentials is None:
                    server.add_insecure_port(self._address)
                else:
                    server.add_secure_port(self._address, credentials)
        except RuntimeError as error:
            raise Unavailable(f"cannot listen for gRPC on {self._address}: {error}") from error
        for server in self._servers:
            await server.start()

    def sweep(self) -> None:
        """Tell whoever watches; call it several times a second."""
        self._health.sweep()

    async def close(self, linger_s: float, limit_s: float) -> None:
        """Say that it ends, take what comes in a moment, finish what is in flight; cut what is left at the limit."""
        self.sweep()
        await asyncio.sleep(min(linger_s, limit_s))
        self._health.end()
        self._inference.end_streams()
        await asyncio.gather(*(server.stop(max(0.0, limit_s - linger_s)) for server in self._servers))

    def add(self, name: str, handlers: Mapping[str, Any]) -> None:
        """Answer the methods of a service, too; before it opens."""
        for server in self._servers:
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, dict(handlers)),))


def make_door(
    settings: GatewaySettings,
    address: str,
    scoring: Scoring,
    standing: Standing,
    asking: OpenQuestions,
    recorder: Recorder,
    guard: Guard | None,
    routes: Routes[Finder],
) -> Door:
    """The door of a gateway, not yet open."""
    judges = guard is not None and settings.access.has_authz
    messages = Messages(*([AUTHORIZATION] if judges else ()))
    keeper = Keeper(guard, recorder, scoring.ids, settings.timeout_s)
    inference = Inference(messages, scoring, standing, keeper, settings.send_s)
    service = Service(messages, inference, standing, asking, keeper)
    door = Door(settings, address, service, inference, Health(standing, keeper), messages, keeper)
    if guard is not None and judges:
        door.add(AUTHORIZATION_NAME, Authorization(messages, guard, routes, keeper).handlers())
    return door


def _described(messages: Messages) -> Any:
    """The protocol's pool, with the descriptions of health and reflection."""
    for descriptor in (health.DESCRIPTOR, reflection._reflection_pb2.DESCRIPTOR):
        messages.pool.AddSerializedFile(descriptor.serialized_pb)
    return messages.pool


def _options(settings: GatewaySettings, connections: int) -> list[tuple[str, int]]:
    return [
        ("grpc.so_reuseport", 1),
        ("grpc.max_receive_message_length", settings.max_body_bytes + _FRAMING_BYTES),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", settings.max_header_bytes),
        ("grpc.max_concurrent_streams", _STREAMS),
        # Of a listening socket, which is one server's own; what is beyond is closed unread.
        ("grpc.max_allowed_incoming_connections", connections),
        # A client that is gone without a word, and one that asks whether we are there more often than gRPC likes.
        ("grpc.server_handshake_timeout_ms", int(settings.head_s * 1000)),
        ("grpc.max_connection_idle_ms", int(settings.idle_s * 1000)),
        ("grpc.keepalive_time_ms", _QUIET_MS),
        ("grpc.keepalive_timeout_ms", _UNANSWERED_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _NEAREST_PINGS_MS),
    ]
