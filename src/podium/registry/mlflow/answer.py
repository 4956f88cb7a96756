"""MLflow's answer in podium's words."""

from pathlib import Path

from podium.artifacts.digest import digest_folder
from podium.domain.references import ModelRef
from podium.registry.embedded import Resolved, label_of
from podium.registry.mlflow.look import Found


def resolved(reference: ModelRef, found: Found, folder: Path, label: str | None = None) -> Resolved:
    """What a reference stands for. MLflow records no digest, so none is claimed: what serves is "unverified"."""
    version = found.version
    if version is None:
        return Resolved(reference, None, None, label or label_of(digest_folder(folder)), None, None, folder, found.place)
    number = version.number
    return Resolved(reference, version.name, number, label or str(number), version.stage, None, folder, found.place)
