"""A finished request as a REPLY frame: the prediction, or the problem in its place."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from podium.domain.dialect import Dialect
from podium.domain.frames import is_frame
from podium.errors import InvalidInput, PredictFailed, UnencodableOutput
from podium.protocols.mlflow.codec import encode
from podium.protocols.mlflow.pieces import encode_pieces
from podium.protocols.mlflow.problems import problem
from podium.protocols.tensors import CONTENT_TYPE as TENSORS
from podium.transport.frames import DEFAULT_LIMIT, Answers, Reply, encode_answers, encode_reply
from podium.worker.inbox import Job
from podium.worker.log import log_event, traceback_of
from podium.worker.planned import Group
from podium.worker.rows import split

_JSON = "application/json"
_OK = 200
_NO_CONTENT = 204
_FRAME_ROOM = 1024


class Cost(NamedTuple):
    """What a request's batch was and took. `batch_rows` is 0 where no prediction was made."""

    batch_rows: int = 0
    started_ns: int = 0
    predict_ns: int = 0
    is_first: bool = False


NO_PREDICTION = Cost()


def answer(job: Job, output: Any, cost: Cost, dialect: Dialect) -> None:
    """Send a prediction; one that has no form in the protocol becomes this request's problem and nobody else's."""
    try:
        writer = job.writer
        body = encode(output, job.is_enveloped, dialect) if writer is None else writer.write(output)
        if len(body) > DEFAULT_LIMIT - _FRAME_ROOM:
            raise UnencodableOutput(f"The prediction has {len(body)} bytes when written; the limit is {DEFAULT_LIMIT}.")
    except BaseException as error:  # noqa: BLE001 - objects of the model's own are asked for their values here
        refuse(job, error, cost)
        return
    _send(job, _OK, _JSON if writer is None else writer.content_type, body, cost)


def answer_groups(groups: Sequence[Group], output: Any, cost: Cost, dialect: Dialect, form: int = 0) -> None:
    """Send each request of the groups its own part of one prediction; `form` as in `transport.frames.Answers`.

    Raises:
        RowsDiffer: The prediction cannot be shared out; nothing was sent.
    """
    sizes: Sequence[int] = groups[0].sizes if len(groups) == 1 else [size for group in groups for size in group.sizes]
    bodies = encode_pieces(output, sizes)
    if bodies is None or sum(map(len, bodies)) > DEFAULT_LIMIT - _FRAME_ROOM or _must_be_rewritten(bodies, dialect):
        _answer_each(groups, output, sizes, cost, dialect)
        return
    start = 0
    for group in groups:
        stop = start + group.requests
        group.link.send(
            encode_answers(
                Answers(
                    group.id,
                    bodies[start:stop],
                    cost.batch_rows,
                    (cost.started_ns - group.arrived_ns) // 1000,
                    cost.predict_ns // 1000,
                    cost.is_first,
                    form,
                    cost.started_ns,
                )
            )
        )
        start = stop
        if group.link.is_open and start < len(bodies):
            cost = cost._replace(is_first=False)


def _must_be_rewritten(bodies: Sequence[bytes], dialect: Dialect) -> bool:
    return dialect.nan != "bare" and any(b"NaN" in body or b"Infinity" in body for body in bodies)


def _answer_each(groups: Sequence[Group], output: Any, sizes: Sequence[int], cost: Cost, dialect: Dialect) -> None:
    # What one request alone gets back is its answer, whatever it is made of.
    parts = [output] if len(sizes) == 1 else split(output, sizes)
    position = 0
    for group in groups:
        for job in group.singles():
            answer(job, parts[position + job.id - group.id], cost, dialect)
            if job.link.is_open:
                cost = cost._replace(is_first=False)
        position += group.requests


def refuse(job: Job, error: BaseException, cost: Cost = NO_PREDICTION) -> None:
    """Send the problem that an error is, and write it down unless the request itself was at fault."""
    if not isinstance(error, InvalidInput):
        _log(job, error)
    found = problem(error, job.request_id or None)
    # MLflow calls a model that fails the client's fault; to other protocols it is the server's, if it was given rows.
    is_others = job.writer is not None and job.writer.content_type == TENSORS
    is_models_fault = is_others and job.rows > 0 and isinstance(error, PredictFailed) and found.status == 400
    status = 500 if is_models_fault and not _has_gaps(job.data) else found.status
    _send(job, status, found.content_type, found.body, cost, is_fault=not isinstance(error, InvalidInput))


def _has_gaps(data: Any) -> bool:
    """Whether a number of an input is missing or infinite: many models refuse such, and rightly blame the client."""
    names = list(data) if isinstance(data, dict) or is_frame(data) else None
    columns = [data] if names is None else [data[name] for name in names]
    arrays = [np.asarray(column) for column in columns]
    return any(array.dtype.kind == "f" and not np.isfinite(array).all() for array in arrays)


def expire(job: Job, error: BaseException) -> None:
    """Send the problem of a request whose time ran out before it cost a prediction."""
    found = problem(error, job.request_id or None)
    _send(job, found.status, found.content_type, found.body, NO_PREDICTION)


def end_stream(job: Job, cost: Cost) -> None:
    """Say that an answer in parts is whole."""
    _send(job, _NO_CONTENT, "", b"", cost)


def _send(job: Job, status: int, content_type: str, body: bytes, cost: Cost, is_fault: bool = False) -> None:
    queued_ns = cost.started_ns - job.arrived_ns if cost.started_ns else 0
    job.link.send(
        encode_reply(
            Reply(
                job.id,
                status,
                content_type,
                body,
                job.rows,
                cost.batch_rows,
                queued_ns // 1000,
                cost.predict_ns // 1000,
                cost.is_first,
                is_fault,
                cost.started_ns,
            )
        )
    )


def _log(job: Job, error: BaseException) -> None:
    cause = error.__cause__ if isinstance(error, PredictFailed) and error.__cause__ is not None else error
    log_event(
        "prediction_failed",
        request_id=job.request_id,
        rows=job.rows,
        error=type(cause).__name__,
        traceback=traceback_of(error),
    )
