"""Podman where nothing may be pulled: a base image made of Debian's own packages, and containers that end with the test.

The base stands for `python:3.11-slim`: Debian's Python 3.11 with venv, and this machine's settings of where packages come
from. It is made once for each machine and kept as a file among pytest's caches.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("podman", "buildah", "runc", "debootstrap", "netavark", "aardvark-dns", "iptables", "catatonit")
BASE = "docker.io/library/python:3.11-slim"
_INSIDE = "python3,python3-venv,python-is-python3,ca-certificates"
_CONF = """\
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


@dataclass(frozen=True)
class Podman:
    """Podman with settings of its own: this machine's are left as they are."""

    conf: Path

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, "CONTAINERS_CONF": str(self.conf), "BUILDAH_ISOLATION": "chroot"}

    def __call__(self, *arguments: str, limit_s: float = 280, check: bool = True) -> str:
        done = subprocess.run(
            ["podman", *arguments], env=self.environ, capture_output=True, text=True, timeout=limit_s, check=False
        )
        if check and done.returncode != 0:
            raise AssertionError(f"podman {' '.join(arguments)}: {done.stderr[-3000:]}")
        return done.stdout

    def inspect(self, container: str, what: str) -> str:
        return self("inspect", "--format", what, container).strip()


def lacking() -> str | None:
    """Why containers cannot be tried here; installs what is missing where this machine lets us."""
    if os.geteuid() != 0:
        return "containers are made by root here"
    if all(map(shutil.which, ("podman", "buildah", "runc", "debootstrap"))):
        return None
    if shutil.which("apt-get") is None:
        return "podman, buildah, runc and debootstrap are not installed"
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES],
    ):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(command, capture_output=True, text=True, env=quiet, timeout=550, check=False)
        if done.returncode != 0:
            return f"{' '.join(command[:2])} failed: {done.stderr.strip()[-200:]}"
    return None


def open_podman(folder: Path) -> Podman:
    """Podman, with the base image in its store."""
    conf = folder / "containers.conf"
    conf.write_text(_CONF)
    podman = Podman(conf)
    if BASE not in podman("images", "--format", "{{.Repository}}:{{.Tag}}").split():
        archive = _base_archive(folder)
        variables = ("PATH=/usr/local/bin:/usr/bin:/bin", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt")
        changes = [part for each in variables for part in ("--change", f"ENV {each}")]
        podman("import", *changes, str(archive), BASE, limit_s=280)
        archive.unlink()
    return podman


def _base_archive(folder: Path) -> Path:
    root, archive = folder / "base", folder / "base.tar"
    _run(["debootstrap", "--variant=minbase", f"--include={_INSIDE}", "bookworm", str(root), _mirror()], limit_s=280)
    for path in ("/etc/ssl/certs/ca-certificates.crt", *_settings_of_pip()):
        if Path(path).is_file():
            target = root / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
    for bulky in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(root / bulky, ignore_errors=True)
    _run(["tar", "-C", str(root), "--exclude=./dev/*", "--exclude=./proc/*", "--exclude=./sys/*", "-cf", str(archive), "."])
    shutil.rmtree(root)
    return archive


def _settings_of_pip() -> Sequence[str]:
    return ("/etc/pip.conf", "/etc/uv/uv.toml")


def _mirror() -> str:
    """Where this machine's own Debian packages come from."""
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)"], capture_output=True, text=True, check=True
    )
    sites = [line.split()[0] for line in done.stdout.splitlines() if line.split()[1:] == ["bookworm"]]
    return sites[0]


def _run(command: Sequence[str], limit_s: float = 280) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {(done.stdout + done.stderr)[-2000:]}")


def published(podman: Podman, container: str) -> int:
    """The port of this machine that leads to the container's 8080."""
    ports: Mapping[str, list[dict[str, str]]] = json.loads(podman.inspect(container, "{{json .NetworkSettings.Ports}}"))
    return int(ports["8080/tcp"][0]["HostPort"])
