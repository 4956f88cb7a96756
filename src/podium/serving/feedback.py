"""Feedback: what people say of answers by their requests' ids, counted for the version that gave them.

    matched     counted now
    duplicate   was counted before; nothing changes
    unmatched   no such answer of this model is known here: never given, given too long ago, or by another server
    late        it was given before the window
    invalid     the report cannot be read
    full        so many reports are remembered that no more can be; try again later

A reward and a label of one answer may come apart: each counts once.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from podium.domain.feedback import LONGEST_ID, FeedbackReport, read_report
from podium.errors import InvalidInput
from podium.serving.pages import Pages, Paths, Taker
from podium.serving.recording import Recorder
from podium.serving.walks.router import Router
from podium.telemetry.served import Report, ServedRequests, stamp_ms_of
from podium.telemetry.slots import UNROUTED
from podium.web.handling import Arrival
from podium.web.messages import Head, Request, Response, header_lines
from podium.web.routes import detail

MOST_REPORTS = 1000
"""In one request: they are read by the gateway, where everybody else waits meanwhile."""
MOST_BYTES = 1 << 20
_AGAIN_S, _TRIES = 0.002, 500


class Feedback:
    """Takes reports. Event loop's thread only.

    Args:
        loop: The event loop.
        served: Knows who answered what, and what was reported.
        recorder: Counts.
        router: Knows the models.
        pages: Answers.
        window_s: How long after an answer reports on it are taken; 0: never.
        label_of: Names the version of a series.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        served: ServedRequests,
        recorder: Recorder,
        router: Router,
        pages: Pages,
        window_s: float,
        label_of: Callable[[int], str | None],
    ) -> None:
        self._loop = loop
        self._served = served
        self._recorder = recorder
        self._router = router
        self._pages = pages
        self._window_ms = int(1000 * window_s)
        self._label_of = label_of

    def paths(self) -> Paths:
        """Where reports are sent."""
        return {"/models/{name}/feedback": {"POST": self._find}}

    def _find(self, _: Head, name: str) -> Taker:
        return partial(self._take, name)

    def _take(self, name: str, request: Request, exchange: Arrival) -> None:
        entries = self._read(name, request)
        if isinstance(entries, Response):
            self._pages.answer(request, exchange, entries)
        else:
            self._try(name, entries, request, exchange, _TRIES)

    def _read(self, name: str, request: Request) -> Sequence[Any] | Response:
        if name not in self._router.table.endpoints:
            return detail(404, f"No model is served here as {name}. {self._router.table.listed}")
        if not self._window_ms:
            return detail(404, "This server takes no feedback: it was started with feedback_window 0.")
        if len(request.body) > MOST_BYTES:
            return detail(
                413, f"The body has {len(request.body)} bytes; expected at most {MOST_BYTES}. Send fewer at a time."
            )
        try:
            told = msgspec.json.decode(request.body)
        except (msgspec.DecodeError, RecursionError) as error:
            return detail(400, f"The body is not JSON: {error}")
        entries = told if isinstance(told, list) else [told]
        if len(entries) > MOST_REPORTS:
            return detail(
                413, f"The list has {len(entries)} reports; expected at most {MOST_REPORTS}. Send fewer at a time."
            )
        return entries

    def _try(self, name: str, entries: Sequence[Any], request: Request, exchange: Arrival, tries: int) -> None:
        with self._served.locked() as is_mine:
            if is_mine:
                items = [self._item(name, entry) for entry in entries]
        if is_mine:
            self._pages.answer(request, exchange, _answer(items))
        elif tries:
            self._loop.call_later(_AGAIN_S, self._try, name, entries, request, exchange, tries - 1)
        else:
            busy = detail(503, "Another gateway takes reports now. Try again.", header_lines(("retry-after", "1")))
            self._pages.answer(request, exchange, busy)

    def _item(self, name: str, entry: Any) -> dict[str, Any]:
        """Take one report; what is said of it."""
        try:
            said = read_report(entry)
        except InvalidInput as error:
            self._recorder.count_report(UNROUTED, Report.INVALID)
            named = entry.get("request_id") if isinstance(entry, Mapping) else None
            known = named if isinstance(named, str) and len(named) <= LONGEST_ID else None
            return {"request_id": known, "result": Report.INVALID, "reason": error.message}
        now_ms = int(time.monotonic() * 1000)
        found = self._served.answerer_of(name, said.request_id, now_ms)
        # A stamp is as old as the first of its ids: nobody's report is late by the clock of his own answer.
        lasts_ms = self._window_ms + 2 * stamp_ms_of(self._window_ms)
        if found is None or found.age_ms > lasts_ms:
            result = Report.UNMATCHED if found is None else Report.LATE
            self._recorder.count_report(UNROUTED, result)
            return {"request_id": said.request_id, "result": result}
        result = self._count(name, found.series, said, now_ms, now_ms + lasts_ms)
        return {"request_id": said.request_id, "result": result, "version": self._label_of(found.series)}

    def _count(self, name: str, series: int, said: FeedbackReport, now_ms: int, until_ms: int) -> Report:
        served, results = self._served, []
        if said.reward is not None:
            result = served.take(served.mark_of("reward", name, said.request_id), now_ms, until_ms)
            results.append(result)
            if result is Report.MATCHED:
                self._recorder.count_reward(series, said.reward)
        if said.has_label:
            result = served.take(served.mark_of("label", name, said.request_id), now_ms, until_ms)
            results.append(result)
            if result is Report.MATCHED:
                self._recorder.count_label(series)
        whole = next(each for each in (Report.MATCHED, Report.FULL, Report.DUPLICATE) if each in results)
        self._recorder.count_report(series, whole)
        return whole


def _answer(items: Sequence[Mapping[str, Any]]) -> Response:
    counted = Counter(item["result"] for item in items)
    told = {result.value: counted.get(result, 0) for result in Report}
    status = 400 if items and counted[Report.INVALID] == len(items) else 200
    return Response(status, msgspec.json.encode({**told, "items": items}) + b"\n")
