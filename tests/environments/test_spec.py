"""What a model's environment holds, read from the files beside it."""

import pytest

from podium.environments.spec import NATIVE_LOADERS, read_spec
from podium.errors import InvalidInput, InvalidModel
from podium.flavors.catalog import flavor_named
from podium.settings.environments import EnvironmentOrder

SKLEARN = {"flavors": {"python_function": {"loader_module": "mlflow.sklearn", "python_version": "3.11.7"}}}
OWN = {"flavors": {"python_function": {"loader_module": "mine", "code": "code"}}, "mlflow_version": "3.17.2"}
VIRTUALENV = EnvironmentOrder("virtualenv")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "python_env.yaml").write_text(
        "python: 3.11.7\nbuild_dependencies:\n- pip==23.2.1\n- setuptools==65.5.0\n- wheel\n"
        "dependencies:\n- -r requirements.txt\n"
    )
    (tmp_path / "requirements.txt").write_text("mlflow==3.17.2\nscikit-learn==1.9.1\nnumpy==2.4.6")
    return tmp_path


def test_mlflow_is_left_out_where_podium_reads_the_model_itself(folder):
    """The rest stays as it stands; the installers' own versions are theirs; pandas is what DataFrames need."""
    spec = read_spec(folder, SKLEARN, VIRTUALENV)

    assert spec.lines == ("setuptools==65.5.0", "scikit-learn==1.9.1", "numpy==2.4.6", "pandas")
    assert (spec.left_out, spec.added, spec.minor) == (("mlflow==3.17.2",), ("pandas",), "3.11")


def test_mlflow_stays_for_code_that_may_import_it_and_where_it_is_asked_for(folder):
    asked_for = EnvironmentOrder("virtualenv", installs_mlflow=True)

    assert "mlflow==3.17.2" in read_spec(folder, OWN, VIRTUALENV).lines
    assert "mlflow==3.17.2" in read_spec(folder, SKLEARN, asked_for).lines


def test_mlflow_that_no_file_names_is_the_one_that_saved_the_model(folder):
    (folder / "requirements.txt").write_text("numpy\n")

    spec = read_spec(folder, OWN, EnvironmentOrder("virtualenv", installs_mlflow=True))

    assert spec.lines[-1] == "mlflow==3.17.2"


def test_the_native_loaders_are_those_of_the_flavors():
    assert set(flavor_named("sklearn").loader_modules) | set(flavor_named("pyfunc").loader_modules) <= NATIVE_LOADERS


def test_mlflow_is_left_out_of_code_only_where_an_example_can_show_that_it_is_not_missed(folder):
    """A PythonModel may import it as late as in its first call."""
    code = {"flavors": {"python_function": {"loader_module": "mlflow.pyfunc.model"}}}

    assert "mlflow==3.17.2" in read_spec(folder, code, VIRTUALENV).lines
    assert read_spec(folder, {**code, "saved_input_example_info": {"type": "dataframe"}}, VIRTUALENV).left_out


def test_an_override_takes_the_place_of_the_same_package(folder):
    spec = read_spec(folder, SKLEARN, EnvironmentOrder("virtualenv", override=("Scikit_Learn==1.5.0", "extra")))

    assert spec.lines == ("setuptools==65.5.0", "numpy==2.4.6", "Scikit_Learn==1.5.0", "extra", "pandas")


def test_an_override_that_is_no_requirement_is_named(folder):
    with pytest.raises(InvalidInput, match="'=1' is no requirement"):
        read_spec(folder, SKLEARN, EnvironmentOrder("virtualenv", override=("=1",)))


def test_constraints_and_wheels_of_the_folder_are_found_from_anywhere_and_count_by_content(folder):
    """The key is that of the content: the same model in another folder has the same environment."""
    (folder / "requirements.txt").write_text("-c constraints.txt\n./own-1-py3-none-any.whl\nnumpy\n")
    (folder / "constraints.txt").write_text("numpy<3\n")
    (folder / "own-1-py3-none-any.whl").write_bytes(b"one")
    twin = folder / "twin"
    twin.mkdir()
    for name in ("python_env.yaml", "requirements.txt", "constraints.txt", "own-1-py3-none-any.whl"):
        (twin / name).write_bytes((folder / name).read_bytes())

    spec, same = read_spec(folder, OWN, VIRTUALENV), read_spec(twin, OWN, VIRTUALENV)
    (twin / "constraints.txt").write_text("numpy<2\n")
    other = read_spec(twin, OWN, VIRTUALENV)

    assert f"-c {folder}/constraints.txt" in spec.lines
    assert f"{folder}/own-1-py3-none-any.whl" in spec.lines
    assert spec.key("python") == same.key("python")
    assert spec.key("python") != other.key("python")
    assert spec.key("python") != spec.key("another")


def test_an_older_model_says_it_in_its_conda_file(tmp_path):
    (tmp_path / "conda.yaml").write_text("dependencies:\n- python=3.12.1\n- pip:\n  - mlflow\n  - numpy==2.0\n")

    spec = read_spec(tmp_path, SKLEARN, EnvironmentOrder("conda"))

    assert (spec.minor, spec.lines) == ("3.12", ("numpy==2.0", "pandas"))
    assert spec.conda == '{"channels": ["conda-forge"], "dependencies": ["python=3.12.1", "pip"]}'


def test_a_model_that_says_nothing_is_refused(tmp_path):
    with pytest.raises(InvalidModel, match="nobody knows what the model needs"):
        read_spec(tmp_path, SKLEARN, VIRTUALENV)


def test_a_tensor_model_needs_no_pandas(folder):
    signature = {"inputs": '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]'}

    assert "pandas" not in read_spec(folder, {**SKLEARN, "signature": signature}, VIRTUALENV).lines


def test_a_package_that_is_a_folder_counts_by_its_content(folder):
    """Else the second version of a model would get the first one's package."""
    (folder / "requirements.txt").write_text("./own\n")
    (folder / "own").mkdir()
    (folder / "own" / "module.py").write_text("VERSION = 1\n")
    first = read_spec(folder, OWN, VIRTUALENV)
    (folder / "own" / "module.py").write_text("VERSION = 2\n")

    assert first.key() != read_spec(folder, OWN, VIRTUALENV).key()


def test_files_that_an_included_file_names_count_by_content(folder):
    (folder / "requirements.txt").write_text("-r more.txt\n")
    (folder / "more.txt").write_text("-r most.txt\n-r more.txt\n")
    (folder / "most.txt").write_text("numpy<3\n")
    first = read_spec(folder, OWN, VIRTUALENV)
    (folder / "most.txt").write_text("numpy<2\n")

    assert first.key() != read_spec(folder, OWN, VIRTUALENV).key()


@pytest.mark.parametrize("line", ["-r {}", "-c ../secret", "--requirement={}", "{}", "numpy {}", "-r link", "link"])
def test_a_line_that_reads_a_file_of_somebody_elses_is_refused(tmp_path, line):
    """Its content would stand in the log of a failed build, and in an image's context."""
    model, secret = tmp_path / "m", tmp_path / "secret"
    model.mkdir()
    secret.write_text("password = hunter2")
    (model / "link").symlink_to(secret)
    (model / "requirements.txt").write_text(line.format(secret))

    with pytest.raises(InvalidModel, match="outside of its folder") as raised:
        read_spec(model, OWN, VIRTUALENV)

    assert "hunter2" not in str(raised.value)
