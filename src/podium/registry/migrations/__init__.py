"""The database's schema as numbered steps, forward only. A step that was released is never edited; a new one is added.

`MIGRATIONS[n - 1]` leads from schema n - 1 to n. The number stands in the database (`meta`, key `schema`) and is changed
in the step's own transaction.
"""

from podium.registry.migrations import m0001_names_and_versions, m0002_logged_models

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    m0001_names_and_versions.STATEMENTS,
    m0002_logged_models.STATEMENTS,
)
SCHEMA = len(MIGRATIONS)
