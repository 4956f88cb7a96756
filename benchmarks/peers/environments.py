"""A virtual environment for each peer, made once in a chosen folder and kept while its list of packages is the same."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

from servers import MLFLOW, ROOT

# The same libraries under every server, so that the model costs the same.
_LIBRARIES = ("numpy==2.4.6", "pandas==3.1.1", "scikit-learn==1.9.1", "onnxruntime==1.31.1")
_PODIUM_NEEDS = ("click", "cloudpickle", "httptools", "msgspec", "packaging", "pyyaml", "uvloop")
ENVIRONMENTS = {
    # podium and MLflow share one: "ready in half of MLflow's time in the same environment" is meant literally.
    "mlflow": (MLFLOW, "torch==2.13.0", "onnx", "skl2onnx", "fastapi", "uvicorn", *_LIBRARIES, *_PODIUM_NEEDS),
    "fastapi": ("fastapi", "uvicorn[standard]", "orjson", "joblib", "pyyaml", *_LIBRARIES),
    # With uvloop >= 0.22 its workers find no event loop.
    "mlserver": ("mlserver==1.7.1", "mlserver-sklearn==1.7.1", "uvloop<0.22", *_LIBRARIES),
    "py-spy": ("py-spy",),
    "bentoml": ("bentoml==1.4.39", "pyyaml", *_LIBRARIES),
}
_SHARED = {"podium": "mlflow"}
_SHOWN = (
    "mlflow",
    "fastapi",
    "uvicorn",
    "uvloop",
    "mlserver",
    "bentoml",
    "scikit-learn",
    "numpy",
    "pandas",
    "onnxruntime",
    "torch",
)
_LIMIT_S = 1800


def interpreter(name: str, folder: Path, given: dict[str, Path]) -> Path:
    """The environment's python; installs the environment first where that is needed."""
    if name in given:
        return given[name]
    if name in _SHARED:
        return interpreter(_SHARED[name], folder, given)
    wanted = sorted(ENVIRONMENTS[name])
    home = folder / name
    record, python = home / "podium-bench.json", home / "bin" / "python"
    if record.exists() and json.loads(record.read_text()) == wanted:
        return python
    print(f"installing {name} into {home} ...", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True, timeout=_LIMIT_S)
    subprocess.run([str(python), "-m", "pip", "install", "-q", *wanted], check=True, timeout=_LIMIT_S)
    record.write_text(json.dumps(wanted))
    return python


def versions(python: Path) -> dict[str, str]:
    """Of the packages that matter, as installed."""
    script = (
        "import importlib.metadata as m, json, platform, sys\n"
        "found = {'python': platform.python_version()}\n"
        "for name in sys.argv[1:]:\n"
        "    try: found[name] = m.version(name)\n"
        "    except m.PackageNotFoundError: pass\n"
        "print(json.dumps(found))"
    )
    done = subprocess.run([str(python), "-c", script, *_SHOWN], capture_output=True, text=True, check=True, timeout=60)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def models(folder: Path, python: Path) -> Path:
    """The folder of models and requests, made once for each state of `make_models.py`."""
    script = ROOT / "benchmarks" / "peers" / "make_models.py"
    made = folder / f"models-{hashlib.sha256(script.read_bytes()).hexdigest()[:12]}"
    if not (made / "done").exists():
        print(f"training the models into {made} ...", file=sys.stderr, flush=True)
        made.mkdir(parents=True, exist_ok=True)
        argv = [str(python), str(script), str(made)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
        if done.returncode:
            raise SystemExit(f"make_models.py failed:\n{done.stderr[-2000:]}")
    return made
