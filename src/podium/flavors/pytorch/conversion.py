"""PyTorch's modules as ONNX: torch.export makes a graph for any number of rows, torch.onnx writes it as ONNX."""

import contextlib
import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from podium.domain.frames import is_frame
from podium.flavors.claims import Claim, Inputs
from podium.flavors.conversions import (
    NETWORK_BOUNDS,
    Attempt,
    Conversion,
    ConversionSample,
    NotConverted,
    installed,
    network_spec,
    refuse_text,
)
from podium.flavors.onnx_way import Graph, rename_input
from podium.flavors.pytorch.call import ModuleInputs
from podium.flavors.pytorch.export import NoGraph, export


class ModuleConverter:
    """The converter of a module: eager, or a graph that torch.export made.

    Args:
        torch: The library.
        module: In evaluation mode.
        taken: What the module takes.
    """

    def __init__(self, torch: Any, module: Any, taken: ModuleInputs) -> None:
        self._torch = torch
        self._module = module
        self._taken = taken

    def versions(self) -> dict[str, str]:
        return installed("torch", "onnxscript", "onnx", "onnxruntime")

    def attempts(self, inputs: Inputs) -> Sequence[Attempt]:
        """One, in the module's own precision.

        Raises:
            NotConverted: Text, several inputs, TorchScript, or a graph for a fixed number of rows.
        """
        refuse_text(inputs, "PyTorch")
        if self._taken.required > 1:
            raise NotConverted(
                f"It takes the tensors {list(self._taken.names)}; a conversion takes one. podium serves it as it is."
            )
        if isinstance(self._module, self._torch.jit.ScriptModule):
            raise NotConverted(
                "It is TorchScript, which torch.export does not take. Save the module that it was made of "
                "(podium.pytorch.save_model with an input_example writes a graph), or serve it as it is."
            )
        if self._taken.static_batch is not None:
            raise NotConverted(
                f"Its graph is for batches of exactly {self._taken.static_batch}. podium.pytorch.save_model with an "
                "input_example makes one for any number of rows."
            )
        kinds = {each.dtype for each in self._module.parameters()}
        precision = "double" if self._torch.float64 in kinds else "float"
        return [Attempt("whole", precision, self._converted, NETWORK_BOUNDS)]

    def edges(self, inputs: Inputs) -> Mapping[int, Sequence[Any]]:
        """None that podium knows: a network's answers change everywhere a little."""
        del inputs
        return {}

    def claim(self, path: str, inputs: Inputs, spec: Mapping[str, Any], what: str) -> Claim:
        return Claim(Graph(path, inputs, spec).answer, what)

    def _converted(self, sample: ConversionSample) -> Conversion:
        spec = network_spec(sample)
        data = sample.data.to_numpy(np.float32) if is_frame(sample.data) else sample.data
        # The exporter says on stdout and stderr what it does, and what it was not made for.
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        with warnings.catch_warnings(), open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            warnings.simplefilter("ignore")
            try:
                program = export(self._module, data)
                made = self._torch.onnx.export(program, dynamo=True, verbose=False).model_proto
            except NoGraph as error:
                raise NotConverted(f"{error}.") from error
            except Exception as error:
                raise NotConverted(f"torch.onnx: {type(error).__name__}: {str(error).strip()[:300]}") from error
        rename_input(made)
        return Conversion(made.SerializeToString(), {**spec, "output": made.graph.output[0].name})
