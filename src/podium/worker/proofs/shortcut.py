"""The cheaper way of answering, proven at load: the bits of the model's own method, on the example and on made-up rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from podium.domain.inputs.plan import InputPlan
from podium.flavors.claims import Claim
from podium.flavors.contract import HasShortcut
from podium.models.assemble import Assembler, Batches, takes_batches
from podium.models.predictor import Predictor
from podium.worker.log import log_event, traceback_of
from podium.worker.proofs.cases import Case, proof_cases
from podium.worker.proofs.parity import Pair, Proof, prove


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A proven shortcut.

    Args:
        claim: What answers.
        batches: Makes of records what it takes.
        proof: What was compared.
    """

    claim: Claim
    batches: Batches
    proof: Proof

    @property
    def what(self) -> str:
        return self.claim.what

    def answer(self, rows: int, block: bytes | memoryview, texts: list[str]) -> Any:
        """What the model's own method would answer; raises whatever it likes on what it does not take."""
        return self.claim.call(self.batches.make(rows, block, texts))


def find_shortcut(
    predictor: Predictor,
    plan: InputPlan,
    assembler: Assembler,
    example: Any,
    profile: Mapping[str, Mapping[str, Any]] | None = None,
) -> Shortcut | None:
    """The model's shortcut, if it has one for this plan and no bit of any answer differs.

    Args:
        predictor: The model.
        plan: Only columns of numbers and text, or one tensor of vectors, are a batch.
        assembler: Makes of records what the model's own method is given.
        example: The enforced input example, or None: what rows look like.
        profile: What training saw of each input; None where the model has no such file.
    """
    loaded = predictor.loaded
    if not takes_batches(plan) or not isinstance(loaded, HasShortcut):
        return None
    try:
        batches = Batches(plan)
        for claim in loaded.claims(batches.inputs):
            cases = proof_cases(plan, example, claim.edges, profile)
            proof = prove(pairs_of_claim(predictor, assembler, batches, claim), cases)
            if proof.is_accepted:
                return Shortcut(claim, batches, proof)
            log_event("shortcut_refuted", what=claim.what, reason=proof.reason)
    except BaseException as error:  # noqa: BLE001 - the model's own code runs here; it answers by itself then
        log_event("shortcut_unproven", error=type(error).__name__, traceback=traceback_of(error))
    return None


def pairs_of_claim(predictor: Predictor, assembler: Assembler, batches: Batches, claim: Claim) -> list[Pair]:
    """What a claim is proven by: the answer, and what the claim says that it is made of."""

    def assembled(case: Case) -> Any:
        return assembler.assemble(case.rows, case.block, case.texts)

    def batch(case: Case) -> Any:
        return batches.make(case.rows, case.block, case.texts)

    answers = Pair(
        "the answer",
        lambda case: predictor.call(assembled(case), predictor.default_params()),
        lambda case: claim.call(batch(case)),
    )
    return [answers, *(_inner(assembled, batch, *each) for each in claim.inner)]


def _inner(assembled: Any, batch: Any, name: str, other: Any, original: Any) -> Pair:
    return Pair(name, lambda case: original(assembled(case)), lambda case: other(batch(case)))
