"""`Client`: calls that wait for their answers. One client is for all threads of a process."""

import os
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
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


class Client(ServerAsker):
    """Asks a server for predictions: podium's, or MLflow's, which answers `predict` and `ready` only.

    Use it in a `with` block, or call `close`. It keeps its connections, and may be used by several threads at once.

    Args:
        url: `http://HOST:PORT` or `https://…`, with a path in front where a proxy wants one.
        api_key: What opens the server. [default: the variable PODIUM_API_KEY]
        timeout: Seconds for one call, with all its tries, where the call says no `deadline`.
        retries: How often a request is sent again, where that is safe; see `client/exchanges.py`. 0: never.
        connections: How many are open at most.
        tls: The file of the authorities to trust, in PEM; or a context, which may hold the client's own certificate.
            [default: the system's authorities]

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
        self._options = pool_options(connections, tls)
        self._open()

    def predict(
        self,
        data: Any,
        model: str | None = None,
        version: str | None = None,
        params: Mapping[str, Any] | None = None,
        deadline: float | None = None,
        request_id: str | None = None,
    ) -> Any:
        """Ask for predictions.

        Args:
            data: A DataFrame or Series, one row each; an array with rows along axis 0; a dict of such arrays; a list of
                records, a list, a dict or a scalar; or a dict that is a request of the protocol already. NaN and None
                are missing values.
            model: Which one, where several are served; None is the server's default.
            version: One of that model's versions; one without traffic only where the server lets requests choose.
            params: The model's params.
            deadline: Seconds from now until the answer must be there, all tries together; the server is told, and drops
                a request that can no longer meet it.
            request_id: What the request is called in the server's logs, and the answer in `feedback`: 1 to 128 letters,
                digits or `. _ : / + = @ -`, another one for each request. [default: one is made up]

        Returns: What the model predicted: an array with rows along axis 0 for numbers (missing ones are NaN) and for
            text, a DataFrame for records if `data` is one, a dict of arrays for named outputs, else what JSON holds.

        Raises:
            InvalidInput: The input does not fit; SchemaMismatch, MalformedBody and its other children say how.
            NotFound: No model is served under this name, or no such version of it.
            PermissionDenied: The key does not open it, or no request may choose that version.
            PredictFailed: The model's own code raised.
            Overloaded, Unavailable, DeadlineExceeded: No answer in time; the first two say when to come back.
            Misconfigured: The version or the id is none.
            PodiumError: Whatever else the server answered. Each has the `request_id` by which the server's logs know it.
        """
        call = PredictionCall(self._place, data, model, version, params, request_id=request_id)
        return call.value_of(self._run(self._predicted(call, deadline)))

    def predict_raw(
        self,
        data: Any,
        model: str | None = None,
        version: str | None = None,
        params: Mapping[str, Any] | None = None,
        deadline: float | None = None,
        content_type: str = "application/json",
        request_id: str | None = None,
    ) -> Answer:
        """Ask for predictions and get the answer as it came: its bytes, who answered, and the request's id.

        `Answer.predictions` is what `predict` returns. Arguments and errors are those of `predict`; `data` may also be
        bytes, a body of this `content_type` that goes as it is.
        """
        call = PredictionCall(self._place, data, model, version, params, content_type, request_id)
        return call.answer_of(self._ask(call.request(), deadline))

    def stream(
        self,
        data: Any,
        model: str | None = None,
        params: Mapping[str, Any] | None = None,
        deadline: float | None = None,
        request_id: str | None = None,
    ) -> Iterator[Any]:
        """Ask a model that has `predict_stream` and get the parts of its answer as they come.

        Nothing is asked before the first part is. What is not read to its end is to be closed (`contextlib.closing`), which
        stops the model.

        Args:
            data: One input: text; or the model's inputs by name, as a dict or a DataFrame of one row.
            model: Which one; None is the server's default.
            params: The model's params.
            deadline: Seconds from now for all parts together. None: the client's `timeout` is for each part.
            request_id: As for `predict`.

        Yields: Each part: text, an object as a dict, or what else JSON holds.

        Raises:
            InvalidInput: The input is none, or does not fit.
            Unavailable: Also where the answer breaks off; it is not asked for again, for some parts were there.
            PodiumError: What the server answered instead, or what the model raised after some parts; as `predict`.
        """
        begun = time.monotonic()
        name = self._default(deadline) if model is None else model
        prompt = Prompt(self._place, data, name, params, request_id, is_bounded=deadline is not None)
        kept: list[Any] = []
        received = self._run(self._steps(prompt.request(), deadline, time.monotonic() - begun), kept)
        limit_s = self._limit_s(deadline)
        try:
            parts = EventParts(received)
            for piece in kept[0].iter_raw():
                if deadline is not None and time.monotonic() - begun > deadline:
                    raise DeadlineExceeded(f"{self.url} did not end its answer within {deadline:g} s.")
                yield from parts.feed(piece)
        except httpx_library().HTTPError as error:
            raise loss_as_error(lost(error, has_answer_begun=True), self.url, limit_s) from error
        finally:
            for response in kept:
                response.close()

    def feedback(
        self,
        answer: Answer | str,
        reward: float | None = None,
        label: Any = None,
        model: str | None = None,
        deadline: float | None = None,
        row: int | None = None,
        weight: float | None = None,
    ) -> Reported:
        """Tell the server what an answer was worth.

        It counts once, however often it is sent: a call that failed may be repeated.

        Args:
            answer: Of `predict_raw`; or the request's id.
            reward: From 0 (bad) to 1 (good).
            label: What the answer should have been: of one row the value, of several a list, with None for what is not
                known yet; arrays will do.
            model: Who answered, where `answer` does not say it; None is the server's default.
            deadline: Seconds from now.
            row: Of the answer, from 0, that `label` is of. [default: the whole answer]
            weight: How much the label counts, above 0. [default: 1]

        Returns: What became of it; look at `is_counted`, and of a label that comes late at `is_kept`.

        Raises:
            InvalidInput: The report cannot be read, or says nothing.
            NotFound: No model is served under this name, or the server takes no feedback.
            PodiumError: As `predict`.
        """
        name = model_of(answer, model)
        return the_one(self.feedback_many([report_of(answer, reward, label, row, weight)], name, deadline))

    def feedback_many(
        self, reports: Sequence[Mapping[str, Any]], model: str | None = None, deadline: float | None = None
    ) -> list[Reported]:
        """Tell the server what many answers of one model were worth, a thousand in a request.

        Args:
            reports: Each with `request_id`, and `reward` or `label` or both; maybe with `row`, `weight` and `at`.
            model: Who answered; None is the server's default.
            deadline: Seconds from now, for all of them.

        Returns: What became of each, in their order; one that cannot be read is `invalid` and hinders no other.

        Raises:
            PodiumError: As `feedback`. Those before the failure are counted; all may be sent again.
        """
        begun, results = time.monotonic(), list[Reported]()
        name = self._default(deadline) if model is None else model
        for request in requests_of(self._place, name, reports):
            results += reported(self._run(self._steps(request, deadline, time.monotonic() - begun)))
        return results

    def wait_until_ready(self, model: str | None = None, deadline: float | None = None) -> None:
        """Wait until the server, or this model, answers requests; a model that sleeps does, for it wakes when it is asked.

        Args:
            model: None waits for the server as a whole.
            deadline: Seconds from now. [default: the client's `timeout`]

        Raises:
            DeadlineExceeded: It is not ready yet; the message says what was seen last.
            NotFound: No model is served under this name.
            PodiumError: The server cannot be trusted, or does not let this client ask.
        """
        self._place.is_ready(self._run(self._awaited(model, deadline)))

    def ready(self, model: str | None = None, deadline: float | None = None) -> bool:
        """Whether the server, or this model, answers requests now; False where nobody is there.

        Args:
            model: None asks for the server as a whole.
            deadline: Seconds from now.

        Raises:
            NotFound: No model is served under this name.
        """
        return self._place.is_ready(self._try(self._place.ready(model), deadline))

    def metadata(self, model: str | None = None, deadline: float | None = None) -> dict[str, Any]:
        """What the Open Inference Protocol says of a model: name, versions, platform, inputs, outputs.

        Args:
            model: None is the server's default.
            deadline: Seconds from now.

        Raises:
            NotFound: No model is served under this name, or the server does not say.
        """
        name = self._default(deadline) if model is None else model
        return self._place.document(self._ask(self._place.metadata(name), deadline))

    def models(self, deadline: float | None = None) -> list[ServedModel]:
        """The models that the server has.

        Args:
            deadline: Seconds from now.

        Raises:
            NotFound: The server does not say; MLflow's does not.
        """
        return self._place.models_of(self._ask(self._place.models(), deadline))

    def close(self) -> None:
        """Close the connections; the client is of no further use."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> None:
        self._pool = httpx_library().Client(**self._options)
        self._owner = os.getpid()

    def _try(self, request: ClientRequest, deadline: float | None) -> Received | None:
        """One try, for a question that is asked again anyway; None where nobody answers."""
        outcome = self._send(Send(request, request.headers, self._limit_s(deadline)))
        return outcome if isinstance(outcome, Received) else None

    def _default(self, deadline: float | None) -> str:
        return self._place.default_of(self.models(deadline))

    def _ask(self, request: ClientRequest, deadline: float | None) -> Received:
        return self._run(self._steps(request, deadline))

    def _run(self, steps: Steps, kept: list[Any] | None = None) -> Received:
        outcome: Outcome | None = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as stop:
                received: Received = stop.value
                return received
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                outcome = None
            else:
                outcome = self._send(step, kept)

    def _send(self, step: Send, kept: list[Any] | None = None) -> Outcome:
        if os.getpid() != self._owner:
            # A forked child: the connections are its parent's, and must not be written to by both.
            self._open()
        has_begun, ends = False, time.monotonic() + step.limit_s
        request = self._pool.build_request(
            step.request.method,
            self.url + step.request.path,
            content=step.request.body,
            headers=dict(step.headers),
            timeout=time_limits(step.limit_s),
        )
        try:
            response = self._pool.send(request, stream=True)
            if kept is not None and response.status_code == 200:
                kept.append(response)  # Whoever asked reads it as it comes, and closes it.
                return Received(200, dict(response.headers), b"")
            try:
                has_begun, pieces = True, []
                for piece in response.iter_raw():
                    pieces.append(piece)
                    if time.monotonic() > ends:
                        return Lost(Loss.LATE, "the answer is not whole")
                return Received(response.status_code, dict(response.headers), b"".join(pieces))
            finally:
                response.close()
        except httpx_library().HTTPError as error:
            return lost(error, has_begun)
