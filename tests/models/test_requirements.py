"""Reading requirements and comparing them with what is installed."""

from pathlib import Path

import pytest

from podium.errors import InvalidInput
from podium.flavors.contract import Saved
from podium.models.requirement_inference import infer_requirements, read_given
from podium.models.requirements import mismatches, names, read_requirements


def test_comments_and_options_are_left_out_and_other_files_followed(tmp_path: Path) -> None:
    """Only inside of the model's folder."""
    (tmp_path / "requirements.txt").write_text(
        "# a\nnumpy==1.0  # b\n--index-url x\n-c constraints.txt\n-r more.txt\n-r ../o.txt\n"
    )
    (tmp_path / "more.txt").write_text("scipy>=1\n-r requirements.txt\n")
    (tmp_path.parent / "o.txt").write_text("evil\n")

    assert {"numpy==1.0  # b", "scipy>=1"} == set(read_requirements(tmp_path))
    assert names(read_requirements(tmp_path)) == ["numpy", "scipy"]


def test_older_models_have_their_requirements_in_conda_yaml(tmp_path: Path) -> None:
    """Conda's own packages count as well, but Python and pip do not."""
    (tmp_path / "conda.yaml").write_text(
        "dependencies:\n- python=3.6.10\n- scikit-learn=0.22.1=py36\n- conda-forge::numpy=1.18\n- pip\n"
        "- pip:\n  - mlflow\n  - cloudpickle==1.2\n"
    )

    assert read_requirements(tmp_path) == ["scikit-learn==0.22.1", "numpy==1.18", "mlflow", "cloudpickle==1.2"]


def test_a_model_without_files_has_no_requirements(tmp_path: Path) -> None:
    """A folder with an MLmodel alone is legal."""
    assert read_requirements(tmp_path) == []


@pytest.mark.parametrize(
    ("line", "found", "said"),
    [
        ("scikit-learn==1.3.0", "1.9.1", ["scikit-learn: wants ==1.3.0, found 1.9.1"]),
        ("scikit_learn==1.9.1", "1.9.1", []),
        ("scikit-learn", "1.9.1", []),
        ("scikit-learn", None, ["scikit-learn: is wanted, not installed"]),
        ("scikit-learn<2,>=1", None, ["scikit-learn: wants <2,>=1, not installed"]),
        ("scikit-learn==1.9.1; python_version < '3'", None, []),
        ("scikit-learn==1.9.1", "1.9.1+cpu", []),
        ("git+https://example.org/x.git", None, []),
    ],
)
def test_each_requirement_that_is_not_met_is_a_sentence(line: str, found: str | None, said: list[str]) -> None:
    """Name, wanted and found; nothing for one that is met or meant for another platform."""
    assert said == mismatches([line], {"scikit-learn": found})


def test_mlflow_counts_only_where_it_is_installed() -> None:
    """Every model of MLflow's lists it, and podium loads them without."""
    assert mismatches(["mlflow==3.17.2"], {}) == []
    assert mismatches(["mlflow==3.17.2"], {"mlflow": "2.0"}) == ["mlflow: wants ==3.17.2, found 2.0"]


def test_requirements_are_pinned_and_named_by_distribution(tmp_path: Path) -> None:
    """The module is sklearn, the package scikit-learn."""
    saved = Saved({}, ["cloudpickle"], frozenset({"sklearn", "json", "__main__", "builtins"}))
    lines, notes = infer_requirements(tmp_path, saved, takes_tables=False)

    assert [line.split("==")[0] for line in lines] == ["cloudpickle", "scikit-learn"]
    assert all("==" in line for line in lines)
    assert notes == []


def test_code_that_comes_along_is_read_for_its_imports(tmp_path: Path) -> None:
    """Its own modules are not requirements; what they import is."""
    (tmp_path / "code" / "mine").mkdir(parents=True)
    (tmp_path / "code" / "mine" / "__init__.py").write_text("import scipy.sparse\nfrom . import other\nimport also_mine\n")
    (tmp_path / "code" / "also_mine.py").write_text("import mine\n")
    lines, notes = infer_requirements(tmp_path, Saved({}, [], frozenset({"mine"})), takes_tables=True)

    assert [line.split("==")[0] for line in lines] == ["pandas", "scipy"]
    assert notes == []


@pytest.mark.parametrize(
    ("code", "needs"),
    [
        ("import mlflow\nmlflow.models.set_model(mlflow.pyfunc.PythonModel())", False),
        ("from mlflow.models import ModelConfig, set_model", False),
        ("from mlflow.pyfunc import PythonModel\nfrom mlflow.exceptions import MlflowException", False),
        ("import mlflow.pyfunc", False),
        ("import mlflow\nmlflow.log_metric('a', 1)", True),
        ("import mlflow.sklearn", True),
        ("from mlflow.tracking import MlflowClient", True),
        ("from mlflow import trace", True),
    ],
)
def test_mlflow_is_required_only_for_what_podium_has_no_stand_in_for(tmp_path: Path, code: str, needs: bool) -> None:
    """A model from code that only says which object is the model needs no mlflow."""
    (tmp_path / "model.py").write_text(code)
    lines, notes = infer_requirements(tmp_path, Saved({}, []), takes_tables=False)

    # mlflow is not installed beside these tests, so that it shows as a note.
    assert needs == bool([each for each in [*lines, *notes] if "mlflow" in each])


def test_a_module_from_nowhere_is_pointed_out(tmp_path: Path) -> None:
    """It would be missing wherever the model is loaded."""
    _, notes = infer_requirements(tmp_path, Saved({}, [], frozenset({"my_training_script"})), takes_tables=False)

    assert "my_training_script" in notes[0]
    assert "code_paths" in notes[0]


def test_given_requirements_are_a_list_or_a_file(tmp_path: Path) -> None:
    """With MLflow's meaning of the parameter."""
    (tmp_path / "r.txt").write_text("# c\n\nnumpy\n")

    assert ["numpy"] == read_given(tmp_path / "r.txt") == read_given(["numpy"])
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_given(str(tmp_path / "absent.txt"))


def test_files_that_include_each_other_are_read_once(tmp_path: Path) -> None:
    """A few lines could else stand for more lines than there is memory."""
    (tmp_path / "requirements.txt").write_text("-r other.txt\n" * 1000 + "numpy\n")
    (tmp_path / "other.txt").write_text("-r requirements.txt\n" * 1000 + "-r a\0b\n-r " + "x" * 5000 + "\npandas\n")

    assert read_requirements(tmp_path) == ["pandas", "numpy"]


def test_a_marker_that_makes_no_sense_excuses_nothing() -> None:
    """It is compared with what is installed, and stops nobody."""
    lines = ["numpy==1.0; python_version ~= 'abc'", "pandas==1.0; extra == 'x'"]

    assert len(mismatches(lines, {"numpy": "2.0", "pandas": "2.0"})) >= 1


def test_a_conda_file_that_no_yaml_reader_likes_names_no_requirements(tmp_path: Path) -> None:
    """PyYAML raises more than its own errors."""
    (tmp_path / "conda.yaml").write_text("dependencies: &a [*a]\nx: 2024-13-01\n")

    assert read_requirements(tmp_path) == []


def test_code_that_imports_podium_is_told_how_to_do_without(tmp_path: Path) -> None:
    """Plain MLflow has no podium, and podium needs no mlflow for the same names."""
    (tmp_path / "model.py").write_text("import podium.pyfunc\n")

    _, notes = infer_requirements(tmp_path, Saved({}, []), takes_tables=False)

    assert "mlflow.pyfunc" in notes[0]
