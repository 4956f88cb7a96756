"""Which variables a worker gets."""

import pytest

from podium.domain.worker_variables import kept_variables, names_in


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "LANG",
        "LC_ALL",
        "TZ",
        "OMP_NUM_THREADS",
        "MKL_DEBUG_CPU_TYPE",
        "CUDA_VISIBLE_DEVICES",
        "SERVING_MODEL_CONFIG",
    ],
)
def test_what_libraries_compute_by_is_passed(name):
    assert kept_variables({name: "x"}) == {name: "x"}


@pytest.mark.parametrize(
    "name",
    [
        "PODIUM_HOME", "PODIUM_SERVE_PORT", "AWS_SECRET_ACCESS_KEY", "AZURE_CLIENT_SECRET", "GOOGLE_CREDENTIALS",
        "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_URI", "HTTPS_PROXY", "https_proxy", "SSH_AUTH_SOCK", "DATABASE_URL",
        "CUDA", "MY_OMP_THREADS",
    ],
)  # fmt: skip
def test_credentials_and_all_that_is_not_known_are_not(name):
    assert kept_variables({name: "x"}) == {}


def test_named_ones_are_passed_but_for_podiums_own():
    environ = {"TOKEN": "a", "PODIUM_HOME": "b", "OTHER": "c"}

    assert kept_variables(environ, ["TOKEN", "PODIUM_HOME", "ABSENT"]) == {"TOKEN": "a"}


def test_the_names_that_a_model_declares_are_read_line_by_line():
    assert names_in("# made by MLflow\nTOKEN\n\n A_B # why\nnot a name\n") == ["TOKEN", "A_B"]
