"""What a client can ask, as requests and as what their answers mean; the same for the blocking and the asynchronous one."""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from podium.client.exchanges import ClientRequest, Received
from podium.errors import Misconfigured, NotFound, PermissionDenied, PodiumError, Unavailable

VERSION_HEADER = "x-podium-version"
API_KEY = "PODIUM_API_KEY"
"""The variable that holds what opens a server."""
_JSON = "application/json"
# What a server takes for a request's name; another one it would leave out without a word.
_SANE_ID = re.compile(r"[A-Za-z0-9._:/+=@\-]{1,128}")


@dataclass(frozen=True, slots=True)
class Answer:
    """A prediction as it came.

    Args:
        body: The bytes; `content_type` says of what.
        content_type: As the server named it.
        model: Which model answered, `version` which one of it; empty where the server does not say (MLflow's).
        version: Likewise.
        request_id: By which the server's logs name the request, and `feedback` the answer.
        asked: What was asked with.
    """

    body: bytes = field(repr=False)
    content_type: str
    model: str
    version: str
    request_id: str
    asked: Any = field(default=None, repr=False, compare=False)

    @property
    def predictions(self) -> Any:
        """What `predict` would have returned: arrays, a DataFrame, or what JSON holds.

        Raises:
            PodiumError: The body is not JSON.
        """
        from podium.client.values import answer_of

        return answer_of(self.body, self.asked, None)

    def json(self) -> Any:
        """What the body says, if it is JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One model of a server.

    Args:
        name: By which `predict(model=…)` asks for it.
        version: That answers now; None while none does.
        state: `serving`, `starting`, `swapping`, … as `podium status` says it.
        is_default: Whether it is asked where none is named.
    """

    name: str
    version: str | None
    state: str
    is_default: bool


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """A server's address, and what opens it.

    Args:
        url: As it was given, without a slash at the end.
        api_key: Sent as `Authorization: Bearer …`; shown nowhere.
    """

    url: str
    api_key: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str, api_key: str | None) -> "ServerPlace":
        """Check what was given.

        Raises:
            Misconfigured: Not an http address, or a password in it, which logs and messages would show.
        """
        try:
            parts = urlsplit(url)
            is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_address = False
        if not is_address or parts.query or parts.fragment:
            raise Misconfigured(
                f"{url.partition('?')[0]!r} is no server's address; expected http://HOST:PORT or https://…."
            )
        if parts.username is not None or parts.password is not None:
            raise Misconfigured(
                f"The address of {parts.hostname} has a user or a password in it, which every message would show; "
                "give a key as api_key, or in the variable PODIUM_API_KEY."
            )
        if api_key is not None and not (api_key.isascii() and api_key.isprintable() and api_key.strip() == api_key):
            raise Misconfigured("The API key holds blanks at an end, or other characters than a header may have.")
        return cls(url.rstrip("/"), api_key or None)

    def request(
        self,
        path: str,
        body: bytes | None = None,
        content_type: str = _JSON,
        version: str | None = None,
        *,
        request_id: str | None = None,
        is_bounded: bool = True,
    ) -> ClientRequest:
        """A request to this server, POST where there is a body; its id stays the same however often it is sent.

        Raises:
            Misconfigured: The version or the id is none.
        """
        if request_id is not None and not _SANE_ID.fullmatch(request_id):
            raise Misconfigured(
                f"{request_id[:128]!r} is no request's id; expected 1 to 128 letters, digits or . _ : / + = @ -."
            )
        headers = {
            "x-request-id": request_id or secrets.token_hex(16),
            "accept-encoding": "identity",
            "user-agent": "podium-client",
        }
        if self.api_key is not None:
            headers["authorization"] = f"Bearer {self.api_key}"
        if body is not None:
            headers["content-type"] = content_type
        if version is not None:
            if not (version.isascii() and version.isprintable() and version):
                raise Misconfigured(f"{version!r} is no version; expected a number, as text.")
            headers[VERSION_HEADER] = version
        return ClientRequest("GET" if body is None else "POST", path, headers, body, is_bounded=is_bounded)

    def invocations(self, model: str | None) -> str:
        """The path where predictions of a model are asked for; a server of MLflow's has the first only."""
        return "/invocations" if model is None else f"/models/{_part(model)}/invocations"

    def ready(self, model: str | None) -> ClientRequest:
        """Ask whether a model, or the whole server, answers."""
        return self.request("/ping" if model is None else f"/models/{_part(model)}/ready")

    def feedback(self, model: str) -> str:
        """The path where reports on a model's answers are taken."""
        return f"/models/{_part(model)}/feedback"

    def generate_stream(self, model: str) -> str:
        """The path where a model answers in parts."""
        return f"/v2/models/{_part(model)}/generate_stream"

    def metadata(self, model: str) -> ClientRequest:
        """Ask what the Open Inference Protocol says of a model."""
        return self.request(f"/v2/models/{_part(model)}")

    def models(self) -> ClientRequest:
        """Ask which models there are."""
        return self.request("/status")

    def is_ready(self, received: Received | None) -> bool:
        """What the answer to `ready` says; None: there was none.

        Raises:
            PodiumError: NotFound for a model that is none, and whatever a server answers whom the key does not open.
        """
        if received is None or received.status in {502, 503, 504}:
            return False
        if received.status != 200:
            raise error_in(received)
        return True

    def document(self, received: Received) -> dict[str, Any]:
        """The JSON object in an answer.

        Raises:
            PodiumError: It is none.
        """
        if received.status != 200:
            raise error_in(received)
        try:
            document = json.loads(received.body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise PodiumError(f"{self.url} answered with something else than a JSON object; is it podium's?")
        return document

    def models_of(self, received: Received) -> list[ServedModel]:
        """The models of a status document.

        Raises:
            NotFound: The server has none, as MLflow's.
            PermissionDenied: The key is for models only.
        """
        if received.status == 404:
            raise NotFound(f"{self.url} does not say which models it has; it may be MLflow's, whose one has no name.")
        if received.status == 403:
            raise PermissionDenied(
                f"The key does not open the list of models of {self.url}, which needs the scope read. One of the scope "
                "score:NAME opens predict, ready and metadata with model='NAME'."
            )
        document = self.document(received)
        endpoints: Mapping[str, Any] = document.get("endpoints") or {}
        return [
            ServedModel(name, each.get("serving"), str(each.get("state")), name == document.get("default"))
            for name, each in endpoints.items()
        ]

    def default_of(self, models: list[ServedModel]) -> str:
        """The name of the server's default model.

        Raises:
            Unavailable: There is none yet.
        """
        for each in models:
            if each.is_default:
                return each.name
        raise Unavailable(f"{self.url} has no default model; name one.")


def error_in(received: Received) -> PodiumError:
    """The error that an answer stands for."""
    from podium.client.values import error_of

    return error_of(received.status, received.body, received.headers)


def _part(name: str) -> str:
    if not name:
        raise Misconfigured("A model's name is not empty.")
    return quote(name, safe="")
