"""Registered models, their versions, tags and aliases, and the change record."""

STATEMENTS = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE models (
        key INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        description TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        updated_ms INTEGER NOT NULL
    )""",
    """CREATE TABLE versions (
        model_key INTEGER NOT NULL REFERENCES models ON DELETE CASCADE,
        version INTEGER NOT NULL CHECK (version > 0),
        stage TEXT NOT NULL CHECK (stage IN ('None', 'Staging', 'Production', 'Archived')),
        digest TEXT NOT NULL,
        source TEXT NOT NULL,
        description TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        updated_ms INTEGER NOT NULL,
        created_by TEXT NOT NULL,
        PRIMARY KEY (model_key, version)
    ) WITHOUT ROWID""",
    """CREATE TABLE model_tags (
        model_key INTEGER NOT NULL REFERENCES models ON DELETE CASCADE,
        tag TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (model_key, tag)
    ) WITHOUT ROWID""",
    """CREATE TABLE version_tags (
        model_key INTEGER NOT NULL,
        version INTEGER NOT NULL,
        tag TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (model_key, version, tag),
        FOREIGN KEY (model_key, version) REFERENCES versions ON DELETE CASCADE
    ) WITHOUT ROWID""",
    # No cascade: a version with aliases can only be deleted by a patch that removes them too, so that it is recorded.
    """CREATE TABLE aliases (
        model_key INTEGER NOT NULL REFERENCES models ON DELETE CASCADE,
        alias TEXT NOT NULL,
        version INTEGER NOT NULL,
        PRIMARY KEY (model_key, alias),
        FOREIGN KEY (model_key, version) REFERENCES versions DEFERRABLE INITIALLY DEFERRED
    ) WITHOUT ROWID""",
    # The highest number a name ever had. It outlives versions and models: a number is never used twice.
    "CREATE TABLE numbers (name TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE changes (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at_ms INTEGER NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        model_key INTEGER,
        model TEXT,
        version INTEGER,
        before TEXT,
        after TEXT
    )""",
    "CREATE INDEX changes_by_key ON changes (model_key)",
    "CREATE INDEX changes_by_name ON changes (model)",
    """CREATE TRIGGER changes_are_not_edited BEFORE UPDATE ON changes
        BEGIN SELECT RAISE(ABORT, 'the change record is append-only'); END""",
    """CREATE TRIGGER changes_are_not_deleted BEFORE DELETE ON changes
        BEGIN SELECT RAISE(ABORT, 'the change record is append-only'); END""",
)
