"""A model's outputs as the body of an answer: JSON alone, or JSON and the bytes of what was asked for as bytes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from podium.errors import InvalidInput
from podium.protocols.open_inference.elements import no_text, unpack
from podium.protocols.open_inference.requests import Asked
from podium.protocols.tensors import Tensor

_encode = msgspec.json.Encoder().encode


class Written(NamedTuple):
    """An answer.

    Args:
        body: JSON, and bytes after it.
        json_bytes: How long the JSON is; None where there is nothing else.
    """

    body: bytes
    json_bytes: int | None


def write(asked: Asked, model: str, version: str, outputs: Sequence[Tensor]) -> Written:
    """The answer to a request.

    Args:
        asked: Whose id is echoed, and which says what is wanted and how.
        model: The name that the client knows it by.
        version: Of what answered.
        outputs: What the model returned, all of it.

    Raises:
        InvalidInput: An output is wanted that the model did not return, or whose bytes are no text.
    """
    told, parts = [], []
    for tensor in _picked(asked, outputs):
        entry: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}
        is_binary = None if asked.wanted is None else asked.wanted[tensor.name]
        if asked.is_binary if is_binary is None else is_binary:
            entry["parameters"] = {"binary_data_size": len(tensor.data)}
            parts.append(tensor.data)
        elif tensor.form == "json":
            entry["data"] = msgspec.Raw(tensor.data)
        elif tensor.form:
            raise no_text(tensor.name)
        else:
            entry["data"] = unpack(tensor)
        told.append(entry)
    named = {"model_name": model, "model_version": version}
    if asked.id is not None:
        named["id"] = asked.id
    text = _encode({**named, "outputs": told})
    return Written(b"".join((text, *parts)), len(text)) if parts else Written(text, None)


def _picked(asked: Asked, outputs: Sequence[Tensor]) -> Sequence[Tensor]:
    if asked.wanted is None:
        return outputs
    known = {each.name: each for each in outputs}
    unknown = [name for name in asked.wanted if name not in known]
    if unknown:
        raise InvalidInput(f"The model has no output {unknown[0]!r}; it has {', '.join(map(repr, known))}.")
    return [known[name] for name in asked.wanted]
