"""Models that were logged (`models:/m-<32 hex>`), and an index to find what an artifact is needed by."""

STATEMENTS = (
    """CREATE TABLE logged_models (
        model_id TEXT PRIMARY KEY,
        digest TEXT NOT NULL,
        source TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        created_by TEXT NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX versions_by_digest ON versions (digest)",
)
