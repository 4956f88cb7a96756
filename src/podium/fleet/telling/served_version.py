"""A version that loaded here, and what the status says of it, which is worked out once: it is told with every change."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from podium.domain.audits.audit import counted_by_severity
from podium.domain.audits.facts import AuditFinding
from podium.domain.open_inference import outputs_of, tensors_of
from podium.domain.signature import ColumnSchema, Signature, TensorSchema
from podium.errors import PodiumError
from podium.fleet.workers.copies import Prepared
from podium.models.requirements import mismatches, python_mismatches
from podium.transport.messages import Ready

# The document is written again with every change; the counts are of all, and `podium env audit` lists all.
_MOST_FINDINGS = 100


@dataclass(frozen=True)  # without slots: that is where what was worked out is kept
class ServedVersion:
    """A version that loaded here: what was prepared, what its worker said, and what the audit at load found."""

    prepared: Prepared
    ready: Ready
    findings: tuple[AuditFinding, ...] = ()

    @cached_property
    def unmet(self) -> list[str]:
        """Requirements that its Python does not meet, each as a sentence."""
        prepared, ready = self.prepared, self.ready
        return [*python_mismatches(prepared.mlmodel, ready.python), *mismatches(prepared.requirements, ready.installed)]

    @cached_property
    def severities(self) -> dict[str, int]:
        """How many findings there are of each severity."""
        return counted_by_severity(self.findings)

    @cached_property
    def told(self) -> dict[str, Any]:
        """`model` in the status, but for the version."""
        prepared, ready = self.prepared, self.ready
        return {
            "digest": prepared.digest,
            "is_verified": prepared.is_verified,
            "flavor": ready.flavor,
            "python": ready.python,
            "executable": ready.executable,
            "batching": {"is_on": ready.is_batching, "reason": ready.batching_reason},
            "runtime": ready.runtime,
            "proof": ready.proof,
            "requirements": {"are_met": not self.unmet, "mismatches": self.unmet},
            "warnings": list(ready.warnings),
            "load_s": round(ready.load_s, 3),
            "audit": {
                "counts": self.severities,
                "findings": [asdict(finding) for finding in self.findings[:_MOST_FINDINGS]],
            },
            **_tensors(prepared.mlmodel),
        }


def _tensors(mlmodel: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs and outputs, and what the rows are; empty where the model has no signature that can be read."""
    try:
        signature = Signature.from_dict(mlmodel.get("signature") or {})
    except PodiumError:
        signature = Signature()
    return {
        "inputs": tensors_of(signature.inputs, "input"),
        "outputs": outputs_of(signature.outputs),
        "rows": _rows(signature, is_from_type_hint=bool(mlmodel.get("is_signature_from_type_hint"))),
    }


def _rows(signature: Signature, *, is_from_type_hint: bool) -> str:
    if is_from_type_hint:
        return "hinted"
    match signature.inputs:
        case ColumnSchema():
            return "columns"
        case TensorSchema():
            return "tensors"
        case _:
            return "any"
