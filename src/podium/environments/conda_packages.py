"""What a conda.yaml asks conda for, in the words of PyPI: where that is certain, and where it is not, what it was.

conda's names are mostly PyPI's; those that are not, and those that are no Python packages, are listed here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_RENAMED = {
    "blas": None,
    "cudatoolkit": None,
    "intel-openmp": None,
    "mkl": None,
    "cpuonly": None,
    "pytorch-cuda": None,
    "pytorch-mutex": None,
    "matplotlib-base": "matplotlib",
    "msgpack-python": "msgpack",
    "opencv": "opencv-python-headless",
    "py-opencv": "opencv-python-headless",
    "py-xgboost": "xgboost",
    "py-xgboost-cpu": "xgboost-cpu",
    "py-xgboost-gpu": "xgboost",
    "pytables": "tables",
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "pytorch-lightning": "pytorch-lightning",
    "tensorflow-base": "tensorflow",
    "tensorflow-gpu": "tensorflow",
    "tensorflow-mkl": "tensorflow",
    "pytorch-tabnet": "pytorch-tabnet",
    "python-flatbuffers": "flatbuffers",
    "prophet": "prophet",
    "ruamel.yaml": "ruamel.yaml",
    "typing-extensions": "typing-extensions",
    "dask-core": "dask",
    "ray-default": "ray",
    "onnxruntime-cpp": None,
}
# Of the same name on PyPI, by the same people.
_SAME = _words("""
    absl-py aiohttp alembic attrs boto3 cachetools catboost category_encoders certifi charset-normalizer click cloudpickle
    cvxpy cython dask datasets dill fastapi filelock flask fsspec gensim gitpython grpcio h5py holidays hyperopt idna
    imbalanced-learn jax jaxlib jinja2 joblib jsonschema keras lightgbm lightning lime llvmlite lxml lz4 mapie markupsafe
    matplotlib mlflow mlflow-skinny mlxtend msgpack networkx nltk numba numexpr numpy nvidia-ml-py onnx onnxruntime openpyxl
    optuna orjson packaging pandas patsy pillow plotly pluggy pmdarima polars protobuf psutil psycopg2 pyarrow pydantic
    pydantic-core pyod pyparsing pyspark python-dateutil pytz pyyaml ray regex requests rich safetensors scikit-image
    scikit-learn scikit-learn-intelex scikit-optimize scipy seaborn sentence-transformers sentencepiece shap simplejson six
    skl2onnx skops sktime spacy sqlalchemy statsmodels sympy tabulate tensorboard tensorflow tensorflow-probability
    thinc threadpoolctl tokenizers toolz torchaudio torchmetrics torchvision tqdm transformers treelite tslearn typer
    tzdata ujson umap-learn urllib3 uvicorn wrapt xarray xgboost xlrd zstandard
""")
# What builds, not what runs; and what every Python brings.
_TOOLCHAIN = _words("""
    pip setuptools wheel python python_abi ca-certificates openssl sqlite tk zlib xz bzip2 readline ncurses libffi
    gcc gxx gfortran gcc_linux-64 gxx_linux-64 gfortran_linux-64 binutils c-compiler cxx-compiler compilers make cmake ninja
    pkg-config libgcc libgcc-ng libstdcxx libstdcxx-ng _libgcc_mutex _openmp_mutex expat libuuid libnsl nomkl conda mamba
    ld_impl_linux-64
""")
# Libraries of the system, and Debian's packages that hold them.
_SYSTEM = {
    "ffmpeg": "ffmpeg",
    "geos": "libgeos-dev",
    "gdal": "libgdal-dev",
    "graphviz": "graphviz",
    "hdf5": "libhdf5-dev",
    "java-jdk": "default-jre-headless",
    "libgomp": "libgomp1",
    "libgl": "libgl1",
    "libsndfile": "libsndfile1",
    "llvm-openmp": "libomp5",
    "openjdk": "default-jre-headless",
    "poppler": "poppler-utils",
    "proj": "libproj-dev",
    "tesseract": "tesseract-ocr",
    "unixodbc": "unixodbc",
}
_MATCH = re.compile(r"(?:[^\s:]+::)?([\w.\-]+)\s*(.*)$")
_VERSION = re.compile(r"(==|=|>=|<=|!=|~=|>|<)\s*([\w.*+!\-]+)$")


@dataclass(frozen=True, slots=True)
class CondaPackages:
    """A conda.yaml without its lines for pip.

    Args:
        lines: For pip.
        hints: What of the system is to be there, as sentences.
        refused: Entries that nobody here can say in PyPI's words.
    """

    lines: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def translated(conda: Mapping[str, Any]) -> CondaPackages:
    """The packages of a conda.yaml as lines for pip.

    Args:
        conda: The file's content.
    """
    lines, hints, refused = [], [], []
    for entry in conda.get("dependencies") or []:
        if not isinstance(entry, str):
            continue
        parts = _MATCH.match(entry.partition("[")[0].strip())
        name = parts[1].lower() if parts else ""
        if parts is None or name in _TOOLCHAIN:
            refused += [entry] if parts is None else []
            continue
        if name in _SYSTEM:
            hints.append(f"{name} is a library of the system: apt-get install {_SYSTEM[name]}")
            continue
        known = _RENAMED.get(name, name if name in _SAME or name.replace("_", "-") in _SAME else "")
        versions = _versions(parts[2])
        if known == "" or versions is None:
            refused.append(entry)
        elif known is None:
            hints.append(f"{name} comes with the packages that need it, or with the graphics card's driver")
        else:
            lines.append(f"{known}{versions}")
    return CondaPackages(tuple(lines), tuple(hints), tuple(refused))


def python_of(dependencies: Sequence[Any]) -> str | None:
    """The Python that a conda.yaml asks for: `3.11.7`, or less of it."""
    for entry in dependencies:
        if isinstance(entry, str) and (found := re.match(r"(?:\S+::)?python\s*(?:={1,2}|>=|~=)\s*([\d.]*\d)", entry)):
            return found[1]
    return None


def _versions(text: str) -> str | None:
    """`=1.3.0=py311h1_0` as `==1.3.0.*`, `=2.1` as `==2.1.*`, `==2.1=build` and `2.1 build` as `==2.1`; None for others."""
    text = text.strip()
    if not text or text == "*":
        return ""
    found = re.match(r"^(={1,2})\s*([\w.+!\-]+(?:\.?\*)?)(?:=\S+|\s+\S+)?$", text)
    if found:
        version = found[2].rstrip("*").rstrip(".")
        # `=1.3.0=build` names one file; `=1.3` means 1.3 and what follows it.
        is_exact = not found[2].endswith("*") and text.count("=") >= 2
        return f"=={version}" if is_exact else f"=={version}.*"
    found = re.match(r"^([\d][\w.+!\-]*)(?:\s+\S+)?$", text)
    if found:
        return f"=={found[1]}"
    if "|" in text:
        return None
    specifiers = []
    for part in text.split(","):
        each = _VERSION.match(part.strip())
        if each is None:
            return None
        operator, version = each[1], each[2]
        if operator == "=":
            version = f"{version.rstrip('*').rstrip('.')}.*"
            operator = "=="
        elif "*" in version and operator not in {"==", "!="}:
            version = version.rstrip("*").rstrip(".")
        specifiers.append(f"{operator}{version}")
    return ",".join(specifiers)
