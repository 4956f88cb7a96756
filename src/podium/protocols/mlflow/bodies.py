"""What a JSON body asks for: which of the input forms it uses, its data, its params."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from podium.domain.inputs.unified import is_unified
from podium.domain.reasons import described, listed
from podium.errors import InvalidInput, MalformedBody
from podium.protocols.mlflow.content_types import PROTOCOL_CHANGE

INPUT_FIELDS = ("instances", "dataframe_split", "inputs", "dataframe_records")

_WANTED = (
    "The input must be a JSON dictionary with exactly one of the input fields {" + ", ".join(map(repr, INPUT_FIELDS)) + "}"
)


@dataclass(frozen=True, slots=True)
class SortedBody:
    """A JSON body, sorted: `field` is the input field used, or None for a unified one, whose data is a dict."""

    field: str | None
    data: Any
    params: Any


def parse_json(body: bytes, is_strict: bool = False) -> dict[str, Any]:
    """The body's JSON object; UTF-16 and UTF-32 are recognised, NaN is a number.

    Of equal names in an object the last counts; a strict server refuses them.

    Raises:
        MalformedBody: Not JSON, or not an object. Never quotes the body.
    """
    try:
        parsed = json.loads(body, object_pairs_hook=_unique) if is_strict else json.loads(body)
    except MalformedBody:
        raise
    except UnicodeDecodeError as error:
        shown = f"UnicodeDecodeError({error.encoding!r}, {error.start}, {error.end}, {error.reason!r})"
        raise _not_json(shown) from error
    except json.JSONDecodeError as error:
        raise _not_json(f"JSONDecodeError({str(error)!r})") from error
    except (ValueError, RecursionError) as error:
        # Numbers of thousands of digits, and brackets nested by the thousand.
        raise _not_json(described(error)) from error
    if isinstance(parsed, dict):
        return parsed
    if isinstance(parsed, list):
        raise MalformedBody(f"Invalid input. {_WANTED}. Received a list.")
    raise MalformedBody(f"Invalid input. {_WANTED}. Received unexpected input type '{type(parsed)}.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise MalformedBody(f"Invalid input. An object of the JSON body has the name {listed([twice])} more than once.")
    return found


def sort_body(
    parsed: dict[str, Any], param_names: Collection[str], is_from_type_hint: bool, is_strict: bool = False
) -> SortedBody:
    """Pick the one input field and the params; other names at the top are ignored, or refused by a strict server.

    Args:
        parsed: The whole body.
        param_names: Names of the params schema: in a unified body they stand among the data.
        is_strict: Nothing may stand beside the input field and params.
        is_from_type_hint: The model's signature was made from a type hint, which allows `inputs` only.

    Raises:
        MalformedBody: None of the input fields, or several; strictly, another name beside it.
        InvalidInput: Not `inputs`, where a type hint asks for it.
    """
    if is_unified(parsed):
        data = {name: value for name, value in parsed.items() if name not in param_names}
        return SortedBody(None, data, {name: value for name, value in parsed.items() if name in param_names})
    used = [name for name in parsed if name in INPUT_FIELDS]
    if is_strict and (unknown := [name for name in parsed if name not in (*INPUT_FIELDS, "params")]):
        raise MalformedBody(
            f"Invalid input. The body has names that nothing reads: [{listed(unknown)}]. Send one of the input fields "
            f"{', '.join(INPUT_FIELDS)}, and params beside it."
        )
    params = parsed.get("params")
    if is_from_type_hint:
        if "inputs" not in used:
            raise InvalidInput(
                "Request payload must be a dictionary with 'inputs' key when the model contains a valid type hint. "
                f"Found keys in payload: dict_keys({used})."
            )
        return SortedBody("inputs", parsed["inputs"], params)
    if len(used) != 1:
        raise MalformedBody(f"{_WANTED}. Received dictionary with input fields: {used}. {PROTOCOL_CHANGE}")
    return SortedBody(used[0], parsed[used[0]], params)


def _not_json(error: str) -> MalformedBody:
    return MalformedBody(f"Invalid input. Ensure that input is a valid JSON formatted string. Error: '{error}'")
