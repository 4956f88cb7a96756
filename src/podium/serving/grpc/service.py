"""The methods of `inference.GRPCInferenceService`; each says what HTTP's route says, through the same objects."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import grpc
import msgspec
from grpc.aio import AbortError
from grpc.aio import ServicerContext as Context

from podium._version import __version__
from podium.domain.open_inference import server_metadata
from podium.serving.asking import OpenQuestions
from podium.serving.grpc.calls import Heads, Refused, code_of, refused_by
from podium.serving.grpc.inference import UNREADABLE, Inference
from podium.serving.grpc.keeping import Keeper
from podium.serving.grpc.large import bytes_of, parse
from podium.serving.grpc.messages import METHODS, SERVICE, STREAMED, Messages
from podium.serving.guard.needs import METHOD_NEEDS
from podium.serving.standing import Standing
from podium.transport.messages import AskOutcome

_log = logging.getLogger("podium.gateway")
_ASK_S = 3600.0
_INDEX_S = 30.0

Method = Callable[[Any, Context], Awaitable[Any]]


class Service:
    """Answers calls. Event loop's thread only.

    Args:
        messages: The protocol's.
        inference: Answers the methods of inference.
        standing: What the gateway says of itself.
        asking: Asks the supervisor, for the repository's methods.
        keeper: Lets calls pass.
    """

    def __init__(
        self,
        messages: Messages,
        inference: Inference,
        standing: Standing,
        asking: OpenQuestions,
        keeper: Keeper,
    ) -> None:
        self._messages = messages
        self._inference = inference
        self._standing = standing
        self._asking = asking
        self._keeper = keeper
        self._loop = asyncio.get_running_loop()

    def handlers(self) -> dict[str, Any]:
        """Of the service's methods, by name."""
        methods: Mapping[str, Method] = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._server_metadata,
            "ModelMetadata": self._model_metadata,
            "RepositoryIndex": self._index,
            "RepositoryModelLoad": self._load,
            "RepositoryModelUnload": self._unload,
        }
        made = {name: self._handler(name, self._recorded(name, method)) for name, method in methods.items()}
        inference = self._inference
        # Messages as they lie on the wire: it reads most of them without protobuf.
        made |= {"ModelInfer": grpc.unary_unary_rpc_method_handler(inference.infer)}
        return made | {STREAMED: self._handler(STREAMED, inference.converse)}

    def _handler(self, name: str, method: Method) -> Any:
        taken = getattr(self._messages, METHODS[name][0])
        make = grpc.stream_stream_rpc_method_handler if name == STREAMED else grpc.unary_unary_rpc_method_handler
        return make(method, partial(parse, taken), bytes_of)

    def _recorded(self, name: str, method: Method) -> Method:
        """The method, its errors told as statuses; what goes wrong is written down."""
        heads = Heads(f"/{SERVICE}/{name}")

        async def answer(request: Any, context: Context) -> Any:
            try:
                # Who is unknown does not even hear that a message cannot be read.
                self._keeper.admit(METHOD_NEEDS[name], _model_of(request), heads.of(context.invocation_metadata()), context)
                if request is None:
                    raise UNREADABLE
                return await method(request, context)
            except Refused as refused:
                await refused.tell(context, self._keeper.write_down(name, context, refused))
            except (AbortError, asyncio.CancelledError):
                raise
            except Exception:  # noqa: BLE001 - one call's failure is nobody else's
                _log.exception("answering %s failed", name)
                await Refused(grpc.StatusCode.INTERNAL, "Internal Server Error").tell(context)

        return answer

    # ── what the server says of itself

    async def _server_live(self, _request: Any, _context: Context) -> Any:
        return self._messages.ServerLiveResponse(live=True)

    async def _server_ready(self, _request: Any, _context: Context) -> Any:
        return self._messages.ServerReadyResponse(ready=self._standing.takes_traffic)

    async def _server_metadata(self, _request: Any, _context: Context) -> Any:
        return self._messages.ServerMetadataResponse(**server_metadata(__version__))

    async def _model_ready(self, request: Any, _context: Context) -> Any:
        self._check_version(request.name, request.version)
        response = self._standing.readiness_of(request.name)
        if response.status == 404:
            raise refused_by(response)
        return self._messages.ModelReadyResponse(ready=response.status == 200)

    async def _model_metadata(self, request: Any, _context: Context) -> Any:
        self._check_version(request.name, request.version)
        response = self._standing.metadata_of(request.name)
        if response.status != 200:
            raise refused_by(response)
        told = msgspec.json.decode(response.body)
        message = self._messages.ModelMetadataResponse(
            name=told["name"], versions=told["versions"], platform=told["platform"]
        )
        for field in ("inputs", "outputs"):
            for each in told[field]:
                getattr(message, field).add(name=each["name"], datatype=each["datatype"], shape=each["shape"])
        for name, value in (told.get("properties") or {}).items():
            message.properties[name] = str(value)
        return message

    def _check_version(self, name: str, version: str) -> None:
        absence = self._standing.absence_of(name, version) if version else None
        if absence is not None:
            raise refused_by(absence)

    # ── the repository

    async def _index(self, request: Any, _context: Context) -> Any:
        answer = await self._ask("index", "", _INDEX_S, {"ready": request.ready})
        message = self._messages.RepositoryIndexResponse()
        for each in answer.get("models", ()):
            message.models.add(**{name: str(each.get(name) or "") for name in ("name", "version", "state", "reason")})
        return message

    async def _load(self, request: Any, context: Context) -> Any:
        await self._move("load", request, context)
        return self._messages.RepositoryModelLoadResponse()

    async def _unload(self, request: Any, context: Context) -> Any:
        await self._move("unload", request, context)
        return self._messages.RepositoryModelUnloadResponse()

    async def _move(self, verb: str, request: Any, context: Context) -> None:
        # KServe's clients have the model's name in the field where Triton's have the repository's.
        name = request.model_name or request.repository_name
        if not name:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"Which model to {verb}? Give model_name.")
        remaining = context.time_remaining()
        parameters = {
            key: getattr(value, choice)
            for key, value in request.parameters.items()
            if (choice := value.WhichOneof("parameter_choice")) not in (None, "bytes_param")
        }
        timeout_s = _ASK_S if remaining is None else min(remaining, _ASK_S)
        await self._ask(verb, name, timeout_s, {"parameters": parameters})

    async def _ask(self, verb: str, subject: str, timeout_s: float, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        answered: asyncio.Future[AskOutcome] = self._loop.create_future()

        def take(answer: AskOutcome) -> None:
            if not answered.done():
                answered.set_result(answer)

        self._asking.ask(verb, subject, take, timeout_s, arguments)
        answer = await answered
        if not 200 <= answer.status < 300:
            raise Refused(code_of(answer.status), str(answer.body.get("error") or f"To {verb} {subject} failed."))
        return answer.body


def _model_of(request: Any) -> str | None:
    """Which model a request is for; None where it is for none."""
    name: str | None = getattr(request, "name", None) or getattr(request, "model_name", None)
    return name
