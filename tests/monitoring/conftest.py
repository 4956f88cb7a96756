"""A PostgreSQL server of the tests' own, where its programs and its driver are there; packages that bring plugins."""

import sys
from contextlib import closing

import pytest
from postgresql import PROGRAMS, postgresql


@pytest.fixture(scope="session")
def postgresql_server():
    """The address of a database, for `ann`, who may do anything."""
    pytest.importorskip("psycopg2", reason="podium[sql] is not installed")
    if PROGRAMS is None:
        pytest.skip("PostgreSQL is not installed")
    with postgresql() as address:
        yield address + "ann"


@pytest.fixture
def address(postgresql_server):
    """The same, and nothing was written yet."""
    import psycopg2

    with closing(psycopg2.connect(postgresql_server)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SET client_min_messages = warning; DROP SCHEMA IF EXISTS podium_monitor CASCADE")
    return postgresql_server


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Installs a package of one module, as pip lays it out, which brings what an entry point says."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def put(name: str, version: str, module: str, text: str, group: str, entry: str) -> None:
        info = tmp_path / "site" / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info.parent / f"{module}.py").write_text(text)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{entry}\n")
        sys.path.insert(0, str(info.parent))

    yield put
    for name in set(sys.modules) - before:
        del sys.modules[name]
