"""`podium models` as people and scripts use it: stdout, stderr, exit codes."""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import podium as podium_package

# Commands run in another folder, where a relative PYTHONPATH leads nowhere.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(podium_package.__file__).parents[1])}


@dataclass(frozen=True)
class Ran:
    exit_code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def commands(home: Path, place: Path) -> Callable[..., Ran]:
    def run(*arguments: object) -> Ran:
        command = [sys.executable, "-m", "podium", "models", *map(str, arguments)]
        environment = {**ENVIRONMENT, "PODIUM_HOME": str(home)}
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment, cwd=place, check=False)
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


def some_model(place: Path, content: str | None = None) -> Path:
    folder = place / "some-model"
    folder.mkdir(exist_ok=True)
    (folder / "MLmodel").write_text("flavors:\n  python_function: {}\n")
    if content is not None:
        (folder / "content").write_text(content)
    return folder


@pytest.fixture
def podium(home: Path, tmp_path: Path) -> Callable[..., Ran]:
    return commands(home, tmp_path)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return some_model(tmp_path)


@pytest.fixture(scope="module")
def home_of_two(tmp_path_factory) -> Path:
    """`fraud` with two versions, made once: whoever needs it copies it."""
    place = tmp_path_factory.mktemp("two")
    run = commands(place / "home", place)
    for number in ("1", "2"):
        assert run("register", some_model(place, number), "fraud").out == f"{number}\n"
    return place / "home"


@pytest.fixture
def two(home_of_two, home, tmp_path):
    """`fraud` with two versions."""
    some_model(tmp_path, "2")
    shutil.copytree(home_of_two, home)
    return commands(home, tmp_path)


def test_register_prints_the_number_alone_and_tells_people_what_is_next(podium, model, home):
    ran = podium("register", model, "fraud", "--tag", "team=risk", "--description", "first")

    assert (ran.exit_code, ran.out) == (0, "1\n")
    assert "Next: podium models promote fraud 1" in ran.err
    shown = podium("show", "fraud", "--version", "1", "--json").json
    assert (shown["stage"], shown["tags"], shown["description"]) == ("None", {"team": "risk"}, "first")
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_show_says_what_a_version_takes_and_gives(podium, model):
    inputs = '[{"type": "double", "name": "amount", "required": true}]'
    (model / "MLmodel").write_text(
        f"flavors:\n  python_function: {{}}\n  sklearn: {{}}\nsignature:\n  inputs: '{inputs}'\n  outputs: null\n"
    )
    podium("register", model, "fraud")

    told, document = podium("show", "fraud", "--version", "1").out, podium("show", "fraud", "--version", "1", "--json").json

    assert "python_function, sklearn" in told
    assert "amount" in told
    assert (document["flavors"], document["signature"]) == (
        ["python_function", "sklearn"],
        {"inputs": json.loads(inputs), "outputs": None, "params": None},
    )


def test_register_with_json_prints_one_document_and_says_nothing(podium, model):
    ran = podium("register", model, "fraud", "--json")

    assert (ran.json["name"], ran.json["version"], ran.err) == ("fraud", 1, "")


def test_a_folder_that_is_no_model_is_not_registered(podium, tmp_path, home):
    (tmp_path / "empty").mkdir()

    ran = podium("register", "empty", "fraud")

    assert (ran.exit_code, ran.out) == (1, "")
    assert "no MLmodel file" in ran.err
    (tmp_path / "empty/MLmodel").write_text("flavors: [")
    assert "not YAML" in podium("register", "empty", "fraud").err
    assert not home.exists()


def test_a_version_can_be_registered_again_under_another_name(two):
    ran = two("register", "models:/fraud/1", "copy")

    assert ran.out == "1\n"
    digests = [two("show", name, "--version", "1", "--json").json["digest"] for name in ("fraud", "copy")]
    assert digests[0] == digests[1]


def test_promote_and_rollback_go_there_and_back(two):
    assert two("promote", "fraud", 1).exit_code == 0
    promoted = two("promote", "fraud", "2")
    assert promoted.out == "fraud version 2 is now in Production.\nArchived: 1.\n"
    assert "Next: podium serve -m models:/fraud/production" in promoted.err

    back = two("rollback", "fraud", "--json").json

    assert (back["version"], back["stage"], back["archived"], back["warning"]) == (1, "Production", [2], None)
    again = two("rollback", "fraud")
    assert (again.exit_code, again.out) == (1, "")
    assert "nothing to roll back to" in again.err
    assert two("rollback", "fraud", "--to", "2").out.startswith("fraud version 2 is now in Production.")


def test_stages_are_read_in_any_case_and_shown_in_theirs(two):
    assert two("transition", "fraud", 1, "sTaGiNg", "--json").json["stage"] == "Staging"

    wrong = two("transition", "fraud", 1, "live")

    assert wrong.exit_code == 2
    assert "Invalid Model Version stage: live. Value must be one of None, Staging, Production, Archived." in wrong.err


def test_keeping_a_higher_version_in_the_stage_warns_and_names_the_fix(two):
    two("promote", "fraud", 2)

    ran = two("transition", "fraud", 1, "production", "--keep-existing")

    assert ran.exit_code == 0
    assert "warning: models:/fraud/production stands for version 2, not for 1" in ran.err
    assert "Run: podium models transition fraud 1 production" in ran.err
    ran = two("promote", "fraud", 1, "--keep-existing", "--json")
    assert ran.json["stands_for"] == 2
    assert "stands for version 2" in ran.json["warning"]


def test_alias_points_and_is_removed(two):
    assert two("alias", "fraud", "champ", 1).exit_code == 0
    assert two("list", "--json").json[0]["aliases"] == {"champ": 1}

    assert two("alias", "fraud", "champ", "--remove").exit_code == 0
    assert two("list", "--json").json[0]["aliases"] == {}
    for arguments in (["champ"], ["champ", "1", "--remove"], ["latest", "1"], ["v7", "1"]):
        assert two("alias", "fraud", *arguments).exit_code == 2


def test_list_shows_what_is_live(two, podium):
    two("promote", "fraud", 1)
    two("transition", "fraud", 2, "staging")

    heading, row = podium("list").out.splitlines()

    assert heading.split() == ["NAME", "PRODUCTION", "STAGING", "LATEST", "ALIASES", "UPDATED"]
    assert row.split()[:4] == ["fraud", "1", "2", "2"]
    assert podium("list", "--json").json[0]["stages"] == {"Production": 1, "Staging": 2}


def test_list_of_nothing_creates_nothing(podium, home):
    ran = podium("list", "--json")

    assert (ran.exit_code, ran.json) == (0, [])
    assert not home.exists()


def test_show_prints_facts_and_versions(two):
    shown = two("show", "fraud")

    assert shown.out.splitlines()[0] == "name     fraud"
    assert [line.split()[:3] for line in shown.out.splitlines()[-2:]] == [["fraud", "1", "None"], ["fraud", "2", "None"]]
    assert "Next: podium models promote fraud 2" in shown.err
    assert [version["version"] for version in two("show", "fraud", "--json").json["versions"]] == [1, 2]


def test_history_says_who_when_what_before_and_after(two):
    two("promote", "fraud", 1)
    two("promote", "fraud", 2)

    last = two("history", "fraud", "--json").json[-1]

    assert (last["action"], last["model"], last["version"]) == ("transition", "fraud", 2)
    assert last["after"] == {"versions": {"2": {"stage": "Production"}, "1": {"stage": "Archived"}}}
    assert last["before"]["versions"]["2"] == {"stage": "None"}
    assert "@" in last["actor"]
    assert last["time"].endswith("Z")
    assert "stage of 2: None -> Production; stage of 1: Production -> Archived" in two("history", "fraud").out


def test_every_kind_of_change_can_be_printed(two, model):
    two("alias", "fraud", "champ", 1)
    two("tag", "fraud", "team", "risk")
    two("tag", "fraud", "team", "risk", "--version", 1)
    two("tag", "fraud", "team", "--remove")
    two("describe", "fraud", "catches\nit")
    two("rename", "fraud", "abuse")
    two("delete", "abuse", 1)
    two("delete", "abuse")

    ran = two("history", "abuse")

    assert (ran.exit_code, ran.err) == (0, "")
    actions = [line.split()[2] for line in ran.out.splitlines()[1:]]
    expected = "create register register alias tag tag tag describe rename delete-version delete-model"
    assert actions == expected.split()
    assert two("history", "nope").exit_code == 1


def test_search_takes_mlflows_filters(two, model):
    two("tag", "fraud", "team", "risk")
    two("register", model, "other")

    assert [found["name"] for found in two("search", "name LIKE 'fr%' AND tags.team = 'risk'", "--json").json] == ["fraud"]
    found = two("search", "version_number > 1", "--versions", "--json").json
    assert [(version["name"], version["version"]) for version in found] == [("fraud", 2)]
    assert "other" in two("search", "name != 'fraud'").out
    wrong = two("search", "name = 'a' OR name = 'b'")
    assert (wrong.exit_code, wrong.out) == (2, "")
    assert "Invalid clause(s) in filter string: OR" in wrong.err


def test_delete_spares_what_is_live_unless_forced_and_clean_removes_the_files(two, home):
    two("promote", "fraud", 1)

    refused = two("delete", "fraud", 1)

    assert refused.exit_code == 2
    assert "--force" in refused.err
    assert two("delete", "fraud", 1, "--force").exit_code == 0
    assert len(list((home / "artifacts/sha256").iterdir())) == 2
    assert [found["removed"] for found in two("clean", "--json").json] == [False]
    assert [found["removed"] for found in two("clean", "--yes", "--json").json] == [True]
    assert len(list((home / "artifacts/sha256").iterdir())) == 1


def test_renaming_to_a_taken_name_fails(two, model):
    two("register", model, "other")

    ran = two("rename", "fraud", "other")

    assert (ran.exit_code, ran.out) == (1, "")
    assert "already exists" in ran.err
    assert two("rename", "fraud", "new").out.startswith("fraud is now new.")


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (["promote", "nope", "1"], 1),
        (["promote", "fraud", "9"], 1),
        (["promote", "fraud", "x"], 2),
        (["promote", "fraud", "0"], 2),
        (["promote", "fraud"], 2),
        (["show", "nope"], 1),
        (["register", "nowhere", "fraud"], 1),
        (["register", "some-model", "a/b"], 2),
        (["register", "dbfs:/bucket/model", "fraud"], 2),
        (["register", "some-model", "fraud", "--tag", "x"], 2),
        (["tag", "fraud", "k"], 2),
        (["tag", "fraud", "k" * 251, "v"], 2),
        (["nonsense"], 2),
    ],
)
def test_what_failed_exits_with_one_and_what_was_asked_wrongly_with_two(two, arguments, exit_code):
    """Never with a traceback, and nothing on stdout that a program could take for an answer."""
    ran = two(*arguments)

    assert (ran.exit_code, ran.out) == (exit_code, "")
    assert "Traceback" not in ran.err


def test_validate_loads_the_model_in_a_clean_process(podium, tmp_path):
    podium_save = (
        "import numpy, podium.sklearn, sklearn.linear_model\n"
        "x = numpy.arange(12.0).reshape(6, 2)\n"
        "model = sklearn.linear_model.LinearRegression().fit(x, x[:, 0])\n"
        "podium.sklearn.save_model(model, 'saved', input_example=x[:2])"
    )
    saved = subprocess.run(
        [sys.executable, "-c", podium_save], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert saved.returncode == 0, saved.stderr

    ran = podium("validate", "saved")
    assert ran.exit_code == 0, ran.err
    assert ran.out.startswith("saved: valid.")
    assert "Next: podium models register saved NAME" in ran.err
    podium("register", "saved", "sound")
    assert "Next: podium models promote sound 1" in podium("validate", "models:/sound/1").err
    podium("promote", "sound", 1)
    assert "Next:" not in podium("validate", "models:/sound/production").err
    assert podium("validate", "saved", "--json").json["is_valid"] is True

    next((tmp_path / "saved").glob("model.*")).write_bytes(b"broken")
    broken = podium("validate", "saved", "--json")
    assert (broken.exit_code, broken.json["is_valid"], broken.json["step"]) == (1, False, "load")


def test_a_home_that_cannot_be_is_explained(tmp_path, model):
    """A file, a place below a file, a user without a home: asked wrongly, and never a traceback."""
    (tmp_path / "file").write_text("")
    for home, words in [
        (tmp_path / "file", f"{tmp_path}/file is not a folder. Set PODIUM_HOME"),
        (tmp_path / "file" / "below", "cannot be made: Not a directory. Set PODIUM_HOME"),
        ("~no-such-user/podium", "this user has no home folder. Set PODIUM_HOME"),
    ]:
        done = subprocess.run(
            [sys.executable, "-m", "podium", "models", "register", str(model), "fraud"],
            env={**ENVIRONMENT, "PODIUM_HOME": str(home)},
            capture_output=True,
            text=True,
            check=False,
        )

        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_a_near_name_is_offered(two, home):
    """Of a model, and of a command."""
    assert "with name=frued not found. Did you mean 'fraud'?" in two("promote", "frued", 1).err
    assert "No such command 'promot'. Did you mean 'promote'?" in two("promot", "fraud", 1).err
    assert "No such command 'predic'. Did you mean 'predict'?" in two("predic", "-m", "fraud").err
    done = subprocess.run(
        [sys.executable, "-m", "podium", "model"], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert "No such command 'model'. Did you mean 'models'?" in done.stderr


def test_what_is_no_number_of_a_version_is_refused(two):
    """With what one looks like."""
    for wrong in ("v1", "0", "1.0", "1\u0661"):
        refused = two("promote", "fraud", wrong)

        assert refused.exit_code == 2
        assert "is not a version's number; expected 1, 2, 3" in refused.err
