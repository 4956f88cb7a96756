"""LightGBM's trees as an ONNX graph that compares and adds in double precision, as LightGBM does.

onnxmltools writes thresholds in single precision, and a number between a threshold and its rounding goes the other way.
The operator is TreeEnsemble of ai.onnx.ml 5; its arrays are LightGBM's own, read from its text.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from podium.flavors.conversions import NotConverted

_LEQ, _SUM, _NO_TRANSFORM = 0, 1, 0
_CATEGORICAL, _MISSING, _MISSING_ZERO = 1, 0b1100, 0b0100
_IDENTITY = frozenset(
    "regression regression_l1 huber fair quantile mape lambdarank rank_xendcg custom".split()  # noqa: SIM905 - words
)
_EXPONENTIAL = frozenset({"poisson", "gamma", "tweedie"})
_LOGISTIC = frozenset({"binary", "multiclassova", "cross_entropy"})


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree: inner nodes and leaves apart; a child below zero is the leaf ~child."""

    features: Any
    thresholds: Any
    left: Any
    right: Any
    leaves: Any


@dataclass(frozen=True, slots=True)
class Forest:
    """What LightGBM's text says of a model.

    Args:
        trees: In order; tree i belongs to the output i % outputs.
        outputs: How many numbers a row's answer has.
        objective: Its name and options: `binary sigmoid:1`.
        is_average: The answer is the mean over the iterations, not the sum.
    """

    trees: tuple[Tree, ...]
    outputs: int
    objective: str
    is_average: bool

    @classmethod
    def of(cls, text: str) -> "Forest":
        """Read it.

        Raises:
            NotConverted: Splits on categories, leaves with linear models, zeros that count as missing.
        """
        head, *blocks = text.partition("\nend of trees")[0].split("\nTree=")
        facts = _facts(head)
        trees = tuple(_tree(_facts(block)) for block in blocks)
        outputs = int(facts.get("num_tree_per_iteration", "1"))
        return cls(trees, outputs, facts.get("objective", "custom"), "average_output" in facts)

    def thresholds(self) -> dict[int, list[float]]:
        """Those of each feature."""
        found: dict[int, set[float]] = {}
        for tree in self.trees:
            for feature, threshold in zip(tree.features.tolist(), tree.thresholds.tolist(), strict=True):
                found.setdefault(feature, set()).add(threshold)
        return {feature: sorted(values) for feature, values in found.items()}


def graph_of(forest: Forest, width: int) -> bytes:
    """The graph from `input`, doubles of [rows, width], to `answer`, what the Booster's predict answers in two dimensions.

    Raises:
        NotConverted: Its objective's last step is not known here.
    """
    from onnx import TensorProto, helper

    nodes, constants = [_ensemble(helper, forest)], []
    scale = 1.0
    if forest.is_average:
        scale = forest.outputs / len(forest.trees)
    steps: list[str]
    name, *options = forest.objective.split()
    if name in _IDENTITY and "sqrt" in options:
        steps = ["Abs", "Mul"]
    elif name in _IDENTITY:
        steps = []
    elif name in _EXPONENTIAL:
        steps = ["Exp"]
    elif name in _LOGISTIC:
        scale *= next((float(each.partition(":")[2]) for each in options if each.startswith("sigmoid:")), 1.0)
        steps = ["Sigmoid"]
    elif name == "multiclass":
        steps = ["Softmax"]
    else:
        raise NotConverted(
            f"Its objective is {name}, whose last step podium does not know as a graph. podium serves the model as it is."
        )
    now = "raw"
    if scale != 1.0:
        constants.append(helper.make_tensor("scale", TensorProto.DOUBLE, [1], [scale]))
        nodes.append(helper.make_node("Mul", [now, "scale"], ["scaled"]))
        now = "scaled"
    for i, step in enumerate(steps):
        given = [now, "raw" if scale == 1.0 else "scaled"] if step == "Mul" else [now]
        nodes.append(helper.make_node(step, given, [f"step{i}"]))
        now = f"step{i}"
    nodes.append(helper.make_node("Identity", [now], ["answer"]))
    rows = helper.make_tensor_value_info("input", TensorProto.DOUBLE, [None, width])
    answer = helper.make_tensor_value_info("answer", TensorProto.DOUBLE, [None, forest.outputs])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 5)]
    graph = helper.make_graph(nodes, "lightgbm", [rows], [answer], constants)
    made: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return made


def _ensemble(helper: Any, forest: Forest) -> Any:
    from onnx import TensorProto

    arrays: dict[str, list[Any]] = {name: [] for name in ("features", "splits", "left", "right", "leaves", "targets")}
    roots, first_node, first_leaf = [], 0, 0
    for i, tree in enumerate(forest.trees):
        count = max(len(tree.features), 1)
        roots.append(first_node)
        if len(tree.features):
            children = [_placed(each, first_node, first_leaf) for each in (tree.left, tree.right)]
            parts = (tree.features, tree.thresholds, *children)
        else:
            # A tree of one leaf: a split whose both ways end there.
            leaf = np.array([~first_leaf])
            parts = (np.zeros(1, np.int64), np.zeros(1), leaf, leaf)
        for name, part in zip(("features", "splits", "left", "right"), parts, strict=True):
            arrays[name].append(part)
        arrays["leaves"].append(tree.leaves)
        arrays["targets"].append(np.full(len(tree.leaves), i % forest.outputs))
        first_node, first_leaf = first_node + count, first_leaf + len(tree.leaves)
    whole = {name: np.concatenate(parts) for name, parts in arrays.items()}
    left, right = whole["left"], whole["right"]
    return helper.make_node(
        "TreeEnsemble",
        ["input"],
        ["raw"],
        domain="ai.onnx.ml",
        n_targets=forest.outputs,
        aggregate_function=_SUM,
        post_transform=_NO_TRANSFORM,
        tree_roots=roots,
        nodes_featureids=whole["features"].tolist(),
        nodes_splits=helper.make_tensor("splits", TensorProto.DOUBLE, [len(left)], whole["splits"]),
        nodes_modes=helper.make_tensor("modes", TensorProto.UINT8, [len(left)], [_LEQ] * len(left)),
        nodes_truenodeids=np.where(left < 0, ~left, left).tolist(),
        nodes_trueleafs=(left < 0).astype(np.int64).tolist(),
        nodes_falsenodeids=np.where(right < 0, ~right, right).tolist(),
        nodes_falseleafs=(right < 0).astype(np.int64).tolist(),
        leaf_targetids=whole["targets"].tolist(),
        leaf_weights=helper.make_tensor("leaves", TensorProto.DOUBLE, [len(whole["leaves"])], whole["leaves"]),
    )


def _placed(children: Any, first_node: int, first_leaf: int) -> Any:
    """Children counted over all trees; leaves stay below zero."""
    return np.where(children < 0, children - first_leaf, children + first_node)


def _facts(block: str) -> dict[str, str]:
    return {name: value for line in block.splitlines() for name, _, value in [line.partition("=")]}


def _tree(facts: dict[str, str]) -> Tree:
    if facts.get("is_linear", "0") != "0":
        raise NotConverted("Its leaves hold linear models. Train without linear_tree, or serve the model as it is.")
    leaves = _numbers(facts["leaf_value"], np.float64)
    if int(facts["num_leaves"]) < 2:
        none = np.zeros(0, np.int64)
        return Tree(none, np.zeros(0), none, none, leaves)
    kinds = _numbers(facts["decision_type"], np.int64)
    if (kinds & _CATEGORICAL).any():
        raise NotConverted(
            "It splits on categories, which no graph's trees hold. Encode them as numbers before training (one column for "
            "each, or an order), or serve the model as it is."
        )
    if ((kinds & _MISSING) == _MISSING_ZERO).any():
        raise NotConverted("It takes zeros for missing values. Train without zero_as_missing, or serve the model as it is.")
    left, right, features = (_numbers(facts[name], np.int64) for name in ("left_child", "right_child", "split_feature"))
    return Tree(features, _numbers(facts["threshold"], np.float64), left, right, leaves)


def _numbers(text: str, dtype: Any) -> Any:
    return np.array(text.split(), dtype)
