"""`AsyncClient`: the same calls as `Client`, to be awaited; of one event loop of asyncio."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from podium.client.asking import TIMEOUT_S, ServerAsker
from podium.client.calls import Answer, ServedModel
from podium.client.exchanges import (
    ClientRequest,
    Loss,
    Lost,
    Outcome,
    Pause,
    Received,
    Send,
    Steps,
    loss_as_error,
)
from podium.client.library import httpx_library, lost, pool_options, time_limits
from podium.client.parts import EventParts, Prompt
from podium.client.predicting import PredictionCall
from podium.client.reports import Reported, model_of, report_of, reported, requests_of, the_one
from podium.errors import DeadlineExceeded


class AsyncClient(ServerAsker):
    """Asks a server for predictions: podium's, or MLflow's, which answers `predict` and `ready` only.

    Use it in an `async with` block, or await `aclose`. A call that is cancelled gives its connection up.

    Args:
        url: As for `Client`, and so is the rest.
        api_key: What opens the server. [default: the variable PODIUM_API_KEY]
        timeout: Seconds for one call, with all its tries, where the call says no `deadline`.
        retries: How often a request is sent again, where that is safe. 0: never.
        connections: How many are open at most; further calls wait for one.
        tls: The file of the authorities to trust; or a context.

    Attributes:
        url: As given.
        timeout: As given.

    Raises:
        Misconfigured: The address is none, or has a password in it; or `tls` is no file of certificates.
        MissingDependency: httpx is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout: float = TIMEOUT_S,
        retries: int = 3,
        connections: int = 100,
        tls: ssl.SSLContext | str | Path | None = None,
    ) -> None:
        super().__init__(url, api_key, timeout, retries)
        self._pool = httpx_library().AsyncClient(**pool_options(connections, tls))

    async def predict(
        self,
        data: Any,
        model: str | None = None,
        version: str | None = None,
        params: Mapping[str, Any] | None = None,
        deadline: float | None = None,
        request_id: str | None = None,
    ) -> Any:
        """Ask for predictions; arguments, answer and errors are those of `Client.predict`."""
        call = PredictionCall(self._place, data, model, version, params, request_id=request_id)
        return call.value_of(await self._run(self._predicted(call, deadline)))

    async def predict_raw(
        self,
        data: Any,
        model: str | None = None,
        version: str | None = None,
        params: Mapping[str, Any] | None = None,
        deadline: float | None = None,
        content_type: str = "application/json",
        request_id: str | None = None,
    ) -> Answer:
        """Ask for predictions and get the answer as it came, as `Client.predict_raw`."""
        call = PredictionCall(self._place, data, model, version, params, content_type, request_id)
        return call.answer_of(await self._ask(call.request(), deadline))

    async def stream(
        self,
        data: Any,
        model: str | None = None,
        params: Mapping[str, Any] | None = None,
        deadline: float | None = None,
        request_id: str | None = None,
    ) -> AsyncIterator[Any]:
        """The parts of an answer as they come; as `Client.stream`, and to be closed by `contextlib.aclosing`."""
        begun = time.monotonic()
        name = await self._default(deadline) if model is None else model
        prompt = Prompt(self._place, data, name, params, request_id, is_bounded=deadline is not None)
        kept: list[Any] = []
        received = await self._run(self._steps(prompt.request(), deadline, time.monotonic() - begun), kept)
        limit_s = self._limit_s(deadline)
        try:
            parts = EventParts(received)
            async for piece in kept[0].aiter_raw():
                if deadline is not None and time.monotonic() - begun > deadline:
                    raise DeadlineExceeded(f"{self.url} did not end its answer within {deadline:g} s.")
                for part in parts.feed(piece):
                    yield part
        except httpx_library().HTTPError as error:
            raise loss_as_error(lost(error, has_answer_begun=True), self.url, limit_s) from error
        finally:
            for response in kept:
                await response.aclose()

    async def feedback(
        self,
        answer: Answer | str,
        reward: float | None = None,
        label: Any = None,
        model: str | None = None,
        deadline: float | None = None,
        row: int | None = None,
        weight: float | None = None,
    ) -> Reported:
        """Tell the server what an answer was worth; as `Client.feedback`."""
        name = model_of(answer, model)
        return the_one(await self.feedback_many([report_of(answer, reward, label, row, weight)], name, deadline))

    async def feedback_many(
        self, reports: Sequence[Mapping[str, Any]], model: str | None = None, deadline: float | None = None
    ) -> list[Reported]:
        """Tell the server what many answers of one model were worth; as `Client.feedback_many`."""
        begun, results = time.monotonic(), list[Reported]()
        name = await self._default(deadline) if model is None else model
        for request in requests_of(self._place, name, reports):
            results += reported(await self._run(self._steps(request, deadline, time.monotonic() - begun)))
        return results

    async def wait_until_ready(self, model: str | None = None, deadline: float | None = None) -> None:
        """Wait until the server, or this model, answers requests; as `Client.wait_until_ready`."""
        self._place.is_ready(await self._run(self._awaited(model, deadline)))

    async def ready(self, model: str | None = None, deadline: float | None = None) -> bool:
        """Whether the server, or this model, answers requests now; as `Client.ready`."""
        return self._place.is_ready(await self._try(self._place.ready(model), deadline))

    async def metadata(self, model: str | None = None, deadline: float | None = None) -> dict[str, Any]:
        """What the Open Inference Protocol says of a model; as `Client.metadata`."""
        name = await self._default(deadline) if model is None else model
        return self._place.document(await self._ask(self._place.metadata(name), deadline))

    async def models(self, deadline: float | None = None) -> list[ServedModel]:
        """The models that the server has; as `Client.models`."""
        return self._place.models_of(await self._ask(self._place.models(), deadline))

    async def aclose(self) -> None:
        """Close the connections; the client is of no further use."""
        await self._pool.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _try(self, request: ClientRequest, deadline: float | None) -> Received | None:
        outcome = await self._send(Send(request, request.headers, self._limit_s(deadline)))
        return outcome if isinstance(outcome, Received) else None

    async def _default(self, deadline: float | None) -> str:
        return self._place.default_of(await self.models(deadline))

    async def _ask(self, request: ClientRequest, deadline: float | None) -> Received:
        return await self._run(self._steps(request, deadline))

    async def _run(self, steps: Steps, kept: list[Any] | None = None) -> Received:
        outcome: Outcome | None = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as stop:
                received: Received = stop.value
                return received
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                outcome = None
            else:
                outcome = await self._send(step, kept)

    async def _send(self, step: Send, kept: list[Any] | None = None) -> Outcome:
        has_begun = False
        request = self._pool.build_request(
            step.request.method,
            self.url + step.request.path,
            content=step.request.body,
            headers=dict(step.headers),
            timeout=time_limits(step.limit_s),
        )
        try:
            async with asyncio.timeout(step.limit_s):
                response = await self._pool.send(request, stream=True)
                if kept is not None and response.status_code == 200:
                    kept.append(response)  # Whoever asked reads it as it comes, and closes it.
                    return Received(200, dict(response.headers), b"")
                try:
                    has_begun = True
                    body = b"".join([piece async for piece in response.aiter_raw()])
                    return Received(response.status_code, dict(response.headers), body)
                finally:
                    await response.aclose()
        except TimeoutError:
            return Lost(Loss.LATE, "the answer is not whole" if has_begun else "the answer is not there")
        except httpx_library().HTTPError as error:
            return lost(error, has_begun)
