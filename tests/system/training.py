"""A registered model in three versions that answer differently."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from driven import Podium, Versions

NAME = "recommendation-engine"

# Three versions of a regression on scikit-learn's diabetes data, a thousand apart: an answer tells which one gave it.
_REGISTER = """
import json, sys
import podium.sklearn
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge

X, y = load_diabetes(return_X_y=True, as_frame=True)
expected = {}
for version in (1, 2, 3):
    model = Ridge(alpha=0.1 * version).fit(X, y + 1000 * version)
    podium.sklearn.log_model(
        model, name="m", signature=podium.infer_signature(X, model.predict(X)), input_example=X.head(1),
        registered_model_name=sys.argv[1],
    )
    expected[str(version)] = {"predictions": [float(model.predict(X.head(1))[0])]}
body = {"dataframe_split": X.head(1).to_dict(orient="split", index=False)}
print(json.dumps({"body": body, "expected": expected}))
"""


def register(podium: Podium) -> Versions:
    """Log and register the three, and promote the first."""
    # The last line: a library may print on import.
    made = json.loads(podium.python(_REGISTER, NAME).splitlines()[-1])
    podium.run("models", "promote", NAME, "1")
    return Versions(NAME, f"models:/{NAME}/production", made["body"], made["expected"])


@dataclass(frozen=True, slots=True)
class Registered:
    """A home with the three, at rest: no process uses it."""

    home: Path
    versions: Versions

    def copy(self, podium: Podium) -> Versions:
        """The same in another home."""
        shutil.copytree(self.home, podium.home)
        return self.versions
