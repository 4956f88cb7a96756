"""How large a file or function may be, and what no file may be called."""

import ast

from tree import ROOT, SOURCE, modules, tracked

_MAX_FILE, _MAX_TEST_FILE, _MAX_FUNCTION = 400, 700, 60
_SAYS_NOTHING = {"util", "utils", "helper", "helpers", "common", "misc", "base", "manager", "core", "_internal"}


def test_no_file_is_longer_than_four_hundred_lines():
    """A file of tests may have seven hundred: it can hold a long table."""
    long = {}
    for path in tracked():
        lines = len(path.read_text().splitlines()) if path.suffix == ".py" else 0
        if lines > (_MAX_TEST_FILE if ROOT / "tests" in path.parents else _MAX_FILE):
            long[str(path.relative_to(ROOT))] = lines

    assert long == {}


def test_no_function_is_longer_than_sixty_lines():
    """Counted from its `def` to its last line, docstring left out."""
    long = {}
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                docstring = len((ast.get_docstring(node, clean=False) or "").splitlines())
                lines = node.end_lineno - node.lineno + 1 - docstring
                if lines > _MAX_FUNCTION:
                    long[f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"] = lines

    assert long == {}


def test_no_module_or_class_has_a_name_that_says_nothing():
    """A room is called for what it holds."""
    odd = [
        str(path.relative_to(ROOT)) for path in modules() if _SAYS_NOTHING & {*path.relative_to(SOURCE).parts, path.stem}
    ]
    for path in modules():
        odd += [
            f"{path.relative_to(ROOT)}: {node.name}"
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ClassDef) and node.name.lower().endswith(("manager", "helper", "utils", "base"))
        ]

    assert odd == []


def test_no_tracked_file_is_larger_than_a_megabyte():
    """Data sets come with the libraries; models are made by the tests."""
    assert [str(path) for path in tracked() if path.stat().st_size > 1 << 20] == []
