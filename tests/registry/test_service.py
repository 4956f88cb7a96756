import pytest

from podium.domain.stages import Stage
from podium.errors import AlreadyExists, InvalidInput, InvalidModel, InvalidReference, NotFound, RegistryError
from podium.registry.contract import Action

PRODUCTION, STAGING, ARCHIVED, NONE = Stage.PRODUCTION, Stage.STAGING, Stage.ARCHIVED, Stage.NONE


def stages(service, name="fraud"):
    return {version.version: version.stage for version in service.versions(name)}


def test_versions_count_from_one_and_start_in_no_stage(fraud):
    assert stages(fraud) == {1: NONE, 2: NONE, 3: NONE}
    assert len({version.digest for version in fraud.versions("fraud")}) == 3


def test_a_version_remembers_where_it_came_from_and_who_made_it(service, folder):
    version = service.register(folder, "fraud", description="first", tags={"team": "risk"})

    assert (version.source, version.created_by) == (str(folder), "ann@desk/1")
    assert (version.description, dict(version.tags)) == ("first", {"team": "risk"})
    assert service.version("fraud", 1) == version


def test_a_deleted_versions_number_is_never_used_again(fraud, folder):
    fraud.delete_version("fraud", 3)

    assert fraud.register(folder, "fraud").version == 4


def test_a_deleted_models_numbers_are_never_used_again(fraud, folder):
    """Otherwise models:/fraud/1 would name another model tomorrow than in yesterday's logs."""
    fraud.delete_model("fraud")

    assert fraud.register(folder, "fraud").version == 4


def test_a_name_counts_on_from_what_was_renamed_to_it(fraud, folder):
    fraud.register(folder, "other")
    fraud.delete_model("other")
    fraud.rename("fraud", "other")

    assert fraud.register(folder, "other").version == 4
    assert fraud.register(folder, "fraud").version == 4


@pytest.mark.parametrize("name", ["", " ", "a/b", "a:b", "x" * 300, "a\nb", "a\u2028b", "\ud800"])
def test_a_name_that_cannot_stand_in_a_uri_is_refused_before_anything_is_stored(service, folder, artifacts, name):
    with pytest.raises(InvalidReference):
        service.register(folder, name)

    assert artifacts.list() == []


def test_a_folder_that_is_no_model_folder_is_refused(service, tmp_path):
    with pytest.raises(NotFound, match="no folder"):
        service.register(tmp_path / "absent", "fraud")
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidModel):
        service.register(tmp_path / "file", "fraud")


def test_an_artifact_that_is_gone_is_not_registered(fraud, artifacts):
    digest = fraud.version("fraud", 1).digest
    artifacts.delete(digest)

    with pytest.raises(RegistryError, match="Register the folder again"):
        fraud.register_digest(digest, "fraud", "x")
    assert len(fraud.versions("fraud")) == 3


def test_a_model_may_be_made_before_its_first_version(service, folder):
    model = service.create_model("fraud", "catches it", {"team": "risk"})

    assert (model.description, dict(model.tags)) == ("catches it", {"team": "risk"})
    with pytest.raises(AlreadyExists, match=r"Registered Model \(name=fraud\) already exists"):
        service.create_model("fraud")
    assert service.register(folder, "fraud").version == 1


def test_moving_into_a_live_stage_archives_what_was_there(fraud):
    for stage in (PRODUCTION, STAGING):
        fraud.transition("fraud", 1, stage)
        moved = fraud.transition("fraud", 2, stage)

        assert {1: ARCHIVED, 2: stage, 3: NONE} == stages(fraud)
        assert (moved.archived, moved.stands_for, moved.warning) == ((1,), 2, None)


def test_versions_are_kept_in_the_stage_when_asked(fraud):
    fraud.transition("fraud", 1, PRODUCTION)

    moved = fraud.transition("fraud", 2, PRODUCTION, keep_existing=True)

    assert stages(fraud) == {1: PRODUCTION, 2: PRODUCTION, 3: NONE}
    assert (moved.archived, moved.warning) == ((), None)


def test_a_move_that_leaves_the_stage_with_a_higher_version_warns_and_names_the_fix(fraud):
    fraud.transition("fraud", 3, PRODUCTION)

    moved = fraud.transition("fraud", 1, PRODUCTION, keep_existing=True)

    assert moved.stands_for == 3
    assert "stands for version 3, not for 1" in moved.warning
    assert "podium models transition fraud 1 production" in moved.warning
    fixed = fraud.transition("fraud", 1, PRODUCTION)
    assert (fixed.stands_for, fixed.warning, fixed.archived) == (1, None, (3,))


def test_any_number_of_versions_may_be_archived_or_in_no_stage(fraud):
    for number in (1, 2, 3):
        assert fraud.transition("fraud", number, ARCHIVED).archived == ()

    assert stages(fraud) == {1: ARCHIVED, 2: ARCHIVED, 3: ARCHIVED}


def test_a_move_that_changes_nothing_is_not_recorded(fraud):
    fraud.transition("fraud", 1, PRODUCTION)
    before = fraud.changes("fraud")

    moved = fraud.transition("fraud", 1, PRODUCTION)

    assert not moved.is_change
    assert before == fraud.changes("fraud")


def test_what_is_absent_is_not_found_and_what_is_there_is_named(fraud):
    with pytest.raises(NotFound, match=r"Model Version \(name=fraud, version=9\) not found\n.*versions 1, 2, 3"):
        fraud.transition("fraud", 9, PRODUCTION)
    with pytest.raises(NotFound, match=r"Registered Model with name=nope not found\n.*models fraud"):
        fraud.transition("nope", 1, PRODUCTION)
    with pytest.raises(NotFound):
        fraud.version("fraud", 10**30)


def test_an_alias_points_at_one_version_and_a_version_may_have_many(fraud):
    fraud.set_alias("fraud", "champ", 1)
    fraud.set_alias("fraud", "best", 1)
    assert fraud.version("fraud", 1).aliases == ("best", "champ")

    fraud.set_alias("fraud", "champ", 2)
    fraud.delete_alias("fraud", "best")
    fraud.delete_alias("fraud", "best")

    assert fraud.model("fraud").aliases == {"champ": 2}


@pytest.mark.parametrize("alias", ["latest", "LATEST", "v3", "V3", "a b", "", "x" * 256])
def test_reserved_and_impossible_aliases_are_refused(fraud, alias):
    with pytest.raises(InvalidReference):
        fraud.set_alias("fraud", alias, 1)


def test_tags_are_set_replaced_and_removed_on_models_and_versions(fraud):
    for number in (None, 2):
        fraud.set_tag("fraud", "team", "risk", number)
        fraud.set_tag("fraud", "team", "fraud", number)
        fraud.set_tag("fraud", "other", "", number)
        fraud.delete_tag("fraud", "other", number)
        fraud.delete_tag("fraud", "other", number)

    assert {"team": "fraud"} == fraud.model("fraud").tags == fraud.version("fraud", 2).tags
    assert fraud.version("fraud", 1).tags == {}


@pytest.mark.parametrize(
    ("key", "value"),
    [("", "x"), (" ", "x"), ("k" * 251, "x"), ("k", "v" * 100_001), ("k\n", "x"), ("k", "\ud800"), ("k", "\0")],
)
def test_tags_beyond_mlflows_limits_are_refused(fraud, key, value):
    with pytest.raises(InvalidInput):
        fraud.set_tag("fraud", key, value)


def test_tags_at_the_limits_are_kept(fraud):
    fraud.set_tag("fraud", "k" * 250, "v" * 100_000, 1)

    assert fraud.version("fraud", 1).tags == {"k" * 250: "v" * 100_000}


def test_descriptions_belong_to_models_and_versions(fraud):
    fraud.describe("fraud", "catches it")
    fraud.describe("fraud", "best so far", 2)

    assert (fraud.model("fraud").description, fraud.version("fraud", 2).description) == ("catches it", "best so far")


def test_renaming_takes_everything_along(fraud):
    fraud.set_alias("fraud", "champ", 2)
    fraud.transition("fraud", 1, PRODUCTION)
    fraud.transition("fraud", 2, PRODUCTION)

    fraud.rename("fraud", "abuse")

    assert stages(fraud, "abuse") == {1: ARCHIVED, 2: PRODUCTION, 3: NONE}
    assert fraud.model("abuse").aliases == {"champ": 2}
    assert [c.action for c in fraud.changes("abuse") if c.version is None] == [Action.CREATE, Action.RENAME]
    assert fraud.rollback("abuse").version.version == 1
    with pytest.raises(NotFound):
        fraud.model("fraud")


def test_renaming_to_a_taken_name_changes_nothing(fraud, folder):
    fraud.register(folder, "abuse")

    with pytest.raises(AlreadyExists):
        fraud.rename("fraud", "abuse")

    assert len(fraud.versions("fraud")) == 3
    assert fraud.rename("fraud", "fraud").name == "fraud"


def test_a_version_in_production_is_deleted_only_by_force(fraud):
    fraud.transition("fraud", 2, PRODUCTION)

    with pytest.raises(InvalidInput, match="version 2 is in Production"):
        fraud.delete_version("fraud", 2)
    with pytest.raises(InvalidInput, match="version 2 is in Production"):
        fraud.delete_model("fraud")
    fraud.delete_version("fraud", 2, force=True)
    fraud.delete_model("fraud")

    assert fraud.models() == []


def test_a_deleted_versions_aliases_go_with_it_and_the_record_says_so(fraud):
    fraud.set_alias("fraud", "champ", 2)

    fraud.delete_version("fraud", 2)

    assert fraud.model("fraud").aliases == {}
    last = fraud.changes("fraud")[-1]
    assert last.before["aliases"] == {"champ": 2}
    assert last.after == {"versions": {"2": None}, "aliases": {"champ": None}}


def test_the_history_of_a_deleted_model_stays(fraud, folder):
    fraud.delete_model("fraud")

    assert Action.DELETE_MODEL is fraud.changes("fraud")[-1].action
    fraud.register(folder, "fraud")
    assert [change.action for change in fraud.changes("fraud")] == [Action.CREATE, Action.REGISTER]


def test_every_change_says_who_when_what_before_and_after(fraud):
    fraud.transition("fraud", 1, PRODUCTION)
    fraud.transition("fraud", 2, PRODUCTION)

    change = fraud.changes("fraud")[-1]

    assert (change.actor, change.action, change.model, change.version) == ("ann@desk/1", Action.TRANSITION, "fraud", 2)
    assert change.before == {"versions": {"1": {"stage": "Production"}, "2": {"stage": "None"}}}
    assert change.after == {"versions": {"1": {"stage": "Archived"}, "2": {"stage": "Production"}}}
    assert change.at_ms == fraud.version("fraud", 1).updated_ms == fraud.version("fraud", 2).updated_ms
    assert change.at_ms == fraud.model("fraud").updated_ms


def test_a_logged_model_has_an_id_of_its_own(service, folder):
    logged = service.log(folder)

    assert service.logged(logged.model_id) == logged
    assert service.register_digest(logged.digest, "fraud", f"models:/{logged.model_id}").digest == logged.digest


def test_logging_the_same_under_the_same_id_is_done_once(service, folder):
    logged = service.log(folder)

    assert service.log(folder, logged.model_id) == logged
    (folder / "more").write_text("")
    with pytest.raises(AlreadyExists, match="another content"):
        service.log(folder, logged.model_id)
    with pytest.raises(InvalidReference):
        service.log(folder, "m-short")
    with pytest.raises(NotFound):
        service.logged("m-" + "0" * 32)


def test_cleaning_removes_what_nothing_needs_and_nothing_else(fraud, folder, artifacts):
    (folder / "number").write_text("logged")
    logged = fraud.log(folder)
    gone = fraud.version("fraud", 3).digest
    fraud.delete_version("fraud", 3)

    assert [gone] == [stored.digest for stored in fraud.clean(dry_run=True)] == [s.digest for s in fraud.clean()]

    assert {fraud.version("fraud", n).digest for n in (1, 2)} | {logged.digest} == {s.digest for s in artifacts.list()}


def test_cleaning_without_a_registry_removes_nothing(fraud, home, artifacts):
    """A registry that was moved away for a moment must not cost every model."""
    home.registry.rename(home.root / "elsewhere.db")

    with pytest.raises(NotFound, match="no registry"):
        fraud.clean()
    assert len(artifacts.list()) == 3


def test_what_fails_leaves_no_trace(service, home):
    """Asking, and looking for what is not there, does not make a registry."""
    assert service.models() == service.versions() == service.changes() == []
    with pytest.raises(NotFound, match="there is no registry"):
        service.transition("fraud", 1, PRODUCTION)

    assert not home.registry.exists()
