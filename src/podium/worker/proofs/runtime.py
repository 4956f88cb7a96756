"""What answers: an exact shortcut, a conversion that was accepted before and is proven again, or the model by itself."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podium.domain.devices import CPU
from podium.domain.inputs.plan import InputPlan
from podium.domain.worth import is_worth_taking, told
from podium.flavors.contract import OnDevice
from podium.flavors.conversions import MOST
from podium.models.assemble import Assembler, Batches, takes_batches
from podium.models.predictor import Predictor
from podium.worker.log import log_event, traceback_of
from podium.worker.proofs.cases import proof_cases
from podium.worker.proofs.convert import converter_of, cpu_features, edges_of
from podium.worker.proofs.parity import prove
from podium.worker.proofs.shortcut import Shortcut, find_shortcut, pairs_of_claim


@dataclass(frozen=True, slots=True)
class AllowedRuntimes:
    """What may answer beside the model's own method.

    Args:
        has_shortcuts: Anything at all.
        conversion: The folder of an accepted conversion, or None.
        is_conversion_first: It is preferred to an exact shortcut.
    """

    has_shortcuts: bool = True
    conversion: str | None = None
    is_conversion_first: bool = False


ALL_WAYS = AllowedRuntimes()


def find_way(
    predictor: Predictor, plan: InputPlan, assembler: Assembler, example: Any, ways: AllowedRuntimes
) -> Shortcut | None:
    """The first way that is proven; None where the model answers by itself.

    An exact shortcut comes first, for it changes no bit, unless the conversion was asked for.
    """
    if not ways.has_shortcuts:
        return None
    if ways.is_conversion_first and (found := _conversion(predictor, plan, assembler, example, ways)) is not None:
        return found
    exact = find_shortcut(predictor, plan, assembler, example)
    if exact is not None or ways.is_conversion_first:
        return exact
    return _conversion(predictor, plan, assembler, example, ways)


def _conversion(
    predictor: Predictor, plan: InputPlan, assembler: Assembler, example: Any, ways: AllowedRuntimes
) -> Shortcut | None:
    """The stored conversion, if it is what was accepted, a quick proof agrees, and it was faster or is asked for."""
    if ways.conversion is None or not takes_batches(plan):
        return None
    folder = Path(ways.conversion)
    try:
        stored = json.loads((folder / "proof.json").read_text())
        path = folder / "model.onnx"
        if reason := _objection(predictor, stored, path, ways):
            log_event("conversion_refuted", reason=reason)
            return None
        converter, batches = converter_of(predictor, plan), Batches(plan)
        tolerance = float(stored["facts"]["tolerance"])
        claim = converter.claim(str(path), batches.inputs, stored["spec"], _name(stored))
        cases = proof_cases(plan, example, edges_of(converter, batches))
        proof = prove(pairs_of_claim(predictor, assembler, batches, claim), cases, tolerance)
    except BaseException as error:  # noqa: BLE001 - the model's code and onnxruntime run here; the model answers then
        log_event("conversion_unproven", error=type(error).__name__, traceback=traceback_of(error))
        return None
    if not proof.is_accepted:
        log_event("conversion_refuted", reason=str(proof.reason))
        return None
    return Shortcut(dataclasses.replace(claim, inner=()), batches, proof)


def _objection(predictor: Predictor, stored: Mapping[str, Any], path: Path, ways: AllowedRuntimes) -> str | None:
    """Why the conversion is left alone without another look; None where nothing is against it."""
    if hashlib.sha256(path.read_bytes()).hexdigest() != stored["sha256"]:
        return "its file is not what was accepted"
    if stored["facts"]["cpu"] != cpu_features():
        return "it was accepted on another kind of processor"
    loaded = predictor.loaded
    if isinstance(loaded, OnDevice) and loaded.use().device != CPU.device:
        return f"it computes on the CPU, and the model on {loaded.use().device}"
    if not ways.is_conversion_first and not is_worth_taking(stored.get("speed")):
        return f"it was not faster than the model: {told(stored.get('speed'))}"
    return None


def _name(stored: Mapping[str, Any]) -> str:
    """For people: `its conversion to ONNX (float, numbers up to 10000)`."""
    most = stored["spec"].get("most", MOST)
    return f"its conversion to ONNX ({stored['facts']['precision']}{f', numbers up to {most:g}' if most < MOST else ''})"
