"""Which types of a skops file podium trusts when a model may run no code. Pure: it reads the file's own schema.

skops takes the types to trust from whoever loads, which in a model folder is MLmodel, and so the model's author. This list
is podium's own instead. It goes by the kind of node, because the kind decides what is done with the name: an ObjectNode
makes an object without calling it, a LossNode calls what it names, a FunctionNode hands a function to an estimator that
will call it. What is not here is not trusted.
"""

import re
from collections.abc import Mapping
from typing import Any

from podium.domain.model_files.json_nodes import nodes_with

_SCALAR = (
    r"numpy\.(bool_?|u?int(8|16|32|64)|intc|uintc|float(16|32|64)|longdouble|complex(64|128)|str_|bytes_|object_|"
    r"datetime64|timedelta64)"
)
_TYPE = rf"builtins\.(bool|int|float|str|bytes|complex|list|set|tuple|dict|object)|collections\.OrderedDict|{_SCALAR}"
# Estimators and what they hold; not what fetches, tests or compiles, and nothing that is vendored.
_ESTIMATOR = (
    r"sklearn\.(?!datasets\b|externals\b|experimental\b|conftest\b|utils\._testing\b|utils\._mocking\b|.*\btests\b)"
    r"([a-z_0-9]+\.)*_?[A-Z]\w*"
)
_BOOSTER = (
    r"lightgbm\.(basic\.Booster|sklearn\.LGBM(Classifier|Regressor|Ranker|Model))|"
    r"xgboost\.(core\.Booster|sklearn\.XGB(RF)?(Classifier|Regressor|Ranker|Model))"
)
_UFUNC = (
    r"numpy\.(abs|absolute|a?r?c?(cos|sin|tan)h?|cbrt|ceil|clip|deg2rad|degrees|divide|exp|exp2|expm1|fabs|floor|log|log10|"
    r"log1p|log2|maximum|minimum|multiply|negative|positive|power|rad2deg|radians|reciprocal|rint|round|sign|sqrt|square|"
    r"subtract|add|trunc|nan_to_num)|scipy\.special\._ufuncs\.(expit|logit|log1p|expm1|erf|erfc|gammaln|digamma|xlogy|"
    r"boxcox|inv_boxcox)"
)
_SCORE = (
    r"sklearn\.(feature_selection\._(univariate_selection|mutual_info)|metrics\._(classification|regression|ranking)|"
    r"metrics\.pairwise)\.[a-z]\w*"
)
_FUNCTION = rf"{_UFUNC}|{_SCORE}|sklearn\.preprocessing\._function_transformer\._identity"
_CONTAINER = r"builtins\.(dict|list|set|tuple)|collections\.OrderedDict|sklearn\.utils\._bunch\.Bunch"
_BYTES = r"builtins\.(bytes|bytearray|slice)"
_SPARSE = r"scipy\.sparse\.(_?\w+\.)?(csr|csc|coo|bsr|dia|dok|lil)_(matrix|array)"
_KINDS = {
    kind: re.compile(pattern)
    for kind, pattern in {
        # Text that is parsed as JSON, and what stands elsewhere in the file: neither makes anything of a name.
        "JsonNode": r".*",
        "CachedNode": r".*",
        "DictNode": _CONTAINER,
        "ListNode": _CONTAINER,
        "SetNode": _CONTAINER,
        "TupleNode": _CONTAINER,
        "DefaultDictNode": r"collections\.defaultdict",
        "BytesNode": _BYTES,
        "BytearrayNode": _BYTES,
        "SliceNode": _BYTES,
        "TypeNode": _TYPE,
        "FunctionNode": _FUNCTION,
        "ObjectNode": rf"{_ESTIMATOR}|{_BOOSTER}",
        "TreeNode": r"sklearn\.tree\._tree\.Tree",
        "LossNode": r"sklearn\.(_loss\._loss|linear_model\._sgd_fast|_loss\.loss)\.[A-Z]\w*",
        "NdArrayNode": rf"numpy\.ndarray|{_SCALAR}",
        "DTypeNode": r"numpy\.dtype",
        "MaskedArrayNode": r"numpy\.ma\.(core\.)?MaskedArray",
        "SparseMatrixNode": _SPARSE,
        "RandomStateNode": r"numpy\.random\.mtrand\.RandomState",
        "RandomGeneratorNode": r"numpy\.random\._generator\.Generator",
    }.items()
}
_GENERATORS = frozenset({"MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"})
_ASKED = re.compile(rf"{_TYPE}|{_ESTIMATOR}|{_BOOSTER}|{_FUNCTION}|{_CONTAINER}")


def foreign_types(schema: Any) -> list[str]:
    """The names in a skops file's schema that podium does not trust, each once, in their order.

    Args:
        schema: `schema.json` of the file, parsed.
    """
    return list(dict.fromkeys(name for node in nodes_with("__loader__", schema) if (name := _foreign(node)) is not None))


def is_trusted_type(name: str) -> bool:
    """Whether a name that skops asks about may be confirmed, once `foreign_types` has found nothing."""
    return bool(_ASKED.fullmatch(name))


def _foreign(node: Mapping[str, Any]) -> str | None:
    kind, name = str(node.get("__loader__")), f"{node.get('__module__')}.{node.get('__class__')}"
    allowed = _KINDS.get(kind)
    is_ours = allowed is not None and bool(allowed.fullmatch(name))
    if kind == "RandomGeneratorNode":
        is_ours = is_ours and _bit_generator(node) in _GENERATORS
    return None if is_ours else f"{name} ({kind})"


def _bit_generator(node: Mapping[str, Any]) -> object:
    """What of numpy.random is called to make it: skops takes the name from the file."""
    try:
        named: object = node["content"]["bit_generator"]["content"]["bit_generator"]["content"]
    except (KeyError, TypeError):
        return None
    return named.strip('"') if isinstance(named, str) else None
