"""Quantiles in bounded memory: exact as long as they can be, and within their bound beyond."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.domain.monitoring import samples
from podium.domain.monitoring.samples import BLOCK, Sampler

SHARES = [0.0, 0.01, *(place / 20 for place in range(1, 20)), 0.99, 1.0]


def sampled(values, chunk=None):
    sampler = Sampler()
    for start in range(0, len(values), chunk or len(values) or 1):
        sampler.add(values[start : start + (chunk or len(values))])
    return *sampler.finished(), sampler.error_bound


@settings(max_examples=50)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=60))
def test_quantiles_are_numpy_s_to_the_bit(values):
    sample, _, bound = sampled(np.array(values, dtype=np.float64))

    assert bound == 0
    assert [sample.quantile(share) for share in SHARES] == np.quantile(np.array(values, dtype=np.float64), SHARES).tolist()


def test_a_quantile_between_the_largest_numbers_is_a_number():
    sample, moments, _ = sampled(np.array([-1.7e308, 1.7e308]))

    assert sample.quantile(0.5) == 0
    assert not np.isfinite(moments.squares)


def test_up_to_a_block_everything_is_exact():
    values = np.random.default_rng(1).normal(size=BLOCK)

    sample, moments, bound = sampled(values, 1000)

    assert bound == 0
    assert np.array_equal(sample.values, np.sort(values))
    assert (moments.low, moments.high, moments.count) == (values.min(), values.max(), BLOCK)
    assert moments.mean == pytest.approx(values.mean(), abs=1e-12)
    assert np.sqrt(moments.squares / BLOCK) == pytest.approx(values.std(), rel=1e-12)


@pytest.mark.parametrize("order", ["mixed", "rising", "falling", "saw"])
def test_beyond_ranks_stay_within_the_bound(order, monkeypatch):
    """Whatever order they come in: 64 blocks of 512 here stand for 4,000,000 values."""
    monkeypatch.setattr(samples, "BLOCK", 512)
    values = np.random.default_rng(1).normal(size=512 * 64 + 100)
    ordered = {
        "mixed": values,
        "rising": np.sort(values),
        "falling": np.sort(values)[::-1],
        "saw": np.sort(values).reshape(-1, 73 if len(values) % 73 == 0 else 2).T.ravel(),
    }[order]

    sample, moments, bound = sampled(ordered, 700)

    ranks = np.searchsorted(np.sort(values), sample.values)
    told = np.cumsum(sample.weights) - sample.weights
    assert sample.rows == len(values) == moments.count
    assert np.abs(ranks - told).max() <= bound <= 7 * len(values) / 512
    assert (moments.low, moments.high) == (values.min(), values.max())


@settings(max_examples=20)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=20))
def test_how_values_are_cut_into_chunks_does_not_matter(sizes):
    values = np.random.default_rng(2).normal(size=sum(sizes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "BLOCK", 256)
        once = sampled(values)
        sampler = Sampler()

        for part in np.split(values, np.cumsum(sizes)[:-1]):
            sampler.add(part)

        again = *sampler.finished(), sampler.error_bound
    assert np.array_equal(once[0].values, again[0].values)
    assert np.array_equal(once[0].weights, again[0].weights)
    assert once[1:] == again[1:]


def test_values_that_many_rows_have_are_found_with_their_number():
    sample, _, _ = sampled(np.concatenate([np.full(70, 2.0), np.arange(100.0), np.full(31, -0.0)]))

    assert sample.heavy(30) == [(0.0, 32), (2.0, 71)]
    assert sample.without([0.0, 2.0]).rows == 98


def test_what_is_given_may_be_changed_afterwards():
    values = np.arange(10.0)
    sampler = Sampler()
    sampler.add(values)

    values[:] = 99

    assert sampler.finished()[0].values.tolist() == list(range(10))
