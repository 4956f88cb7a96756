"""The project's own files, for the tests that read them."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "podium"


def tracked() -> list[Path]:
    """Every file that belongs to the project: git's list, or a walk where this is no git checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]
    kept = ("src", "tests", "docs", "examples", "benchmarks", ".ci")
    return [
        path for top in kept for path in (ROOT / top).rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ] + [path for path in ROOT.iterdir() if path.is_file()]


def modules() -> list[Path]:
    """podium's own Python files."""
    return sorted(SOURCE.rglob("*.py"))


def pages() -> list[Path]:
    """The Markdown pages for people."""
    return sorted(path for path in tracked() if path.suffix == ".md")
