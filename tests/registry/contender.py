"""One of several processes that work on one registry at once. Prints a JSON line for everything that it did.

Usage: contender.py HOME SEED (COUNT steps | SECONDSs)
"""

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from podium.api.registering import Registry
from podium.errors import PodiumError

NAMES = ("ant", "bee", "cat")
STAGES = ("None", "Staging", "Production", "Archived")


def steps(registry: Registry, folder: Path, random_: random.Random) -> dict[str, Callable[[str, int], object]]:
    """What may be done, by name; each takes a model's name and a version's number."""

    def register(name: str, _: int) -> object:
        (folder / "content").write_text(str(random_.randrange(5)))
        return registry.register(folder, name).version

    return {
        "register": register,
        "register-again": register,
        "transition": lambda name, n: (
            registry.transition(name, n, random_.choice(STAGES), random_.random() < 0.3).is_change
        ),
        "promote": lambda name, n: registry.promote(name, n).is_change,
        "rollback": lambda name, _: registry.rollback(name).is_change,
        "alias": lambda name, n: registry.set_alias(name, random_.choice("xyz"), n),
        "unalias": lambda name, _: registry.delete_alias(name, random_.choice("xyz")),
        "tag": lambda name, n: registry.set_tag(
            name, random_.choice("kl"), str(random_.random()), random_.choice([None, n])
        ),
        "describe": lambda name, n: registry.describe(name, str(random_.random()), random_.choice([None, n])),
        "delete-version": lambda name, n: registry.delete_version(name, n, random_.random() < 0.5),
        "delete": lambda name, _: registry.delete(name, random_.random() < 0.5) if random_.random() < 0.2 else None,
        "rename": lambda name, _: registry.rename(name, random_.choice(NAMES)).name if random_.random() < 0.3 else None,
        "log": lambda _, __: registry.log(folder).model_id,
        "clean": lambda _, __: len(registry.clean()),
        "read": lambda name, _: len(registry.versions(name)),
    }


def main() -> None:
    home, seed, much = sys.argv[1:]
    random_ = random.Random(seed)
    registry = Registry(home, busy_timeout_s=200)
    folder = Path(tempfile.mkdtemp(dir=home, prefix="model-"))
    (folder / "MLmodel").write_text("flavors: {python_function: {}}\n")
    todo = steps(registry, folder, random_)
    count = sys.maxsize if much.endswith("s") else int(much)
    deadline = time.monotonic() + (float(much[:-1]) if much.endswith("s") else 600)
    while count and time.monotonic() < deadline:
        count -= 1
        step, name, number = random_.choice(list(todo)), random_.choice(NAMES), random_.randint(1, 12)
        if random_.random() < 0.5 and step not in {"register", "register-again", "log", "clean"}:
            # Near the newest, so that later steps still meet something.
            numbers = [version.version for version in registry.versions() if version.name == name]
            number = numbers[-1] if numbers else number
        try:
            done, error = todo[step](name, number), None
        except PodiumError as caught:
            done, error = None, [type(caught).__name__, caught.message]
        print(json.dumps({"step": step, "name": name, "number": number, "done": done, "error": error}), flush=True)


main()
