"""What a Python holds, asked of that Python itself; and whether it holds together, and is what was built."""

import json
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from podium.domain.audits.facts import Conflict, Drift
from podium.domain.worker_variables import kept_variables
from podium.errors import LoadFailed
from podium.models.requirements import applies, contains, parsed
from podium.transport.sessions import end_session, read_until

_ASK_S = 60.0
_MOST_BYTES = 32 << 20
_MOST_PACKAGES = 5_000
_TOOLS = frozenset({"pip", "setuptools", "wheel", "uv"})
_TELL = """
import importlib.metadata, json, os, pickle, platform, sys
seen, found = set(), []
for each in importlib.metadata.distributions():
    name = (each.metadata or {}).get("Name")
    if not name or name.lower() in seen:
        continue
    seen.add(name.lower())
    origin = each.read_text("direct_url.json")
    found.append({"name": name, "version": each.version, "requires": list(each.requires or []), "origin": origin})
version = "{0.major}.{0.minor}.{0.micro}".format(sys.implementation.version)
print(json.dumps({
    "python": platform.python_version(), "executable": sys.executable, "protocol": pickle.HIGHEST_PROTOCOL,
    "packages": found,
    "markers": {
        "implementation_name": sys.implementation.name, "implementation_version": version, "os_name": os.name,
        "platform_machine": platform.machine(), "platform_release": platform.release(),
        "platform_system": platform.system(), "platform_version": platform.version(),
        "python_full_version": platform.python_version(), "sys_platform": sys.platform,
        "platform_python_implementation": platform.python_implementation(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
    },
}))
"""


@dataclass(frozen=True, slots=True)
class Package:
    """An installed distribution: its name as PyPI compares it, its version, what it needs, whether an index has it."""

    name: str
    version: str
    requires: tuple[str, ...] = ()
    is_of_index: bool = True


@dataclass(frozen=True, slots=True)
class Installed:
    """What a Python said of itself.

    Args:
        python: `3.11.7`
        packages: By name.
        markers: What requirements' markers are about.
        highest_protocol: Of pickles.
    """

    python: str
    packages: Mapping[str, Package]
    markers: Mapping[str, str]
    highest_protocol: int

    @property
    def versions(self) -> dict[str, str | None]:
        return {name: each.version for name, each in self.packages.items()}


def ask(python: str, environ: Mapping[str, str], timeout_s: float = _ASK_S) -> Installed:
    """Have a Python say what it holds; it gets the variables of a worker, and none that could hold a secret.

    What comes back was said by files of the model's packages: it is bounded, and nothing but text and numbers.

    Args:
        python: The interpreter.
        environ: Ours.
        timeout_s: For the answer.

    Raises:
        LoadFailed: It does not run, or says nothing that can be read.
    """
    try:
        process = subprocess.Popen(
            [python, "-I", "-c", _TELL],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=kept_variables(environ),
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise LoadFailed(f"{python} cannot be started: {error.strerror}.", "environment") from error
    try:
        assert process.stdout is not None
        said = read_until(process.stdout, _MOST_BYTES + 1, time.monotonic() + timeout_s)
        if len(said) > _MOST_BYTES:
            raise LoadFailed(f"{python} says more than {_MOST_BYTES >> 20} MiB of what it holds.", "environment")
        return _read(json.loads(said))
    except (TimeoutError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LoadFailed(
            f"{python} does not say what it holds; expected a Python 3 that answers within {timeout_s:g} s.", "environment"
        ) from error
    finally:
        end_session(process)


def _read(said: dict[str, Any]) -> Installed:
    packages: dict[str, Package] = {}
    for each in said["packages"][:_MOST_PACKAGES]:
        name = canonicalize_name(str(each["name"])[:200])
        requires = tuple(str(line)[:1000] for line in each["requires"][:1000])
        is_of_index = not each["origin"] or "archive_info" in json.loads(each["origin"])
        # The first one on sys.path is the one that is imported.
        packages.setdefault(name, Package(name, str(each["version"])[:100], requires, is_of_index))
    markers = {str(name): str(value) for name, value in said["markers"].items()}
    return Installed(str(said["python"]), packages, markers, int(said["protocol"]))


def reached(installed: Installed, names: Iterable[str]) -> set[str]:
    """The packages that these need, and theirs, as far as they are there."""
    found: set[str] = set()
    waiting = [canonicalize_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        package = installed.packages.get(name)
        if name in found or package is None:
            continue
        found.add(name)
        waiting += [canonicalize_name(each.name) for each in _needs(package, installed)]
    return found


def conflicts(installed: Installed, names: Iterable[str]) -> list[Conflict]:
    """What `pip check` says.

    Args:
        installed: What is there.
        names: What the model asks for; what these need counts more.
    """
    needed = reached(installed, names)
    found = []
    for package in installed.packages.values():
        for each in _needs(package, installed):
            name = canonicalize_name(each.name)
            there = installed.packages.get(name)
            if there is None or not contains(each, there.version):
                version = None if there is None else there.version
                is_needed = package.name in needed
                found.append(Conflict(package.name, package.version, str(each), name, version, is_needed))
    return found


def drifts(built: Sequence[str], installed: Installed, *, is_whole: bool) -> list[Drift]:
    """What is there otherwise than it was built in.

    Args:
        built: `numpy==1.26.4`, as it was kept; lines that name no version are passed over.
        installed: What is there.
        is_whole: Whether `built` names everything, so that more is a drift too.
    """
    was: dict[str, str | None] = {}
    for line in built:
        requirement = parsed(line)
        if requirement is not None:
            exact = [each.version for each in requirement.specifier if each.operator in {"==", "==="}]
            was[canonicalize_name(requirement.name)] = exact[0] if exact and "*" not in exact[0] else None
    found = []
    for name, version in was.items():
        there = installed.packages.get(name)
        if version is not None and (there is None or not contains(Requirement(f"{name}=={version}"), there.version)):
            found.append(Drift(name, version, None if there is None else there.version))
    if is_whole:
        more = [each for name, each in installed.packages.items() if name not in was and name not in _TOOLS]
        found += [Drift(each.name, None, each.version) for each in more]
    return found


def _needs(package: Package, installed: Installed) -> list[Requirement]:
    """What it requires on this platform, without its extras."""
    markers = {**installed.markers, "extra": ""}
    found = [parsed(line) for line in package.requires]
    return [each for each in found if each is not None and applies(each, markers)]
