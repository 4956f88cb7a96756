"""`podium monitor compare`: rows of now beside rows of before, without a model or a server."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from podium.domain.frames import is_frame
from podium.domain.monitoring.batches import columns_of
from podium.domain.monitoring.choosing import choices_of
from podium.domain.monitoring.counting import BatchCounter, Layout
from podium.domain.monitoring.findings import Check, ColumnFinding, judge, watch
from podium.domain.monitoring.multivariate import JointFinding, judge_together
from podium.domain.monitoring.profile import Profile
from podium.domain.monitoring.reconstruction import encoded
from podium.domain.monitoring.windows import Span
from podium.errors import InvalidInput, PodiumError
from podium.models.profiles import make_profile
from podium.models.reference_data import ReferenceData, chunks_of
from podium.models.row_sample import RowSample, joined
from podium.models.telling_apart import ToldApart, tell_apart
from podium.monitoring.drift_methods import methods_said
from podium.protocols.mlflow.codec import decode

_PAYLOAD = ("request_id", "request", "request_content_type", "status_code")
_OK = 200
_NO_TIME = Span(0, 1)


@dataclass(frozen=True, slots=True)
class Compared:
    """What two files' rows show beside each other.

    Attributes:
        profile: Of the reference.
        rows: Of the other file.
        passed_over: Of a payload log: requests without rows that can be read.
        findings: Each column's.
        together: All columns together; None where there are fewer than two that can be.
        told_apart: By the classifier; None where it was not asked.
    """

    profile: Profile
    rows: int
    passed_over: int
    findings: tuple[ColumnFinding, ...]
    together: JointFinding | None
    told_apart: ToldApart | None


def compare_rows(
    reference: Path,
    current: Path,
    left_out: Sequence[str] = (),
    drift: Sequence[str] = (),
    *,
    has_classifier: bool = True,
    seed: int = 0,
) -> Compared:
    """Hold the rows of one file against those of another.

    Args:
        reference: Rows of before: CSV, Parquet, JSON lines, or a file of the payload log.
        current: Rows of now; likewise.
        left_out: Columns that are not compared.
        drift: By which methods columns are scored, each as `domain.monitoring.choosing.SaidMethod.of` reads it.
        has_classifier: Whether to ask a classifier, too, which takes seconds and scikit-learn.
        seed: Of the classifier's.

    Raises:
        NotFound: A file is not there.
        InvalidInput: It cannot be read, has no rows, the two have no column in common, or a column cannot be scored so.
        MissingDependency: pandas, pyarrow or scikit-learn is not installed.
    """
    said = methods_said(drift)
    before, now = _Rows(reference), _Rows(current)
    known = RowSample()
    # As the profile is made they are seen.
    data = ReferenceData(lambda: _seen(before, known), predictions=False, left_out=left_out)
    profile = make_profile(data, None, None, datetime.now(UTC)).profile
    choices = choices_of(*said, profile)
    if choices.problems:
        raise InvalidInput(" ".join(choices.problems))
    sample, counter = RowSample(), BatchCounter(Layout(profile))
    for frame in now:
        columns = columns_of(frame, None)
        counter.add(len(frame), columns, {})
        sample.add({"columns": {name: columns.get(name) for name in profile.columns if name in columns}})
    counts = counter.counts()
    if not counts.rows:
        raise InvalidInput(f"{current} has no rows to compare.")
    columns = sample.part("columns") or {}
    if not columns:
        named = ", ".join(map(repr, list(profile.columns)[:10]))
        raise InvalidInput(f"{current} has none of the columns of {reference}: {named}.")
    told = None
    if has_classifier:
        told = tell_apart(profile.columns, known.part("columns"), columns, seed)
    findings = tuple(judge(watch(profile, counts, choices=choices.by_column), _NO_TIME))
    return Compared(profile, counts.rows, now.passed_over, findings, _together(profile, columns), told)


def as_json(found: Compared) -> dict[str, Any]:
    """For programs: `rows`, `reference_rows`, `columns`, `together`, `classifier`."""
    columns: dict[str, dict[str, Any]] = {}
    for each in found.findings:
        columns.setdefault(each.name, {"name": each.name, "checks": {}})["checks"][each.check.value] = {
            "verdict": each.verdict.value,
            "method": each.method,
            "score": each.score,
            "warn": each.warn,
            "alert": each.alert,
            "usual": each.usual,
            "psi": each.psi,
            "critical": each.critical,
            "rows": each.rows,
            "reference_rows": each.reference_rows,
        }
    told = found.told_apart
    return {
        "rows": found.rows,
        "reference_rows": found.profile.source.rows,
        "passed_over": found.passed_over,
        "columns": sorted(columns.values(), key=_nearness, reverse=True),
        "left_out": dict(found.profile.left_out),
        "together": None if found.together is None else _joint(found.together),
        "classifier": None
        if told is None
        else _joint(told.finding)
        | {
            "interval": [told.low, told.high],
            "p_value": told.p_value,
            "reference_rows": told.reference_rows,
            "columns": [{"name": name, "fall": fall} for name, fall in told.columns],
        },
    }


def _joint(found: JointFinding) -> dict[str, Any]:
    return {
        "method": found.method,
        "verdict": found.verdict.value,
        "score": found.score,
        "low": found.low,
        "high": found.high,
        "rows": found.rows,
    }


def _nearness(column: Mapping[str, Any]) -> float:
    drift = column["checks"][Check.DRIFT.value]
    return drift["score"] / drift["alert"] if drift["score"] is not None and drift["alert"] else 0.0


def _together(profile: Profile, columns: Mapping[str, Any]) -> JointFinding | None:
    together = profile.multivariate
    if together is None:
        return None
    there = {name: columns.get(name) for name in together.columns}
    return judge_together(together, together.rows, encoded(profile.columns, together.columns, there))


def _seen(rows: "_Rows", sample: RowSample) -> Iterator[Any]:
    for frame in rows:
        sample.add({"columns": columns_of(frame, None)})
        yield frame


class _Rows:
    """A file's rows as data frames; of a payload log those of its requests."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.passed_over = 0

    def __iter__(self) -> Iterator[Any]:
        for chunk in chunks_of(ReferenceData(self._path, predictions=False)):
            frame = chunk.inputs
            if not set(_PAYLOAD) <= set(map(str, frame.columns)):
                yield frame
                continue
            asked = [each for each in map(self._asked, *(frame[name] for name in _PAYLOAD[1:])) if each is not None]
            if asked:
                yield joined(asked)

    def _asked(self, request: Any, content_type: Any, status: Any) -> Any:
        """What a request asked; None where it failed, was not kept, or is not of rows with named columns."""
        if status != _OK or not isinstance(request, str) or not request:
            return None
        try:
            data = decode(request.encode(), str(content_type), None).data
        except (PodiumError, ValueError):
            data = None
        if not is_frame(data):
            self.passed_over += 1
            return None
        return data
