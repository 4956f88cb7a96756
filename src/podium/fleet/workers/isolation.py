"""What stands round a worker: the variables it gets, the user it runs as, the sandbox it runs in.

`none` isolates faults only. `user` is another user id. `sandbox` is bubblewrap (https://github.com/containers/bubblewrap):
namespaces of its own for processes, network, mounts and System V objects, and of the files only what is bound below.
"""

import functools
import os
import pwd
import shutil
import site
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from podium.domain.worker_variables import kept_variables
from podium.errors import Misconfigured
from podium.settings.source_tree import PACKAGE

NONE, USER, SANDBOX = "none", "user", "sandbox"
_BWRAP, _SETPRIV = "bwrap", "setpriv"
_TMP = "/tmp"  # noqa: S108 - the sandbox's own
_TRY_S = 10.0
_CAP_SETGID, _CAP_SETUID = 6, 7
# What programs are linked with, how names and times are written, and what numeric libraries ask of the processors.
_SYSTEM = ("/usr",)
_SYSTEM_TRIED = (
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/timezone", "/etc/alternatives",
    "/sys/devices/system/cpu", "/sys/devices/system/node",
)  # fmt: skip
_LINKED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_GPU_DEVICES = ("nvidia*", "dri", "kfd")
_GPU_FILES = ("/sys/bus/pci", "/sys/class/drm", "/sys/devices/pci*", "/sys/module/nvidia*")


@dataclass(frozen=True, slots=True)
class World:
    """Where one worker is to live.

    Args:
        isolation: `none`, `user` or `sandbox`.
        variables: Names of more of the server's variables that it gets.
        user: Whom it runs as, for `user`: a name or a number.
        folder: Its model's copy; nothing else of podium's home is to be seen.
        home: podium's, which a sandbox hides.
        conversion: A conversion of the model, which it may answer by.
        has_devices: Whether it may use a GPU.
        more: Variables of its own: which GPU it sees.
    """

    isolation: str = NONE
    variables: tuple[str, ...] = ()
    user: str | None = None
    folder: Path | None = None
    home: Path | None = None
    has_devices: bool = True
    more: Mapping[str, str] = field(default_factory=dict)
    conversion: Path | None = None

    def environ(self, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
        """The variables of the server's that it gets."""
        return {**kept_variables(environ, self.variables), **self.more}


@dataclass(frozen=True, slots=True)
class Enclosed:
    """How a command is started in its world: its words, its variables, and more arguments for Popen."""

    command: list[str]
    environ: dict[str, str]
    options: dict[str, Any] = field(default_factory=dict)
    is_wrapped: bool = False


def check_isolation(isolation: str, user: str | None) -> int | None:
    """Look, before anything is started, whether this machine can give what is asked for.

    Returns: The group that reads the copies of models, where it is another user's; else None.

    Raises:
        Misconfigured: It cannot; says what is missing and how to get it.
    """
    if isolation == USER:
        if shutil.which(_SETPRIV) is None:
            raise Misconfigured("isolation = 'user' needs setpriv, which is not on PATH. Run: apt-get install util-linux")
        return account(user).pw_gid
    if user is not None:
        raise Misconfigured(f"worker_user is {user!r}, and isolation is {isolation!r}; it belongs to isolation = 'user'.")
    if isolation == SANDBOX:
        check_sandbox()
    return None


def account(user: str | None) -> pwd.struct_passwd:
    """The account that workers run as.

    Raises:
        Misconfigured: There is none of this name, it is nobody else, or this process may not become another user.
    """
    if user is None:
        raise Misconfigured("isolation = 'user' needs worker_user: the name or number of the user that workers run as.")
    try:
        found = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except KeyError:
        raise Misconfigured(f"worker_user is {user!r}, and this machine has no such user. Run: useradd -r {user}") from None
    if found.pw_uid in {0, os.geteuid()}:
        raise Misconfigured(f"worker_user is {user!r}, which is root or the server's own user; expected another one.")
    if not _may_change_user():
        raise Misconfigured(
            "isolation = 'user' needs the right to become another user (root, or CAP_SETUID and CAP_SETGID), which this "
            "server does not have. Start it with that right, or use isolation = 'sandbox', which needs none."
        )
    return found


def enclose(command: list[str], environ: dict[str, str], world: World, python: str | None) -> Enclosed:
    """Make the command one that runs in its world.

    Args:
        command: As it would run here.
        environ: Its variables.
        world: Where it is to run.
        python: The interpreter that it is for; None for this one.
    """
    if world.isolation == USER:
        found = account(world.user)
        options = {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": [], "cwd": "/"}
        return Enclosed(command, {**environ, "HOME": "/nonexistent", "LOGNAME": found.pw_name}, options)
    if world.isolation != SANDBOX:
        return Enclosed(command, environ)
    inside = {**environ, "HOME": _TMP, "TMPDIR": _TMP, "LOGNAME": "podium"}
    return Enclosed([*_sandbox(world, python or sys.executable), *command], inside, is_wrapped=True)


def confine(world: World, command: Sequence[str], environ: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """The same for who starts a process by its words and variables alone: whatever tries a model in its environment.

    Args:
        world: Where it is to run.
        command: Begins with its interpreter.
        environ: Variables, of which it gets those that its world allows.
    """
    start = enclose(list(command), world.environ(environ), world, command[0])
    if world.isolation != USER:
        return start.command, start.environ
    user, group = str(start.options["user"]), str(start.options["group"])
    words = [_SETPRIV, "--reuid", user, "--regid", group, "--clear-groups", "--no-new-privs", "--"]
    return [*words, *start.command], start.environ


def _sandbox(world: World, python: str) -> list[str]:
    words = [
        _BWRAP, "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--cap-drop", "ALL",
        *(["--disable-userns"] if _has_disable_userns() else []),
        "--proc", "/proc", "--dev", "/dev", "--tmpfs", _TMP,
    ]  # fmt: skip
    for path in _SYSTEM:
        words += ["--ro-bind", path, path]
    for path in _SYSTEM_TRIED:
        words += ["--ro-bind-try", path, path]
    for path in filter(os.path.lexists, _LINKED):
        is_link = os.path.islink(path)
        words += ["--symlink", os.readlink(path), path] if is_link else ["--ro-bind", path, path]
    home = None if world.home is None else world.home.resolve()
    roots = list(dict.fromkeys(path for path in _roots(python) if not path.is_relative_to("/usr")))
    inner = [path for path in roots if home is not None and path.is_relative_to(home)]
    for root in roots:
        if root not in inner:
            words += ["--ro-bind-try", str(root), str(root)]
    if home is not None and any(home.is_relative_to(path) for path in (*roots, Path("/usr"))):
        words += ["--tmpfs", str(home)]
    for root in (*inner, *filter(None, (world.folder, world.conversion))):
        words += ["--ro-bind", str(root), str(root)]
    if world.has_devices:
        words += _devices()
    return [*words, "--chdir", _TMP, "--"]


def _roots(python: str) -> Iterator[Path]:
    """What an interpreter is made of: its environment, the one that was made from, and podium's own package."""
    path = Path(python).absolute()
    for _ in range(40):
        root = path.parent.parent
        yield root
        yield from _made_from(root)
        if not path.is_symlink():
            break
        path = Path(os.path.normpath(path.parent / os.readlink(path)))
    yield PACKAGE
    if python == sys.executable:
        yield Path(sys.base_prefix)
        # Where this process imports from: an installation that can be edited stands elsewhere.
        places = [*sys.path, *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
        yield from (Path(place).absolute() for place in places if place and os.path.isdir(place) and place != os.getcwd())


def _made_from(root: Path) -> Iterable[Path]:
    try:
        lines = (root / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return ()
    return [Path(line.partition("=")[2].strip()).parent for line in lines if line.partition("=")[0].strip() == "home"]


def _devices() -> list[str]:
    words = []
    for pattern in _GPU_DEVICES:
        for path in sorted(Path("/dev").glob(pattern)):
            words += ["--dev-bind-try", str(path), str(path)]
    if words:
        for pattern in _GPU_FILES:
            for path in sorted(Path("/").glob(pattern.lstrip("/"))):
                words += ["--ro-bind-try", str(path), str(path)]
    return words


@functools.cache
def check_sandbox() -> None:
    """Try a sandbox; what worked once is not tried again for each of a thousand models.

    Raises:
        Misconfigured: bubblewrap is not here, or cannot make one; says what to do.
    """
    if shutil.which(_BWRAP) is None:
        raise Misconfigured(
            "isolation = 'sandbox' needs bubblewrap, and there is no bwrap on PATH. Run: apt-get install bubblewrap"
        )
    try:
        words = [_BWRAP, "--unshare-all", "--unshare-user", "--ro-bind", "/", "/", "--proc", "/proc", "--", "true"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=_TRY_S, check=False)
        said, is_well = done.stderr.strip()[:300], done.returncode == 0
    except (OSError, subprocess.TimeoutExpired) as error:
        said, is_well = str(error), False
    if not is_well:
        raise Misconfigured(
            f"isolation = 'sandbox' needs bubblewrap to make a sandbox, and it cannot here: {said}\n"
            "In a container, allow user namespaces and an unmasked /proc (docker: --security-opt seccomp=unconfined "
            "--security-opt systempaths=unconfined), or use isolation = 'user'."
        )


@functools.cache
def _has_disable_userns() -> bool:
    try:
        done = subprocess.run([_BWRAP, "--help"], capture_output=True, text=True, timeout=_TRY_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return "--disable-userns" in done.stdout + done.stderr


def _may_change_user() -> bool:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return os.geteuid() == 0
    effective = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    wanted = (1 << _CAP_SETUID) | (1 << _CAP_SETGID)
    return int(effective, 16) & wanted == wanted
