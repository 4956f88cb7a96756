"""What `podium doctor` thinks of made-up machines."""

from dataclasses import replace

import pytest

from podium.domain.audits import diagnosis
from podium.domain.audits.diagnosis import Folder, InstalledLibrary, Level, RegistryFacts

OK, WARNING, PROBLEM = Level.OK, Level.WARNING, Level.PROBLEM
GIB, MIB = 1 << 30, 1 << 20
HOME = Folder("/h", True, True, True, 10 * GIB, "ext4")
REGISTRY = RegistryFacts("/h/registry.db", True, 2, 2, "ok")


def levels(findings):
    """Check to level, of what is not fine."""
    return {finding.check: finding.level for finding in findings if finding.level is not OK}


@pytest.mark.parametrize(
    ("finding", "level", "said"),
    [
        (diagnosis.judge_python((3, 11, 7), "CPython", False), OK, "CPython 3.11.7"),
        (diagnosis.judge_python((3, 10, 9), "CPython", False), PROBLEM, "3.10.9 is not supported"),
        (diagnosis.judge_python((3, 12, 0), "PyPy", False), PROBLEM, "PyPy"),
        (diagnosis.judge_python((3, 13, 0), "CPython", True), WARNING, "without the GIL"),
        (diagnosis.judge_python((3, 99, 0), "CPython", False), WARNING, "newer"),
        (diagnosis.judge_files(1_048_576, 20_000), OK, "1048576"),
        (diagnosis.judge_files(-1, 20_000), OK, "any number"),
        (diagnosis.judge_files(4096, 20_000), WARNING, "fewer than the 20000 connections"),
        (diagnosis.judge_files(4096, 1000), OK, "4096"),
        (diagnosis.judge_files(128, 20), PROBLEM, "128"),
        (diagnosis.judge_backlog(4096, 4096), OK, "4096"),
        (diagnosis.judge_backlog(None, 4096), OK, "unknown"),
        (diagnosis.judge_backlog(128, 4096), WARNING, "somaxconn is 128"),
        (diagnosis.judge_clock(0.0), PROBLEM, "before this podium"),
        (diagnosis.judge_clock(1_800_000_000.0), OK, "possible"),
        (diagnosis.judge_processors(1.0), OK, "1 processor"),
        (diagnosis.judge_processors(0.5), WARNING, "0.5 processors"),
        (diagnosis.judge_memory(8 * GIB), OK, "8.0 GiB"),
        (diagnosis.judge_memory(500 * MIB), WARNING, "500 MiB"),
        (diagnosis.judge_memory(100 * MIB), PROBLEM, "100 MiB"),
        (diagnosis.judge_memory(1 << 60), OK, "any amount"),
        (diagnosis.judge_shared_memory(HOME), OK, "10.0 GiB"),
        (diagnosis.judge_shared_memory(replace(HOME, free_bytes=1 * MIB)), WARNING, "1 MiB"),
        (diagnosis.judge_shared_memory(replace(HOME, is_there=False)), WARNING, "not there"),
        (diagnosis.judge_registry(REGISTRY), OK, "schema 2, whole"),
        (diagnosis.judge_registry(replace(REGISTRY, is_there=False)), OK, "nothing is registered yet"),
        (diagnosis.judge_registry(replace(REGISTRY, error="file is not a database")), PROBLEM, "not a database"),
        (diagnosis.judge_registry(replace(REGISTRY, schema=3)), PROBLEM, "schema 3, this podium knows 2"),
        (diagnosis.judge_registry(replace(REGISTRY, integrity="row 7 missing")), PROBLEM, "row 7 missing"),
        (diagnosis.judge_runs(1, []), OK, "1 server running"),
        (diagnosis.judge_runs(0, ["ab12"]), WARNING, "1 left by servers that were killed: ab12"),
        (diagnosis.judge_port(8000, None), OK, "8000 is free"),
        (diagnosis.judge_port(8000, "Address already in use"), WARNING, "8000 cannot be had: Address already in use"),
        (diagnosis.judge_port(0, None), OK, "any free one"),
        (diagnosis.judge_settings(None), OK, "--show-settings"),
        (diagnosis.judge_settings("podium.toml:2: no"), PROBLEM, "podium.toml:2: no"),
        (diagnosis.judge_locale("UTF-8", "utf-8"), OK, "UTF-8"),
        (diagnosis.judge_locale("ANSI_X3.4-1968", "utf-8"), WARNING, "ANSI_X3.4-1968"),
        (diagnosis.judge_mlflow("MLFLOW_TRACKING_URI", "http://m", None), OK, "http://m answers"),
        (diagnosis.judge_mlflow("MLFLOW_TRACKING_URI", "http://m", "timed out"), WARNING, "does not answer: timed out"),
    ],
)
def test_one_thing_is_judged(finding, level, said):
    """The level, and the fact that it rests on; a way out wherever it is not fine."""
    assert (finding.level, said in finding.fact) == (level, True), finding
    assert (finding.remedy is None) == (level is OK)


def test_a_module_that_cannot_be_imported_is_a_problem():
    """With the command that installs it."""
    findings = diagnosis.judge_modules({"uvloop": None, "httptools": "ImportError: no"})

    assert levels(findings) == {"module httptools": PROBLEM}
    assert findings[1].remedy == "Run: pip install httptools"


def test_the_kernel_must_give_all_but_pidfds():
    """Those can be polled for."""
    refused = diagnosis.judge_kernel({"memfd": "OSError: no", "pidfd": "OSError: no", "epoll": None})

    assert levels(refused) == {"kernel memfd": PROBLEM, "kernel pidfd": WARNING}


@pytest.mark.parametrize(
    ("home", "expected"),
    [
        (HOME, {}),
        (replace(HOME, is_there=False, is_private=False), {}),
        (replace(HOME, is_writable=False), {"home": PROBLEM}),
        (replace(HOME, is_private=False), {"home": WARNING}),
        (replace(HOME, file_system="nfs4"), {"home disk": PROBLEM}),
        (replace(HOME, skew_s=-90.0), {"home clock": WARNING}),
        (replace(HOME, free_bytes=500 * MIB), {"home space": WARNING}),
        (replace(HOME, free_bytes=5 * MIB), {"home space": PROBLEM}),
    ],
)
def test_the_home_folder_is_ours_alone_local_and_has_space(home, expected):
    """Each fault by its own name."""
    assert levels(diagnosis.judge_home(home)) == expected


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ({"numpy": "2.1.0", "pandas": "2.2.2", "scikit-learn": "1.5.0", "torch": "2.4.1+cu121"}, {}),
        ({"numpy": "1.26.4", "pandas": "2.0.3", "scikit-learn": "1.3.0"}, {}),
        ({"numpy": "2.0.0", "pandas": "2.2.1"}, {"numpy with pandas": PROBLEM}),
        ({"numpy": "2.0.0", "pyarrow": "15.0.2", "onnxruntime": "1.18.1"},
         {"numpy with pyarrow": PROBLEM, "numpy with onnxruntime": PROBLEM}),
        ({"pandas": "2.0.0"}, {}),
    ],
)  # fmt: skip
def test_libraries_that_do_not_go_together_are_named(versions, expected):
    """Both ways out are."""
    findings = diagnosis.judge_libraries({name: InstalledLibrary(version) for name, version in versions.items()})

    assert levels(findings) == expected
    assert all("pip install" in (finding.remedy or "") for finding in findings if finding.level is not OK)


def test_a_library_that_cannot_be_imported_is_a_problem():
    """Whatever its version says."""
    findings = diagnosis.judge_libraries({"pandas": InstalledLibrary("2.2.2", "ImportError: libz.so")})

    assert [(finding.level, finding.fact) for finding in findings] == [
        (PROBLEM, "2.2.2 cannot be imported: ImportError: libz.so")
    ]


@pytest.mark.parametrize(
    ("reason", "wish", "refusal", "level", "words"),
    [
        (None, "auto", None, OK, "forked from a process that has their libraries: sklearn, onnx; all others"),
        ("worker_start is fresh", "fresh", None, OK, "interpreter of its own: worker_start is fresh"),
        ("each worker has a sandbox of its own", "auto", None, OK, "its own: each worker has a sandbox"),
        ("each worker has a sandbox of its own", "forked", None, WARNING, "though worker_start is forked: each worker"),
        (None, "auto", "OSError: no", OK, "its own: OSError: no"),
    ],
)
def test_how_workers_start_is_told_with_the_reason(reason, wish, refusal, level, words):
    """A wish that cannot be met is a warning; everything else is as it should be."""
    finding = diagnosis.judge_worker_start(reason, wish, refusal, ["sklearn", "onnx"])

    assert finding.level is level
    assert words in finding.fact
