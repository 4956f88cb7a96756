"""What is known of models' answers: who may take MLflow's quick way in the Open Inference Protocol, over HTTP or gRPC."""

from collections.abc import Mapping, Sequence
from typing import Any

from podium.protocols.open_inference.quick_answers import OutputForm
from podium.protocols.open_inference.quick_reading import QuickReader
from podium.protocols.open_inference.records import RecordMaker
from podium.protocols.tensors import Tensor
from podium.serving.walks.replica import Replica

_MOST_VERSIONS = 64
_MOST_REPLICAS = 1024
_MOST_MODELS = 4096
_MOST_MISSES = 3


class Shapes:
    """What is known of models' answers, by version, and who reads requests of their input plans.

    Attributes:
        models: By name and version what an answer looks like; None where MLflow's text does not say enough.
        of_replicas: What `of` says, by the replica's id, where it was asked before.
    """

    def __init__(self) -> None:
        self.models: dict[str, dict[str, OutputForm | None]] = {}
        self.of_replicas: dict[int, tuple[OutputForm, QuickReader, RecordMaker]] = {}

    def of(self, replica: Replica, model: str) -> tuple[OutputForm, QuickReader, RecordMaker] | None:
        """What a replica's answers look like, and who makes records of its requests; None where they go the long way."""
        known = self.of_replicas.get(replica.id)
        if known is None:
            form = self.models.get(model, {}).get(replica.version)
            if form is None or replica.reader is None:
                return None
            if len(self.of_replicas) >= _MOST_REPLICAS:
                self.of_replicas.clear()
            plan = replica.reader.plan
            known = self.of_replicas[replica.id] = (form, QuickReader(plan), RecordMaker(plan))
        return known

    def learn(
        self, model: str, version: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor], about: Mapping[str, Any] | None
    ) -> None:
        """Take in what a version answered to these inputs, and what its worker says about it; the first answer counts."""
        if len(self.models) >= _MOST_MODELS and model not in self.models:
            self.models.clear()
        forms = self.models.setdefault(model, {})
        if version not in forms:
            while len(forms) >= _MOST_VERSIONS:
                del forms[next(iter(forms))]
            shape = inputs[0].shape
            number = (about or {}).get("form", 0)
            forms[version] = OutputForm.of(model, version, shape[0] if shape else 0, outputs, number)

    def doubt(self, model: str, version: str, form: OutputForm) -> None:
        """An answer was not of this form; of several, one after another, no more is expected: all go the long way."""
        form.misses += 1
        if form.misses >= _MOST_MISSES:
            self.models.setdefault(model, {})[version] = None
            self.of_replicas.clear()
