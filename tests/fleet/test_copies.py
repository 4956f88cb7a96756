"""Private copies: what is asked for while others are removed stays."""

import asyncio
from pathlib import Path

from podium.artifacts.digest import digest_folder
from podium.domain.references import VersionRef
from podium.fleet.workers.copies import Copies
from podium.registry.resolve import Resolved
from podium.settings.home import Home
from podium.settings.model import ModelSettings


def version_of(folder: Path, number: int) -> Resolved:
    made = folder / f"model-{number}"
    made.mkdir()
    (made / "MLmodel").write_text(f"flavors:\n  python_function:\n    loader_module: calculating\n    number: {number}\n")
    return Resolved(VersionRef("tiny", number), "tiny", number, str(number), None, digest_folder(made), made)


def test_a_copy_that_is_asked_for_while_another_is_removed_stays(tmp_path):
    """Removing a large one takes its time, in which a model that slept is wanted again."""

    async def removing_and_asking() -> None:
        copies = Copies(tmp_path / "copies", Home(tmp_path / "home"), ModelSettings(env_manager="local"), lambda _: None)
        large, wanted = (version_of(tmp_path, number) for number in (1, 2))
        removed = (await copies.prepare(large)).folder
        await copies.prepare(wanted)
        for number in range(1500):
            (removed / str(number)).touch()

        removing = asyncio.create_task(copies.keep(set()))
        await asyncio.sleep(0)
        prepared = await copies.prepare(wanted)
        await removing

        assert (prepared.folder.is_dir(), removed.exists()) == (True, False)
        assert copies.known("2") is prepared
        await copies.close()

    asyncio.run(removing_and_asking())


def test_who_closes_waits_for_what_is_being_removed_though_whoever_removed_it_is_cancelled(tmp_path):
    """The server's housekeeping ends at any moment; then the run folder is removed, by nobody else at the same time."""

    async def ending_while_removing() -> bool:
        copies = Copies(tmp_path / "copies", Home(tmp_path / "home"), ModelSettings(env_manager="local"), lambda _: None)
        removed = (await copies.prepare(version_of(tmp_path, 1))).folder
        for number in range(1500):
            (removed / str(number)).touch()

        keeping = asyncio.create_task(copies.keep(set()))
        await asyncio.sleep(0)
        keeping.cancel()
        await asyncio.wait({keeping})
        await copies.close()
        return removed.exists()

    assert not asyncio.run(ending_while_removing())
