"""Rows, profiles of them and windows counted by these, for the tests of monitoring."""

import math
from statistics import NormalDist

import numpy as np

from podium.domain.monitoring.comparison import compared
from podium.domain.monitoring.counting import BatchCounter, Layout
from podium.domain.monitoring.profile import Source, SourceKind
from podium.domain.monitoring.profiling import Profiler

NOW = "2026-01-01T00:00:00Z"
TRAINING = Source(SourceKind.TRAINING, 0)


def normal(rows):
    """The normal distribution's quantiles in the middle of equal steps."""
    return np.array([NormalDist().inv_cdf((i + 0.5) / rows) for i in range(rows)])


def repeated(**counts):
    """A column of names, each so many times."""
    return np.array([name for name, count in counts.items() for _ in range(count)], dtype=object)


def profile_of(columns, *, chunks=1, value=None, score=None, source=TRAINING, **terms):
    profiler = Profiler(**terms)
    rows = len(next(iter(columns.values())))
    for part in np.array_split(np.arange(rows), chunks):
        first, last = (part[0], part[-1] + 1) if len(part) else (0, 0)
        cut = {name: values[first:last] for name, values in columns.items()}
        more = [None if every is None else every[first:last] for every in (value, score)]
        profiler.add(cut, *more)
    return profiler.profile(source, NOW)


def counted(profile, columns, predictions=None, key=None):
    """A window's counts."""
    counter = BatchCounter(Layout(profile, key))
    counter.add(len(next(iter(columns.values()))), columns, predictions or {})
    return counter.counts()


def side_by_side(reference, current, is_fine=False):
    """One column of a window beside its reference."""
    profile = profile_of({"x": reference})
    return compared(profile.columns["x"], counted(profile, {"x": current}).columns["x"], is_fine)


def psi(histograms):
    """Jeffreys' PSI over the bins that anybody is in."""
    pairs = [pair for pair in zip(histograms.reference, histograms.current, strict=True) if any(pair)]
    prior = len(pairs) / 2
    rows, others = (sum(side) + prior for side in zip(*pairs, strict=True))
    shares = [((a + 0.5) / rows, (b + 0.5) / others) for a, b in pairs]
    return math.fsum((p - q) * math.log(p / q) for p, q in shares)
