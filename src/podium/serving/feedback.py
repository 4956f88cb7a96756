"""Feedback: what people say of answers by their requests' ids, counted for the version that gave them.

    matched     counted now
    duplicate   was counted before; nothing changes
    unmatched   no such answer of this model is known here: never given, given too long ago, or by another server
    late        it was given before the window
    invalid     the report cannot be read
    full        so many reports are remembered that no more can be, or the label could not be handed on; try again later

A reward and a label of one answer may come apart: each counts once. Labels are handed on to the monitor, which holds them
against the answers that it remembers; also those of which nothing is known here any more, and those that came before, for
they may be corrections.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from podium.domain.feedback import LONGEST_ID, FeedbackReport, read_report, reports_in
from podium.errors import InvalidInput
from podium.serving.pages import Pages, Paths, Taker
from podium.serving.recording import Recorder
from podium.serving.walks.request_ids import is_sane_id
from podium.serving.walks.router import Router
from podium.telemetry.remembered import LARGEST_LABEL, Labelled
from podium.telemetry.served import Report, ServedRequests, stamp_ms_of
from podium.telemetry.slots import UNROUTED
from podium.web.handling import Arrival
from podium.web.messages import Head, Request, Response, header_lines
from podium.web.routes import detail

MOST_REPORTS = 1000
"""In one request: they are read by the gateway, where everybody else waits meanwhile."""
MOST_BYTES = 1 << 20
_AGAIN_S, _TRIES = 0.002, 500
_ORDER = (Report.MATCHED, Report.FULL, Report.DUPLICATE)
_ROW_WAYS = 8


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
        hand_labels: Hands labels on to the monitor, all or none; None: nobody wants them.
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
        hand_labels: Callable[[Sequence[Labelled]], bool] | None = None,
    ) -> None:
        self._loop = loop
        self._served = served
        self._recorder = recorder
        self._router = router
        self._pages = pages
        self._window_ms = int(1000 * window_s)
        self._label_of = label_of
        self._hand_labels = hand_labels

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

    def _read(self, name: str, request: Request) -> "Sequence[_Entry] | Response":
        if name not in self._router.table.endpoints:
            return detail(404, f"No model is served here as {name}. {self._router.table.listed}")
        if not self._window_ms:
            return detail(404, "This server takes no feedback: it was started with feedback_window 0.")
        if len(request.body) > MOST_BYTES:
            return detail(
                413, f"The body has {len(request.body)} bytes; expected at most {MOST_BYTES}. Send fewer at a time."
            )
        try:
            entries = reports_in(msgspec.json.decode(request.body))
        except (msgspec.DecodeError, RecursionError) as error:
            return detail(400, f"The body is not JSON: {error}")
        except InvalidInput as error:
            return detail(400, error.message)
        if len(entries) > MOST_REPORTS:
            return detail(
                413, f"The list has {len(entries)} reports; expected at most {MOST_REPORTS}. Send fewer at a time."
            )
        return [_Entry(each) for each in entries]

    def _try(self, name: str, entries: Sequence["_Entry"], request: Request, exchange: Arrival, tries: int) -> None:
        with self._served.locked() as is_mine:
            if is_mine:
                # First, so that no label is said to be taken that is nowhere.
                self._hand_on(name, entries)
                items = [self._item(name, entry) for entry in entries]
        if is_mine:
            self._pages.answer(request, exchange, _answer(items))
        elif tries:
            self._loop.call_later(_AGAIN_S, self._try, name, entries, request, exchange, tries - 1)
        else:
            busy = detail(503, "Another gateway takes reports now. Try again.", header_lines(("retry-after", "1")))
            self._pages.answer(request, exchange, busy)

    def _hand_on(self, name: str, entries: Sequence["_Entry"]) -> None:
        """Labels go to the monitor, whatever is known of their answers here: it remembers them for longer."""
        if self._hand_labels is None:
            return
        labels = [label for entry in entries if (label := entry.labelled(name)) is not None]
        is_taken = not labels or self._hand_labels(labels)
        for entry in entries:
            entry.is_kept = is_taken and entry.text is not None
            entry.is_full = not is_taken and entry.text is not None

    def _item(self, name: str, entry: "_Entry") -> dict[str, Any]:
        """Take one report; what is said of it."""
        said = entry.said
        if isinstance(said, InvalidInput):
            self._recorder.count_report(UNROUTED, Report.INVALID)
            return {"request_id": entry.request_id, "result": Report.INVALID, "reason": said.message}
        now_ms = int(time.monotonic() * 1000)
        found = self._served.answerer_of(name, said.request_id, now_ms)
        told: dict[str, Any] = {"request_id": said.request_id}
        if said.row is not None:
            told["row"] = said.row
        # A stamp is as old as the first of its ids: nobody's report is late by the clock of his own answer.
        lasts_ms = self._window_ms + 2 * stamp_ms_of(self._window_ms)
        if found is None or found.age_ms > lasts_ms:
            result = Report.FULL if entry.is_full else Report.UNMATCHED if found is None else Report.LATE
            self._recorder.count_report(UNROUTED, result)
            told["result"] = result
        else:
            told["result"] = result = self._count(name, found.series, said, entry.is_full, now_ms, now_ms + lasts_ms)
            told["version"] = self._label_of(found.series)
        if entry.is_kept and result is not Report.MATCHED:
            told["label"] = "kept"
        return told

    def _count(self, name: str, series: int, said: FeedbackReport, is_full: bool, now_ms: int, until_ms: int) -> Report:
        served, results = self._served, [Report.FULL] if is_full else []
        if said.reward is not None:
            result = served.take(served.mark_of("reward", name, said.request_id), now_ms, until_ms)
            results.append(result)
            if result is Report.MATCHED:
                self._recorder.count_reward(series, said.reward)
        if said.has_label and not is_full:
            result = self._take_label(name, said, now_ms, until_ms)
            results.append(result)
            if result is Report.MATCHED:
                self._recorder.count_label(series)
        # Whose label was not taken has to send it again, whatever became of the reward.
        order = (Report.FULL, Report.MATCHED, Report.DUPLICATE) if is_full else _ORDER
        whole = next(each for each in order if each in results)
        self._recorder.count_report(series, whole)
        return whole

    def _take_label(self, name: str, said: FeedbackReport, now_ms: int, until_ms: int) -> Report:
        served = self._served
        if said.row is None:
            return served.take(served.mark_of("label", name, said.request_id), now_ms, until_ms)
        # One answer may have very many rows: their labels leave room for other reports, and are taken where they find none.
        mark = served.mark_of("label", name, said.request_id, str(said.row))
        result = served.take(mark, now_ms, until_ms, ways=_ROW_WAYS)
        return Report.MATCHED if result is Report.FULL else result


class _Entry:
    """One report of a request.

    Attributes:
        said: What it says, or why it cannot be read.
        request_id: Of the answer; None where that cannot be read.
        text: Its label, JSON; None where it has none, or none of an answer that there may be.
        is_kept, is_full: The label was handed on, or could not be now.
    """

    __slots__ = ("is_full", "is_kept", "request_id", "said", "text")

    def __init__(self, entry: Any) -> None:
        self.is_kept = self.is_full = False
        self.text: str | None = None
        named = entry.get("request_id") if isinstance(entry, Mapping) else None
        self.request_id = named if isinstance(named, str) and len(named) <= LONGEST_ID else None
        self.said: FeedbackReport | InvalidInput
        try:
            self.said = said = read_report(entry)
            if said.has_label:
                text = msgspec.json.encode(said.label)
                if len(text) > LARGEST_LABEL:
                    raise InvalidInput(f"label: {len(text)} bytes of JSON; expected at most {LARGEST_LABEL}.")
                self.text = text.decode() if is_sane_id(said.request_id) else None
        except InvalidInput as error:
            self.said = error

    def labelled(self, model: str) -> Labelled | None:
        """What the monitor is told; None where there is nothing."""
        said = self.said
        if self.text is None or isinstance(said, InvalidInput):
            return None
        now = time.time()
        at = now if said.at is None else min(said.at, now)
        return Labelled(at, said.request_id, model, said.row, self.text, said.weight)


def _answer(items: Sequence[Mapping[str, Any]]) -> Response:
    counted = Counter(item["result"] for item in items)
    told = {result.value: counted.get(result, 0) for result in Report}
    status = 400 if items and counted[Report.INVALID] == len(items) else 200
    return Response(status, msgspec.json.encode({**told, "items": items}) + b"\n")
