"""What is refused under which terms, from values alone."""

import pytest

from podium.domain.load_terms import DEFAULT_TERMS, LoadTerms
from podium.domain.model_files.code import CodeNeed, entry_needs, line_needs, pickle_need, refuse
from podium.domain.model_files.exported_graphs import foreign_parts, is_shape
from podium.domain.model_files.keras_configs import foreign_objects
from podium.domain.model_files.skops_types import foreign_types
from podium.errors import LoadFailed

NO_CODE = LoadTerms(allows_code=False)
NO_PICKLES = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
SKOPS = CodeNeed("model.skops", "is a skops file", is_pickle=True, is_code=False)
FILE = CodeNeed("model.py", "is a Python file that loading runs")


@pytest.mark.parametrize(
    ("need", "terms", "environ", "is_refused"),
    [
        (pickle_need("model.pkl"), DEFAULT_TERMS, {}, False),
        (pickle_need("model.pkl"), DEFAULT_TERMS, NO_PICKLES, True),
        (pickle_need("model.pkl"), NO_CODE, {}, True),
        (FILE, DEFAULT_TERMS, NO_PICKLES, False),
        (FILE, NO_CODE, {}, True),
        (SKOPS, NO_CODE, {}, False),
        (SKOPS, DEFAULT_TERMS, NO_PICKLES, True),
    ],
)
def test_each_switch_refuses_what_it_is_for(need, terms, environ, is_refused):
    if not is_refused:
        refuse([need], terms, environ)
        return
    with pytest.raises(LoadFailed) as raised:
        refuse([need], terms, environ)

    assert raised.value.cause == "code_not_allowed"
    assert need.what in raised.value.message
    assert need.remedy in raised.value.message


@pytest.mark.parametrize(
    ("flavors", "whats"),
    [
        ({"python_function": {"loader_module": "mlflow.onnx"}, "onnx": {}}, []),
        ({"python_function": {"loader_module": "mlflow.onnx", "code": "code"}, "onnx": {}}, ["code/"]),
        ({"python_function": {"loader_module": "mlflow.onnx"}, "onnx": {"code": "code"}}, ["code/"]),
        ({"python_function": {"loader_module": "mlflow.pyfunc.model", "python_model": "p.pkl"}}, ["p.pkl"]),
        ({"python_function": {"loader_module": "mlflow.pyfunc.loaders.code_model", "model_code_path": "m.py"}}, ["m.py"]),
        ({"python_function": {"loader_module": "mlflow.onnx", "model_code_path": "m.py"}}, ["m.py"]),
        ({"python_function": {"loader_module": "loader"}}, ["loader_module loader"]),
        ({"python_function": {"loader_module": "mlflow.spark"}}, ["loader_module mlflow.spark"]),
        ({"python_function": {}, "onnx": {}}, []),
        ({"python_function": {"env": "e"}}, ["loader_module None"]),
    ],
)
def test_mlmodel_alone_says_which_code_it_has_run(flavors, whats):
    assert whats == [need.what for need in entry_needs(flavors)]


@pytest.mark.parametrize(
    ("kind", "module", "name", "is_ours"),
    [
        ("ObjectNode", "sklearn.linear_model._logistic", "LogisticRegression", True),
        ("ObjectNode", "sklearn.datasets._base", "Bunch", False),
        ("ObjectNode", "sklearn.utils._testing", "TempMemmap", False),
        ("ObjectNode", "subprocess", "Popen", False),
        ("ObjectNode", "sklearn_evil", "Model", False),
        ("ObjectNode", "lightgbm.basic", "Booster", True),
        ("FunctionNode", "numpy", "log1p", True),
        ("FunctionNode", "numpy", "load", False),
        ("FunctionNode", "numpy.testing._private.utils", "runstring", False),
        ("FunctionNode", "sklearn.metrics._regression", "r2_score", True),
        ("FunctionNode", "builtins", "eval", False),
        ("TypeNode", "numpy", "float64", True),
        ("TypeNode", "os", "system", False),
        ("LossNode", "sklearn._loss._loss", "CyHalfBinomialLoss", True),
        ("LossNode", "sklearn.linear_model._logistic", "LogisticRegression", False),
        ("MethodNode", "sklearn.linear_model._logistic", "LogisticRegression", False),
        ("PartialNode", "functools", "partial", False),
        ("OperatorFuncNode", "operator", "methodcaller", False),
        ("DictNode", "os", "_Environ", False),
        ("NewNode", "builtins", "dict", False),
    ],
)
def test_a_skops_type_is_trusted_by_podiums_list_alone(kind, module, name, is_ours):
    schema = {"__loader__": "DictNode", "__module__": "builtins", "__class__": "dict", "content": {"a": [{}]}}
    schema["content"]["a"] = [{"__loader__": kind, "__module__": module, "__class__": name}]

    assert ([] if is_ours else [f"{module}.{name} ({kind})"]) == foreign_types(schema)


def test_a_bit_generator_of_another_name_is_not_trusted():
    def generator(name):
        inner = {"content": {"bit_generator": {"content": f'"{name}"'}}}
        place = {"__module__": "numpy.random._generator", "__class__": "Generator"}
        return {"__loader__": "RandomGeneratorNode", **place, "content": {"bit_generator": inner}}

    assert foreign_types(generator("PCG64")) == []
    assert foreign_types(generator("set_bit_generator")) != []


@pytest.mark.parametrize(
    ("text", "is_guard", "is_safe"),
    [
        ("Symbol('s31', positive=True, integer=True)", False, True),
        ("2*s0 + Mod(s1, 3)", False, True),
        ("__import__('os').system('id')", False, False),
        ("Max('__import__(1)', 2)", False, False),
        ("Symbol('a').__class__", False, False),
        ("(lambda: 1)()", False, False),
        ("[x for x in (1,)]", False, False),
        ("L['x'].size()[0] >= 2", False, False),
        ("L['x'].size()[0] >= 2", True, True),
        ("L['x'].__class__()", True, False),
        ("exec('1')", True, False),
    ],
)
def test_a_shape_may_compute_and_nothing_else(text, is_guard, is_safe):
    assert is_safe is is_shape(text, is_guard=is_guard)


@pytest.mark.parametrize(
    ("part", "is_known"),
    [
        ({"target": "torch.ops.aten.linear.default"}, True),
        ({"target": "torch.hub.load"}, False),
        ({"target": "torch.load"}, False),
        ({"target": "_operator.getitem"}, True),
        ({"name": "x): import os #"}, False),
        ({"in_spec": '[1, {"type": "builtins.tuple", "context": "null", "children_spec": []}]'}, True),
        ({"in_spec": '[1, {"type": "os.system", "context": "null", "children_spec": []}]'}, False),
        ({"guards_code": ["__import__('os')"]}, False),
        ({"metadata": {"stack_trace": "File (x), line 1"}}, True),
    ],
)
def test_a_graph_holds_tensor_operators_and_plain_names(part, is_known):
    assert is_known is (foreign_parts({"nodes": [part]}) == [])


@pytest.mark.parametrize(
    ("node", "is_ours"),
    [
        ({"module": "keras.layers", "class_name": "Dense", "config": {"units": 3}}, True),
        ({"module": "keras.src.ops.numpy", "class_name": "Add", "registered_name": "Add"}, True),
        ({"module": "builtins", "class_name": "function", "config": "relu"}, True),
        ({"module": "keras.layers", "class_name": "Lambda"}, False),
        ({"class_name": "__lambda__"}, False),
        ({"module": "keras.layers", "class_name": "TorchModuleWrapper"}, False),
        ({"module": "keras.utils", "class_name": "get_file"}, False),
        ({"module": "os", "class_name": "system"}, False),
        ({"module": None, "class_name": "Mine", "registered_name": "Custom>Mine"}, False),
        ({"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}}, False),
        ({"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": ["a"]}}, True),
    ],
)
def test_a_keras_configuration_names_keras_own_objects(node, is_ours):
    assert is_ours is (foreign_objects({"config": {"layers": [node]}}) == [])


@pytest.mark.parametrize(
    "line",
    [
        "numpy",
        "numpy==2.0.0",
        "scikit-learn>=1.5,<2",
        "mlflow[extras,more]==3.1 ; python_version >= '3.9'",
        "torch==2.13.0+cpu",
        "pandas (>=2)",
    ],
)
def test_a_plain_requirement_needs_no_code(line: str):
    assert line_needs([line]) == []


@pytest.mark.parametrize(
    "line",
    [
        "-e .",
        ".",
        "./wheels/evil-1.0-py3-none-any.whl",
        "/tmp/evil.whl",
        "evil @ https://host/evil.whl",
        "evil@file:///tmp/evil.whl",
        "git+https://host/evil",
        "--index-url https://host/simple",
        "--extra-index-url=https://host/simple",
        "-r /etc/passwd",
        "--find-links wheels",
        "numpy==1; python_version > '3' @ https://host",
        "evil-1.0.tar.gz/",
        "wheels/evil.whl",
    ],
)
def test_a_requirement_that_brings_its_own_place_is_code(line: str):
    needs = line_needs([line])

    assert [repr(line) in each.what for each in needs] == [True]
    with pytest.raises(LoadFailed, match="no plain name"):
        refuse(needs, LoadTerms(allows_code=False), {})
