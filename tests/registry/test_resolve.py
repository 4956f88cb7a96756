import os

import pytest

from podium.domain.references import parse_reference
from podium.domain.stages import Stage
from podium.errors import InvalidModel, NotFound
from podium.registry.resolve import resolve


@pytest.fixture
def placed(fraud):
    """fraud: 1 archived, 2 in Production and `champ`, 3 in Staging."""
    fraud.transition("fraud", 1, Stage.ARCHIVED)
    fraud.transition("fraud", 2, Stage.PRODUCTION)
    fraud.transition("fraud", 3, Stage.STAGING)
    fraud.set_alias("fraud", "champ", 2)
    return fraud


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("models:/fraud/1", 1),
        ("models:/fraud/03", 3),
        ("models:/fraud/production", 2),
        ("models:/fraud/Staging", 3),
        ("models:/fraud/ARCHIVED", 1),
        ("models:/fraud/latest", 3),
        ("models:/fraud/Latest", 3),
        ("models:/fraud@champ", 2),
        ("models:/fraud@latest", 3),
    ],
)
def test_each_form_of_uri_stands_for_a_version(placed, home, text, version):
    found = resolve(parse_reference(text), home)

    record = placed.version("fraud", version)
    assert (found.name, found.version, found.label) == ("fraud", version, str(version))
    assert (found.stage, found.digest) == (record.stage, record.digest)
    assert (found.folder / "MLmodel").is_file()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models:/frud/1", ["no registered model is named 'frud'. Did you mean 'fraud'?", "registry.db: models fraud"]),
        ("models:/FRAUD/1", ["Did you mean 'fraud'?"]),
        ("models:/fraud/9", ["'fraud' has no version 9", "versions 1, 2, 3"]),
        ("models:/fraud/99999999999999999999999", ["has no version"]),
        ("models:/fraud/none", ["in stage None", "1 (Archived), 2 (Production), 3 (Staging)", "podium models transition"]),
        ("models:/fraud@Champ", ["no alias 'Champ'", "champ -> 2", "podium models alias fraud Champ 3"]),
        ("models:/m-" + "0" * 32, ["No model was logged", "logged models"]),
    ],
)
def test_what_is_not_found_is_explained_by_what_is_there(placed, home, text, said):
    with pytest.raises(NotFound) as caught:
        resolve(parse_reference(text), home)

    assert [part for part in said if part not in caught.value.message] == []
    assert caught.value.searched


def test_of_many_versions_the_newest_are_named(fraud, home):
    digest = fraud.version("fraud", 1).digest
    for _ in range(20):
        fraud.register_digest(digest, "fraud", "x")

    with pytest.raises(NotFound, match=r"\(15 more\) … 16, 17, 18, 19, 20, 21, 22, 23\n"):
        resolve(parse_reference("models:/fraud/99"), home)


def test_a_model_without_versions_says_so(service, home):
    service.create_model("fraud")

    with pytest.raises(NotFound, match="'fraud' has no versions"):
        resolve(parse_reference("models:/fraud/latest"), home)


def test_without_a_registry_the_place_is_named_and_none_is_made(home):
    with pytest.raises(NotFound, match=r"nothing is registered here yet(.|\n)*registry.db: there is no registry"):
        resolve(parse_reference("models:/fraud/1"), home)

    assert not home.registry.exists()


def test_a_logged_model_is_named_by_its_id(service, home, folder):
    logged = service.log(folder)

    found = resolve(parse_reference(f"models:/{logged.model_id}"), home)

    assert (found.name, found.version, found.digest) == (None, None, logged.digest)
    assert found.label == logged.digest.removeprefix("sha256:")[:12]


def test_a_folder_is_unverified_and_labelled_by_its_content(home, folder, monkeypatch):
    monkeypatch.chdir(folder.parent)

    texts = [str(folder), f"file://{folder}", f"file:{folder}", folder.name, f"./{folder.name}/"]
    found = [resolve(parse_reference(text), home) for text in texts]

    assert {(folder, None, None)} == {(each.folder, each.digest, each.version) for each in found}
    assert len({each.label for each in found}) == 1
    assert len(found[0].label) == 12


def test_a_folder_that_is_not_there_says_how_a_registered_model_is_named(home, tmp_path):
    with pytest.raises(NotFound, match=r"no model folder fraud. A registered model is named models:/fraud/production"):
        resolve(parse_reference("fraud"), home)
    with pytest.raises(InvalidModel, match="no MLmodel file"):
        resolve(parse_reference(str(tmp_path)), home)
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidModel, match="is a file"):
        resolve(parse_reference(str(tmp_path / "file")), home)


def test_resolving_leaves_the_home_as_it_is(placed, home):
    before = sorted(os.listdir(home.root))

    resolve(parse_reference("models:/fraud/production"), home)

    assert before == sorted(os.listdir(home.root))
