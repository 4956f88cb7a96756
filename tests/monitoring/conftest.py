"""A PostgreSQL server of the tests' own, where its programs and its driver are there."""

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
