"""Convert a model in a process of its own, prove the conversion, measure it, and say what came of it.

    python -m podium.worker.proofs.convert --owner-fd N < one line of JSON (folder, mlmodel, forms, precisions, tolerance,
                                                   allows_code, out)
                                                 > one line of JSON (attempts, or error)

How a model is converted is its flavor's business (`flavors.contract.Convertible`). Each attempt is a proof with the facts
that it depends on; the model that was accepted lies in `out`. What the model's own code prints goes to stderr.
"""

import argparse
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podium.errors import PodiumError
from podium.worker.owner import end_with
from podium.worker.priority import limit_threads
from podium.worker.proofs.parity import prove

if TYPE_CHECKING:
    from podium.domain.inputs.plan import InputPlan
    from podium.flavors.conversions import Attempt, Converter
    from podium.models.predictor import Predictor

_LIMIT_S = 20.0
# What a worker has unless its settings say more: the original is timed as it would serve.
_THREADS = 1


def main(arguments: Sequence[str]) -> int:
    """Read the order, convert, report."""
    parser = argparse.ArgumentParser(prog="python -m podium.worker.proofs.convert")
    parser.add_argument("--owner-fd", type=int, required=True)
    end_with(parser.parse_args(arguments).owner_fd)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        limit_threads(_THREADS)
        order = json.loads(sys.stdin.readline())
        try:
            report: dict[str, Any] = {"error": None, "attempts": conversions(order)}
        except PodiumError as error:
            report = {"error": error.message, "attempts": []}
        except Exception as error:  # noqa: BLE001 - the model's own code and its library run here
            traceback.print_exc()
            told = f"{type(error).__name__}: {str(error)[:300]}"
            report = {"error": f"The model cannot be converted ({told}); podium serves it as it is.", "attempts": []}
        out.write(json.dumps(report) + "\n")
    return 0


def conversions(order: dict[str, Any]) -> list[dict[str, Any]]:
    """Try one form and precision after another until a conversion is accepted.

    Raises:
        PodiumError: The model does not load, no converter is installed or takes it, or its inputs are no table.
    """
    from podium.domain.inputs.plan import plan_for
    from podium.domain.load_terms import LoadTerms
    from podium.flavors.contract import HasShortcut
    from podium.models.assemble import Batches
    from podium.models.load import load_predictor
    from podium.worker.loading import score_example

    folder = Path(order["folder"])
    predictor = load_predictor(folder, order["mlmodel"], terms=LoadTerms(allows_code=order["allows_code"]))
    plan = plan_for(predictor.signature) if predictor.takes_plans else None
    converter = converter_of(predictor, plan)
    assert plan is not None
    facts = {"converter": converter.versions(), "cpu": cpu_features(), "tolerance": order["tolerance"]}
    if isinstance(predictor.loaded, HasShortcut):
        predictor.loaded.hasten()
    attempts = _wanted(converter.attempts(Batches(plan).inputs), order["forms"], order["precisions"])
    bench = _Bench.of(predictor, plan, score_example(predictor, folder, order["mlmodel"]).data, converter)
    made: list[dict[str, Any]] = []
    for attempt in attempts:
        path = Path(order["out"]) / f"{attempt.form}-{attempt.precision}.onnx"
        named = {**facts, "form": attempt.form, "precision": attempt.precision}
        made.append({"facts": named, **bench.tried(attempt, path, float(order["tolerance"]))})
        if made[-1]["is_accepted"]:
            made[-1]["file"] = str(path)
            break
    return made


def converter_of(predictor: "Predictor", plan: "InputPlan | None") -> "Converter":
    """What the model's flavor knows of conversions.

    Raises:
        NotConverted: Nothing, or the model's inputs are no table of numbers and text.
    """
    from podium.flavors.contract import Convertible
    from podium.flavors.conversions import NotConverted
    from podium.models.assemble import takes_batches

    if not isinstance(predictor.loaded, Convertible):
        raise NotConverted(
            f"A model of the flavor {predictor.flavor} cannot be converted. podium converts models of scikit-learn, "
            "XGBoost, LightGBM, CatBoost, PyTorch and Keras, and serves this one as it is."
        )
    converter = predictor.loaded.converter()
    if plan is None or not takes_batches(plan):
        raise NotConverted(
            "A conversion needs a signature of columns of numbers and text, or of one tensor of vectors. Save the model "
            "with such a signature, or serve it as it is."
        )
    return converter


@dataclass(frozen=True, slots=True)
class _Bench:
    """A loaded model, and everything that attempts are held against."""

    predictor: "Predictor"
    converter: "Converter"
    assembler: Any
    batches: Any
    cases: Any
    exact: Any

    @classmethod
    def of(cls, predictor: "Predictor", plan: "InputPlan", example: Any, converter: "Converter") -> "_Bench":
        from podium.models.assemble import Assembler, Batches
        from podium.worker.proofs.cases import proof_cases
        from podium.worker.proofs.shortcut import find_shortcut

        batches, assembler = Batches(plan), Assembler(plan)
        cases = proof_cases(plan, example, edges_of(converter, batches))
        return cls(predictor, converter, assembler, batches, cases, find_shortcut(predictor, plan, assembler, example))

    def tried(self, attempt: "Attempt", path: Path, tolerance: float) -> dict[str, Any]:
        """What came of one attempt: its proof and, where it was accepted, its speed."""
        from podium.flavors.conversions import ConversionSample
        from podium.worker.proofs.shortcut import pairs_of_claim

        began = time.monotonic()
        found: dict[str, Any] = {}
        near = next(case for case in self.cases if case.kind == "near")
        try:
            rows = near.cut(0, 2)
            data = self.assembler.assemble(rows.rows, rows.block, rows.texts)
            made = attempt.convert(ConversionSample(data, self._original(rows.rows, rows.block, rows.texts)))
            path.write_bytes(made.model)
            for most in attempt.bounds:
                found["spec"] = {**made.spec, "most": most}
                claim = self.converter.claim(str(path), self.batches.inputs, found["spec"], "")
                pairs = pairs_of_claim(self.predictor, self.assembler, self.batches, claim)
                found |= prove(pairs, self.cases, tolerance, _LIMIT_S).to_json()
                if found["is_accepted"]:
                    found["speed"] = self._speed(claim, near)
                    break
        except Exception as error:  # noqa: BLE001 - converters and onnxruntime raise whatever they like
            message = error.message if isinstance(error, PodiumError) else f"{type(error).__name__}: {str(error)[:300]}"
            found |= {"is_accepted": False, "reason": message, "counterexample": None, "rows": {}}
        return {**found, "took_s": round(time.monotonic() - began, 3)}

    def _original(self, rows: int, block: bytes, texts: list[str]) -> Any:
        return self.predictor.call(self.assembler.assemble(rows, block, texts), self.predictor.default_params())

    def _speed(self, claim: Any, near: Any) -> dict[str, list[float]]:
        """Beside what would answer otherwise: an exact shortcut where there is one."""
        from podium.worker.proofs.speed import measure

        batches = self.batches
        otherwise = self._original if self.exact is None else self.exact.answer
        return measure(otherwise, lambda *given: claim.call(batches.make(*given)), near)


def _wanted(attempts: "Sequence[Attempt]", forms: Sequence[str], precisions: Sequence[str]) -> "list[Attempt]":
    """The attempts that are asked for, in the order in which they are.

    Raises:
        NotConverted: There is none among those that the model has.
    """
    from podium.flavors.conversions import NotConverted

    ordered = [(f, p) for f in forms for p in precisions]
    found = [each for each in attempts if (each.form, each.precision) in ordered]
    if not found:
        known = ", ".join(f"--form {each.form} --precision {each.precision}" for each in attempts)
        raise NotConverted(f"This model is not converted so; it can be with {known}.")
    return sorted(found, key=lambda each: ordered.index((each.form, each.precision)))


def edges_of(converter: "Converter", batches: Any) -> dict[int, Any]:
    """Where answers change, as far as the flavor knows."""
    return dict(converter.edges(batches.inputs))


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
    sys.exit(main(sys.argv[1:]))
