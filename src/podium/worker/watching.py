"""How a model's rows are watched: counted by its monitoring profile, or sampled until they make one."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from podium.domain.monitoring.bootstrap import Bootstrap
from podium.domain.monitoring.counting import BatchCounter, Layout
from podium.domain.monitoring.features import Features, features_of
from podium.domain.monitoring.profile_reading import MOST_BYTES, read_profile
from podium.domain.signature import Signature
from podium.models.predictor import Predictor
from podium.worker.books import OpenSlab, counting_by
from podium.worker.planned import PlannedInput
from podium.worker.sampling import Sampling
from podium.worker.tap import Tap


class OpenTap(NamedTuple):
    """A tap, and where it counts; None where it only samples."""

    tap: Tap
    slab: OpenSlab | None


def open_tap(path: Path, predictor: Predictor, planned: PlannedInput | None, key: bytes | None = None) -> OpenTap:
    """Count a model's rows by a profile.

    Args:
        path: The profile's file.
        predictor: The model.
        planned: Reads groups of planned requests; None where the model has no input plan.
        key: That the profile's categories were hashed with, if they were.

    Raises:
        InvalidProfile: The file is no profile.
        OSError: The file cannot be read, or there is no memory for the slab.
    """
    with path.open("rb") as file:
        slab, book, counter = counting_by(file.read(MOST_BYTES + 1), key)
    return OpenTap(Tap(book, counter, _features(predictor.signature), planned.plan if planned else None), slab)


def open_sampling(predictor: Predictor, planned: PlannedInput | None, tell: Callable[[str], None]) -> OpenTap:
    """Sample a model's rows until they make a profile.

    Args:
        predictor: The model.
        planned: As `open_tap`.
        tell: Takes the profile's text, in the loop's thread.
    """
    features = _features(predictor.signature)
    sampling = Sampling(features, time.time, tell)
    return OpenTap(Tap(sampling, sampling, features, planned.plan if planned else None), None)


def rehearse() -> None:
    """Make a profile of a few made-up rows, and count them by it.

    The interpreter rewrites code while it runs the first times. A fork server has that behind it before it forks: then
    the pages of this code stay its workers' in common.
    """
    parts = [slice(start, start + 4) for start in range(0, 64, 4)]
    numbers, texts = np.arange(64.0), np.array(["a", "b"] * 32, object)
    bootstrap = Bootstrap(None, 0.0)
    for part in parts:
        bootstrap.add(4, {"number": numbers[part], "text": texts[part]}, {"value": numbers[part]}, 1.0)
    counter = BatchCounter(Layout(read_profile(bootstrap.profile().to_json().encode())))
    for part in parts:
        counter.add(4, {"number": numbers[part], "text": texts[part]}, {"value": numbers[part]})


def _features(signature: Signature | None) -> Features | None:
    if signature is None or signature.inputs is None or signature.is_from_type_hint:
        return None
    return features_of(signature.inputs)
