"""The generate extension of the Open Inference Protocol: one JSON object in, one out, or one for each part of a stream.

    {"id"?, "text_input"?, "parameters"?: {...}, anything else by name}

A request without other names than `text_input` is that text, for a model whose only input is text under another name; else
the object is the model's one input, by name, as MLflow's `predict_stream` takes it. What the model returns is an object as
it is, text under `text_output`, anything else under `output`.
"""

import json
from collections.abc import Mapping
from typing import Any

from podium.domain.dialect import Dialect
from podium.domain.frames import is_frame
from podium.domain.signature import ColumnSchema, DataType, Signature
from podium.errors import MalformedBody
from podium.protocols.mlflow.codec import Codec
from podium.protocols.mlflow.encoding import encode
from podium.protocols.tensors import GENERATE_TYPE

_TEXT, _PARAMETERS, _ID = "text_input", "parameters", "id"
_STRICT_JSON = Dialect(nan="null")


class GenerateReader:
    """Reads requests for one signature.

    Args:
        signature: The model's.
        codec: Reads the same values in MLflow's forms, by the same laws.
    """

    __slots__ = ("_codec", "_is_from_type_hint", "_schema")

    def __init__(self, signature: Signature | None, codec: Codec) -> None:
        self._codec = codec
        self._schema = None if signature is None else signature.inputs
        self._is_from_type_hint = signature is not None and signature.is_from_type_hint

    def read(self, body: bytes) -> tuple[Any, Any]:
        """The data for the predictor, and the params as they were sent.

        Raises:
            MalformedBody: It is no such object.
            InvalidInput: It does not fit the signature.
        """
        try:
            asked = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise MalformedBody("The body is not JSON.") from error
        if not isinstance(asked, dict):
            raise MalformedBody(f"The body is {_kind(asked)}; expected an object, such as {{{json.dumps(_TEXT)}: ...}}.")
        params = asked.pop(_PARAMETERS, None)
        if params is not None and not isinstance(params, dict):
            raise MalformedBody(f"parameters is {_kind(params)}; expected an object.")
        asked.pop(_ID, None)
        if not asked:
            raise MalformedBody(f"The body has no input; expected {_TEXT}, or the model's inputs by name.")
        value = asked[_TEXT] if list(asked) == [_TEXT] else asked
        if self._is_from_type_hint:
            return [value], params
        if isinstance(self._schema, ColumnSchema):
            return self._of_columns(value, self._schema), params
        return value, params

    def _of_columns(self, value: Any, schema: ColumnSchema) -> Any:
        if not isinstance(value, dict):
            texts = [name for name, each in zip(schema.names, schema.columns, strict=True) if each.type is DataType.STRING]
            if not schema.is_named:
                split = {"columns": [0], "data": [[value]]}
                return self._codec.decode(json.dumps({"dataframe_split": split}).encode(), "application/json").data
            value = {texts[0] if len(texts) == 1 and _TEXT not in schema.names else _TEXT: value}
        return self._codec.decode(json.dumps({"dataframe_records": [value]}).encode(), "application/json").data


class GenerateWriter:
    """Writes what a model returned, or a part of it, as one object."""

    __slots__ = ()

    content_type = GENERATE_TYPE

    def write(self, output: Any) -> bytes:
        """The object.

        Raises:
            UnencodableOutput: Something in it has no form in JSON.
        """
        return encode(_as_object(output), is_enveloped=False, dialect=_STRICT_JSON)


def _as_object(output: Any) -> Mapping[str, Any]:
    dump = getattr(output, "model_dump", None)
    if callable(dump):
        output = dump(exclude_none=True)
    elif is_frame(output):
        output = output.to_dict(orient="records")
    elif not isinstance(output, str | dict) and hasattr(output, "tolist"):
        output = output.tolist()
    if isinstance(output, list) and len(output) == 1:
        return _as_object(output[0])
    if isinstance(output, Mapping):
        return {str(name): value for name, value in output.items()}
    return {"text_output" if isinstance(output, str) else "output": output}


def _kind(value: Any) -> str:
    names = {list: "a list", str: "a text", bool: "true or false", type(None): "null", dict: "an object"}
    return names.get(type(value), "a number")
