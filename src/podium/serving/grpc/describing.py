"""`grpc.reflection.v1alpha`: which services and messages there are, for whoever is known."""

from collections.abc import AsyncIterable, Iterable
from typing import Any

from grpc.aio import ServicerContext
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2_grpc import add_ServerReflectionServicer_to_server

from podium.domain.clients.access import Need
from podium.serving.grpc.calls import Heads, Refused
from podium.serving.grpc.keeping import Keeper

NAME = reflection.SERVICE_NAME
_PATH = f"/{NAME}/ServerReflectionInfo"


class GuardedReflection(reflection.aio.ReflectionServicer):  # type: ignore[misc]
    """grpcio's own reflection behind the guard.

    Args:
        names: Of the services.
        pool: Where they are described.
        keeper: Lets calls pass.
    """

    def __init__(self, names: Iterable[str], pool: Any, keeper: Keeper) -> None:
        super().__init__(names, pool=pool)
        self._keeper = keeper
        self._heads = Heads(_PATH)

    async def ServerReflectionInfo(  # noqa: N802  its name in the protocol
        self, request_iterator: AsyncIterable[Any], context: ServicerContext
    ) -> AsyncIterable[Any]:
        """Answer each question of one stream."""
        try:
            self._keeper.admit(Need.KNOWN, None, self._heads.of(context.invocation_metadata()), context)
        except Refused as refused:
            await refused.tell(context, self._keeper.write_down(_PATH, context, refused))
        async for answer in super().ServerReflectionInfo(request_iterator, context):
            yield answer


def add_description(server: Any, names: Iterable[str], pool: Any, keeper: Keeper) -> None:
    """Have a server answer reflection."""
    add_ServerReflectionServicer_to_server(GuardedReflection(names, pool, keeper), server)
