"""Which environment variables a worker gets. Pure.

A worker runs what a model's author wrote. It gets what libraries compute by, and nothing that opens a door: no podium
setting, no credential of a registry, a cloud or a proxy. What is not listed is not passed.
"""

import re
from collections.abc import Iterable, Mapping

_EXACT = frozenset(
    {
        "PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TZDIR", "TMPDIR", "LD_LIBRARY_PATH", "LD_PRELOAD", "VIRTUAL_ENV",
        "CONDA_PREFIX", "GOTO_NUM_THREADS", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "HIP_VISIBLE_DEVICES",
        "ROCR_VISIBLE_DEVICES", "KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS", "TF_USE_LEGACY_KERAS",
        "TF_FORCE_GPU_ALLOW_GROWTH", "TF_NUM_INTEROP_THREADS", "TF_NUM_INTRAOP_THREADS", "XLA_FLAGS",
        "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF", "PYTHONPATH",
        "PYTHONHOME", "PYTHONHASHSEED", "PYTHONWARNINGS", "PYTHONMALLOC",
        "PYTHONDONTWRITEBYTECODE", "PYTHONNOUSERSITE", "PYTHONFAULTHANDLER", "PYTHONUTF8", "PYTHONIOENCODING",
        "PYTHONUNBUFFERED", "PYTHONPYCACHEPREFIX",
        # What MLflow's users steer inference with.
        "MLFLOW_DEFAULT_PREDICTION_DEVICE", "MLFLOW_PYFUNC_INFERENCE_CONFIG", "SERVING_MODEL_CONFIG",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "MLFLOW_DISABLE_SCHEMA_DETAILS",
    }
)  # fmt: skip
_FAMILY = re.compile(r"(LC|OMP|KMP|MKL|OPENBLAS|BLIS|NUMEXPR|VECLIB|CUDA|CUBLAS|CUDNN|NCCL|MALLOC|ORT)_\w+")
_NAME = re.compile(r"[A-Za-z_]\w*")
_OURS = "PODIUM_"


def kept_variables(environ: Mapping[str, str], named: Iterable[str] = ()) -> dict[str, str]:
    """Those of a server's variables that its workers get.

    Args:
        environ: The server's.
        named: More of them, by the setting `worker_env`; podium's own are never among them.
    """
    more = {name for name in named if not name.startswith(_OURS)}
    return {name: value for name, value in environ.items() if name in _EXACT or name in more or _FAMILY.fullmatch(name)}


def names_in(text: str) -> list[str]:
    """The names in a model's `environment_variables.txt`: one a line, `#` begins a comment."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if _NAME.fullmatch(line)]
