"""Flavors that other packages bring: found, used, refused; and no plugin stands in the way of what does not need it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import podium
from podium.cli.plugins import plugins as commands
from podium.errors import InvalidInput, InvalidModel, LoadFailed
from podium.flavors.choice import flavor_claiming, flavor_loading, flavor_named
from podium.flavors.plugins import PluginFailed, installed
from podium.models.load import load_predictor
from podium.models.mlmodel import read_mlmodel

Package = Callable[..., None]

SCALE = '''
"""A flavor whose model is one number; its file is text."""
import sys
from pathlib import Path


class Scale:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, data):
        return data * self.factor


class Loaded:
    def __init__(self, model):
        self.native = model

    def predict(self, data, params=None):
        return self.native(data)


def _load_pyfunc(path):
    return Loaded(Scale(float(Path(path).read_text())))


class ScaleFlavor:
    name = "scale"
    loader_modules = ("scale_flavor",)
    options = ("digits",)

    def claims(self, model):
        return isinstance(model, Scale)

    def save(self, model, folder, example=None, **options):
        from podium.flavors.contract import Saved

        (folder / "factor.txt").write_text(f"{model.factor:.{options.get('digits') or 17}g}")
        entry = {"loader_module": "scale_flavor", "data": "factor.txt"}
        return Saved({"scale": {"data": "factor.txt"}, "python_function": entry}, ["numpy"])

    def load(self, stored):
        from podium.errors import InvalidModel
        from podium.flavors.folders import part_of

        path = part_of(stored.folder, stored.of("python_function").get("data"), "data")
        try:
            return _load_pyfunc(path)
        except ValueError as error:
            raise InvalidModel(f"{path} holds no number") from error

    def rows(self, loaded, signature):
        from podium.flavors.contract import RowIndependence

        return RowIndependence(True, "every value is multiplied by itself")

    def samples(self):
        import numpy as np
        from podium.flavors.conformance import Sample

        data = np.array([[1.5, 2.0], [0.25, -1.0]])
        return [Sample("twice", Scale(2.0), data, data * 2)]
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """Installs packages as pip lays them out: a module, and a folder of metadata with entry points."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def install(distribution: str, module: str, source: str, **flavors: str) -> None:
        site = tmp_path / distribution
        info = site / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        lines = "".join(f"{name} = {target}\n" for name, target in flavors.items())
        (info / "entry_points.txt").write_text(f"[podium.flavors]\n{lines}")
        sys.path.insert(0, str(site))

    yield install
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def scale(package: Package) -> None:
    package("podium-scale", "scale_flavor", SCALE, scale="scale_flavor:ScaleFlavor")


def test_a_plugin_is_found_by_name_by_model_and_by_a_model_s_folder(scale: None, tmp_path: Path):
    """What it claims is saved by it although it can be called, as a function can; its options are its own."""
    import numpy as np
    from scale_flavor import Scale

    data = np.array([[1.0, 2.0]])

    podium.save_model(Scale(1 / 3), tmp_path / "model", input_example=data, digits=3)

    mlmodel = read_mlmodel(tmp_path / "model")
    predictor = load_predictor(tmp_path / "model", mlmodel)
    assert flavor_named("scale").name == "scale"
    assert set(mlmodel["flavors"]) == {"scale", "python_function"}
    assert type(flavor_loading(mlmodel["flavors"])).__name__ == "ScaleFlavor"
    assert predictor.predict(data).tolist() == [[0.333, 0.666]]
    assert predictor.rows.reason == "every value is multiplied by itself"
    with pytest.raises(InvalidInput, match="no argument figures; it has digits"):
        podium.save_model(Scale(2), tmp_path / "other", figures=3)


def test_a_model_of_a_plugin_asks_for_the_plugin_s_package(scale: None, tmp_path: Path):
    """Pinned, beside what the flavor names."""
    from scale_flavor import Scale

    podium.save_model(Scale(2.0), tmp_path / "model")

    lines = (tmp_path / "model/requirements.txt").read_text().splitlines()
    assert "podium-scale==1.2" in lines
    assert any(line.startswith("numpy==") for line in lines)


def test_requirements_that_leave_out_the_plugin_s_package_are_said_to_do_so(scale: None, tmp_path: Path):
    """They are taken as they were given."""
    from scale_flavor import Scale

    with pytest.warns(UserWarning, match="leave out podium-scale"):
        podium.save_model(Scale(2.0), tmp_path / "model", pip_requirements=["numpy"])
    podium.save_model(Scale(2.0), tmp_path / "other", pip_requirements=["numpy", "Podium_Scale>=1"])

    assert (tmp_path / "model/requirements.txt").read_text().split() == ["numpy"]


def test_nothing_is_imported_that_was_not_asked_for(package: Package, tmp_path: Path):
    """Neither by listing what is installed, nor by saving and loading models of podium's own flavors."""
    package("podium-broken", "broken_flavor", "raise RuntimeError('at import')", broken="broken_flavor:Flavor")

    podium.save_model(lambda data: data, tmp_path / "model", flavor="pyfunc")
    load_predictor(tmp_path / "model", read_mlmodel(tmp_path / "model"))
    flavor_claiming(lambda data: data)
    flavor_named("sklearn")

    assert [plugin.name for plugin in installed()] == ["broken"]
    assert "broken_flavor" not in sys.modules


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise RuntimeError('at import')", "RuntimeError: at import"),
        ("import no_such_library", "No module named 'no_such_library'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def Flavor():\n    pass", "is no flavor: function has no claims, save, load, rows"),
        (SCALE.replace('name = "scale"', 'name = "other"') + "\nFlavor = ScaleFlavor", "its name is 'other'"),
        (SCALE.replace('("digits",)', "None") + "\nFlavor = ScaleFlavor", "options is None"),
        (SCALE.replace('("scale_flavor",)', '("mlflow.sklearn",)') + "\nFlavor = ScaleFlavor", "which podium loads itself"),
        (SCALE.replace('("scale_flavor",)', "()") + "\nFlavor = ScaleFlavor", "loader_modules is empty"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_named_with_its_error(package: Package, source: str, said: str):
    """To whoever asks for it by name, by a model of its own, or for what nobody else takes."""
    package("podium-scale", "scale_module", source, scale="scale_module:Flavor")

    for ask in (
        lambda: flavor_named("scale"),
        lambda: flavor_loading({"scale": {}, "python_function": {"loader_module": "scale_module"}}),
        lambda: flavor_claiming(object()),
    ):
        with pytest.raises((PluginFailed, InvalidInput)) as raised:
            ask()
        assert said in raised.value.message
        assert "podium-scale 1.2" in raised.value.message


def test_a_callable_is_saved_in_spite_of_a_broken_plugin_with_a_warning(package: Package):
    """It may have been the plugin's."""
    package("podium-broken", "broken_flavor", "raise RuntimeError('at import')", broken="broken_flavor:Flavor")

    class Callable:
        def __call__(self, data):
            return data

    with pytest.warns(UserWarning, match="at import"):
        flavor = flavor_claiming(Callable())

    assert flavor.name == "python_function"


def test_a_plugin_takes_no_name_of_podium_s_own(package: Package, tmp_path: Path):
    """Neither an estimator nor a model of sklearn's ever meets it; it is listed as broken."""
    package("evil-sklearn", "evil_flavor", SCALE, sklearn="evil_flavor:ScaleFlavor", pyfunc="evil_flavor:ScaleFlavor")

    assert type(flavor_named("sklearn")).__module__ == "podium.flavors.sklearn.flavor"
    assert flavor_named("pyfunc").name == "python_function"
    assert flavor_loading({"sklearn": {}, "python_function": {"loader_module": "mlflow.sklearn"}}).name == "sklearn"
    listed = json.loads(CliRunner().invoke(commands, ["list", "--json"]).stdout)
    assert {each["name"]: each["state"] for each in listed} == {"sklearn": "broken", "pyfunc": "broken"}
    assert all("one of podium's own" in each["fault"] for each in listed)


def test_of_two_plugins_of_one_name_none_is_taken(scale: None, package: Package):
    """Which of them a model was saved with nobody can say."""
    package("another-scale", "another_flavor", SCALE, scale="another_flavor:ScaleFlavor")

    with pytest.raises(PluginFailed, match=r"of another-scale 1\.2 and podium-scale 1\.2\. Uninstall all but one"):
        flavor_named("scale")


LIAR = SCALE.replace('name = "scale"', 'name = "liar"').replace("isinstance(model, Scale)", "ANSWER")


def test_a_plugin_that_claims_everything_gets_nothing_of_podium_s_own(scale: None, package: Package):
    """And what another plugin claims too, whoever saves has to say."""
    from scale_flavor import Scale

    package("podium-liar", "liar_flavor", LIAR.replace("ANSWER", "True"), liar="liar_flavor:ScaleFlavor")

    assert flavor_claiming("model.onnx").name == "onnx"
    assert flavor_claiming(len.__class__).name == "liar"
    assert flavor_claiming(test_of_two_plugins_of_one_name_none_is_taken).name == "python_function"
    with pytest.raises(InvalidInput, match=r"Several flavor plugins .*\['liar', 'scale'\]. Pass flavor="):
        flavor_claiming(Scale(2))


@pytest.mark.parametrize("answer", ["1 / 0", "'yes'", "1"])
def test_a_plugin_whose_claims_raise_or_answer_nonsense_takes_nothing(package: Package, answer: str):
    """Only True is a claim."""
    package("podium-liar", "liar_flavor", LIAR.replace("ANSWER", answer), liar="liar_flavor:ScaleFlavor")

    with pytest.raises(InvalidInput, match=r"No flavor of podium's saves a builtins\.object"):
        flavor_claiming(object())


def test_a_model_whose_plugin_is_missing_says_what_to_install(scale: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As in a worker whose environment lacks it."""
    from scale_flavor import Scale

    podium.save_model(Scale(2.0), tmp_path / "model")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "podium-scale" not in path])
    del sys.modules["scale_flavor"]

    with pytest.raises(LoadFailed, match=r"scale_flavor.*flavor plugin that the model was saved with"):
        load_predictor(tmp_path / "model", read_mlmodel(tmp_path / "model"))


def test_a_damaged_model_of_a_plugin_is_invalid(scale: None, tmp_path: Path):
    """Its own error reaches people as it is."""
    from scale_flavor import Scale

    podium.save_model(Scale(2.0), tmp_path / "model")
    (tmp_path / "model/factor.txt").write_text("two")

    with pytest.raises(InvalidModel, match="holds no number"):
        load_predictor(tmp_path / "model", read_mlmodel(tmp_path / "model"))


@pytest.mark.slow
def test_a_conforming_plugin_passes_its_check(scale: None):
    """Every law on every sample; exit code 0."""
    done = CliRunner().invoke(commands, ["check", "scale", "--json"])

    outcomes = json.loads(done.stdout)["outcomes"]
    assert [each for each in outcomes if each["failure"]] == []
    assert done.exit_code == 0
    assert len(outcomes) > 10


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "law"),
    [
        (("isinstance(model, Scale)", "True"), "it claims what it saves and nothing else"),
        (("self.native(data)", "self.native(data).tolist()"), "a folder that moved answers as the library did"),
        (("* self.factor", "* self.factor - data.min()"), "rows that are called independent are"),
        (("return self.native(data)", "data *= 2; return data"), "params are taken or ignored and the input is left alone"),
        (('"numpy"]', '"numpy>=1"]'), "it names the packages that loading needs"),
        (("        try:\n", "        import os; len(path.read_bytes()) or os._exit(3)\n        try:\n"), "damaged files"),
        (
            ("(folder /", "(folder / 'noise').write_bytes(__import__('os').urandom(16))\n        (folder /"),
            "the same model gives the same files",
        ),
        (
            ("            return _load_pyfunc(path)", "            import pickle; return pickle.loads(path.read_bytes())"),
            "where no code is allowed none runs",
        ),
    ],
)
def test_a_plugin_that_breaks_a_law_fails_its_check(package: Package, fault: tuple[str, str], law: str):
    """And the law is named; exit code 1."""
    source = SCALE.replace(*fault)
    assert source != SCALE
    package("podium-scale", "scale_flavor", source, scale="scale_flavor:ScaleFlavor")

    done = CliRunner().invoke(commands, ["check", "scale", "--json"])

    failed = [each["law"] for each in json.loads(done.stdout)["outcomes"] if each["failure"]]
    assert done.exit_code == 1
    assert any(each.startswith(law) for each in failed)
