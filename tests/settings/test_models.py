"""Several models: how they are named, what is said of one alone, and what is refused."""

import pytest

from podium.api.endpoint import SETTINGS, Named, choose, models_named, server_of
from podium.domain.monitoring.quality.tasks import SaidTask, Task
from podium.errors import Misconfigured, NotFound
from podium.settings.home import Home
from podium.settings.model import ModelSettings
from podium.settings.provenance import Said, gather

BOTH = """
[serve]
workers = 2
max_batch_rows = 32

[models.fraud]
uri = "models:/fraud/production"
workers = 4
nan = "null"

[models."churn.v2"]
uri = "/models/churn"
"""

MIXED = '[models.b]\nuri = "u"\n[serve]\nmodel_uri = ["a=v", "w"]'


def chosen(folder, text="", *uris, environ=None, **said):
    (folder / "podium.toml").write_text(text)
    flags = [Said(f"serve.{key}", value, f"--{key}") for key, value in said.items()]
    flags += [Said("serve.model_uri", uris, "--model-uri")] if uris else []
    return choose(flags, environ=environ or {}, folder=folder)


def model(folder, name):
    (folder / name).mkdir()
    (folder / name / "MLmodel").write_text("flavors: {}\n")
    return str(folder / name)


def test_what_is_said_of_one_model_alone_wins_over_what_is_said_for_all(tmp_path):
    """Even over a flag: a flag is meant for every model. Each value knows who said it."""
    found = chosen(tmp_path, BOTH, workers=8)
    fraud, churn = found.of_model("fraud"), found.of_model("churn.v2")

    assert (fraud["serve.workers"], churn["serve.workers"]) == (4, 8)
    assert (fraud["serve.max_batch_rows"], churn["serve.max_batch_rows"]) == (32, 32)
    assert (fraud["serve.nan"], churn["serve.nan"]) == ("null", "bare")
    assert fraud.source("serve.workers").endswith("podium.toml:8")
    assert found.shown()["models.fraud.nan"] == {"value": "null", "source": fraud.source("serve.nan")}


@pytest.mark.parametrize(
    ("text", "uris", "environ", "expected"),
    [
        ("", ("models:/fraud/1",), {}, [Named("models:/fraud/1")]),
        ("", ("a=models:/fraud/1", "b=./x=y"), {}, [Named("models:/fraud/1", "a"), Named("./x=y", "b")]),
        ("", ("./a=b", "https://h/m.zip?sig=1"), {}, [Named("./a=b"), Named("https://h/m.zip?sig=1")]),
        (BOTH, (), {}, [Named("models:/fraud/production", "fraud"), Named("/models/churn", "churn.v2")]),
        (BOTH, ("x=y",), {}, [Named("y", "x")]),
        (BOTH, (), {"PODIUM_SERVE_MODEL_URI": "y"}, [Named("y")]),
        (
            '[models.b]\nuri = "u"\n[serve]\nmodel_uri = ["a=v", "w"]',
            (),
            {},
            [Named("v", "a"), Named("w"), Named("u", "b")],
        ),
    ],
    ids=["one", "named", "no names", "the file's", "flags win", "variables win", "both places of the file"],
)
def test_models_are_named_by_whoever_names_them_last(tmp_path, text, uris, environ, expected):
    """-m, or the variable, or all that the file says: [serve] first, then [models.*]."""
    assert models_named(chosen(tmp_path, text, *uris, environ=environ)) == expected


@pytest.mark.parametrize(("written", "named"), [("'fraud'", "fraud"), ("1", "1"), ("true", "true")])
def test_a_class_is_written_as_answers_have_it(tmp_path, written, named):
    found = chosen(tmp_path, f"[models.fraud]\ntask = 'binary'\npositive = {written}").of_model("fraud")

    assert ModelSettings(**found.fields(ModelSettings)).purpose == SaidTask(Task.BINARY, named)


def test_what_was_said_can_be_handed_to_another_process(tmp_path):
    """`podium.serve` does: the outcome is the same there."""
    found = chosen(tmp_path, BOTH, "fraud=/elsewhere", port=1)

    again = gather(SETTINGS, found.said())

    assert models_named(again) == [Named("/elsewhere", "fraud")]
    told = {path: each for path, each in found.shown().items() if each["source"] != "default"}
    assert {path: each for path, each in again.shown().items() if each["source"] != "default"} == told
    assert again.of_model("fraud")["serve.workers"] == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[models.fraud]\nworkerz = 1", "podium.toml:2: there is no setting models.fraud.workerz. Did you mean 'workers'?"),
        ("[models.fraud]\nport = 1", "podium.toml:2: there is no setting models.fraud.port. It is one of the whole server"),
        ("[models.fraud]\nmax_body = 1", "models.fraud.max_body. It is one of the whole server's: [limits]."),
        ("[models.fraud]\nworkers = 0", "podium.toml:2: models.fraud.workers is 0; expected a whole number of at least 1."),
        (
            "[models.fraud]\ntask = 'two'",
            "podium.toml:2: models.fraud.task is 'two'; expected one of binary, multiclass, reg",
        ),
        (
            "[models.fraud]\ndrift = 3",
            "podium.toml:2: models.fraud.drift is 3; expected",
        ),
        (
            "[models.fraud]\npositive = 0.5",
            "podium.toml:2: models.fraud.positive is 0.5; expected a class as answers have it",
        ),
        ("[models]\nfraud = 'x'", "podium.toml:2: models.fraud is no table. Write [models.fraud]"),
        ("[models.fraud]\nuri = 3", "podium.toml:2: models.fraud.uri is 3; expected text."),
        ('[models."a b"]\nuri = "x"', "podium.toml:2: a model cannot be called 'a b'; use letters, digits"),
        ('[models.".."]\nuri = "x"', "a model cannot be called '..'"),
        ("models = 3", "podium.toml:1: models stands outside of a table."),
    ],
)
def test_mistakes_of_one_model_are_refused_with_their_line(tmp_path, text, message):
    """As everywhere in the file."""
    with pytest.raises(Misconfigured) as caught:
        chosen(tmp_path, text)

    assert message in caught.value.message.replace(f"{tmp_path}/", "")


@pytest.mark.parametrize(
    ("uris", "said", "text", "message"),
    [
        (("a=A", "a=B"), {}, "", r"Two models are called a: A and B. Give one of them another name: -m NAME=URI."),
        (("models:/b/1", "b=A"), {}, "", r"Two models are called b: models:/b/1 and A."),
        (
            ("a=A", "b=B"),
            {"name": "x"},
            "",
            r"--name: serve.name is x, but 2 models are named. Give each its own: -m",
        ),
        (("a=A",), {"name": "x"}, "", r"already called a"),
        (("alpha=A", "b=B"), {"default": "alfa"}, "", r"--default: serve.default is alfa, and .* Did you mean 'alpha'\?"),
        (("alpha=A",), {}, "[models.alfa]\nworkers = 2", r"podium.toml:2: no model that is served is called alfa. Did you"),
        (
            ("a=A",),
            {},
            "[models.a]\ntask = 'regression'\npositive = 1",
            r"positive is '1', and a regr.*toml:2, .*:3",
        ),
        (
            ("a=A",),
            {},
            "[models.a]\ndrift = ['age=kss']",
            r"no drift method 'kss'\. Did you mean 'ks'\? There are psi, .*podium.toml:2",
        ),
        (("a=A",), {}, "[models.a]\nrow_independent = true\nbatching = 'off'", r"podium.toml:2, .*podium.toml:3"),
    ],
)
def test_models_that_contradict_each_other_are_refused(tmp_path, uris, said, text, message):
    """Two of one name, a default that there is not, settings for a model that nobody serves."""
    with pytest.raises(Misconfigured, match=message):
        server_of(chosen(tmp_path, text, *uris, **said), Home(tmp_path / "home"))


def test_the_first_named_is_the_default_unless_another_is(tmp_path):
    """And each has its own settings; a name comes from the folder where nobody gives one."""
    one, two = model(tmp_path, "one"), model(tmp_path, "two")
    text = "[models.two]\nworkers = 3"
    home = Home(tmp_path / "home")

    first = server_of(chosen(tmp_path, text, one, two), home)
    other = server_of(chosen(tmp_path, text, one, two, default="two"), home)

    assert [(each.name, each.settings.replicas) for each in first.endpoints] == [("one", 1), ("two", 3)]
    assert (first.default, other.default, first.name) == ("one", "two", "server")


def test_of_several_models_one_that_is_not_there_does_not_keep_the_others(tmp_path):
    """What is not there says so; if none is, that is an error as for one."""
    one, home = model(tmp_path, "one"), Home(tmp_path / "home")

    found = server_of(chosen(tmp_path, "", one, "models:/ghost/production"), home)

    assert [each.first.resolved is None for each in found.endpoints] == [False, True]
    assert "models:/ghost/production: nothing is registered here" in str(found.endpoints[1].first.error)
    with pytest.raises(NotFound):
        server_of(chosen(tmp_path, "", "models:/ghost/1", "models:/phantom/1"), home)
    with pytest.raises(NotFound):
        server_of(chosen(tmp_path, "", "models:/ghost/production"), home)
