"""Child processes of ours import the podium that started them, also where it is not installed but run from its sources."""

import os
import site
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
PACKAGE = _ROOT / "podium"
# In an environment without podium: the package under its name, nothing else of our interpreter's, then `-m MODULE`.
_RUN = """
import importlib.util, os, runpy, sys
folder, *sys.argv = sys.argv[1:]
sys.path[:] = [entry for entry in sys.path if entry]
spec = importlib.util.spec_from_file_location(
    "podium", os.path.join(folder, "__init__.py"), submodule_search_locations=[folder])
package = sys.modules["podium"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


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


def child_command(module: Sequence[str], python: str | None = None) -> list[str]:
    """The command that runs a module of ours with its arguments.

    Args:
        module: `podium.worker` and its arguments.
        python: Another interpreter than this one, of an environment where podium is not installed. It finds podium alone:
            on PYTHONPATH our site-packages folder would put our numpy and pandas before the environment's own.
    """
    if python is None or python == sys.executable:
        return [sys.executable, "-m", *module]
    return [python, "-c", _RUN, str(PACKAGE), *module]


def child_environ(python: str | None = None, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables for `child_command`; those of an environment's interpreter are as if it had been activated."""
    if python is None or python == sys.executable:
        return environ_for_children(environ)
    home = Path(python).parent
    kept = {name: value for name, value in environ.items() if name not in {"PYTHONHOME", "__PYVENV_LAUNCHER__"}}
    search = os.pathsep.join([str(home), *filter(None, [environ.get("PATH")])])
    return kept | {"VIRTUAL_ENV": str(home.parent), "PATH": search}
