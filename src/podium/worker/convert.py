"""Convert a model in a process of its own, prove the conversion, and say what came of it.

    python -m podium.worker.convert < one line of JSON (folder, mlmodel, forms, precisions, tolerance, allows_code, out)
                                    > one line of JSON (attempts, or error)

Each attempt is a proof with the facts that it depends on; the model that was accepted lies in `out`. What the model's own
code prints goes to stderr.
"""

import dataclasses
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from podium.errors import PodiumError
from podium.worker.parity import Pair, prove

_LIMIT_S = 20.0


def main() -> int:
    """Read the order, convert, report."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        order = json.loads(sys.stdin.readline())
        try:
            report: dict[str, Any] = {"error": None, "attempts": conversions(order)}
        except PodiumError as error:
            report = {"error": error.message, "attempts": []}
        out.write(json.dumps(report) + "\n")
    return 0


def conversions(order: dict[str, Any]) -> list[dict[str, Any]]:
    """Try one form and precision after another until a conversion is accepted.

    Raises:
        PodiumError: The model does not load, no converter is installed, or the model takes no plan.
    """
    from podium.domain.input_plan import plan_for
    from podium.domain.load_terms import LoadTerms
    from podium.flavors.sklearn.conversion import NotConverted, convert, versions
    from podium.flavors.sklearn.shortcuts import prepared
    from podium.models.assemble import Assembler, Batches, takes_batches
    from podium.models.load import load_predictor
    from podium.worker.loading import score_example
    from podium.worker.proof_rows import proof_cases

    folder = Path(order["folder"])
    terms = LoadTerms(allows_code=order["allows_code"])
    predictor = load_predictor(folder, order["mlmodel"], terms=terms)
    estimator, method = predictor.loaded.native, getattr(predictor.loaded, "method", None)
    plan = plan_for(predictor.signature) if predictor.takes_plans else None
    if predictor.flavor != "sklearn" or method is None:
        raise NotConverted(f"podium converts models of scikit-learn; this one is of the flavor {predictor.flavor}.")
    if plan is None or not takes_batches(plan):
        raise NotConverted("A conversion needs a signature of columns of numbers and text, or of one tensor of vectors.")
    facts = {"converter": versions(), "cpu": cpu_features()}
    example = score_example(predictor, folder, order["mlmodel"]).data
    batches, assembler = Batches(plan), Assembler(plan)
    hints = edges_of(predictor, batches)
    cases = proof_cases(plan, example, hints)
    first = next(case for case in cases if case.kind == "near").cut(0, 2)
    answer = predictor.call(assembler.assemble(first.rows, first.block, first.texts), predictor.default_params())
    split = prepared(estimator, method, batches.inputs)
    attempts: list[dict[str, Any]] = []
    for form, precision in [(f, p) for f in order["forms"] for p in order["precisions"]]:
        if form == "split" and split is None:
            continue
        began = time.monotonic()
        facts = {**facts, "form": form, "precision": precision, "tolerance": order["tolerance"]}
        attempt: dict[str, Any] = {"facts": facts}
        path = Path(order["out"]) / f"{form}-{precision}.onnx"
        converted, width = (split[2], split[1]) if form == "split" and split is not None else (estimator, None)
        try:
            made = convert(converted, method, batches.inputs, precision, answer, width)
            path.write_bytes(made.model)
            attempt["spec"] = dict(made.spec)
            pairs = pairs_of(predictor, assembler, batches, claim_of(predictor, batches, str(path), made.spec))
            attempt |= prove(pairs, cases, float(order["tolerance"]), _LIMIT_S).to_json()
        except Exception as error:  # noqa: BLE001 - converters and onnxruntime raise whatever they like
            message = error.message if isinstance(error, PodiumError) else f"{type(error).__name__}: {str(error)[:300]}"
            attempt |= {"is_accepted": False, "reason": message, "counterexample": None, "rows": {}}
        attempt["took_s"] = round(time.monotonic() - began, 3)
        attempts.append(attempt)
        if attempt["is_accepted"]:
            attempts[-1]["file"] = str(path)
            break
    return attempts


def claim_of(predictor: Any, batches: Any, path: str, spec: Any, what: str = "") -> Any:
    """The converted model as a claim.

    Raises:
        NotTakenError: Its steps before the last one are not known here as they were where it was converted.
    """
    from podium.flavors.claims import NotTakenError
    from podium.flavors.onnx_way import onnx_claim
    from podium.flavors.sklearn.shortcuts import prepared

    split = prepared(predictor.loaded.native, predictor.loaded.method, batches.inputs) if spec["is_split"] else None
    if spec["is_split"] and split is None:
        raise NotTakenError("the steps before the last one")
    return onnx_claim(path, batches.inputs, spec, what, None if split is None else split[0])


def pairs_of(predictor: Any, assembler: Any, batches: Any, claim: Any) -> list[Pair]:
    """What a converted model is proven by: its answers, and the probabilities behind labels."""
    from podium.worker.shortcut import pairs_of_claim

    inner = tuple((name, other, getattr(predictor.loaded.native, name)) for name, other, _ in claim.inner)
    return pairs_of_claim(predictor, assembler, batches, dataclasses.replace(claim, inner=inner))


def edges_of(predictor: Any, batches: Any) -> dict[int, Any]:
    """Where answers change, as far as the flavor's own exact ways know."""
    try:
        claims = predictor.loaded.claims(batches.inputs)
    except Exception:  # noqa: BLE001 - a hint and no more
        return {}
    return dict(claims[0].edges) if claims else {}


def cpu_features() -> str:
    """What of the processor decides which kernels run."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith(("flags", "Features"))), [])
    wide = sorted(each for each in flags if each.startswith(("avx", "fma", "sse4", "amx", "sve", "asimd")))
    return " ".join([platform.machine(), *wide])


if __name__ == "__main__":
    sys.exit(main())
