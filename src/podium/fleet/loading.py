"""Loading and unloading while the server runs: what is asked for by "load", "unload" and "index", and what came of it.

Whoever asks has a deadline of his own; the work goes on without him, and who asks again joins it.
"""

import asyncio
import logging
from collections.abc import Coroutine
from functools import partial
from typing import Any

from podium.errors import InvalidInput, Misconfigured, ModelError, NotFound, PodiumError, RegistryError
from podium.fleet.asks import ENDING, Reply
from podium.fleet.endpoint import Endpoint
from podium.fleet.loose_threads import LooseThreads
from podium.fleet.roster import Roster
from podium.fleet.site import Catalogue, NotAllowed, Site

_MOST_ASKED = 256
_THREADS = 4
_LONGEST_S = 3600.0
_ROOM_S = 30.0
_log = logging.getLogger("podium.fleet")
_Said = tuple[int, dict[str, Any]]


class LoadVerbs:
    """Answers the verbs.

    Args:
        site: The server's.
        roster: Who is there.
        catalogue: What may be loaded.
    """

    def __init__(self, site: Site, roster: Roster, catalogue: Catalogue) -> None:
        self._site = site
        self._roster = roster
        self._catalogue = catalogue
        self._asked = 0
        # Of its own: a store that hangs holds up no copy and no log of other models, and not the server's end.
        self._threads = LooseThreads(_THREADS, "podium-loading")
        site.asks.learn("load", self.load)
        site.asks.learn("unload", self.unload)
        site.asks.learn("index", self.index)

    def load(self, name: str, arguments: dict[str, Any], reply: Reply) -> None:
        """Serve a model: 200 once every gateway routes to it; what is loaded and unchanged is left alone.

        Args:
            name: Public name.
            arguments: `uri` (or that of `parameters`, as protocols have it), where it is not the catalogue's; `is_new`,
                where a name that is taken is 409.
            reply: Called with {name, version, state}, or with why not, while what served before goes on.
        """
        parameters = arguments.get("parameters")
        uri = arguments.get("uri", parameters.get("uri") if isinstance(parameters, dict) else None)
        if uri is not None and not isinstance(uri, str):
            reply(400, {"error": f"The uri of {name} is no text."})
            return
        self._work(self._load(name, uri, is_new=arguments.get("is_new") is True), reply)

    def unload(self, name: str, _: dict[str, Any], reply: Reply) -> None:
        """Serve a model no more: 200 once the last request in flight is answered and its memory is given back."""
        self._work(self._unload(name), reply)

    def index(self, _: str, arguments: dict[str, Any], reply: Reply) -> None:
        """Every model that is served or could be: name, version, state and reason, by the protocol's words for states.

        With `ready` those that answer.
        """
        entries = [_entry(endpoint) for endpoint in self._roster.endpoints.values()]
        absent = sorted({*self._catalogue.names(), *self._roster.dismissed} - self._roster.endpoints.keys())
        models = [*entries, *map(self._absent, absent)]
        if arguments.get("ready") is True:
            models = [each for each in models if each["state"] == "READY"]
        reply(200, {"models": models})

    def _absent(self, name: str) -> dict[str, Any]:
        """What is said of a model that is not served, and could be."""
        gone = self._roster.dismissed.get(name)
        if gone is None:
            return {"name": name, "version": "", "state": "UNAVAILABLE", "reason": "not loaded"}
        return {"name": name, "version": gone.version, "state": "UNAVAILABLE", "reason": "unloaded, as somebody asked"}

    def _work(self, doing: Coroutine[Any, Any, _Said], reply: Reply) -> None:
        refusal = self._catalogue.forbid()
        if refusal is not None or self._asked >= _MOST_ASKED:
            doing.close()
            busy = f"{_MOST_ASKED} models are being loaded or unloaded; that is as many as are taken at a time."
            reply(503 if refusal is None else 403, {"error": refusal or busy})
            return
        self._asked += 1
        self._site.asks.work(self._site.tasks, self._do(doing, reply), "loading")

    async def _do(self, doing: Coroutine[Any, Any, _Said], reply: Reply) -> None:
        try:
            status, body = await doing
        except asyncio.CancelledError:
            reply(503, ENDING)
            raise
        except (PodiumError, OSError) as error:
            status, body = _status_of(error), {"error": _text_of(error)}
        except Exception:  # noqa: BLE001 - whoever asks may not end what serves
            _log.exception("what was asked for failed")
            status, body = 500, {"error": "That failed; the server's log says why."}
        finally:
            self._asked -= 1
        reply(status, body)

    async def _load(self, name: str, uri: str | None, *, is_new: bool) -> _Said:
        bell = self._site.bell
        endpoint = self._present(name)
        if endpoint is not None and is_new and not endpoint.is_hopeless:
            return 409, {"error": f"A model is served here as {name} already."}
        if endpoint is not None and uri in {None, str(endpoint.order.reference)}:
            await endpoint.refresh(self._threads)
        else:
            gone = self._roster.dismissed.get(name)
            if uri is None and gone is not None and name not in self._catalogue.names():
                uri = gone.uri
            order = await self._threads.run(partial(self._catalogue.order, name, uri))
            await bell.until(lambda: name not in self._roster.endpoints or self._present(name) is not None, _LONGEST_S)
            endpoint = self._present(name)
            if endpoint is None:
                endpoint = self._roster.open(order, is_asleep=True)
            elif endpoint.order.reference != order.reference:
                endpoint.refer(order)
        endpoint.retry()
        short = await self._site.residency.admit(endpoint, _ROOM_S)
        if short is not None:
            return 507, {"error": f"{name} is not loaded. {short.message}"}
        await bell.until(lambda: endpoint.is_leaving or endpoint.has_arrived or endpoint.failure() is not None, _LONGEST_S)
        if endpoint.is_leaving:
            return 409, {"error": f"{name} was unloaded while it was loaded."}
        failure = endpoint.failure()
        if failure is not None:
            rest = f" Version {endpoint.serving} keeps serving." if endpoint.serving else ""
            return (404 if failure.cause == "not_found" else 400), {"error": f"{name}: {failure.message}{rest}"}
        if not endpoint.has_arrived:
            return 504, {"error": f"{name} is still being loaded."}
        return 200, _entry(endpoint)

    async def _unload(self, name: str) -> _Said:
        endpoint = self._roster.endpoints.get(name)
        if endpoint is None:
            return 404, {"error": f"No model is served here as {name}."}
        self._roster.dismiss(name)
        # This one: another may have its name before anybody looks.
        await self._site.bell.until(lambda: self._roster.endpoints.get(name) is not endpoint, _LONGEST_S)
        return 200, {"name": name}

    def _present(self, name: str) -> Endpoint | None:
        endpoint = self._roster.endpoints.get(name)
        return None if endpoint is None or endpoint.is_leaving else endpoint


def _entry(endpoint: Endpoint) -> dict[str, Any]:
    failure = endpoint.failure()
    reason = "" if failure is None else failure.message
    if endpoint.is_leaving:
        state = "UNLOADING"
    elif endpoint.serving is not None:
        state = "READY"
    elif endpoint.is_hopeless:
        state = "UNAVAILABLE"
    elif endpoint.is_asleep:
        state, reason = "READY", reason or "asleep: it is loaded when it is asked"
    else:
        state = "LOADING"
    return {
        "name": endpoint.name,
        "version": endpoint.serving or endpoint.wanted or "",
        "state": state,
        "reason": reason,
        "uri": str(endpoint.order.reference),
    }


def _status_of(error: PodiumError | OSError) -> int:
    match error:
        case NotFound():
            return 404
        case NotAllowed():
            return 403
        case RegistryError():
            return 503
        case InvalidInput() | ModelError() | Misconfigured():
            return 400
        case _:
            return 500


def _text_of(error: PodiumError | OSError) -> str:
    return error.message if isinstance(error, PodiumError) else (error.strerror or str(error))
