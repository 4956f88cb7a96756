"""Sums of the leaves that rows reach in many small trees, without a step for each node of a path.

All comparisons of all trees are made at once. Each node that sends a row to the right strikes out the leaves below its
left child; the first leaf that nobody struck out is the row's (QuickScorer: Lucchese et al., SIGIR 2015). That is a dozen
calls of numpy for any number of trees of up to 64 leaves. Values are summed tree after tree, in the order in which the
library sums them: the same roundings, the same bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_LEAVES = 64
MOST_NODES = 200_000
# Tables of comparisons should stay in the processor's cache.
_CHUNK_ROWS = 64
_WORDS: tuple[tuple[int, Any], ...] = ((8, np.uint8), (16, np.uint16), (32, np.uint32), (64, np.uint64))


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree as arrays with an element for each node; the root is the first.

    Args:
        feature: The column that a node compares.
        threshold: A row goes left where its value is at most this.
        left, right: The children's positions; negative at leaves.
        values: A row of outputs for each node.
    """

    feature: Any
    threshold: Any
    left: Any
    right: Any
    values: Any


class TreeSums:
    """Adds up what the trees say.

    Args:
        trees: Stage by stage, within a stage one for each group.
        groups: Sums that are kept apart (classes of a boosted model); each tree adds to one of them.
        start: What each sum begins with, one for each group and output.
        dtype: Of the rows: float32 for trees that compare single precision (with thresholds of double precision).
    """

    def __init__(self, trees: Sequence[Tree], groups: int, start: Any, dtype: Any) -> None:
        flat = [_flattened(tree) for tree in trees]
        nodes = max(1, *(len(each.masks) for each in flat))
        word = next(kind for bits, kind in _WORDS if bits >= max(len(each.leaves) for each in flat))
        shape = (nodes, len(trees))
        # What fills up small trees is never exceeded, and so strikes nothing out.
        feature, threshold = np.zeros(shape, np.intp), np.full(shape, np.inf, dtype)
        struck = np.zeros(shape, word)
        for i, each in enumerate(flat):
            size = len(each.masks)
            feature[:size, i] = each.features
            threshold[:size, i] = _at_most(each.thresholds, dtype)
            struck[:size, i] = np.array(each.masks, np.uint64).astype(word)
        self.dtype = np.dtype(dtype)
        self.width = int(feature.max()) + 1
        self._feature, self._threshold, self._struck = feature.ravel(), threshold.reshape(-1, 1), struck.reshape(-1, 1)
        self._nodes, self._trees, self._groups, self._one = nodes, len(trees), groups, word(1)
        # Single words of 8 bits find their leaf by looking it up.
        self._is_small = word is np.uint8
        self._lowest = np.array([_lowest_zero(value) for value in range(256)], np.intp)
        leaves = [np.asarray(each.leaves, np.float64) for each in flat]
        for i in range(groups):
            # The first sum of all: rounded here once as it would be for each row.
            leaves[i] = np.asarray(start, np.float64).reshape(groups, -1)[i] + leaves[i]
        starts = np.cumsum([0, *(len(each) for each in leaves[:-1])])
        self._offset = (starts - (0 if self._is_small else 1)).astype(np.intp).reshape(-1, 1)
        self._values = np.concatenate(leaves)

    def __call__(self, rows: Any) -> Any:
        """Sums by row, group and output.

        Args:
            rows: A matrix of finite numbers in `dtype`.
        """
        if len(rows) <= _CHUNK_ROWS:
            return self._sums(rows)
        return np.concatenate([self._sums(rows[i : i + _CHUNK_ROWS]) for i in range(0, len(rows), _CHUNK_ROWS)])

    def _sums(self, rows: Any) -> Any:
        count = len(rows)
        values = np.ascontiguousarray(rows.T).take(self._feature, axis=0)
        struck = (values > self._threshold).astype(self._struck.dtype)
        struck *= self._struck
        gone = np.bitwise_or.reduce(struck.reshape(self._nodes, self._trees * count), axis=0)
        if self._is_small:
            leaf = self._lowest[gone]
        else:
            lowest = ~gone & (gone + self._one)
            leaf = np.frexp(lowest.astype(np.float64))[1]
        found = self._values.take((leaf.reshape(self._trees, count) + self._offset).ravel(), axis=0)
        outputs = self._values.shape[1]
        found = found.reshape(self._trees // self._groups, self._groups * count * outputs)
        if found.shape[1] == 1:
            # One column would be summed by halves.
            total = np.add.accumulate(found[:, 0])[-1:]
        else:
            total = np.add.reduce(found, axis=0)
        return total.reshape(self._groups, count, outputs).transpose(1, 0, 2)


def is_small(tree: Tree) -> bool:
    """Whether a tree has few enough leaves."""
    return int((np.asarray(tree.left) < 0).sum()) <= MOST_LEAVES


@dataclass(frozen=True, slots=True)
class _Flat:
    features: list[int]
    thresholds: list[float]
    masks: list[int]
    leaves: list[Any]


def _flattened(tree: Tree) -> _Flat:
    """Inner nodes with the leaves that each strikes out, as bits; leaves from left to right."""
    flat = _Flat([], [], [], [])

    def walk(node: int) -> int:
        if tree.left[node] < 0:
            flat.leaves.append(tree.values[node])
            return 1 << (len(flat.leaves) - 1)
        place = len(flat.masks)
        flat.features.append(int(tree.feature[node]))
        flat.thresholds.append(float(tree.threshold[node]))
        flat.masks.append(0)
        left = walk(int(tree.left[node]))
        flat.masks[place] = left
        return left | walk(int(tree.right[node]))

    walk(0)
    return flat


def _at_most(thresholds: list[float], dtype: Any) -> Any:
    """The largest numbers of a type that are not above the thresholds: no number of that type lies between them."""
    wanted = np.array(thresholds, np.float64)
    with np.errstate(over="ignore"):
        rounded = wanted.astype(dtype)
    is_above = rounded.astype(np.float64) > wanted
    rounded[is_above] = np.nextafter(rounded[is_above], rounded.dtype.type(-np.inf))
    return rounded


def _lowest_zero(value: int) -> int:
    return next((bit for bit in range(8) if not value >> bit & 1), 0)
