import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.domain.stages import Stage
from podium.errors import InvalidInput
from podium.registry.contract import RegisteredModel, Version
from podium.registry.search import MODELS, VERSIONS, search

ROWS = [("iris", {"team": "a"}), ("Iris2", {"team": "b", "x y": "1"}), ("fraud", {}), ("a_b", {"Team": "A"}), ("a%b", {})]
MODEL_ROWS = [RegisteredModel(key, name, "", 10 - key, 100 - key, tags) for key, (name, tags) in enumerate(ROWS)]
VERSION_ROWS = [
    Version(
        name,
        number,
        Stage.NONE,
        "",
        f"s3://b/{name}{number - 1}",
        "",
        at,
        at,
        "",
        {"i": str(number - 1)} if number > 1 else {},
    )
    for at, (name, number) in enumerate([("iris", 1), ("iris", 2), ("iris", 3), ("fraud", 1), ("fraud", 2)])
]

# The expected answers are those of MLflow 3.17.2's SqlAlchemyStore on the same rows (test_mlflow_gives_the_same_answers).
MODEL_FILTERS = [
    ("", ["Iris2", "a%b", "a_b", "fraud", "iris"]),
    ("name='iris'", ["iris"]),
    ('name = "iris"', ["iris"]),
    ("name ILIKE 'IR%'", ["Iris2", "iris"]),
    ("name LIKE 'IR%'", []),
    ("name LIKE 'ir%'", ["iris"]),
    ("name != 'iris'", ["Iris2", "a%b", "a_b", "fraud"]),
    ("name IN ('iris','fraud')", ["fraud", "iris"]),
    ("name NOT IN ('iris')", ["Iris2", "a%b", "a_b", "fraud"]),
    ("tags.team='a'", ["iris"]),
    ("tag.team='a'", ["iris"]),
    ("tags.team != 'a'", ["Iris2"]),
    ("tags.`team` = 'a'", ["iris"]),
    ("tags.\"team\"='a'", ["iris"]),
    ("tags.Team='A'", ["a_b"]),
    ("tags.team ILIKE 'A'", ["iris"]),
    ("name='iris' and tags.team='a'", ["iris"]),
    ("tag.`mlflow.prompt.is_prompt` != 'true'", ["Iris2", "a%b", "a_b", "fraud", "iris"]),
    ("tags.nope != 'true'", []),
    ("name LIKE 'a_b'", ["a%b", "a_b"]),
    ("name LIKE 'a\\_b'", []),
    ("name ilike 'A%B'", ["a%b", "a_b"]),
    ("tags.`x y`='1'", ["Iris2"]),
    ("name='iris' AND", ["iris"]),
    ("attribute.name='iris'", ["iris"]),
    ("name = 'iris' AND name = 'fraud'", []),
]
VERSION_FILTERS = [
    ("", [("fraud", 2), ("fraud", 1), ("iris", 3), ("iris", 2), ("iris", 1)]),
    ("name='iris'", [("iris", 3), ("iris", 2), ("iris", 1)]),
    ("name NOT IN ('iris')", [("fraud", 2), ("fraud", 1)]),
    ("run_id='run0'", []),
    ("run_id != 'run0'", []),
    ("source_path='s3://b/iris1'", [("iris", 2)]),
    ("source_path LIKE '%iris%'", [("iris", 3), ("iris", 2), ("iris", 1)]),
    ("version_number=1", [("fraud", 1), ("iris", 1)]),
    ("version_number>1", [("fraud", 2), ("iris", 3), ("iris", 2)]),
    ("version_number='1'", [("fraud", 1), ("iris", 1)]),
    ("version_number>=2 AND name='iris'", [("iris", 3), ("iris", 2)]),
    ("version_number != 1", [("fraud", 2), ("iris", 3), ("iris", 2)]),
    ("version_number <= 1", [("fraud", 1), ("iris", 1)]),
    ("tags.i='1'", [("fraud", 2), ("iris", 2)]),
    ("tags.i!='1'", [("iris", 3)]),
    ("tag.`mlflow.prompt.is_prompt` != 'true'", [("fraud", 2), ("fraud", 1), ("iris", 3), ("iris", 2), ("iris", 1)]),
]
REFUSED_MODELS = [
    "name='iris' OR name='fraud'",
    "`name`='iris'",
    "name=='iris'",
    "name=iris",
    "foo='x'",
    "name='iris",
    "name > 'a'",
    "name in ()",
    "run_id='x'",
    "name not like 'x'",
    "tags.team IN ('a')",
    "NAME='iris'",
    "not name='iris'",
    "(name='iris')",
    "name is null",
    "name =",
    "name",
]
REFUSED_VERSIONS = [
    "version_number IN (1)",
    "version_number=1.5",
    "version_number=abc",
    "current_stage='Production'",
    "version=1",
    "version_number <> 1",
]


@pytest.mark.parametrize(("text", "names"), MODEL_FILTERS)
def test_models_fit_a_filter_as_in_mlflow(text, names):
    assert names == [model.name for model in search(MODEL_ROWS, MODELS, text).items]


@pytest.mark.parametrize(("text", "expected"), VERSION_FILTERS)
def test_versions_fit_a_filter_as_in_mlflow(text, expected):
    found = search(VERSION_ROWS, VERSIONS, text).items

    assert sorted(expected) == sorted((version.name, version.version) for version in found)


@pytest.mark.parametrize("text", REFUSED_MODELS)
def test_filters_that_mlflow_refuses_are_refused_for_models(text):
    with pytest.raises(InvalidInput):
        search(MODEL_ROWS, MODELS, text)


@pytest.mark.parametrize("text", REFUSED_VERSIONS)
def test_filters_that_mlflow_refuses_are_refused_for_versions(text):
    with pytest.raises(InvalidInput):
        search(VERSION_ROWS, VERSIONS, text)


def test_or_is_refused_in_mlflows_words():
    with pytest.raises(InvalidInput, match=r"^Invalid clause\(s\) in filter string: OR$"):
        search(MODEL_ROWS, MODELS, "name='iris' OR name='fraud'")
    with pytest.raises(InvalidInput, match=r"^Invalid attribute key 'current_stage' specified. Valid keys are '{"):
        search(VERSION_ROWS, VERSIONS, "current_stage='Production'")


def test_order_pages_and_tokens():
    assert [m.name for m in search(MODEL_ROWS, MODELS, order_by=["name DESC"]).items] == [
        "iris",
        "fraud",
        "a_b",
        "a%b",
        "Iris2",
    ]
    assert [m.name for m in search(MODEL_ROWS, MODELS, order_by=["timestamp desc"], max_results=2).items] == [
        "iris",
        "Iris2",
    ]
    first = search(MODEL_ROWS, MODELS, max_results=3)
    second = search(MODEL_ROWS, MODELS, max_results=3, page_token=first.next_token)
    assert search(MODEL_ROWS, MODELS).items == first.items + second.items
    assert second.next_token is None
    assert search(MODEL_ROWS, MODELS, max_results=1).next_token == "eyJvZmZzZXQiOiAxfQ=="


@pytest.mark.parametrize("order_by", [["foo"], ["name", "name"], ["name up"], [""], ["source_path"]])
def test_orders_that_cannot_be_used_are_refused(order_by):
    with pytest.raises(InvalidInput):
        search(MODEL_ROWS, MODELS, order_by=order_by)


@pytest.mark.parametrize("token", ["x", "e30=", "eyJvZmZzZXQiOiAtMX0=", "eyJvZmZzZXQiOiB0cnVlfQ==", "W10="])
def test_tokens_that_no_search_returned_are_refused(token):
    with pytest.raises(InvalidInput, match="token"):
        search(MODEL_ROWS, MODELS, page_token=token)


@pytest.mark.parametrize("max_results", [0, -1, 1001])
def test_more_results_than_mlflow_gives_are_refused(max_results):
    with pytest.raises(InvalidInput, match="max_results"):
        search(MODEL_ROWS, MODELS, max_results=max_results)


@given(st.text(alphabet=st.sampled_from("ab%_."), max_size=8), st.text(alphabet=st.sampled_from("ab%_.A\n"), max_size=10))
def test_like_is_sqls_like(pattern, text):
    import sqlite3

    connection = sqlite3.connect(":memory:")
    expected = connection.execute("SELECT ? LIKE ?", [text, pattern]).fetchone()[0] == 1
    connection.close()
    row = RegisteredModel(1, text, "", 0, 0)

    assert expected == bool(search([row], MODELS, f"name ILIKE '{pattern}'").items)


@given(st.text(max_size=40))
def test_any_text_is_a_filter_or_refused(text):
    try:
        search(MODEL_ROWS, MODELS, text)
        search(VERSION_ROWS, VERSIONS, text)
    except InvalidInput:
        pass


def test_a_pattern_made_to_be_slow_is_not():
    row = RegisteredModel(1, "a" * 256, "", 0, 0)

    assert search([row], MODELS, f"name LIKE '{'%a' * 120}b'").items == ()


ASK_MLFLOW = """
import json, sys, tempfile
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
rows, models, versions, refused_models, refused_versions = json.load(sys.stdin)
store = SqlAlchemyStore(f"sqlite:///{tempfile.mkdtemp()}/registry.db")
for name, tags in rows:
    store.create_registered_model(name, [RegisteredModelTag(key, value) for key, value in tags.items()])
for name, count in (("iris", 3), ("fraud", 2)):
    for i in range(count):
        store.create_model_version(name, f"s3://b/{name}{i}", tags=[ModelVersionTag("i", str(i))] if i else [])
for text, names in models:
    found = [model.name for model in store.search_registered_models(text)]
    assert found == names, (text, found)
for text, expected in versions:
    found = sorted([version.name, version.version] for version in store.search_model_versions(text))
    assert found == sorted(expected), (text, found)
for search, texts in ((store.search_registered_models, refused_models), (store.search_model_versions, refused_versions)):
    for text in texts:
        try:
            search(text)
        except (MlflowException, ValueError):
            continue
        raise AssertionError(f"MLflow takes {text}")
print("same")
"""


@pytest.mark.mlflow
def test_mlflow_gives_the_same_answers(tmp_path):
    import json

    python = os.environ.get("PODIUM_TEST_MLFLOW_PYTHON")
    if not python:
        pytest.skip("PODIUM_TEST_MLFLOW_PYTHON is not set")
    question = json.dumps([ROWS, MODEL_FILTERS, VERSION_FILTERS, REFUSED_MODELS, REFUSED_VERSIONS])

    answer = subprocess.run(
        [python, "-c", ASK_MLFLOW], input=question, capture_output=True, text=True, timeout=550, cwd=tmp_path, check=False
    )

    assert answer.stdout.endswith("same\n"), answer.stderr[-2000:]
