"""The Dockerfile of a model: what an image holds, as a value, and its text.

Layers from the slowest to change to the quickest: the base, the model's environment (made from its requirements alone, so
that versions with the same ones share it), podium's own environment, the model. Nothing is downloaded at start.
"""

import json
import re
from dataclasses import dataclass

from podium.errors import InvalidInput

MODEL_AT = "/opt/ml/model"
ENVIRONMENT_AT = "/opt/environment"
PORT = 8080
USER = 10001
BASES = ("cpu", "cuda")
_CUDA_IMAGE = "docker.io/nvidia/cuda:12.9.1-cudnn-runtime-ubuntu24.04"
# What python.org's Python is linked to and NVIDIA's image lacks.
_OF_PYTHON = (
    "ca-certificates",
    "libbz2-1.0",
    "libffi8",
    "liblzma5",
    "libreadline8t64",
    "libsqlite3-0",
    "libssl3t64",
    "zlib1g",
)
_SAFE = re.compile(r"[A-Za-z0-9_./:@-]+")
_HEALTH = f"import sys, urllib.request as r; sys.exit(r.urlopen('http://127.0.0.1:{PORT}/readyz', timeout=2).status != 200)"


@dataclass(frozen=True, slots=True)
class Image:
    """What an image holds.

    Args:
        python: `3.11`: of the model's environment, and of podium's.
        base: `cpu` takes Python's own image; `cuda` NVIDIA's, with that Python copied into it.
        base_image: An image with that Python, to take instead of the usual one.
        name: The endpoint's public name; None leaves it to whatever is mounted.
        has_model: Whether the model is in the image; else it is mounted at MODEL_AT.
        environment: Digest of the model's environment; None where the image has none, and it is built at start.
        packages: Debian packages.

    Raises:
        InvalidInput: A word that does not belong into a Dockerfile.
    """

    python: str
    base: str = "cpu"
    base_image: str | None = None
    name: str | None = None
    has_model: bool = True
    environment: str | None = None
    packages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.base not in BASES:
            raise InvalidInput(f"base is {self.base!r}; expected one of {list(BASES)}.")
        words = {"base_image": self.base_image, "name": self.name, "python": self.python}
        for what, word in words.items():
            if word is not None and not _SAFE.fullmatch(word):
                raise InvalidInput(f"{what} is {word!r}; letters, digits and _ . / : @ - are what a Dockerfile takes here.")


def dockerfile(image: Image) -> str:
    """The text. No syntax line: it would make builders fetch their own front end first."""
    python = image.base_image or f"docker.io/library/python:{image.python}-slim"
    stages = [_builder(python)]
    if image.environment is not None:
        stages.append(_ENVIRONMENT)
    return "\n".join([*stages, _SERVER, _final(image)])


DOCKERIGNORE = "*\n!environment\n!podium\n!model\n"


def _builder(python: str) -> str:
    return f"""\
# Written by podium models generate-dockerfile. To build it: docker build -t NAME .
# Indexes of your own, which the image does not keep: --build-arg PIP_INDEX_URL=... --build-arg UV_INDEX_URL=...
ARG PYTHON_IMAGE={python}

FROM ${{PYTHON_IMAGE}} AS builder
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG UV_INDEX_URL
ARG UV_EXTRA_INDEX_URL
ARG UV_EXCLUDE_NEWER
ENV UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never
RUN python -m venv /opt/uv && /opt/uv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check uv
"""


_ENVIRONMENT = f"""\
# The model's environment: the same layer for all models with the same requirements.
FROM builder AS environment
COPY environment/ /build/
WORKDIR /build
RUN python -m venv --without-pip {ENVIRONMENT_AT} && /opt/uv/bin/uv pip install --compile-bytecode \\
    --python {ENVIRONMENT_AT}/bin/python -r requirements.txt
"""

_SERVER = """\
# podium's own environment, which the model does not see.
FROM builder AS server
COPY podium/ /build/
RUN python -m venv --without-pip /opt/podium && /opt/uv/bin/uv pip install --compile-bytecode \\
    --python /opt/podium/bin/python /build
"""


def _final(image: Image) -> str:
    variables = {
        "PATH": "/opt/podium/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PODIUM_HOME": "/tmp/podium",  # noqa: S108 - a container has it to itself
        "PODIUM_SERVE_MODEL_URI": MODEL_AT,
        "PODIUM_SERVE_HOST": "0.0.0.0",  # noqa: S104 - inside of a container, whose ports are closed until published
        "PODIUM_SERVE_PORT": str(PORT),
    }
    if image.name is not None:
        variables["PODIUM_SERVE_NAME"] = image.name
    if image.environment is not None:
        variables["PODIUM_SERVE_WORKER_PYTHON"] = f"{ENVIRONMENT_AT}/bin/python"
    else:
        variables["PODIUM_SERVE_ENV_MANAGER"] = "auto"
    if image.base == "cuda":
        variables |= {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
    packages = (*_OF_PYTHON, *image.packages) if image.base == "cuda" else image.packages
    labels = {"org.opencontainers.image.title": image.name or "podium", "podium.environment": image.environment or ""}
    lines = [f"FROM {_CUDA_IMAGE}" if image.base == "cuda" else "FROM ${PYTHON_IMAGE}"]
    if packages:
        lines.append(
            "RUN apt-get update && apt-get install -y --no-install-recommends "
            f"{' '.join(packages)} && rm -rf /var/lib/apt/lists/*"
        )
    if image.base == "cuda":
        lines.append("COPY --from=builder /usr/local /usr/local\nRUN ldconfig")
    if image.environment is not None:
        lines.append(f"COPY --from=environment {ENVIRONMENT_AT} {ENVIRONMENT_AT}")
    lines.append("COPY --from=server /opt/podium /opt/podium")
    if image.has_model:
        lines.append(f"COPY model/ {MODEL_AT}/")
    lines += [
        "ENV " + " \\\n    ".join(f"{name}={value}" for name, value in variables.items()),
        "LABEL " + " ".join(f'{name}="{value}"' for name, value in labels.items()),
        f"USER {USER}:{USER}",
        # Writable also where the root is mounted read-only: sockets, logs and the private copy of the model.
        'VOLUME ["/tmp"]',
        f"EXPOSE {PORT}",
        "STOPSIGNAL SIGTERM",
        f"HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD {json.dumps(['python', '-c', _HEALTH])}",
        'ENTRYPOINT ["podium"]',
        'CMD ["serve"]',
    ]
    return "\n".join(lines) + "\n"
