"""river in podium: models that learn from one observation at a time (https://riverml.xyz), as a flavor of their own.

What plain MLflow needs stands first and imports neither podium nor river: `_load_pyfunc` is what MLmodel's `loader_module`
promises. What podium needs is the class below; podium finds it by the entry point in pyproject.toml.
"""

import pickle
import sys
from pathlib import Path

FILE = "model.pkl"


class LoadedRiver:
    """A river model that takes a table, or a list of observations as dicts, and answers row by row."""

    def __init__(self, model):
        self.native = model

    def predict(self, data, params=None):
        rows = data.to_dict(orient="records") if hasattr(data, "to_dict") else data
        return [self.native.predict_one(row) for row in rows]


def _load_pyfunc(path):
    with Path(path).open("rb") as file:
        return LoadedRiver(pickle.load(file))


class RiverFlavor:
    """How podium saves and loads river's models."""

    name = "river"
    loader_modules = ("podium_river",)
    options = ()

    def claims(self, model):
        # Where river was not imported nothing can be one of its models.
        river = sys.modules.get("river.base")
        return river is not None and isinstance(model, river.Classifier | river.Regressor)

    def save(self, model, folder, example=None, **options):
        import river

        from podium.flavors.contract import Saved

        with (folder / FILE).open("wb") as file:
            pickle.dump(model, file, protocol=4)
        entries = {
            "river": {"data": FILE, "river_version": river.__version__},
            "python_function": {"loader_module": "podium_river", "data": FILE},
        }
        return Saved(entries, ["podium-river", "river"])

    def load(self, stored):
        from podium.errors import InvalidModel, LoadFailed
        from podium.flavors.folders import part_of

        path = part_of(stored.folder, stored.of("python_function").get("data"), "data")
        if not stored.terms.allows_code:
            raise LoadFailed(f"{path} is a pickle, which can run anything; allow code for models whose authors you trust.")
        try:
            return _load_pyfunc(path)
        except (pickle.UnpicklingError, EOFError) as error:
            raise InvalidModel(f"{path} is damaged or no pickle ({error}).") from error

    def rows(self, loaded, signature):
        from podium.flavors.contract import RowIndependence

        return RowIndependence(True, "predict_one() sees one observation and learns nothing from it")

    def samples(self):
        """For `podium plugins check river`."""
        from river import linear_model, preprocessing, tree

        from podium.flavors.conformance import Sample

        rows = [{"x": float(x), "y": float(x % 3)} for x in range(30)]
        regression = preprocessing.StandardScaler() | linear_model.LinearRegression()
        words = tree.HoeffdingTreeClassifier(grace_period=5)
        for row in rows:
            regression.learn_one(row, 2 * row["x"] - row["y"])
            words.learn_one(row, "many" if row["x"] > 15 else "few")
        return [
            Sample(title, model, rows[::7], [model.predict_one(row) for row in rows[::7]])
            for title, model in {"regression": regression, "words": words}.items()
        ]
