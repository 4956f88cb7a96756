"""What the folder of an image holds; no image is built here."""

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from podium.deploy.context import WantedImage, write_context
from podium.deploy.dockerfile import DOCKERIGNORE, Image, dockerfile
from podium.deploy.engines import BuildFailed, Engine, find_engine, run_build
from podium.deploy.own_package import own_dependencies, write_own_package
from podium.environments.spec import EnvironmentSpec
from podium.errors import AlreadyExists, InvalidInput, Misconfigured


def spec_of(*lines: str, python: str | None = "3.11.7") -> EnvironmentSpec:
    return EnvironmentSpec(python, lines, lines)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir(mode=0o700)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "MLmodel").chmod(0o600)
    return folder


def copied(text: str) -> set[str]:
    """What a Dockerfile copies from its context."""
    lines = [line for line in text.splitlines() if line.startswith("COPY ") and "--from" not in line]
    return {line.split()[1].rstrip("/") for line in lines}


def test_a_model_of_the_same_requirements_shares_the_layer_of_its_environment(tmp_path: Path, model: Path):
    first = write_context(tmp_path / "a", model, spec_of("numpy==2.0"), WantedImage("fraud"), "3.11")
    (model / "weights").write_text("other weights")
    second = write_context(tmp_path / "b", model, spec_of("numpy==2.0"), WantedImage("fraud"), "3.11")
    other = write_context(tmp_path / "c", model, spec_of("numpy==2.1"), WantedImage("fraud"), "3.11")

    before = [(tmp_path / each / "Dockerfile").read_text().partition("COPY model/")[0] for each in "abc"]

    assert first.environment == second.environment != other.environment
    assert before[0] == before[1] == before[2]
    assert (tmp_path / "a/environment/requirements.txt").read_text() == "numpy==2.0\n"


@pytest.mark.parametrize(
    ("base", "has_model", "has_environment"), list(itertools.product(["cpu", "cuda"], [True, False], [True, False]))
)
def test_a_dockerfile_copies_what_its_folder_has_and_nothing_else(
    tmp_path: Path, model: Path, base: str, has_model: bool, has_environment: bool
):
    spec = spec_of("numpy") if has_environment else None

    write_context(tmp_path / "context", model, spec, WantedImage("fraud", base, has_model=has_model), "3.12")

    there = {path.name for path in (tmp_path / "context").iterdir() if path.is_dir()}
    assert copied((tmp_path / "context/Dockerfile").read_text()) == there
    assert {f"!{name}" for name in there} <= set(DOCKERIGNORE.splitlines())


def test_an_image_runs_as_nobody_and_keeps_no_address_of_an_index():
    text = dockerfile(Image("3.11", name="fraud", environment="abc"))

    last = text.rpartition("\nFROM ")[2]
    assert "USER 10001:10001" in last
    assert "INDEX_URL" not in last
    assert "# syntax" not in text


def test_a_model_of_the_owner_alone_is_readable_in_the_image(tmp_path: Path, model: Path):
    write_context(tmp_path / "context", model, None, WantedImage("fraud"), "3.11")

    copy = tmp_path / "context/model"
    assert (copy.stat().st_mode & 0o777, (copy / "MLmodel").stat().st_mode & 0o777) == (0o755, 0o644)
    assert model.stat().st_mode & 0o777 == 0o700


def test_files_that_requirements_name_come_along(tmp_path: Path, model: Path):
    (model / "wheels").mkdir()
    (model / "wheels/own-1.0-py3-none-any.whl").write_bytes(b"wheel")
    (tmp_path / "limits.txt").write_text("numpy<3\n")
    lines = (str(model / "wheels/own-1.0-py3-none-any.whl"), f"-c {tmp_path / 'limits.txt'}", "numpy")

    write_context(tmp_path / "context", model, spec_of(*lines), WantedImage("fraud"), "3.11")

    environment = tmp_path / "context/environment"
    written = (environment / "requirements.txt").read_text().splitlines()
    assert written == ["./wheels/own-1.0-py3-none-any.whl", "-c ./limits.txt", "numpy"]
    assert (environment / "wheels/own-1.0-py3-none-any.whl").read_bytes() == b"wheel"
    assert (environment / "limits.txt").read_text() == "numpy<3\n"


def test_what_a_wheel_links_to_and_java_are_installed(tmp_path: Path, model: Path):
    write_context(tmp_path / "context", model, spec_of("lightgbm==4.6.0"), WantedImage("fraud", has_java=True), "3.11")

    text = (tmp_path / "context/Dockerfile").read_text()
    assert "default-jre-headless libgomp1" in text


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path, model: Path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").write_text("mine")

    with pytest.raises(AlreadyExists, match="not empty"):
        write_context(tmp_path / "full", model, None, WantedImage("fraud"), "3.11")

    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine"]


def test_a_model_of_an_older_python_than_the_workers_is_refused(tmp_path: Path, model: Path):
    with pytest.raises(Misconfigured, match=r"Python 3\.8.*needs 3\.11"):
        write_context(tmp_path / "context", model, spec_of("numpy", python="3.8.18"), WantedImage("fraud"), "3.11")


@pytest.mark.parametrize("word", ["fraud\nRUN evil", "a b", "$(evil)", "a;b", ""])
def test_a_name_cannot_bring_instructions_into_the_dockerfile(word: str):
    with pytest.raises(InvalidInput):
        Image("3.11", name=word)


def test_podium_goes_along_as_a_project_that_names_what_it_needs(tmp_path: Path):
    write_own_package(tmp_path / "podium")

    assert (tmp_path / "podium/src/podium/__main__.py").is_file()
    assert any(line.startswith("uvloop") for line in own_dependencies())
    assert not any("extra" in line or "pytest" in line for line in own_dependencies())
    assert not list((tmp_path / "podium").rglob("__pycache__"))


def test_an_engines_command_shows_no_address_of_an_index():
    command = Engine("docker", "/usr/bin/docker").command(
        Path("context"), "name", {"PIP_INDEX_URL": "https://u:secret@host"}
    )

    assert command == ["/usr/bin/docker", "build", "--build-arg", "PIP_INDEX_URL", "-t", "name", "context"]


def test_without_an_engine_the_way_out_is_named():
    with pytest.raises(Misconfigured, match="generate-dockerfile"):
        find_engine(None, {"PATH": "/nonexistent"})


def test_an_engine_that_fails_says_so(tmp_path: Path):
    failing = tmp_path / "buildah"
    failing.write_text("#!/bin/sh\nexit 7\n")
    failing.chmod(0o755)

    with pytest.raises(BuildFailed, match="status 7"):
        run_build(Engine("buildah", str(failing)), tmp_path, "name", {}, {"PATH": "/usr/bin:/bin"})


def test_the_command_writes_a_folder(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "podium", "models", "generate-dockerfile", "-d", str(tmp_path / "any")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, "docker build" in done.stderr) == (0, True)
    assert "PODIUM_SERVE_ENV_MANAGER=auto" in (tmp_path / "any/Dockerfile").read_text()


def test_the_kubernetes_example_fits_the_schemas_of_old_and_new_versions():
    example = Path(__file__).resolve().parents[2] / "examples/kubernetes/deployment.yaml"

    for version in ("1.30", "1.34"):
        tool = Path(sys.executable).parent / "kubernetes-validate"
        done = subprocess.run([tool, "-k", version, "--strict", example], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("base", ["cpu", "cuda"])
def test_a_linter_of_dockerfiles_finds_nothing(tmp_path: Path, model: Path, base: str):
    write_context(tmp_path / "context", model, spec_of("numpy"), WantedImage("fraud", base, has_java=True), "3.11")

    tool = Path(sys.executable).parent / "hadolint"
    # Debian's packages are taken as the base's own release has them; uv likewise as the index has it.
    asked = [tool, "--ignore", "DL3008", "--ignore", "DL3013", tmp_path / "context/Dockerfile"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")
