"""MLflow's scoring protocol: a request's body to what the model receives, and what it returns to a response's body.

This is the reference: whatever decodes faster must give the same. Decoding is lenient, in MLflow's way; what does not
fit the signature after that is refused by the predictor (`models/enforce.py`).
"""

from dataclasses import dataclass
from typing import Any

from podium.domain.dialect import COMPAT, Dialect
from podium.domain.reasons import described
from podium.domain.signature import Signature
from podium.errors import MalformedBody, PodiumError
from podium.protocols.mlflow.arrays import ArrayReader
from podium.protocols.mlflow.bodies import parse_json, sort_body
from podium.protocols.mlflow.content_types import Form, form_of
from podium.protocols.mlflow.encoding import encode
from podium.protocols.mlflow.frames import DataFrameReader, read_parquet
from podium.protocols.mlflow.strict import check_lossless

__all__ = ["Codec", "Decoded", "codec_for", "decode", "encode"]

_MOST_CODECS = 32


@dataclass(frozen=True, slots=True)
class Decoded:
    """A request, ready for the predictor.

    Args:
        data: DataFrame, array, dict of arrays, list of dicts; or the raw dict of a unified request.
        params: As the client wrote them (any JSON), None without; the predictor checks them.
        is_enveloped: Whether the response is `{"predictions": ...}`; False for unified requests.
    """

    data: Any
    params: Any
    is_enveloped: bool = True


class Codec:
    """Decodes for one signature in one dialect; what can be prepared is prepared once."""

    __slots__ = ("_arrays", "_frames", "_is_from_type_hint", "_is_strict", "_param_names", "_schema")

    def __init__(self, signature: Signature | None, dialect: Dialect = COMPAT) -> None:
        schema = None if signature is None else signature.inputs
        self._is_from_type_hint = signature is not None and signature.is_from_type_hint
        self._param_names = frozenset(param.name for param in (signature.params if signature else None) or ())
        self._is_strict = dialect.is_strict
        self._schema = schema
        self._arrays = ArrayReader(schema, dialect)
        self._frames = DataFrameReader(schema, dialect)

    def decode(self, body: bytes, content_type: str | None) -> Decoded:
        """Read a request's body.

        Raises:
            UnsupportedContentType, MalformedBody, InvalidInput, MissingDependency: Nothing else, whatever the bytes are.
        """
        form = form_of(content_type)
        try:
            match form:
                case Form.JSON:
                    return self._decode_json(body)
                case Form.CSV:
                    return Decoded(self._frames.read_csv(body), None)
                case Form.PARQUET:
                    return Decoded(read_parquet(body), None)
        except PodiumError:
            raise
        except Exception as error:
            raise MalformedBody(f"Invalid input. The body could not be read. Error: {described(error)}") from error

    def _decode_json(self, body: bytes) -> Decoded:
        asked = sort_body(parse_json(body, self._is_strict), self._param_names, self._is_from_type_hint, self._is_strict)
        if asked.field is None:
            return Decoded(asked.data, asked.params, is_enveloped=False)
        if self._is_from_type_hint:
            return Decoded(asked.data, asked.params)
        if self._is_strict and self._schema is not None:
            check_lossless(asked.field, asked.data, self._schema)
        match asked.field:
            case "inputs":
                data = self._arrays.read_inputs(asked.data)
            case "instances":
                data = self._arrays.read_instances(asked.data)
            case "dataframe_split":
                data = self._frames.read_split(asked.data)
            case _:
                data = self._frames.read_records(asked.data)
        return Decoded(data, asked.params)


def codec_for(signature: Signature | None, dialect: Dialect = COMPAT) -> Codec:
    """The codec of a signature in a dialect; kept, by the signature object's identity, for the few models in a process."""
    key = (id(signature), dialect)
    kept = _codecs.get(key)
    if kept is None or kept[0] is not signature:
        if len(_codecs) >= _MOST_CODECS:
            _codecs.clear()
        # The signature is kept with its codec, so that its id() stays its own.
        kept = _codecs[key] = (signature, Codec(signature, dialect))
    return kept[1]


_codecs: dict[tuple[int, Dialect], tuple[Signature | None, Codec]] = {}


def decode(body: bytes, content_type: str | None, signature: Signature | None, dialect: Dialect = COMPAT) -> Decoded:
    """Read a request's body for a model with this signature.

    Raises:
        UnsupportedContentType, MalformedBody, InvalidInput, MissingDependency: Nothing else, whatever the bytes are.
    """
    return codec_for(signature, dialect).decode(body, content_type)
