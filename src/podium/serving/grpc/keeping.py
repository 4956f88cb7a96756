"""Who may call what: the gateway's guard, asked with a call's metadata as headers."""

from collections.abc import Mapping
from typing import Any

from grpc.aio import ServicerContext
from msgspec.structs import replace

from podium.domain.clients.access import Need, Peer
from podium.protocols.mlflow.problems import problem
from podium.serving.grpc.calls import REQUEST_ID, Refused, address_of, code_of
from podium.serving.grpc.messages import SERVICE
from podium.serving.guard.guard import Guard, GuardRefusal
from podium.serving.recording import Recorder
from podium.serving.walks.request_ids import RequestIds
from podium.web.handling import NO_TERMS, RequestTerms
from podium.web.messages import Head, Request

_STATUSES = (400, 401, 403, 404, 429, 501, 503, 504)


class Keeper:
    """Lets calls pass, or refuses them.

    Args:
        guard: Decides; None lets everybody pass.
        recorder: Counts what never becomes a scoring request.
        ids: Names requests.
        timeout_s: Of the server: a deadline that is later says nothing.
    """

    def __init__(self, guard: Guard | None, recorder: Recorder, ids: RequestIds, timeout_s: float) -> None:
        self._guard = guard
        self._timeout_s = timeout_s
        self._recorder = recorder
        self._ids = ids

    def write_down(self, method: str, context: ServicerContext, refused: Refused) -> str:
        """Keep a call that never became a scoring request; by the name that is returned."""
        status = next((status for status in _STATUSES if code_of(status) is refused.code), 500)
        path = method if method.startswith("/") else f"/{SERVICE}/{method}"
        client, error = (
            self.client_of(context),
            refused.told if refused.told.startswith(refused.code.name) else f"{refused.code.name}: {refused.told}",
        )
        name = self.name_of(context)
        self._recorder.record_refused(status, name, "POST", path, client, 0, error, refused.principal)
        return name

    def name_of(self, context: ServicerContext) -> str:
        """What a call is named: as its client says, where that is harmless in a log; else a new name."""
        given = [value for key, value in context.invocation_metadata() or () if key == REQUEST_ID]
        headers = {REQUEST_ID.encode(): str(given[0]).encode("latin-1", "replace")} if len(given) == 1 else {}
        return self._ids.of(Request(Head("POST", "", headers=headers), b""))

    def client_of(self, context: ServicerContext) -> str:
        """The address of whoever calls, for logs."""
        return address_of(context.peer())

    def admit(self, need: Need, endpoint: str | None, head: Head, context: ServicerContext) -> RequestTerms:
        """The terms of a call, with its deadline.

        Raises:
            Refused: It may not pass.
        """
        terms = NO_TERMS
        if self._guard is not None and self._guard.has_business_with(head):
            found = self._guard.check(need, endpoint, head.headers, _peer_of(context))
            if isinstance(found, GuardRefusal):
                trailing = tuple((name.lower(), value) for name, value in found.headers)
                code = code_of(problem(found.error).status)
                raise Refused(code, found.error.message, trailing, found.told, found.principal)
            terms = found
        remaining = context.time_remaining()
        if remaining is None or remaining >= self._timeout_s:
            return terms
        return replace(terms, timeout_s=remaining if terms.timeout_s is None else min(remaining, terms.timeout_s))


def _peer_of(context: ServicerContext) -> Peer:
    proven: Mapping[str, Any] = context.auth_context() or {}
    alternative = [each.decode("utf-8", "replace") for each in proven.get("x509_subject_alternative_name", ())]
    common = [each.decode("utf-8", "replace") for each in proven.get("x509_common_name", ())]
    # gRPC does not say of which kind a name is; a URI holds what no DNS name may.
    named = [f"{'URI' if '://' in name else 'DNS'}:{name}" for name in alternative] + [f"CN:{name}" for name in common]
    return Peer(address_of(context.peer()), tuple(dict.fromkeys(sorted(named, key=_rank))), is_encrypted=bool(proven))


def _rank(name: str) -> int:
    return ("URI", "DNS", "CN").index(name.partition(":")[0])
