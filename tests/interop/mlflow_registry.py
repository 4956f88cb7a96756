"""Run by the environment that has MLflow: makes versions and moves them, as `MlflowClient` does for anybody.

python mlflow_registry.py TRACKING_URI    then one JSON line a command on standard input, one JSON line an answer
"""

import json
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

# Said, for MLflow finds out by loading the model in one more process.
_NEEDS = ["mlflow", "scikit-learn"]
_QUICK = """
class Model:
    def predict(self, data):
        return [{answer} for _ in range(len(data))]

def _load_pyfunc(path):
    return Model()
"""


def main() -> None:
    import mlflow
    from mlflow import MlflowClient
    from sklearn.dummy import DummyRegressor

    mlflow.set_tracking_uri(sys.argv[1])
    client = MlflowClient()

    def log(name: str, answer: float, path: str = "model") -> dict[str, str]:
        """A version whose every prediction is the same number."""
        model = DummyRegressor(strategy="constant", constant=answer).fit([[0.0]], [answer])
        with mlflow.start_run() as run:
            info = mlflow.sklearn.log_model(
                model, name=path, registered_model_name=name, input_example=[[0.0]], pip_requirements=_NEEDS
            )
        return {
            "run_id": run.info.run_id,
            "model_uri": info.model_uri,
            "artifact_uri": client.get_logged_model(info.model_id).artifact_location,
        }

    def quick(name: str, answer: float) -> None:
        """The same without a library, so that its worker is there in no time."""
        Path("quick.py").write_text(_QUICK.format(answer=answer))
        with mlflow.start_run():
            mlflow.pyfunc.log_model(
                name="model",
                loader_module="quick",
                code_paths=["quick.py"],
                registered_model_name=name,
                pip_requirements=[],
            )

    def stage(name: str, version: int, stage: str) -> None:
        client.transition_model_version_stage(name, str(version), stage, archive_existing_versions=stage == "Production")

    def alias(name: str, alias: str, version: int) -> None:
        client.set_registered_model_alias(name, alias, str(version))

    def copy(name: str, version: int, target: str) -> None:
        client.copy_model_version(f"models:/{name}/{version}", target)

    def register(name: str, source: str) -> None:
        mlflow.register_model(source, name)

    def save(path: str, answer: float) -> None:
        """A folder that is recorded nowhere."""
        model = DummyRegressor(strategy="constant", constant=answer).fit([[0.0]], [answer])
        mlflow.sklearn.save_model(model, path, input_example=[[0.0]], pip_requirements=_NEEDS)

    def point(name: str, source: str) -> None:
        """A version whose files are somewhere else."""
        if not client.search_registered_models(f"name = '{name}'"):
            client.create_registered_model(name)
        client.create_model_version(name, source)

    commands = {each.__name__: each for each in (log, quick, stage, alias, copy, register, save, point)}
    commands |= {"tags": lambda name: dict(client.get_registered_model(name).tags), "tag": client.set_registered_model_tag}
    commands |= {"delete": client.delete_registered_model}
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        print("\n" + json.dumps({"answer": commands[command](*arguments)}), flush=True)


if __name__ == "__main__":
    main()
