"""Score one request in a process of its own, as `podium models predict` does: load, decode, predict, encode, end.

    python -m podium.worker.score --owner-fd N < one line of JSON (folder, mlmodel, content_type, allows_code), the body
                                               > one line of JSON (error: null or a sentence), then the answer

What the model's own code prints goes to stderr, so that stdout holds the answer alone.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from podium.domain.load_terms import LoadTerms
from podium.errors import ModelError, PodiumError
from podium.worker.owner import end_with


def score(order: dict[str, Any], body: bytes) -> bytes:
    """The response's body, as the server would write it.

    Raises:
        PodiumError: The model does not load, the body does not fit, the model raised, its answer has no form in JSON.
    """
    from podium.models.load import load_predictor
    from podium.protocols.mlflow.codec import decode, encode

    terms = LoadTerms(allows_code=order.get("allows_code", True))
    predictor = load_predictor(Path(order["folder"]), order["mlmodel"], terms=terms)
    decoded = decode(body, order["content_type"], predictor.signature)
    return encode(predictor.predict(decoded.data, decoded.params), decoded.is_enveloped)


def sentence(error: PodiumError) -> str:
    """For whoever owns the model and runs it here: also what the model's own code said, which no client gets to see.

    What is wrong with the input its message says, in as many details as the model's owner allows.
    """
    cause = error.__cause__
    if cause is None or not isinstance(error, ModelError) or str(cause) in error.message:
        return error.message
    return f"{error.message} ({type(cause).__name__}: {cause})"


def main(arguments: Sequence[str]) -> NoReturn:
    """Read, score, write, leave: threads that the model left behind are not waited for."""
    parser = argparse.ArgumentParser(prog="python -m podium.worker.score")
    parser.add_argument("--owner-fd", type=int, required=True)
    end_with(parser.parse_args(arguments).owner_fd)
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)
        order = json.loads(sys.stdin.buffer.readline())
        body = sys.stdin.buffer.read()
        try:
            answer, error = score(order, body), None
        except PodiumError as raised:
            answer, error = b"", sentence(raised)
        out.write(json.dumps({"error": error}).encode() + b"\n" + answer)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0 if error is None else 1)


if __name__ == "__main__":
    main(sys.argv[1:])
