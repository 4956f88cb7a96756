"""All trees at once answer what one tree after another answers, a node at a time."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.flavors.sklearn.tree_sums import Tree, TreeSums


def grown(rng: np.random.Generator, leaves: int, features: int, outputs: int) -> Tree:
    """A tree of random shape, its thresholds among few values so that rows meet them."""
    feature, threshold, left, right = [-1], [-2.0], [-1], [-1]
    open_nodes = [0]
    while len(open_nodes) < leaves:
        node = open_nodes.pop(int(rng.integers(len(open_nodes))))
        feature[node], threshold[node] = int(rng.integers(features)), float(rng.choice([-0.5, 0.0, 0.1, 0.3, 1e30]))
        left[node], right[node] = len(left), len(left) + 1
        for array, value in ((feature, -1), (threshold, -2.0), (left, -1), (right, -1)):
            array += [value, value]  # type: ignore[list-item]
        open_nodes += [left[node], right[node]]
    values = rng.standard_normal((len(left), outputs))
    return Tree(np.array(feature), np.array(threshold), np.array(left), np.array(right), values)


def reached(tree: Tree, row: Any) -> Any:
    node = 0
    while tree.left[node] >= 0:
        node = tree.left[node] if float(row[tree.feature[node]]) <= tree.threshold[node] else tree.right[node]
    return tree.values[node]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(
    leaves=st.lists(st.integers(1, 64), min_size=1, max_size=6),
    groups=st.integers(1, 3),
    rows=st.sampled_from([1, 2, 63, 64, 65]),
    outputs=st.integers(1, 3),
    seed=st.integers(0, 999),
)
def test_sums_are_those_of_one_tree_after_another(
    dtype: Any, leaves: list[int], groups: int, rows: int, outputs: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    trees = [grown(rng, leaves[i % len(leaves)], 3, outputs) for i in range(groups * len(leaves))]
    start = rng.standard_normal((groups, outputs))
    table = rng.choice([-0.5, -0.0, 0.0, 0.1, np.float32(0.1), 0.3, 5.0, 2e30], (rows, 3)).astype(dtype)
    expected = np.empty((rows, groups, outputs))
    for i, row in enumerate(table):
        for group in range(groups):
            total = start[group]
            for tree in trees[group::groups]:
                total = total + reached(tree, row)
            expected[i, group] = total

    found = TreeSums(trees, groups, start, dtype)(table)

    assert expected.tobytes() == np.ascontiguousarray(found).tobytes()
