"""Makes the monitoring profile of a model from its reference rows, and keeps it in the model's folder.

One pass over the rows, a second one where they have times; what needs rows beside each other (asking the model, quality,
columns together) goes by an even sample of at most 20,000. A column that cannot be profiled is left out, with the reason.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from podium.domain.monitoring.batches import Answered, answers_of, columns_of, rows_at, rows_in
from podium.domain.monitoring.columns import Privacy
from podium.domain.monitoring.counting import Layout
from podium.domain.monitoring.features import Features, features_of
from podium.domain.monitoring.multivariate import can_be_together, fitted
from podium.domain.monitoring.profile import PROFILE_PATH, CategoryProfile, Profile, Source, SourceKind
from podium.domain.monitoring.profile_reading import read_profile
from podium.domain.monitoring.profiling import Profiler, concerns
from podium.domain.monitoring.quality.reference import measured
from podium.domain.monitoring.quality.tasks import LAWS
from podium.domain.monitoring.reconstruction import encoded
from podium.domain.monitoring.variation import Days, Hours, with_variation
from podium.domain.signature import AnyType, ColumnSchema, Schema, Signature
from podium.errors import InvalidInput
from podium.models.aligning import aligned
from podium.models.reference_data import Chunk, ReferenceData, chunks_of
from podium.models.row_sample import RowSample, joined
from podium.settings.hash_key import hash_key_in
from podium.settings.whole_files import write_whole

PROFILE_ID = "podium.profile_id"

# What asking the model may cost: so long, in calls of so many rows.
ASK_SECONDS = 30.0
ASK_ROWS = 1000


@dataclass(frozen=True, slots=True)
class AskedModel:
    """A model that may be asked what it answers to reference rows.

    Attributes:
        predict: Takes rows as they came, and answers as the model in service does.
        clock: Seconds, monotonic.
        batch_rows: How many rows each call has; the last ones may be fewer unless `is_static`.
        is_static: Every call must have exactly `batch_rows`.
        is_classifier: Whether it is known to tell classes, or values; None where nobody knows.
    """

    predict: Callable[[Any], Any]
    clock: Callable[[], float]
    batch_rows: int = ASK_ROWS
    is_static: bool = False
    is_classifier: bool | None = None


@dataclass(slots=True)
class Made:
    """A profile, and what whoever made it should know."""

    profile: Profile
    remarks: list[str] = field(default_factory=list)


def watched_schema(signature: Signature | None) -> Schema | None:
    """What a model's rows are profiled by; None where its signature says nothing of them."""
    if signature is None or signature.inputs is None or signature.is_from_type_hint:
        return None
    schema = signature.inputs
    if isinstance(schema, ColumnSchema) and all(isinstance(column.type, AnyType) for column in schema.columns):
        return None
    return schema


def make_profile(reference: ReferenceData, schema: Schema | None, asking: AskedModel | None, created_at: datetime) -> Made:
    """Make a profile.

    Args:
        reference: The rows.
        schema: What the model takes; None goes by what the rows are.
        asking: The model, for its answers where they are not given; None leaves them out.
        created_at: Now.

    Raises:
        InvalidInput: There are no rows, they are not what the model takes, or lengths and names do not agree.
    """
    return _Making(reference, schema, asking).made(created_at)


class _Making:
    def __init__(self, reference: ReferenceData, schema: Schema | None, asking: AskedModel | None) -> None:
        self._reference, self._schema, self._asking = reference, schema, asking
        self._features: Features | None = None if schema is None else features_of(schema, tuple(reference.left_out))
        key = reference.hash_key_file
        self._privacy = Privacy(reference.is_private, None if key is None else hash_key_in(key, "hash_key_file"))
        self._is_classifier = None if asking is None else asking.is_classifier
        self._sample = RowSample()
        self._remarks: list[str] = []
        self._span: list[float] = []
        self._answers: dict[str, Any] = {}

    def made(self, created_at: datetime) -> Made:
        profiler = Profiler(self._features, self._is_classifier, self._privacy, frozenset(self._reference.left_out))
        for chunk in self._chunks():
            self._take(chunk, profiler)
        if self._sample.part("told") is None and self._reference.predictions is None and self._asking is not None:
            self._ask(profiler, self._asking)
        else:
            self._answers = {name: self._sample.part(name) for name in ("told", "score", "chances", "labels")}
        source = Source(SourceKind(self._reference.kind), 0, *map(_moment, self._span))
        profile = profiler.profile(source, created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        profile = self._with_quality(self._together(profile))
        profile = self._with_days(profile)
        return Made(profile, [*self._remarks, *concerns(profile), *_remarks_on(profile)])

    def _chunks(self) -> Any:
        names = None
        if self._schema is not None:
            inputs = self._schema.names if isinstance(self._schema, ColumnSchema) else map(_name, self._schema.tensors)
            names = frozenset(inputs)
        return chunks_of(self._reference, names)

    def _columns(self, chunk: Chunk) -> dict[str, Any]:
        if self._schema is None or self._features is None:
            return columns_of(chunk.inputs, None)
        return self._features.taken_from(aligned(chunk.inputs, self._schema))

    def _take(self, chunk: Chunk, profiler: Profiler) -> None:
        columns = self._columns(chunk)
        answered = Answered() if chunk.predictions is None else answers_of(chunk.predictions)
        if answered.reason is not None:
            raise InvalidInput(
                f"predictions cannot be profiled: {answered.reason}. Give what the model answers to each row, or "
                "predictions=False."
            )
        profiler.add(columns, answered.told, answered.score, chunk.rows)
        self._sample.add(
            {
                "inputs": chunk.inputs,
                "columns": columns,
                "told": answered.told,
                "score": answered.score,
                "chances": answered.chances(),
                "labels": chunk.labels,
                "times": chunk.times,
            }
        )
        if chunk.times is not None and len(known := chunk.times[np.isfinite(chunk.times)]):
            self._span = [min([*self._span[:1], float(known.min())]), max([*self._span[1:], float(known.max())])]

    def _ask(self, profiler: Profiler, asking: AskedModel) -> None:
        """Ask the model for the sample's rows, evenly from all of them, until the time is up."""
        inputs, labels, times = (self._sample.part(name) for name in ("inputs", "labels", "times"))
        rows = self._sample.rows
        size = asking.batch_rows if asking.is_static else min(asking.batch_rows, rows)
        calls = rows // size if asking.is_static else -(-rows // size)
        until = asking.clock() + ASK_SECONDS
        told: list[Any] = []
        scores: list[Any] = []
        chances: list[Any] = []
        places: list[Any] = []
        for call in range(calls):
            wanted = np.arange(call, rows, calls)[: size if asking.is_static else None]
            if told and asking.clock() >= until:
                asked = sum(map(len, places))
                self._remarks.append(f"The model is slow: its predictions were profiled of {asked} of {rows} rows.")
                break
            try:
                answered = answers_of(asking.predict(rows_at(inputs, wanted)))
            except Exception as error:  # noqa: BLE001 - the model's own code; the profile goes without its answers
                cause = error.__cause__ or error
                answered = Answered(reason=f"it failed on the reference rows ({type(cause).__name__}: {cause})")
            if answered.reason is None and rows_in(answered.told) != len(wanted):
                answered = Answered(reason=f"it answers {rows_in(answered.told)} values to {len(wanted)} rows")
            if answered.reason is not None:
                self._remarks.append(f"The model's predictions are not profiled: {answered.reason}.")
                return
            profiler.add_predictions(answered.told, answered.score)
            told.append(answered.told)
            scores.append(answered.score)
            chances.append(answered.chances())
            places.append(wanted)
        if not told:
            return
        order = np.concatenate(places)
        self._answers = {
            "told": np.concatenate([np.asarray(each) for each in told]),
            "score": None
            if any(each is None for each in scores)
            else np.concatenate([np.asarray(each) for each in scores]),
            "chances": None if any(each is None for each in chances) else joined(chances),
            "labels": None if labels is None else rows_at(labels, order),
            "times": None if times is None else rows_at(times, order),
        }

    def _with_quality(self, profile: Profile) -> Profile:
        told, score, labels, chances = (self._answers.get(name) for name in ("told", "score", "labels", "chances"))
        profile = replace(profile, said=self._reference.purpose)
        if labels is None:
            if self._reference.labels is not None:
                self._remarks.append("No quality was measured: there are labels and no predictions.")
            return profile
        if told is None:
            self._remarks.append("No quality was measured: there are labels and no predictions.")
            return profile
        is_classes = isinstance(profile.predictions.classes or profile.predictions.value, CategoryProfile)
        found = measured(told, score, labels, is_classes=is_classes, said=self._reference.purpose, chances=chances)
        if found.remark and not found.quality:
            self._remarks.append(found.remark)
        return replace(profile, quality=found.quality, calibration=found.calibration)

    def _together(self, profile: Profile) -> Profile:
        """With what the columns have to do with each other."""
        columns = self._sample.part("columns") or {}
        names = [name for name in can_be_together(profile.columns) if name in columns]
        if len(names) < 2:
            return profile
        return replace(profile, multivariate=fitted(names, encoded(profile.columns, names, columns), is_held_out=True))

    def _with_days(self, profile: Profile) -> Profile:
        if not self._span:
            return profile
        if not self._reference.is_repeatable:
            self._remarks.append(
                "What seasons do was not profiled: the rows have times, and an iterator can be read only once. "
                "Pass a function that begins it anew, or a file."
            )
            return profile
        layout = Layout(profile, self._privacy.hash_key)
        days, hours = Days(layout), Hours(layout, profile.source.rows, *self._span)
        for chunk in self._chunks():
            if chunk.times is not None:
                answered = Answered() if chunk.predictions is None else answers_of(chunk.predictions)
                for each in (days, hours):
                    each.add(chunk.times, self._columns(chunk), answered.by_kind())
        return self._with_days_of_answers(with_variation(profile, days.counts(), hours.counts()), layout)

    def _with_days_of_answers(self, profile: Profile, layout: Layout) -> Profile:
        """The same of what the model was asked for, which are rows of the sample."""
        told, score, times = (self._answers.get(name) for name in ("told", "score", "times"))
        if told is None or times is None:
            return profile
        answers = Answered(told=told, score=score).by_kind()
        days, hours = Days(layout), Hours(layout, len(times), *self._span)
        for each in (days, hours):
            each.add(times, {}, answers)
        return with_variation(profile, days.counts(), hours.counts())


def described(profile: Profile) -> str:
    """One or two sentences for people: what was profiled."""
    parts = [f"{len(profile.columns)} column{'' if len(profile.columns) == 1 else 's'}"]
    if present := profile.predictions.present():
        parts.append("predictions" if list(present) == ["value"] else f"predictions ({', '.join(present)})")
    if profile.quality:
        figures = [f"{name} {profile.quality[name]:.4g}" for name in LAWS if name in profile.quality][:3]
        # Any model looks better than it is on the rows that it was trained on.
        where = " on training rows" if profile.source.kind is SourceKind.TRAINING else ""
        parts.append(f"quality{where} ({', '.join(figures)})")
    if any(getattr(column, "chunk_psi_q99", None) is not None for column in profile.columns.values()):
        parts.append("how days and hours differ")
    said = f"Monitoring profile of {profile.source.rows:,} {profile.source.kind.value} rows: {', '.join(parts)}."
    if profile.left_out:
        some = [f"{name} ({reason})" for name, reason in list(profile.left_out.items())[:3]]
        more = len(profile.left_out) - len(some)
        said += f" Not monitored: {'; '.join(some)}{f'; and {more} more' if more else ''}."
    return said


def write_profile(folder: Path, profile: Profile, mlmodel: dict[str, Any]) -> None:
    """Write a profile into a model's folder, and its id into the content of its MLmodel file."""
    path = folder / PROFILE_PATH
    path.parent.mkdir(exist_ok=True)
    write_whole(path, profile.to_json().encode())
    mlmodel["metadata"] = {**(mlmodel.get("metadata") or {}), PROFILE_ID: profile.profile_id}


def profile_in(folder: Path) -> Profile | None:
    """The profile in a model's folder; None where there is none.

    Raises:
        InvalidProfile: The file is not what podium wrote.
    """
    path = folder / PROFILE_PATH
    return read_profile(path.read_bytes()) if path.is_file() else None


def _name(tensor: Any) -> str:
    return tensor.name or ""


def _moment(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return ""


def _remarks_on(profile: Profile) -> list[str]:
    empty = [name for name, column in profile.columns.items() if column.counts.rows and not column.counts.known]
    if not empty:
        return []
    named = ", ".join(map(repr, empty[:5]))
    return [f"No row has a value that can be read in {named}: are these columns what the model takes?"]
