"""`Client`: calls that wait for their answers. One client is for all threads of a process."""

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


class Client:
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
        self._options = pool_options(connections, tls)
        self._open()

    def predict(
        self,
        data: Any,
        model: str | None = None,
        version: str | None = None,
        params: Mapping[str, Any] | None = None,
        deadline: float | None = None,
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

        Returns: What the model predicted: an array with rows along axis 0 for numbers (missing ones are NaN) and for
            text, a DataFrame for records if `data` is one, a dict of arrays for named outputs, else what JSON holds.

        Raises:
            InvalidInput: The input does not fit; SchemaMismatch, MalformedBody and its other children say how.
            NotFound: No model is served under this name, or no such version of it.
            PermissionDenied: The key does not open it, or no request may choose that version.
            PredictFailed: The model's own code raised.
            Overloaded, Unavailable, DeadlineExceeded: No answer in time; the first two say when to come back.
            PodiumError: Whatever else the server answered. Each has the `request_id` by which the server's logs know it.
        """
        call = Call(self._place, data, model, version, params)
        steps = call.steps(self._ways(), lambda request, spent_s: self._steps(request, deadline, spent_s))
        return call.value_of(self._run(steps))

    def predict_raw(
        self,
        data: Any,
        model: str | None = None,
        version: str | None = None,
        params: Mapping[str, Any] | None = None,
        deadline: float | None = None,
        content_type: str = "application/json",
    ) -> Answer:
        """Ask for predictions and get the answer as it came: its bytes, who answered, and the request's id.

        Arguments and errors are those of `predict`; `data` may also be bytes, a body of this
        `content_type` that goes as it is.
        """
        call = Call(self._place, data, model, version, params, content_type)
        return call.answer_of(self._ask(call.request(), deadline))

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
        if model is None:
            model = self._place.default_of(self.models(deadline))
        return self._place.document(self._ask(self._place.metadata(model), deadline))

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

    def __repr__(self) -> str:
        return f"<podium.client.Client {self.url}>"

    def _open(self) -> None:
        self._pool = httpx_library().Client(**self._options)
        self._owner = os.getpid()

    def _try(self, request: Request, deadline: float | None) -> Received | None:
        """One try, for a question that is asked again anyway; None where nobody answers."""
        limit_s = self.timeout if deadline is None else deadline
        outcome = self._send(Send(request, request.headers, limit_s))
        return outcome if isinstance(outcome, Received) else None

    def _ways(self) -> "Ways | None":
        if self._learned is None and self._patience.retries:
            from podium.client.binary import Ways

            self._learned = Ways()
        return self._learned

    def _steps(self, request: Request, deadline: float | None, spent_s: float = 0.0) -> Steps:
        limit_s = self.timeout if deadline is None else deadline
        return asked(request, self.url, limit_s, self._patience, time.monotonic, random.random, spent_s)

    def _ask(self, request: Request, deadline: float | None) -> Received:
        return self._run(self._steps(request, deadline))

    def _run(self, steps: Steps) -> Received:
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
                outcome = self._send(step)

    def _send(self, step: Send) -> Outcome:
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
