"""Scoring a file: batches asked in parallel within a bound, answers taken in order, bad rows found by halving."""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from podium.client.asynchronous import AsyncClient
from podium.client.files.csv_rows import CsvRows
from podium.client.files.journal import Progress, ProgressJournal, content_print, fingerprint
from podium.client.files.json_rows import JsonRows
from podium.client.files.outputs import PREDICTION, write_output
from podium.client.files.parquet_rows import ParquetRows
from podium.client.files.rows import Row, RowBatch, RowSource
from podium.errors import (
    DeadlineExceeded,
    InvalidInput,
    Misconfigured,
    NotFound,
    Overloaded,
    PermissionDenied,
    PodiumError,
    TooManyBadRows,
    Unauthenticated,
    Unavailable,
    UnsupportedContentType,
)

FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".pq": "parquet"}
_FIRST_S = 10.0
_RETRIES = 200  # as often as there is time for: a server that is started anew is away for some seconds
# What no other row would be answered better to.
_ENDS = (
    DeadlineExceeded, NotFound, Overloaded, PermissionDenied, Unauthenticated, Unavailable, UnsupportedContentType,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FileOrder:
    """What is scored, where to and how.

    Args:
        source: The file of rows.
        output: Where the answers go.
        form: Of the input: `csv`, `jsonl` or `parquet`.
        output_form: Of the output.
        model: Which of a server's models; None is its default.
        params: The model's params, for each request.
        keep: Columns of the input that stand beside the answers.
        batch_rows: The most rows in one request.
        parallel: The most requests at once.
        timeout_s: For each request, with all its tries.
        max_errors: With more bad rows than that, the run ends.
        is_fresh: Begin anew, whatever an earlier run left.
        is_piped: The source is a copy of what came through a pipe, and is known again by its content alone.
    """

    source: Path
    output: Path
    form: str
    output_form: str
    model: str | None = None
    params: dict[str, Any] | None = None
    keep: tuple[str, ...] = ()
    batch_rows: int = 500
    parallel: int = 4
    timeout_s: float = 60.0
    max_errors: int = 1000
    is_fresh: bool = False
    is_piped: bool = False

    def same(self) -> dict[str, Any]:
        """What must be the same for a run that goes on where another ended. Who is asked may move."""
        return {
            "input": content_print(self.source) if self.is_piped else fingerprint(self.source),
            "form": self.form,
            "model": self.model,
            "params": self.params,
            "keep": list(self.keep),
        }


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run is: rows and bad ones so far, and which part of the file (0 to 1)."""

    rows: int
    bad_rows: int
    part: float


@dataclass(slots=True)
class _Scored:
    """What became of a batch, by row number."""

    answers: dict[int, dict[str, Any]] = field(default_factory=dict)
    faults: dict[int, str] = field(default_factory=dict)
    versions: list[str] = field(default_factory=list)


def score_file(url: str, order: FileOrder, tell: Callable[[RunProgress], None], api_key: str | None = None) -> Progress:
    """Score each row of a file, once, in order; goes on where an earlier run of the same order ended.

    Args:
        url: The server's.
        order: What is done.
        tell: Called now and then, in this thread.
        api_key: As for `Client`.

    Returns: What was done; `bad_rows` of them lie beside the output.

    Raises:
        InvalidInput: The file cannot be read, or an earlier run did something else.
        TooManyBadRows: More than `max_errors`.
        PodiumError: Whatever the server answered that is true of every row. What was done is kept.
    """
    if not order.output.absolute().parent.is_dir():
        raise InvalidInput(f"{order.output} cannot be written: there is no folder {order.output.absolute().parent}.")
    try:
        source = _source(order)
    except OSError as error:
        raise InvalidInput(f"{order.source} cannot be read: {error.strerror or error}.") from error
    if order.output.exists() and order.output.samefile(order.source):
        raise InvalidInput(f"{order.output} is the file of rows itself; name another output.")
    with ProgressJournal(order.output, order.same(), order.is_fresh) as journal:
        asyncio.run(_score_all(url, order, source, journal, tell, api_key))
        journal.sync()
        write_output(journal.part, order.output, order.output_form)
        journal.remove()
        return journal.progress


def _source(order: FileOrder) -> RowSource:
    if order.form == "jsonl":
        return JsonRows(order.source, order.keep, order.params)
    if order.params:
        raise Misconfigured(f"Params travel with JSON only; a {order.form} file has no room for them. Use JSON lines.")
    return CsvRows(order.source, order.keep) if order.form == "csv" else ParquetRows(order.source, order.keep)


async def _score_all(
    url: str,
    order: FileOrder,
    source: RowSource,
    journal: ProgressJournal,
    tell: Callable[[RunProgress], None],
    api_key: str | None,
) -> None:
    waiting: deque[tuple[RowBatch, asyncio.Task[_Scored]]] = deque()
    options: dict[str, Any] = {"timeout": order.timeout_s, "retries": _RETRIES, "connections": order.parallel}
    async with AsyncClient(url, api_key=api_key, **options) as client:
        await _meet(client, min(order.timeout_s, _FIRST_S))
        gate = asyncio.Semaphore(order.parallel)
        scorer = _Scorer(client, gate, source, order)
        try:
            for batch in source.batches(journal.progress.end, order.batch_rows):
                waiting.append((batch, asyncio.create_task(scorer.score(batch))))
                # One more than run, so that the next one is read while the others are answered.
                if len(waiting) > order.parallel:
                    await _take(*waiting.popleft(), source, order, journal, tell)
            while waiting:
                await _take(*waiting.popleft(), source, order, journal, tell)
        finally:
            for _, task in waiting:
                task.cancel()
            await asyncio.gather(*(task for _, task in waiting), return_exceptions=True)


async def _meet(client: AsyncClient, limit_s: float) -> None:
    """See that somebody answers: an address that is wrong is not waited for as long as a server that was there before.

    Raises:
        Unavailable: Nobody is.
    """
    try:
        await client.wait_until_ready(deadline=limit_s)
    except DeadlineExceeded as error:
        if error.__cause__ is not None:
            raise Unavailable(error.message) from error
    except Unavailable:
        raise
    except PodiumError:
        return  # It answers, and has no such path: another server than podium's or MLflow's.


async def _take(
    batch: RowBatch,
    task: "asyncio.Task[_Scored]",
    source: RowSource,
    order: FileOrder,
    journal: ProgressJournal,
    tell: Callable[[RunProgress], None],
) -> None:
    scored = await task
    bad_rows = journal.reached.bad_rows + len(scored.faults)
    if bad_rows > order.max_errors:
        first = min(scored.faults)
        raise TooManyBadRows(
            f"{bad_rows} of the first {batch.end.row} rows could not be scored, where {order.max_errors} may be. "
            f"Row {first}: {scored.faults[first]}. The same command with a larger --max-errors goes on."
        )
    answers = [
        json.dumps({**source.kept(row, order.keep), **scored.answers.get(row.number, {})}, ensure_ascii=False, default=str)
        for row in batch.rows
    ]
    faults = [
        json.dumps(
            {"row": row.number, "reason": scored.faults[row.number], "input": source.shown(row)},
            ensure_ascii=False,
            default=str,
        )
        for row in batch.rows
        if row.number in scored.faults
    ]
    journal.add(answers, faults, batch.end, scored.versions)
    tell(RunProgress(batch.end.row, journal.reached.bad_rows, batch.end.offset / source.size if source.size else 1.0))


class _Scorer:
    """Asks for batches.

    Args:
        client: Whom to ask.
        gate: Bounds the requests in flight.
        source: Makes requests of rows.
        order: What is asked for.
    """

    def __init__(self, client: AsyncClient, gate: asyncio.Semaphore, source: RowSource, order: FileOrder) -> None:
        self._client = client
        self._gate = gate
        self._source = source
        self._order = order

    async def score(self, batch: RowBatch) -> _Scored:
        """All rows of a batch; a row that is refused is alone with that."""
        scored = _Scored(faults={row.number: row.fault for row in batch.rows if row.fault is not None})
        sound = [row for row in batch.rows if row.fault is None]
        for group in self._source.alike(sound) if sound else ():
            await self._score(group, scored)
        return scored

    async def _score(self, rows: Sequence[Row], scored: _Scored) -> None:
        try:
            answers, version = await self._ask(rows)
        except _ENDS:
            raise
        except PodiumError as error:
            if len(rows) == 1:
                scored.faults[rows[0].number] = _reason(error)
                return
            middle = len(rows) // 2
            await self._score(rows[:middle], scored)
            await self._score(rows[middle:], scored)
            return
        scored.answers |= {row.number: answer for row, answer in zip(rows, answers, strict=True)}
        if version and version not in scored.versions:
            scored.versions.append(version)

    async def _ask(self, rows: Sequence[Row]) -> tuple[list[dict[str, Any]], str]:
        body = self._source.body(rows)
        async with self._gate:
            raw = await self._client.predict_raw(body, self._order.model, content_type=self._source.content_type)
        try:
            content = raw.json()
        except ValueError as error:
            raise PodiumError(f"the answer is not JSON: {error}") from error
        return _answers(content, len(rows)), raw.version


def _answers(content: Any, rows: int) -> list[dict[str, Any]]:
    """One object for each row.

    Raises:
        PodiumError: The model answered for more rows or fewer.
    """
    predictions = content.get("predictions", content) if isinstance(content, dict) else content
    if isinstance(predictions, dict) and all(isinstance(each, list) and len(each) == rows for each in predictions.values()):
        names = list(predictions)
        return [dict(zip(names, row, strict=True)) for row in zip(*predictions.values(), strict=True)]
    if not isinstance(predictions, list) or len(predictions) != rows:
        got = len(predictions) if isinstance(predictions, list) else "something else"
        raise PodiumError(f"the model answered with {got} predictions for {rows} rows")
    return [each if isinstance(each, dict) else {PREDICTION: each} for each in predictions]


def _reason(error: PodiumError) -> str:
    known = f" (request {error.request_id})" if error.request_id else ""
    return " ".join(error.message.split()) + known
