"""What a model's folder and an interpreter say, as facts: nothing of it is taken on trust."""

import os
import platform
import signal
import sys

import pytest

from podium.domain.audits.facts import AuditedPython, Conflict, Drift
from podium.environments.audit import facts_of, facts_of_model
from podium.environments.audit_installed import Installed, Package, ask, conflicts, drifts, reached
from podium.errors import LoadFailed

PLACE = AuditedPython("wine", "/env/bin/python", "3.11.7")
SKLEARN = {
    "python_function": {"loader_module": "mlflow.sklearn", "model_path": "model.pkl", "python_version": "3.11.2"},
    "sklearn": {"pickled_model": "model.pkl", "sklearn_version": "1.5.0"},
}


def installed(**packages):
    """`name="version needs; needs"`."""
    found = {}
    for name, text in packages.items():
        version, _, needs = text.partition(" ")
        found[name] = Package(name, version, tuple(filter(None, needs.split(", "))))
    return Installed("3.11.7", found, {"python_version": "3.11", "sys_platform": "linux"}, 5)


def executable(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_requirements_have_the_place_where_they_stand(tmp_path):
    """Also of files that they include, and over lines that are continued."""
    (tmp_path / "requirements.txt").write_text("# all\nnumpy==1.26.4\n-r more.txt\nscipy \\\n  >=1.0\npandas\n")
    (tmp_path / "more.txt").write_text("\n\nwheel\n")

    model = facts_of_model(tmp_path, {})

    assert model.requirements == (
        ("requirements.txt:2", "numpy==1.26.4"),
        ("more.txt:3", "wheel"),
        ("requirements.txt:4", "scipy    >=1.0"),
        ("requirements.txt:6", "pandas"),
    )


def test_what_a_pickle_was_written_with_is_read_and_not_run(tmp_path):
    """Its library, its Python and its protocol."""
    (tmp_path / "model.pkl").write_bytes(b"\x80\x04not a pickle")
    (tmp_path / "requirements.txt").write_text("scikit-learn==1.5.0\n")

    model = facts_of_model(tmp_path, {"flavors": SKLEARN})
    facts = facts_of(model, PLACE, {"scikit_learn": "1.7.0"}, highest_protocol=5)

    assert (model.python, model.pickles, model.is_pickled) == ("3.11.2", (("model.pkl", 4),), True)
    (saved,) = facts.saved
    assert (saved.package, saved.version, saved.there) == ("scikit-learn", "1.5.0", "1.7.0")
    assert (saved.where, saved.holds_state) == ("MLmodel: flavors.sklearn.sklearn_version", True)
    assert not facts.wanted[0].is_met


def test_a_pickle_outside_of_the_folder_is_not_looked_into(tmp_path):
    """A model's MLmodel names whatever its author likes."""
    (tmp_path / "secret").write_bytes(b"\x80\x05")
    (tmp_path / "m").mkdir()
    flavors = {"sklearn": {"pickled_model": "../secret"}, "python_function": {"loader_module": "mlflow.sklearn"}}

    assert facts_of_model(tmp_path / "m", {"flavors": flavors}).pickles == ()


def test_mlflow_is_dispensable_only_where_podium_reads_the_model_itself(tmp_path):
    (tmp_path / "requirements.txt").write_text("mlflow==3.1\n")
    spark = {"python_function": {"loader_module": "mlflow.spark"}}

    known = [facts_of_model(tmp_path, {"flavors": flavors}) for flavors in (SKLEARN, spark)]

    assert [facts_of(model, PLACE, {}).wanted[0].is_dispensable for model in known] == [True, False]


def test_markers_are_those_of_the_python_that_is_looked_at(tmp_path):
    (tmp_path / "requirements.txt").write_text("tomli; python_version < '3.11'\n")
    model = facts_of_model(tmp_path, {})

    assert facts_of(model, PLACE, {}, {"python_version": "3.12"}).wanted == []
    assert [each.package for each in facts_of(model, PLACE, {}, {"python_version": "3.10"}).wanted] == ["tomli"]


def test_packages_that_contradict_each_other_are_found():
    """As `pip check` does; extras and other platforms do not count."""
    there = installed(
        pandas='2.2.0 numpy<2, tz>=1, absent; sys_platform == "win32", extra-thing; extra == "all"',
        numpy="2.1.0",
        other="1.0 nothere",
    )

    found = conflicts(there, ["pandas"])

    assert found == [
        Conflict("pandas", "2.2.0", "numpy<2", "numpy", "2.1.0", True),
        Conflict("pandas", "2.2.0", "tz>=1", "tz", None, True),
        Conflict("other", "1.0", "nothere", "nothere", None, False),
    ]
    assert reached(there, ["pandas"]) == {"pandas", "numpy"}


def test_what_was_built_in_is_set_beside_what_is_there():
    """Tools that install are nobody's drift; an old list that names no versions says nothing."""
    there = installed(numpy="2.0.0", scipy="1.11.2", pip="24.0", more="1.0")

    found = drifts(["numpy==1.26.4", "scipy==1.11.2", "gone==1.0", "-e .", "loose"], there, is_whole=True)

    assert found == [Drift("numpy", "1.26.4", "2.0.0"), Drift("gone", "1.0", None), Drift("more", None, "1.0")]
    assert drifts(["numpy"], there, is_whole=False) == []


def test_a_python_says_what_it_holds():
    there = ask(sys.executable, os.environ)

    assert there.python == platform.python_version()
    assert "numpy" in there.packages
    assert there.markers["sys_platform"] == sys.platform
    assert there.highest_protocol >= 5


def test_a_python_that_is_asked_gets_no_secret(tmp_path):
    """What runs there are a model's packages: their .pth files, say."""
    spy = executable(tmp_path / "python", f"env > {tmp_path}/seen; exit 1")

    with pytest.raises(LoadFailed):
        ask(spy, {**os.environ, "AWS_SECRET_ACCESS_KEY": "hunter2", "PIP_INDEX_URL": "http://me:hunter2@x"})

    assert "hunter2" not in (tmp_path / "seen").read_text()


@pytest.mark.parametrize(
    "text",
    [
        "exit 1",
        "echo no JSON",
        "echo '[]'",
        """echo '{"packages": [{}], "markers": {}, "python": "3", "protocol": 5}'""",
        """echo '{"packages": 7, "markers": {}, "python": "3", "protocol": 5}'""",
        "sleep 600",
        "yes",
    ],
)
def test_what_is_no_python_is_said_to_be_none(tmp_path, text):
    """However long it would go on."""
    with pytest.raises(LoadFailed):
        ask(executable(tmp_path / "python", text), os.environ, timeout_s=1.0)


def test_a_python_whose_descendant_holds_the_pipe_is_not_waited_for(tmp_path):
    """It left the session, so that its end is not ours to bring about."""
    held = tmp_path / "pid"
    spy = executable(tmp_path / "python", f"#!/bin/sh\nsetsid sh -c 'echo $$ > {held}; exec sleep 600' &\n")
    held.touch()

    for timeout_s in (2.0, 20.0, 200.0):  # Where nothing has left the session by then, somebody else had the processor.
        with pytest.raises(LoadFailed, match="does not say what it holds"):
            ask(spy, os.environ, timeout_s=timeout_s)
        if held.read_text():
            break

    os.kill(int(held.read_text()), signal.SIGKILL)


def test_an_odd_model_file_is_audited_as_far_as_it_goes(tmp_path):
    """Versions that are none, flavors that are none."""
    flavors = {"sklearn": {"sklearn_version": ["1"]}, "python_function": {"python_version": 3.1}}

    model = facts_of_model(tmp_path, {"flavors": flavors})

    assert (model.libraries, model.python, model.requirements) == ((), None, ())
    assert facts_of(model, PLACE, {}).saved == []


@pytest.mark.parametrize(("written", "holds_state"), [("pickle", True), ("skops", True), (None, True)])
def test_skops_holds_private_attributes_as_pickles_do(tmp_path, written, holds_state):
    """It runs no code, and breaks with versions all the same."""
    flavors = {**SKLEARN, "sklearn": {**SKLEARN["sklearn"], "serialization_format": written}}
    model = facts_of_model(tmp_path, {"flavors": flavors})

    (saved,) = facts_of(model, PLACE, {"scikit-learn": "1.7.0"}).saved

    assert saved.holds_state is holds_state
    assert model.is_pickled is (written != "skops")


@pytest.mark.parametrize(
    ("pinned", "there", "expected"),
    [("2.1.0", "1.26.4", ["numpy"]), ("1.26.4", "2.1.0", []), ("2.1.0", "2.0.0", []), ("2.1.0", None, [])],
)
def test_arrays_that_numpy_2_pickled_are_none_for_numpy_1(tmp_path, pinned, there, expected):
    """They name numpy._core."""
    (tmp_path / "requirements.txt").write_text(f"numpy=={pinned}\n")
    model = facts_of_model(tmp_path, {"flavors": SKLEARN})

    found = facts_of(model, PLACE, {"numpy": there})

    assert [each.package for each in found.saved] == expected
