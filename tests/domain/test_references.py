"""What a person writes to name a model: MLflow's table of URIs, and what is refused."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.domain.references import (
    AliasRef,
    FolderRef,
    LatestRef,
    LoggedRef,
    RemoteRef,
    RunRef,
    StageRef,
    VersionRef,
    check_alias,
    check_name,
    parse_reference,
)
from podium.domain.stages import Stage
from podium.errors import InvalidInput, InvalidReference

LOGGED = "m-" + "0a" * 16


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("models:/iris/3", VersionRef("iris", 3)),
        ("models:/iris/03", VersionRef("iris", 3)),
        ("models:/iris/latest", LatestRef("iris")),
        ("models:/iris/LATEST", LatestRef("iris")),
        ("models:/iris/Production", StageRef("iris", Stage.PRODUCTION)),
        ("models:/iris/production", StageRef("iris", Stage.PRODUCTION)),
        ("models:/iris@champ", AliasRef("iris", "champ")),
        ("models:/a@b@champ", AliasRef("a@b", "champ")),
        (f"models:/{LOGGED}", LoggedRef(LOGGED)),
        ("models://profile@databricks/iris/1", VersionRef("iris", 1)),
        ("models:/a b/1", VersionRef("a b", 1)),
        ("model", FolderRef("model")),
        ("./a/b", FolderRef("./a/b")),
        ("/a/b", FolderRef("/a/b")),
        ("file:/a/b", FolderRef("/a/b")),
        ("file:///a/b", FolderRef("/a/b")),
        ("file://localhost/a/b", FolderRef("/a/b")),
        ("file:a/b", FolderRef("a/b")),
        ("file:///a%20b/%C3%A9", FolderRef("/a b/\u00e9")),
        ("/a%20b", FolderRef("/a%20b")),
        ("runs:/0123/model", RunRef("0123", "model")),
        ("runs://profile@databricks/0123/model", RunRef("0123", "model")),
        ("runs:/0123/deep/model/", RunRef("0123", "deep/model")),
        ("s3://bucket/model", RemoteRef("s3://bucket/model")),
        ("S3://bucket/model", RemoteRef("s3://bucket/model")),
        ("gs://bucket/model", RemoteRef("gs://bucket/model")),
        ("abfss://c@a.dfs.core.windows.net/m", RemoteRef("abfss://c@a.dfs.core.windows.net/m")),
        ("https://host/model.tar.gz?sig=x", RemoteRef("https://host/model.tar.gz?sig=x")),
        ("mlflow-artifacts:/0/m/artifacts", RemoteRef("mlflow-artifacts:/0/m/artifacts")),
    ],
)
def test_each_form_means_what_it_means_in_mlflow(text, expected):
    assert parse_reference(text) == expected


def test_a_stage_that_there_is_not_is_refused_with_the_one_that_was_meant():
    """With the place, in MLflow's words."""
    with pytest.raises(InvalidReference, match=r"models:/a/prodction: .*Value must be one of None, .* mean 'production'"):
        parse_reference("models:/a/prodction")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "models:",
        "models:/",
        "models:/iris",
        "models:/iris/",
        "models:iris",
        "models:/a@",
        "models:/@a",
        "models:/a/b/c",
        "models:/iris/1/sub/file",
        "models:/iris/nonsense",
        "models:/iris/" + "9" * 5000,
        "models:/iris/\u00b2",
        "s3:/bucket",
        "s3://",
        "s3:///key",
        "https://host/a b",
        "ftp://host/model",
        "runs:/0123",
        "runs:0123/model",
        "runs:/0123/../other",
        "runs://host/0123",
        "file://elsewhere/a",
    ],
)
def test_what_has_no_meaning_is_refused(text):
    with pytest.raises(InvalidInput):
        parse_reference(text)


@pytest.mark.parametrize(
    ("text", "meant"), [("model:/iris/3", "models:"), ("run:/abc/model", "runs:"), ("s3n://a/b", "s3:")]
)
def test_a_near_scheme_is_offered(text, meant):
    with pytest.raises(InvalidInput, match=f"Did you mean '{meant}'"):
        parse_reference(text)


@pytest.mark.parametrize("text", ["models:/iris/3", "models:/iris/production", "models:/iris/latest", "models:/iris@champ"])
def test_a_reference_is_written_as_it_is_read(text):
    assert str(parse_reference(text)) == text


@given(st.one_of(st.text(), st.text().map("models:/".__add__), st.text().map("file:".__add__)))
def test_any_text_is_a_reference_or_refused(text):
    with contextlib.suppress(InvalidInput):
        parse_reference(text)


@pytest.mark.parametrize("name", ["", " ", "a/b", "a:b", "a\n", "a\u202eb", "x" * 257])
def test_a_name_that_a_uri_could_not_hold_is_refused(name):
    with pytest.raises(InvalidReference):
        check_name(name)


@pytest.mark.parametrize("alias", ["", "latest", "Latest", "v1", "V12", "a b", "a/b", "x" * 256])
def test_an_alias_that_is_reserved_or_could_not_be_written_is_refused(alias):
    with pytest.raises(InvalidReference):
        check_alias(alias)
