"""A converted model in a session of onnxruntime's, fed from the input plan's records.

What a graph is known to take differently from the model is left to the model: numbers so large that single precision may
lose them, and text with a NUL, at which a string of C's ends.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from podium.flavors.claims import Batch, Inputs, NotTakenError
from podium.flavors.conversions import MOST
from podium.flavors.tables import table_of

_NUMPY = {"float": "float32", "double": "float64", "int64": "int64", "int32": "int32", "bool": "bool"}


def session_of(model: str | bytes) -> Any:
    """A session of one thread that does not spin: the workers share the machine."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, sess_options=options, providers=["CPUExecutionProvider"])


def rename_input(made: Any) -> None:
    """Call a graph's one input `input`, whatever its converter called it."""
    (given,) = made.graph.input
    for node in made.graph.node:
        node.input[:] = ["input" if name == given.name else name for name in node.input]
    given.name = "input"


class Graph:
    """A graph in a session.

    Args:
        path: The .onnx file.
        inputs: What batches look like.
        spec: `types` by input (`float`, `double`, `int64`, `bool`, `string`), or `matrix` for one tensor of all, of the
            `shape` that a row has there; `output`, the `column` of it that answers, the answer's `dtype`, and whether it
            `is_flat` or `is_table`; `scores`, the output behind labels, or None; `most`, the largest number that it takes.
        prepare: Makes the matrix that the graph takes, where only a pipeline's last step was converted.
    """

    def __init__(
        self, path: str, inputs: Inputs, spec: Mapping[str, Any], prepare: Callable[[Batch], Any] | None = None
    ) -> None:
        self._session = session_of(path)
        self._feeds = _Feeds(inputs, spec, prepare)
        self._is_table = bool(spec.get("is_table"))
        self._dtype, self._is_flat = np.dtype(spec["dtype"]), bool(spec["is_flat"])
        self._output, self._scores, self._column = spec["output"], spec["scores"], spec.get("column")

    def answer(self, batch: Batch) -> Any:
        """What the model answers."""
        found = self._run(self._output, batch)
        if self._column is not None:
            found = found[:, self._column]
        found = (found.reshape(-1) if self._is_flat else found).astype(self._dtype, copy=False)
        return table_of(found, range(batch.rows)) if self._is_table else found

    def scores(self, batch: Batch) -> Any:
        """What labels are made of."""
        return self._run(self._scores, batch)

    def _run(self, output: str, batch: Batch) -> Any:
        return np.asarray(self._session.run([output], self._feeds.of(batch))[0])


class _Feeds:
    def __init__(self, inputs: Inputs, spec: Mapping[str, Any], prepare: Callable[[Batch], Any] | None) -> None:
        self._inputs = inputs
        self._prepare = prepare
        self._matrix = _NUMPY[spec["matrix"]] if spec.get("matrix") else None
        self._shape = tuple(spec.get("shape") or (-1,))
        self._most = float(spec.get("most") or MOST)
        self._types = [None if kind == "string" else np.dtype(_NUMPY[kind]) for kind in spec["types"]]
        self._names = [f"input{i}" for i in range(len(self._types))]
        self._is_one_part = inputs.places == tuple((0, i) for i in range(len(self._types)))

    def of(self, batch: Batch) -> dict[str, Any]:
        for part in batch.parts:
            if part.dtype.kind in "fiu" and part.size and max(float(part.max()), -float(part.min())) > self._most:
                raise NotTakenError("a number that is too large")
        if self._prepare is not None:
            rows = self._prepare(batch)
            if not np.abs(rows).max(initial=0.0) <= self._most:
                raise NotTakenError("a number that is too large")
            return {"input": rows.astype(self._matrix)}
        if self._matrix is not None:
            return {"input": self._joined(batch).reshape(batch.rows, *self._shape)}
        feeds = {}
        for name, dtype, (part, column) in zip(self._names, self._types, self._inputs.places, strict=True):
            if dtype is None:
                texts = batch.text(column)
                if any("\0" in text for text in texts):
                    raise NotTakenError("text with a NUL in it")
                made = np.array(texts, object).reshape(-1, 1)
            else:
                made = batch.parts[part][:, column : column + 1].astype(dtype)
            feeds[name] = made
        return feeds

    def _joined(self, batch: Batch) -> Any:
        if self._is_one_part:
            return np.ascontiguousarray(batch.parts[0], self._matrix)
        made = np.empty((batch.rows, len(self._types)), self._matrix)
        for i, (part, column) in enumerate(self._inputs.places):
            made[:, i] = batch.parts[part][:, column]
        return made
