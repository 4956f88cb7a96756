"""What a .keras file's configuration would run or read beside Keras' own layers. Pure.

Keras makes objects by the module and class that the configuration names. Lambda layers hold byte code, wrappers of other
libraries hold pickles, and a vocabulary given as a path is read from wherever it leads.
"""

import re
from collections.abc import Mapping
from typing import Any

from podium.domain.model_files.json_nodes import nodes_with

_ROOMS = (
    "layers|models|initializers|regularizers|constraints|optimizers|losses|metrics|activations|dtype_policies|ops|random|"
    "quantizers"
)
_MODULE = re.compile(rf"keras(\.src)?(\.({_ROOMS})(\.\w+)*)?")
_CLASS = re.compile(r"[A-Z]\w*")
_FUNCTION = re.compile(r"[a-z_]\w*")
_PLAIN = frozenset({"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"})
_RUNS = frozenset({"Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer"})


def foreign_objects(config: Any) -> list[str]:
    """The objects of a configuration that are none of Keras' own, or that run or read what the file's author chose."""
    return list(dict.fromkeys(found for node in nodes_with("class_name", config) if (found := _foreign(node)) is not None))


def _foreign(node: Mapping[str, Any]) -> str | None:
    name, module, registered = str(node["class_name"]), node.get("module"), node.get("registered_name")
    config = node.get("config")
    if module is None and registered is None and name in _PLAIN:
        return None
    if name in _RUNS or name == "__lambda__":
        return f"a {name.strip('_')}"
    if isinstance(config, dict) and isinstance(config.get("vocabulary"), str):
        return f"a vocabulary that is read from {config['vocabulary']!r:.60}"
    if registered not in {None, name} and ">" in str(registered):
        return f"the custom object {registered}"
    if name == "function":
        is_known = module == "builtins" and isinstance(config, str) and bool(_FUNCTION.fullmatch(config))
        return None if is_known else f"the function {config!r:.60}"
    if isinstance(module, str) and _MODULE.fullmatch(module) and _CLASS.fullmatch(name):
        return None
    return f"{module}.{name}"
