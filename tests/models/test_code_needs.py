"""What a real model folder needs to run, and that nothing of it runs where code is not allowed."""

import io
import json
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import podium
import podium.pytorch
from podium.domain.load_terms import LoadTerms
from podium.errors import LoadFailed
from podium.flavors.pytorch.files import check_free_of_pickles
from podium.models.archive_needs import pt2_needs
from podium.models.code_needs import code_needs
from podium.models.load import load_predictor
from podium.models.mlmodel import read_mlmodel

NO_CODE = LoadTerms(allows_code=False)
X = np.arange(60.0).reshape(20, 3) % 7
Y = (X[:, 0] > 3).astype(int)


class Evil:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def needs(folder: Path) -> list[str]:
    return [need.what for need in code_needs(folder, read_mlmodel(folder)) if need.is_code]


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        make_pipeline(FunctionTransformer(np.log1p), SelectKBest(f_classif, k=2), RandomForestClassifier(3)),
        HistGradientBoostingClassifier(max_iter=3),
    ],
)
def test_estimators_in_skops_need_no_code_and_load_without_the_models_own_trust(tmp_path, estimator):
    podium.sklearn.save_model(estimator.fit(X, Y), tmp_path / "m")
    path = tmp_path / "m" / "MLmodel"
    path.write_text(path.read_text().replace("skops_trusted_types:", "ignored:"))

    predictor = load_predictor(tmp_path / "m", read_mlmodel(tmp_path / "m"), terms=NO_CODE)

    assert needs(tmp_path / "m") == []
    assert np.array_equal(estimator.predict(X), predictor.predict(X))


def test_a_skops_file_with_a_function_beyond_the_list_is_refused_before_it_is_opened(tmp_path):
    folder = tmp_path / "m"
    podium.sklearn.save_model(make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()).fit(X, Y), folder)
    with zipfile.ZipFile(folder / "model.skops") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members["schema.json"])
    members["schema.json"] = json.dumps(schema).replace('"log1p"', '"load"').encode()
    with zipfile.ZipFile(folder / "model.skops", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)

    with pytest.raises(LoadFailed, match=r"model\.skops holds types beyond podium's own list: numpy\.load") as raised:
        load_predictor(folder, read_mlmodel(folder), terms=NO_CODE)

    assert raised.value.cause == "code_not_allowed"


@pytest.mark.parametrize("written", ["pickle", "cloudpickle"])
def test_a_pickle_is_refused_and_not_opened(tmp_path, written):
    podium.sklearn.save_model(LogisticRegression().fit(X, Y), tmp_path / "m", serialization_format=written)

    with pytest.raises(LoadFailed, match=r"model\.pkl is a pickle(.|\n)*serialization_format='skops'"):
        podium.load_model(tmp_path / "m", allow_code=False)

    assert needs(tmp_path / "m") == ["model.pkl"]


def test_nothing_of_a_hostile_pickle_runs(tmp_path):
    mark = tmp_path / "ran"
    podium.pyfunc.save_model(tmp_path / "m", python_model=lambda data: data)
    import pickle

    (tmp_path / "m" / "python_model.pkl").write_bytes(pickle.dumps(Evil(mark)))

    with pytest.raises(LoadFailed):
        podium.load_model(tmp_path / "m", allow_code=False)
    assert not mark.exists()
    with pytest.raises(podium.errors.PodiumError):
        podium.load_model(tmp_path / "m")
    assert mark.exists()


def test_code_and_loaders_of_the_models_own_are_refused_before_an_import(tmp_path):
    mark = tmp_path / "ran"
    (tmp_path / "mine.py").write_text(f"open({str(mark)!r}, 'w')\n\ndef _load_pyfunc(path):\n    return None\n")
    mark.unlink(missing_ok=True)
    podium.pyfunc.save_model(tmp_path / "m", loader_module="mine", code_paths=[tmp_path / "mine.py"])

    with pytest.raises(LoadFailed) as raised:
        podium.load_model(tmp_path / "m", allow_code=False)

    assert not mark.exists()
    assert "loader_module mine" in raised.value.message
    assert "code/" in raised.value.message


def test_a_loader_of_mlflows_that_podium_has_no_flavor_for_is_refused_at_the_opening(tmp_path):
    """The name is on the list of native loaders; that nobody here reads it decides."""
    from podium.flavors.contract import Stored
    from podium.flavors.loader_module import LoaderModuleFlavor

    stored = Stored(tmp_path, {"python_function": {"loader_module": "mlflow.pytorch"}}, terms=NO_CODE)

    with pytest.raises(LoadFailed, match=r"mlflow\.pytorch"):
        LoaderModuleFlavor().load(stored)


def entry(folder: Path, loader: str, own: dict, **pyfunc) -> dict:
    folder.mkdir(exist_ok=True)
    return {"flavors": {"python_function": {"loader_module": f"mlflow.{loader}", **pyfunc}, loader: own}}


@pytest.mark.parametrize(
    ("loader", "own", "expected"),
    [
        ("xgboost", {"model_class": "xgboost.core.Booster", "data": "model.ubj"}, []),
        ("xgboost", {"model_class": "subprocess.Popen", "data": "model.ubj"}, ["the class subprocess.Popen"]),
        ("lightgbm", {"model_class": "lightgbm.basic.Booster", "data": "model.lgb"}, []),
        ("lightgbm", {"model_class": "lightgbm.sklearn.LGBMClassifier", "data": "model.pkl"}, ["model.pkl"]),
        ("lightgbm", {"model_class": "lightgbm.basic.Booster", "data": "model.pkl"}, ["model.pkl"]),
        ("catboost", {"model_type": "CatBoostClassifier", "data": "model.cb"}, []),
        ("statsmodels", {"data": "model.statsmodels"}, ["model.statsmodels"]),
        ("onnx", {"data": "model.onnx", "providers": ["CPUExecutionProvider"]}, []),
        ("onnx", {"providers": [["VitisAIExecutionProvider", {"lib": "x.so"}]]}, ["providers VitisAIExecutionProvider"]),
        (
            "onnx",
            {"onnx_session_options": {"extra_session_config": {"ep.context_file_path": "x"}}},
            ["extra_session_config ep.context_file_path"],
        ),
    ],
)
def test_mlmodels_own_words_decide_for_boosters_and_onnx(tmp_path, loader, own, expected):
    found = code_needs(tmp_path, entry(tmp_path, loader, own))

    assert expected == [need.what for need in found if need.is_code]


@pytest.mark.parametrize(
    ("loader", "files", "expected"),
    [
        ("pytorch", {"data/model.pth": b"x", "data/pickle_module_info.txt": b"pickle"}, ["data/model.pth"]),
        ("pytorch", {"data/notes.txt": b"x"}, ["data"]),
        ("tensorflow", {"data/model.h5": b"x"}, ["data/model.h5"]),
        ("tensorflow", {"data/model/saved_model.pb": b"MatMul"}, []),
        ("tensorflow", {"data/model/saved_model.pb": b"..PyFunc.."}, ["data/model/saved_model.pb"]),
        ("tensorflow", {"data/model/saved_model.pb": b"", "data/c.cloudpickle": b""}, ["data/c.cloudpickle"]),
        ("tensorflow", {"data/model/saved_model.pb": b"", "data/keras_module.txt": b"evil"}, ["data/keras_module.txt"]),
        ("keras", {"data/model.keras": b"no zip"}, ["data/model.keras"]),
        ("keras", {"data/a/saved_model.pb": b"", "data/model/saved_model.pbtxt": b""}, ["data/model/saved_model.pbtxt"]),
        ("keras", {"data/a/saved_model.pb": b"", "data/model": b"a .keras file"}, ["data/model"]),
        ("keras", {"data/model/saved_model.pb": b"..PrintV2.."}, ["data/model/saved_model.pb"]),
    ],
)
def test_the_files_decide_for_pytorch_and_keras(tmp_path, loader, files, expected):
    mlmodel = entry(tmp_path / "m", loader, {"data": "data"}, data="data")
    for name, content in files.items():
        path = tmp_path / "m" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    assert expected == [need.what for need in code_needs(tmp_path / "m", mlmodel)]


DECOYS = [
    {"python_function": {"loader_module": "mlflow.keras"}, "keras": {"saved_model_dir": "decoy", "data": "real"}},
    {"python_function": {"loader_module": "mlflow.keras"}, "keras": {"saved_model_dir": "decoy"}},
    {"python_function": {"loader_module": "mlflow.tensorflow"}, "tensorflow": {"data": "decoy"}, "keras": {"data": "real"}},
    {"python_function": {"loader_module": "mlflow.keras", "data": "real"}, "keras": {"data": "decoy"}},
]


@pytest.mark.parametrize("flavors", DECOYS)
def test_no_place_beside_the_one_that_is_opened_hides_what_lies_there(tmp_path, flavors):
    for place, content in {"decoy": b"MatMul", "real": b"PyFunc", "data": b"PyFunc"}.items():
        (tmp_path / place).mkdir()
        (tmp_path / place / "saved_model.pb").write_bytes(content)

    assert code_needs(tmp_path, {"flavors": flavors})


def zipped(members: dict[str, bytes]) -> tuple[bytes, bytes]:
    """Members, and the list of them."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    length, offset = struct.unpack("<LL", whole.getvalue()[-10:-2])
    return whole.getvalue()[:offset], whole.getvalue()[offset : offset + length]


def test_an_archive_that_shows_pytorchs_reader_other_members_is_refused(tmp_path):
    """Python takes the list before the end record, PyTorch's reader the one to which that record points."""
    harmless, shown = zipped({"m/archive_format": b"pt2"})
    hostile, listed = zipped({"m/archive_format": b"a pickle"})
    hostile += b"\0" * len(harmless)
    moved = bytearray(shown)
    moved[42:46] = struct.pack("<L", len(hostile) - len(harmless))
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(shown), len(hostile), 0)
    path = tmp_path / "model.pt2"
    path.write_bytes(hostile + listed + harmless + moved + end)
    with zipfile.ZipFile(path) as archive:
        assert archive.read("m/archive_format") == b"pt2"

    assert [need.what for need in pt2_needs(path, "model.pt2")] == ["model.pt2"]
    with pytest.raises(LoadFailed, match="lists its records twice"):
        check_free_of_pickles(None, path)

    whole = harmless + shown + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(shown), len(harmless), 0)
    path.write_bytes(whole)
    assert pt2_needs(path, "model.pt2") == []


@pytest.mark.slow
def test_a_torch_export_archive_is_looked_through(tmp_path):
    torch = pytest.importorskip("torch")
    batch = torch.export.Dim("batch")
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    exported = torch.export.export(module, (torch.zeros(2, 3),), dynamic_shapes=({0: batch},))
    place = tmp_path / "m" / "data"
    place.mkdir(parents=True)
    torch.export.save(exported, place / "model.pt2")
    mlmodel = entry(tmp_path / "m", "pytorch", {"model_data": "data"}, data="data")
    assert code_needs(tmp_path / "m", mlmodel) == []
    with zipfile.ZipFile(place / "model.pt2") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}

    def rewritten(change) -> list:
        with zipfile.ZipFile(place / "model.pt2", "w") as archive:
            for name, content in members.items():
                archive.writestr(name, change(name, content))
        return code_needs(tmp_path / "m", mlmodel)

    evil = b"__import__('os').system('true')"
    assert rewritten(
        lambda _, content: content.replace(b"Symbol('s31', positive=True, integer=True)", evil).replace(
            b"torch.ops.aten.linear.default", b"torch.hub.load"
        )
    )
    assert rewritten(lambda _, content: content.replace(b'"use_pickle": false', b'"use_pickle": true'))
    assert not rewritten(lambda _, content: content)


@pytest.mark.slow
def test_graphs_for_any_number_of_rows_need_no_code_podiums_own_and_others(tmp_path):
    torch = pytest.importorskip("torch")
    module, rows = torch.nn.Linear(4, 2), torch.rand(5, 4)
    podium.pytorch.save_model(module, tmp_path / "own", input_example=torch.rand(1, 4))
    marked = torch.export.export(module, (rows,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    shutil.copytree(tmp_path / "own", tmp_path / "other")
    torch.export.save(marked, tmp_path / "other" / "data" / "model.pt2")

    for name in ("own", "other"):
        mlmodel = read_mlmodel(tmp_path / name)
        assert needs(tmp_path / name) == []
        found = load_predictor(tmp_path / name, mlmodel, terms=NO_CODE).predict(rows.numpy())
        assert np.allclose(found, module(rows).detach().numpy(), atol=1e-6)
    with zipfile.ZipFile(tmp_path / "own" / "data" / "model.pt2") as archive:
        inputs = next(archive.read(each) for each in archive.namelist() if "sample_inputs" in each)
    assert b"_rebuild_from_type_v2" not in inputs


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_keras_file_is_looked_through(tmp_path):
    keras = pytest.importorskip("keras")
    place = tmp_path / "m" / "data"
    place.mkdir(parents=True)
    mlmodel = entry(tmp_path / "m", "keras", {"data": "data"}, data="data")

    def saved(*layers) -> list[str]:
        keras.Sequential([keras.layers.Input((3,)), *layers]).save(place / "model.keras")
        return [need.reason for need in code_needs(tmp_path / "m", mlmodel)]

    assert saved(keras.layers.Normalization(), keras.layers.Dense(4, activation="relu"), keras.layers.Dropout(0.1)) == []
    assert saved(keras.layers.Lambda(lambda x: x + 1)) == ["holds more than Keras' own layers: a Lambda, a lambda"]
