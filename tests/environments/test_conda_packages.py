"""conda's packages in PyPI's words: where that is certain, and where it is not, a refusal."""

import pytest

from podium.environments.conda_packages import CondaPackages, python_of, translated
from podium.environments.spec import read_spec
from podium.errors import InvalidModel
from podium.settings.environments import EnvironmentOrder

SKLEARN = {"flavors": {"python_function": {"loader_module": "mlflow.sklearn"}}}


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ("scikit-learn", "scikit-learn"),
        ("scikit-learn=1.3", "scikit-learn==1.3.*"),
        ("scikit-learn==1.3.0", "scikit-learn==1.3.0"),
        ("scikit-learn=1.3.0=py311h1_0", "scikit-learn==1.3.0"),
        ("conda-forge::scikit-learn=1.3.0=py311h1_0", "scikit-learn==1.3.0"),
        ("scipy==1.11.*", "scipy==1.11.*"),
        ("numpy=1.*", "numpy==1.*"),
        ("numpy>=1.25,<2", "numpy>=1.25,<2"),
        ("pandas 2.1.0", "pandas==2.1.0"),
        ("pandas 2.1.0 py311_0", "pandas==2.1.0"),
        ("pytorch=2.1", "torch==2.1.*"),
        ("pytorch::pytorch=2.1.0=py3.11_cpu_0", "torch==2.1.0"),
        ("py-xgboost-cpu=2.0", "xgboost-cpu==2.0.*"),
        ("matplotlib-base", "matplotlib"),
    ],
)
def test_a_package_is_said_in_pips_words(entry, line):
    assert translated({"dependencies": [entry]}) == CondaPackages((line,))


def test_what_builds_is_dropped_and_what_the_system_has_is_a_hint():
    found = translated({"dependencies": ["python=3.11", "pip<24", "gcc_linux-64", "libgomp", {"pip": ["numpy"]}]})

    assert found == CondaPackages(hints=("libgomp is a library of the system: apt-get install libgomp1",))


@pytest.mark.parametrize("entry", ["r-base", "some-strange-thing=1", "numpy=1.2|1.3", "numpy >1 <2"])
def test_what_is_not_certain_is_refused(entry):
    assert translated({"dependencies": [entry]}) == CondaPackages(refused=(entry,))


def test_the_python_of_a_conda_file():
    assert python_of(["pip", "python=3.11.7"]) == "3.11.7"
    assert python_of(["conda-forge::python==3.12"]) == "3.12"
    assert python_of(["pip"]) is None


def test_a_model_with_packages_of_condas_gets_them_from_pypi(tmp_path):
    """They come to what the pip section has; what that names itself wins."""
    (tmp_path / "conda.yaml").write_text(
        "dependencies:\n- python=3.11\n- scikit-learn=1.3.0=py_0\n- numpy=1.25\n- pip:\n  - mlflow\n  - numpy==1.26.0\n"
    )

    spec = read_spec(tmp_path, SKLEARN, EnvironmentOrder("uv"))

    assert spec.lines == ("numpy==1.26.0", "scikit-learn==1.3.0", "pandas")


def test_a_model_that_needs_more_than_pypi_has_is_refused_with_a_list_and_the_ways_out(tmp_path):
    (tmp_path / "conda.yaml").write_text("dependencies:\n- python=3.11\n- r-base=4\n- arrow-cpp\n- pip:\n  - numpy\n")

    with pytest.raises(InvalidModel, match=r"\n  r-base=4\n  arrow-cpp\n.*--env-manager conda.*--env-manager local"):
        read_spec(tmp_path, SKLEARN, EnvironmentOrder("virtualenv"))

    assert read_spec(tmp_path, SKLEARN, EnvironmentOrder("conda")).conda
