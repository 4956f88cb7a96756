"""`AsyncClient`: the same calls as `Client`, to be awaited; of one event loop of asyncio."""

import asyncio
import os
import random
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from podium.client.calls import Answer, Place, ServedModel
from podium.client.exchanges import Loss, Lost, Outcome, Patience, Pause, Received, Request, Send, Steps, asked
from podium.client.library import httpx_library, lost, pool_options, time_limits
from podium.client.predicting import Call

if TYPE_CHECKING:
    from podium.client.binary import Ways

_TIMEOUT_S = 60.0
_API_KEY = "PODIUM_API_KEY"


class AsyncClient:
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
        timeout: float = _TIMEOUT_S,
        retries: int = 3,
        connections: int = 100,
        tls: ssl.SSLContext | str | Path | None = None,
    ) -> None:
        self._place = Place.of(url, api_key if api_key is not None else os.environ.get(_API_KEY))
        self.url = self._place.url
        self.timeout = timeout
        self._patience = Patience(retries)
        self._learned: Ways | None = None
        self._pool = httpx_library().AsyncClient(**pool_options(connections, tls))

    async def predict(
        self,
        data: Any,
        model: str | None = None,
        version: str | None = None,
        params: Mapping[str, Any] | None = None,
        deadline: float | None = None,
    ) -> Any:
        """Ask for predictions; arguments, answer and errors are those of `Client.predict`."""
        call = Call(self._place, data, model, version, params)
        steps = call.steps(self._ways(), lambda request, spent_s: self._steps(request, deadline, spent_s))
        return call.value_of(await self._run(steps))

    async def predict_raw(
        self,
        data: Any,
        model: str | None = None,
        version: str | None = None,
        params: Mapping[str, Any] | None = None,
        deadline: float | None = None,
        content_type: str = "application/json",
    ) -> Answer:
        """Ask for predictions and get the answer as it came, as `Client.predict_raw`."""
        call = Call(self._place, data, model, version, params, content_type)
        return call.answer_of(await self._ask(call.request(), deadline))

    async def ready(self, model: str | None = None, deadline: float | None = None) -> bool:
        """Whether the server, or this model, answers requests now; as `Client.ready`."""
        return self._place.is_ready(await self._try(self._place.ready(model), deadline))

    async def metadata(self, model: str | None = None, deadline: float | None = None) -> dict[str, Any]:
        """What the Open Inference Protocol says of a model; as `Client.metadata`."""
        if model is None:
            model = self._place.default_of(await self.models(deadline))
        return self._place.document(await self._ask(self._place.metadata(model), deadline))

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

    def __repr__(self) -> str:
        return f"<podium.client.AsyncClient {self.url}>"

    async def _try(self, request: Request, deadline: float | None) -> Received | None:
        limit_s = self.timeout if deadline is None else deadline
        outcome = await self._send(Send(request, request.headers, limit_s))
        return outcome if isinstance(outcome, Received) else None

    def _ways(self) -> "Ways | None":
        if self._learned is None and self._patience.retries:
            from podium.client.binary import Ways

            self._learned = Ways()
        return self._learned

    def _steps(self, request: Request, deadline: float | None, spent_s: float = 0.0) -> Steps:
        limit_s = self.timeout if deadline is None else deadline
        return asked(request, self.url, limit_s, self._patience, time.monotonic, random.random, spent_s)

    async def _ask(self, request: Request, deadline: float | None) -> Received:
        return await self._run(self._steps(request, deadline))

    async def _run(self, steps: Steps) -> Received:
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
                outcome = await self._send(step)

    async def _send(self, step: Send) -> Outcome:
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
