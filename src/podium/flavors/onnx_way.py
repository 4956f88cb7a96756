"""A converted model as a way of answering: onnxruntime fed from the input plan's records.

What a graph is known to take differently from the model is left to the model: numbers so large that single precision may
lose them, and text with a NUL, at which a string of C's ends.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from podium.flavors.claims import Batch, Claim, Inputs, NotTakenError

_MOST = 1e15


def session_of(path: str) -> Any:
    """A session of one thread that does not spin: the workers share the machine."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, sess_options=options, providers=["CPUExecutionProvider"])


def onnx_claim(
    path: str, inputs: Inputs, spec: Mapping[str, Any], what: str, prepare: Callable[[Batch], Any] | None = None
) -> Claim:
    """What the converted model claims.

    Args:
        path: The .onnx file.
        inputs: What batches look like.
        spec: `types` by input (`float`, `double`, `int64`, `bool`, `string`), or `matrix` for one tensor of all; `output`,
            its `dtype`, and whether the answer `is_flat`; `is_split`, where a pipeline's last step alone was converted;
            `scores`, the output behind labels, or None.
        what: For people.
        prepare: Makes the matrix that the graph takes, where only a pipeline's last step was converted.
    """
    session = session_of(path)
    feeds = _Feeds(inputs, spec, prepare)
    dtype, is_flat = np.dtype(spec["dtype"]), bool(spec["is_flat"])

    def answer(batch: Batch) -> Any:
        (found,) = session.run([spec["output"]], feeds.of(batch))
        found = np.asarray(found)
        return (found.reshape(-1) if is_flat else found).astype(dtype, copy=False)

    def scores(batch: Batch) -> Any:
        (found,) = session.run([spec["scores"]], feeds.of(batch))
        return np.asarray(found)

    return Claim(answer, what, () if spec["scores"] is None else (("predict_proba", scores, _never),))


def _never(data: Any) -> Any:
    raise NotImplementedError


class _Feeds:
    def __init__(self, inputs: Inputs, spec: Mapping[str, Any], prepare: Callable[[Batch], Any] | None) -> None:
        self._inputs = inputs
        self._prepare = prepare
        self._matrix = spec.get("matrix")
        self._types = [None if kind == "string" else np.dtype(_NUMPY[kind]) for kind in spec["types"]]
        self._names = [f"input{i}" for i in range(len(self._types))]

    def of(self, batch: Batch) -> dict[str, Any]:
        for part in batch.parts:
            if part.dtype.kind in "fiu" and part.size and max(float(part.max()), -float(part.min())) > _MOST:
                raise NotTakenError("a number that is too large")
        if self._prepare is not None:
            rows = self._prepare(batch)
            if not np.abs(rows).max(initial=0.0) <= _MOST:
                raise NotTakenError("a number that is too large")
            return {"input": rows.astype(_NUMPY[str(self._matrix)])}
        if self._matrix is not None:
            made = np.empty((batch.rows, len(self._types)), _NUMPY[self._matrix])
            for i, (part, column) in enumerate(self._inputs.places):
                made[:, i] = batch.parts[part][:, column]
            return {"input": made}
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


_NUMPY = {"float": "float32", "double": "float64", "int64": "int64", "bool": "bool"}
