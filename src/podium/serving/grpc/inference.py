"""`ModelInfer` and `ModelStreamInfer`: a message becomes a body of tensors, which takes the walk of every request."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import grpc
from grpc.aio import AbortError
from grpc.aio import ServicerContext as Context

from podium.domain.clients.access import Need
from podium.errors import PodiumError
from podium.protocols.open_inference.known_answers import KnownAnswers
from podium.protocols.open_inference.known_messages import Known, KnownMessages
from podium.protocols.tensors import Tensor, decode_tensors, encode_tensors
from podium.serving.grpc.calls import Call, Heads, Refused, address_of, name_call, refused_by, say
from podium.serving.grpc.keeping import Keeper
from podium.serving.grpc.large import IN_FIELDS, bytes_of, is_large, joined, parse
from podium.serving.grpc.messages import SERVICE, STREAMED, Messages
from podium.serving.grpc.quick import QuickCall
from podium.serving.grpc.streaming import Conversation, Part, PartsCall
from podium.serving.grpc.tensors import FINAL, AskedTensors, asked_of, read_request, write_response
from podium.serving.open_inference.infer import version_in
from podium.serving.open_inference.shapes import Shapes
from podium.serving.standing import Standing
from podium.serving.walks.scoring import Scoring
from podium.web.messages import Head, Request, Response

_log = logging.getLogger("podium.gateway")
_INFER = "ModelInfer"
UNREADABLE = Refused(grpc.StatusCode.INVALID_ARGUMENT, "The message cannot be read as the one that this method takes.")
_INTERNAL = Refused(grpc.StatusCode.INTERNAL, "Internal Server Error")


class Inference:
    """Answers requests of inference. Event loop's thread only.

    Args:
        messages: The protocol's.
        scoring: Takes what is to be scored.
        standing: Knows which versions serve.
        keeper: Lets calls pass.
        send_s: How long a client may take for one message of a stream.
    """

    def __init__(
        self,
        messages: Messages,
        scoring: Scoring,
        standing: Standing,
        keeper: Keeper,
        send_s: float,
    ) -> None:
        self._messages = messages
        self._scoring = scoring
        self._standing = standing
        self._keeper = keeper
        self._send_s = send_s
        self._heads = {name: Heads(f"/{SERVICE}/{name}") for name in (_INFER, STREAMED)}
        self._conversations: set[Conversation] = set()
        self._is_ending = False
        self.shapes = Shapes()
        self._known, self._answers = KnownMessages(), KnownAnswers()
        self._loop = asyncio.get_running_loop()

    def end_streams(self) -> None:
        """Take no more requests on any stream; those that were begun are answered."""
        self._is_ending = True
        for each in list(self._conversations):
            each.end()

    # ── one request, one answer

    async def infer(self, data: bytes, context: Context) -> bytes | None:
        """`ModelInfer`, its messages as they lie on the wire."""
        kind = self._messages.ModelInferRequest
        message = self._known.read(data) or parse(kind, data)
        call = QuickCall(self, message, address_of(context.peer()), self._loop.create_future())
        try:
            asked = self._begin(message, call, self._heads[_INFER].of(context.invocation_metadata()), context)
            if type(message) is kind:
                self._known.learn(data, Known(message.model_name, message.id, asked.tensors, asked.outputs, asked.is_raw))
            response = await call.answered
            name_call(context, response)
            return bytes(response.body) if call.is_made else bytes_of(self._made(message, asked, response, is_alone=True))
        except asyncio.CancelledError:
            call.leave()
            raise
        except AbortError:
            raise
        except Refused as refused:
            # What is answered already is counted, and named.
            named = "" if call.answered.done() else self._keeper.write_down(_INFER, context, refused)
            await refused.tell(context, named)
        except Exception:  # noqa: BLE001 - one call's failure is nobody else's
            call.leave()
            _log.exception("answering %s failed", _INFER)
            await _INTERNAL.tell(context)
        return None  # never: who is told so is told no more

    def _begin(
        self, message: Any, call: Call, head: Head, context: Context, taker: PartsCall | None = None
    ) -> AskedTensors:
        """Start a request on its walk.

        Raises:
            Refused: It is not even begun.
        """
        name, version = ("", "") if message is None else (message.model_name, message.model_version)
        if not name:
            self._keeper.admit(Need.KNOWN, None, head, context)
            raise (
                UNREADABLE
                if message is None
                else Refused(grpc.StatusCode.INVALID_ARGUMENT, "Which model? Give model_name.")
            )
        call.terms = self._keeper.admit(Need.SCORE, name, head, context)
        absence = self._standing.absence_of(name, version) if version else None
        if absence is not None:
            raise refused_by(absence)
        try:
            asked = asked_of(message) if type(message) is Known else read_request(message)
        except PodiumError as error:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, error.message) from error
        if taker is None and not version and head.memo and name in self.shapes.models and isinstance(call, QuickCall):
            call.head, call.asked = head, asked
            # What counts as its body is what its tensors hold.
            data = [each.data for each in asked.tensors]
            body = data[0] if len(data) == 1 else b"".join(data)
            self._scoring.start_json(Request(head, body), call, name, call)  # type: ignore[arg-type]
        else:
            self.start(asked, head, call, name, version, taker)
        return asked

    def start(
        self, asked: AskedTensors, head: Head, call: Call, name: str, version: str = "", taker: PartsCall | None = None
    ) -> None:
        """Take a request on the long way."""
        reply = None if asked.is_raw or taker is not None else IN_FIELDS
        body = encode_tensors(asked.tensors, asked.params, reply)
        request = Request(self._standing.bound(head, name, version), body)
        self._scoring.start(request, call, name, taker)

    def _made(self, message: Any, asked: AskedTensors, response: Response, is_alone: bool = False) -> Any:
        """The client's message for what scoring answered; where it is a whole answer, others like it go as records.

        Raises:
            Refused: That was no prediction, or not the one that was asked for.
        """
        if response.status != 200:
            raise refused_by(response)
        version, wanted = version_in(response.headers), message.model_version
        if wanted and wanted != version:
            text = f"Version {wanted} of {message.model_name} takes no requests now; version {version} does."
            raise Refused(grpc.StatusCode.UNAVAILABLE, text)
        tensors, about = decode_tensors(response.body)
        if is_alone:
            self.shapes.learn(message.model_name, version, asked.tensors, tensors, about)
        if asked.outputs:
            by_name = {each.name: each for each in tensors}
            unknown = [name for name in asked.outputs if name not in by_name]
            if unknown:
                text = f"The model has no output {', '.join(unknown)}; it has {', '.join(by_name)}."
                raise Refused(grpc.StatusCode.INVALID_ARGUMENT, text)
            tensors = [by_name[name] for name in asked.outputs]
        return self.write(message, version, tensors, asked.is_raw, is_alone)

    def write(self, message: Any, version: str, tensors: Sequence[Tensor], is_raw: bool, is_alone: bool = True) -> Any:
        """The answer to a message; of large tensors as bytes, where it is no part of another message."""
        made = self._messages.ModelInferResponse(model_name=message.model_name, model_version=version, id=message.id)
        if is_alone and is_large(tensors):
            return joined(made, tensors, is_raw)
        write_response(made, tensors, is_raw)
        return made

    def written(self, message: Any, version: str, output: Tensor, is_raw: bool) -> bytes:
        """The same on the wire, of one tensor."""
        made = self._answers.write(message.model_name, version, message.id, output, is_raw)
        return bytes_of(self.write(message, version, [output], is_raw)) if made is None else made

    # ── many requests, many answers

    async def converse(self, requests: AsyncIterator[Any], context: Context) -> None:
        """`ModelStreamInfer`."""
        conversation = Conversation(requests, partial(self._join, context))
        self._conversations.add(conversation)
        if self._is_ending:
            conversation.end()
        try:
            async for call in conversation.calls():
                try:
                    await self._answer_all(call, context)
                finally:
                    call.leave()  # nothing, where it is answered
        except TimeoutError:
            text = f"The client took no message for {self._send_s:g} s."
            await Refused(grpc.StatusCode.DEADLINE_EXCEEDED, text).tell(context)
        finally:
            self._conversations.discard(conversation)
            await conversation.close()

    def _join(self, context: Context, message: Any) -> PartsCall:
        """Begin one request of a stream."""
        call = PartsCall(address_of(context.peer()), self._loop.create_future(), message)
        try:
            head = self._heads[STREAMED].of(context.invocation_metadata())
            call.asked = self._begin(message, call, head, context, call)
        except Refused as refused:
            self._keeper.write_down(STREAMED, context, refused)
            call.refused = refused
        except Exception:  # noqa: BLE001 - one request's failure is nobody else's
            _log.exception("answering a request of %s failed", STREAMED)
            call.refused = _INTERNAL
        return call

    async def _answer_all(self, call: PartsCall, context: Context) -> None:
        if call.refused is not None:
            await self._send(context, self._error(call, call.refused))
            return
        async for part in call.parts():
            message = self._message_of(call, part)
            if message is not None:
                await self._send(context, message)
                if message.error_message:
                    return

    def _message_of(self, call: PartsCall, part: Part) -> Any:
        """The client's message for a part; None where the end needs none."""
        wants_final = call.asked.wants_final
        if part.is_last and part.response.status == 204:
            if not wants_final:
                return None
            message = self._messages.ModelStreamInferResponse()
            message.infer_response.id = call.message.id
            message.infer_response.model_name = call.message.model_name
        else:
            try:
                made = self._made(call.message, call.asked, part.response)
                message = self._messages.ModelStreamInferResponse(infer_response=made)
            except Refused as refused:
                return self._error(call, refused)
            except Exception:  # noqa: BLE001 - what a worker sends may be anything; one answer is nobody else's
                _log.exception("a part of an answer cannot be written")
                return self._error(call, _INTERNAL)
        if wants_final:
            message.infer_response.parameters[FINAL].bool_param = part.is_last
        return message

    def _error(self, call: PartsCall, refused: Refused) -> Any:
        message = self._messages.ModelStreamInferResponse(error_message=f"{refused.code.name}: {refused.detail}")
        if call.message is not None:
            message.infer_response.id = call.message.id
            message.infer_response.model_name = call.message.model_name
        return message

    async def _send(self, context: Context, message: Any) -> None:
        async with asyncio.timeout(self._send_s):
            await say(context, message)
