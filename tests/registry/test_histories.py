"""Random histories: the service against a registry in memory that is written down as plainly as possible."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from podium.artifacts.local import LocalArtifacts
from podium.domain.references import parse_reference
from podium.domain.stages import Stage
from podium.errors import AlreadyExists, InvalidInput, NotFound, PodiumError
from podium.registry.record import replay
from podium.registry.resolve import resolve
from podium.registry.service import RegistryService
from podium.registry.sqlite import SqliteStore
from podium.settings.home import Home

NAMES = st.sampled_from(["ant", "bee"])
NUMBERS = st.integers(1, 5)
ALIASES = st.sampled_from(["x", "y"])


@dataclass
class Plain:
    """One model: stage and tags by version, aliases, and what was live one after the other."""

    stages: dict[int, Stage] = field(default_factory=dict)
    tags: dict[int, dict[str, str]] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    trail: list[int] = field(default_factory=list)

    def live(self) -> int | None:
        return max((n for n, stage in self.stages.items() if stage is Stage.PRODUCTION), default=None)

    def note(self) -> None:
        live = self.live()
        if live is not None and self.trail[-1:] != [live]:
            self.trail.append(live)

    def move(self, number: int, stage: Stage, keep: bool) -> None:
        for other, there in self.stages.items():
            if there is stage and stage in {Stage.STAGING, Stage.PRODUCTION} and not keep:
                self.stages[other] = Stage.ARCHIVED
        self.stages[number] = stage
        self.note()


class Histories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory()
        self.home = Home(Path(self.place.name) / "home").create()
        artifacts = LocalArtifacts(self.home.artifacts)
        folder = Path(self.place.name) / "model"
        folder.mkdir()
        (folder / "MLmodel").write_text("flavors: {}\n")
        self.digest = artifacts.put(folder)
        self.service = RegistryService(SqliteStore(self.home.registry, "ann", iter(range(10**6)).__next__), artifacts)
        self.models: dict[str, Plain] = {}
        self.last: dict[str, int] = {}

    def teardown(self) -> None:
        self.place.cleanup()

    @rule(name=NAMES)
    def register(self, name):
        number = self.last[name] = self.last.get(name, 0) + 1
        model = self.models.setdefault(name, Plain())
        model.stages[number], model.tags[number] = Stage.NONE, {}

        assert self.service.register_digest(self.digest, name, "x").version == number

    @rule(name=NAMES, number=NUMBERS, stage=st.sampled_from(Stage), keep=st.booleans())
    def transition(self, name, number, stage, keep):
        if self.is_there(name, number, lambda: self.service.transition(name, number, stage, keep_existing=keep)):
            self.models[name].move(number, stage, keep)
            moved = self.service.transition(name, number, stage, keep_existing=keep)
            assert not moved.is_change
            highest = max(n for n, there in self.models[name].stages.items() if there is stage)
            assert (moved.stands_for, moved.warning is None) == (highest, highest == number or not stage.is_exclusive)

    @rule(name=NAMES)
    def rollback(self, name):
        model = self.models.get(name, Plain())
        candidates = [n for n in model.trail if n in model.stages and n != model.live()]
        if not candidates:
            with pytest.raises(NotFound):
                self.service.rollback(name)
            return
        target = candidates[-1]
        model.move(target, Stage.PRODUCTION, keep=False)
        # What came after the last time that it was live is what was rolled back from.
        del model.trail[-1]
        while model.trail[-1] != target:
            del model.trail[-1]

        assert self.service.rollback(name).version.version == target

    @rule(name=NAMES, number=NUMBERS, alias=ALIASES)
    def alias(self, name, number, alias):
        if self.is_there(name, number, lambda: self.service.set_alias(name, alias, number)):
            self.models[name].aliases[alias] = number

    @rule(name=NAMES, number=NUMBERS, value=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5))
    def tag(self, name, number, value):
        if self.is_there(name, number, lambda: self.service.set_tag(name, "k", value, number)):
            self.models[name].tags[number]["k"] = value

    @rule(name=NAMES, number=NUMBERS, force=st.booleans())
    def delete_version(self, name, number, force):
        model = self.models.get(name, Plain())
        if model.stages.get(number) is Stage.PRODUCTION and not force:
            with pytest.raises(InvalidInput):
                self.service.delete_version(name, number)
        elif self.is_there(name, number, lambda: self.service.delete_version(name, number, force=force)):
            del model.stages[number], model.tags[number]
            model.aliases = {alias: n for alias, n in model.aliases.items() if n != number}
            model.note()

    @precondition(lambda self: self.models)
    @rule(name=NAMES)
    def delete_model(self, name):
        if name in self.models:
            del self.models[name]
            self.service.delete_model(name, force=True)
        else:
            with pytest.raises(NotFound):
                self.service.delete_model(name, force=True)

    @rule(name=NAMES, new_name=NAMES)
    def rename(self, name, new_name):
        if name not in self.models:
            with pytest.raises(NotFound):
                self.service.rename(name, new_name)
        elif new_name != name and new_name in self.models:
            with pytest.raises(AlreadyExists):
                self.service.rename(name, new_name)
        else:
            self.service.rename(name, new_name)
            self.models[new_name] = self.models.pop(name)
            self.last[new_name] = max(self.last[name], self.last.get(new_name, 0))

    @invariant()
    def tables_and_memory_agree(self):
        assert {model.name for model in self.service.models()} == set(self.models)
        for name, model in self.models.items():
            versions = self.service.versions(name)
            assert {version.version: version.stage for version in versions} == model.stages
            assert {version.version: version.tags for version in versions} == model.tags
            assert self.service.model(name).aliases == model.aliases

    @invariant()
    def the_record_replays_to_the_tables(self):
        documents = replay(self.service.changes()).models.values()
        stages = {d["name"]: {int(n): part["stage"] for n, part in d.get("versions", {}).items()} for d in documents}
        assert stages == {name: model.stages for name, model in self.models.items()}
        assert {d["name"]: d.get("aliases", {}) for d in documents} == {n: m.aliases for n, m in self.models.items()}

    @invariant()
    def production_resolves_to_the_highest(self):
        for name, model in self.models.items():
            try:
                found = resolve(parse_reference(f"models:/{name}/production"), self.home).version
            except NotFound:
                found = None
            assert found == model.live()

    def is_there(self, name, number, act) -> bool:
        """Do it, and say whether it could be done; it cannot where the version is not there."""
        if number in self.models.get(name, Plain()).stages:
            act()
            return True
        with pytest.raises(PodiumError):
            act()
        return False


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
