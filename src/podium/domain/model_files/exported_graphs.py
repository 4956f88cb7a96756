"""What a torch.export graph would run beside tensor operators. Pure: it reads the graph's own JSON.

The file has no pickle for a graph, but torch gives some of its strings to `eval`: shapes (`expr_str`, by way of sympy),
guards, and names, which become Python source. And an operator is any attribute of torch. So strings are taken only in the
forms that torch writes; a form that is not known here is refused.
"""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

_NAME = re.compile(r"[\w.:$\-]*")
_TARGET = re.compile(
    r"torch\.ops\.(aten|prims|quantized_decomposed|torchvision)\.\w+(\.\w+)?|_operator\.[a-z_]+|math\.[a-z0-9]+|"
    r"torch\.sym_\w+|torch\._sym_\w+"
)
_TREE_TYPES = {None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"}
_TREE_CONTEXT = re.compile(r'[\w.\-\[\], "]*')
# Sympy's and torch's own functions of shapes; only Symbol may be given a text, the others would evaluate it.
_FUNCTION = re.compile(
    r"Symbol|Integer|Float|Rational|Add|Mul|Pow|Mod|PythonMod|FloorDiv|CeilDiv|CleanDiv|ModularIndexing|Max|Min|Eq|Ne|Ge|Gt|"
    r"Le|Lt|And|Or|Not|Where|TruncToInt|TruncToFloat|ToFloat|FloatTrueDiv|IntTrueDiv|PowByNatural|FloatPow|RoundToInt|"
    r"FloorToInt|CeilToInt|LShift|RShift|Abs|Identity|(Strict)?(Greater|Less)Than|(Une|E)quality|floor|ceiling"
)
_SHAPE_NAME = re.compile(r"[suz]+\d+|true|false|True|False|oo|int_oo|L")
_SHAPE_METHODS = frozenset({"size", "stride", "dim", "storage_offset"})
_SHAPE_NODES = (
    ast.Expression, ast.Constant, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Load, ast.keyword, ast.operator,
    ast.unaryop, ast.boolop, ast.cmpop, ast.Name, ast.Call, ast.Subscript, ast.Attribute,
)  # fmt: skip
_FREE = frozenset({"metadata", "as_string", "as_strings", "stack_trace", "torch_version"})


def foreign_parts(graph: Any) -> list[str]:
    """What in the JSON of an exported program is of no form that torch writes for tensor operators; empty: all is known."""
    return list(dict.fromkeys(_foreign(graph, "")))


def is_shape(text: str, *, is_guard: bool = False) -> bool:
    """Whether a text that will be evaluated computes with shapes and nothing else."""
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    nodes = list(ast.walk(tree))
    if not all(isinstance(node, _SHAPE_NODES) and _is_shape_node(node, is_guard) for node in nodes):
        return False
    # A text may name a symbol or an input; as an argument of anything else it would be evaluated in its turn.
    symbols = {id(each) for node in nodes if _is_symbol(node) for each in node.args}  # type: ignore[attr-defined]
    keys = {id(node.slice) for node in nodes if isinstance(node, ast.Subscript)}
    texts = {id(node) for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)}
    return texts <= symbols | keys


def _is_symbol(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Symbol"


def _is_shape_node(node: ast.AST, is_guard: bool) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return bool(_FUNCTION.fullmatch(name))
        case ast.Call(func=ast.Attribute(), args=arguments):
            return is_guard and not arguments
        case ast.Call():
            return False
        case ast.Name(id=name):
            return bool(_FUNCTION.fullmatch(name) or _SHAPE_NAME.fullmatch(name))
        case ast.Attribute(attr=name):
            return is_guard and name in _SHAPE_METHODS
        case ast.Subscript(slice=key):
            return is_guard and isinstance(key, ast.Constant)
        case _:
            return True


def _foreign(part: Any, key: str) -> Iterator[str]:
    if isinstance(part, dict):
        for name, value in part.items():
            if not _NAME.fullmatch(str(name)):
                yield f"the name {name!r:.60}"
            if name not in _FREE:
                yield from _foreign(value, str(name))
    elif isinstance(part, list):
        for value in part:
            yield from _foreign(value, key)
    elif isinstance(part, str) and not _is_known(part, key):
        yield f"{key} {part!r:.60}"


def _is_known(text: str, key: str) -> bool:
    match key:
        case "expr_str":
            return is_shape(text)
        case "guards_code":
            return is_shape(text, is_guard=True)
        case "target" | "as_operator":
            return bool(_TARGET.fullmatch(text))
        case "in_spec" | "out_spec":
            try:
                return _is_tree(json.loads(text))
            except (ValueError, RecursionError):
                return False
        case _:
            return bool(_NAME.fullmatch(text))


def _is_tree(spec: Any) -> bool:
    if isinstance(spec, list):
        return all(isinstance(each, int) or _is_tree(each) for each in spec)
    if not isinstance(spec, dict):
        return False
    context = spec.get("context")
    is_plain = context is None or (isinstance(context, str) and bool(_TREE_CONTEXT.fullmatch(context)))
    return spec.get("type") in _TREE_TYPES and is_plain and _is_tree(spec.get("children_spec", []))
