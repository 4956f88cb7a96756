"""Envoy's ext_authz over gRPC: `envoy.service.auth.v3.Authorization/Check`, judged as `/authz/PATH` judges over HTTP.

The messages are made here, with the fields that are read or written and no other; numbers are those of Envoy's
api/envoy/service/auth/v3/external_auth.proto and attribute_context.proto. What a message of a later Envoy has beside them
is passed over.
"""

import logging
from functools import partial
from typing import Any
from urllib.parse import unquote_to_bytes

import grpc
from grpc.aio import ServicerContext as Context

from podium.domain.clients.access import Peer
from podium.domain.clients.forwarding import PRINCIPAL, SCOPES
from podium.serving.grpc.calls import Refused, address_of, code_of
from podium.serving.grpc.keeping import Keeper
from podium.serving.grpc.large import parse
from podium.serving.grpc.messages import Messages, Schema
from podium.serving.guard.authz import judged
from podium.serving.guard.guard import Guard, GuardRefusal, refused
from podium.serving.pages import Finder
from podium.web.routes import Routes

NAME = "envoy.service.auth.v3.Authorization"
_HEADER = "HeaderValueOption"
SCHEMA = Schema(
    file="podium/envoy_authorization.proto",
    package="envoy.service.auth.v3",
    messages={
        "SocketAddress": ("2 string address",),
        "Address": ("1 SocketAddress socket_address",),
        "Peer": ("1 Address address",),
        "HttpRequest": ("1 string id", "2 string method", "3 map string headers", "4 string path"),
        "Request": ("2 HttpRequest http",),
        "AttributeContext": ("1 Peer source", "4 Request request"),
        "CheckRequest": ("1 AttributeContext attributes",),
        "HeaderValue": ("1 string key", "2 string value"),
        _HEADER: ("1 HeaderValue header", "3 int32 append_action"),
        "HttpStatus": ("1 int32 code",),
        "Status": ("1 int32 code", "2 string message"),
        "DeniedHttpResponse": ("1 HttpStatus status", f"2 repeated {_HEADER} headers", "3 string body"),
        "OkHttpResponse": (f"2 repeated {_HEADER} headers",),
        "CheckResponse": (
            "1 Status status",
            "2 oneof DeniedHttpResponse denied_response",
            "3 oneof OkHttpResponse ok_response",
        ),
    },
    service="Authorization",
    methods={"Check": ("CheckRequest", "CheckResponse")},
)
_OVERWRITE = 2  # HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD
_log = logging.getLogger("podium.gateway")


class Authorization:
    """Answers Check: a path of podium's needs what it needs here, any other one somebody who is known.

    Who asks for others may be anybody: they learn what the request itself would. Its certificate is not its client's, and
    whom it speaks for counts where it is a trusted proxy.

    Args:
        messages: With `SCHEMA` in them.
        guard: Decides.
        routes: Podium's paths.
        keeper: Writes refusals down.
    """

    def __init__(self, messages: Messages, guard: Guard, routes: Routes[Finder], keeper: Keeper) -> None:
        self._messages = messages
        self._guard = guard
        self._routes = routes
        self._keeper = keeper

    def handlers(self) -> dict[str, Any]:
        """Of the service's methods."""
        taken, given = self._messages.CheckRequest, self._messages.CheckResponse
        return {"Check": grpc.unary_unary_rpc_method_handler(self._check, partial(parse, taken), given.SerializeToString)}

    async def _check(self, asked: Any, context: Context) -> Any:
        try:
            return self._judge(asked, context)
        except Exception:  # noqa: BLE001 - whatever goes wrong, nobody passes by it
            _log.exception("judging a request for a proxy failed")
            return self._denied(500, b"", ())

    def _judge(self, asked: Any, context: Context) -> Any:
        """The response: whether the request passes, and with which headers."""
        if asked is None or not asked.attributes.request.http.path.startswith("/"):
            return self._denied(400, b"A path begins with a slash.", ())
        http = asked.attributes.request.http
        said = {name.lower().encode(): value.encode("utf-8", "replace") for name, value in http.headers.items()}
        headers = {name: value for name, value in said.items() if name not in (PRINCIPAL, SCOPES) and name[:1] != b":"}
        path = unquote_to_bytes(http.path.partition("?")[0]).decode("utf-8", "replace")
        found = judged(self._guard, self._routes, http.method, path)
        if found is None or "#" in http.path:
            return self._denied(400, b"A path with an empty part, '.' or '..' is not judged.", ())
        need, endpoint = found
        caller = address_of(context.peer())
        decision = self._guard.decide(need, endpoint, headers, Peer(caller))
        limits = self._guard.limits_of(decision, self._guard.proxies.client_of(headers, caller))
        verdict = self._guard.pass_by(decision, limits)
        if isinstance(verdict, GuardRefusal):
            answer = refused(verdict, path, http.id)
            told = Refused(code_of(answer.status), "", (), verdict.told, verdict.principal)
            self._keeper.write_down(f"/{NAME}/Check", context, told)
            lines = (line.decode("latin-1").partition(": ") for line in answer.headers.split(b"\r\n") if line)
            named = [(name, value) for name, _, value in lines]
            return self._denied(answer.status, bytes(answer.body), [*named, ("content-type", answer.content_type)])
        who = decision.principal
        response = self._messages.CheckResponse()
        response.status.code = 0
        response.ok_response.SetInParent()
        self._add(response.ok_response, (PRINCIPAL.decode(), who.name), (SCOPES.decode(), " ".join(sorted(who.scopes))))
        return response

    def _denied(self, status: int, body: bytes, headers: Any) -> Any:
        response = self._messages.CheckResponse()
        response.status.code = code_of(status).value[0]
        response.denied_response.status.code = status
        response.denied_response.body = body.decode("utf-8", "replace")
        self._add(response.denied_response, *headers)
        return response

    @staticmethod
    def _add(message: Any, *headers: tuple[str, str]) -> None:
        for name, value in headers:
            option = message.headers.add(append_action=_OVERWRITE)
            option.header.key, option.header.value = name, value
