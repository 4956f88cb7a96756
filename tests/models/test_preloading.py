"""What a fork server imports for a model: libraries that podium names, whatever the model says."""

import pytest

from podium.models.preloading import preloads_for


def mlmodel(loader, **entries):
    return {"flavors": {"python_function": {"loader_module": loader}, **entries}}


@pytest.mark.parametrize(
    ("described", "on_cpu", "on_gpu"),
    [
        (mlmodel("their.module"), ("numpy",), ("numpy",)),
        (mlmodel("os", os={"code": "code"}), ("numpy",), ("numpy",)),
        (mlmodel("mlflow.pyfunc.model"), ("numpy", "pandas", "cloudpickle"), ("numpy", "pandas", "cloudpickle")),
        (mlmodel("mlflow.xgboost"), ("numpy", "pandas", "xgboost"), None),
        (mlmodel("mlflow.pytorch"), ("numpy", "torch"), None),
        (mlmodel("mlflow.tensorflow"), None, None),
        (mlmodel("mlflow.keras"), None, None),
        ({}, ("numpy",), ("numpy",)),
        ({"flavors": {"python_function": None, "sklearn": "text"}}, ("numpy",), ("numpy",)),
    ],
)
def test_it_depends_on_the_flavor_alone(described, on_cpu, on_gpu):
    seen = [preloads_for(described, has_gpu=has_gpu) for has_gpu in (False, True)]

    assert seen == [on_cpu, on_gpu]


def test_scikit_learn_is_imported_as_far_as_the_format_needs_it():
    """What reads skops imports all of it; a pickle names what it holds."""
    skops, pickled = (mlmodel("mlflow.sklearn", sklearn={"serialization_format": each}) for each in ("skops", "pickle"))

    assert any("skops" in module for module in preloads_for(skops, has_gpu=False))
    assert not any("skops" in module for module in preloads_for(pickled, has_gpu=False))
