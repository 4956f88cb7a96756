"""Child processes of ours import the podium that started them, also where it is not installed but run from its sources."""

import os
import site
from collections.abc import Mapping
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def environ_for_children(environ: Mapping[str, str] = os.environ, root: Path = _ROOT) -> dict[str, str]:
    """The variables for a child that imports podium, whatever its working directory.

    Args:
        environ: Ours.
        root: The folder that holds the package. Nothing is added where Python looks there anyway: on PYTHONPATH a
            site-packages folder would come before the standard library.
    """
    # Relative entries would mean another folder from another working directory.
    paths = [str(Path(entry).absolute()) for entry in environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if str(root) not in {*site.getsitepackages(), site.getusersitepackages()}:
        paths.insert(0, str(root))
    kept = {name: value for name, value in environ.items() if name != "PYTHONPATH"}
    return kept | ({"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))} if paths else {})
