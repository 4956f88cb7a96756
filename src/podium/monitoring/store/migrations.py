"""The monitor's tables as numbered steps, forward only. A step that was released is never edited; a new one is added.

`MIGRATIONS[n - 1]` leads from schema n - 1 (`PRAGMA user_version`) to n. They are written for SQLite;
`dialect.translated_table` says them to PostgreSQL. Times are whole seconds since 1970 unless a name says otherwise;
`length_s` is that of the stretch of time that begins at `start`.
"""

_COUNTED = (
    # Versions that were served, whether or not anything watches their data.
    """CREATE TABLE served (
        model TEXT NOT NULL, version TEXT NOT NULL, stage TEXT NOT NULL, profile_id TEXT,
        first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,
        PRIMARY KEY (model, version)
    ) WITHOUT ROWID""",
    """CREATE TABLE profiles (
        model TEXT NOT NULL, version TEXT NOT NULL, profile_id TEXT NOT NULL, origin TEXT NOT NULL, json TEXT NOT NULL,
        seen_at INTEGER NOT NULL,
        PRIMARY KEY (model, version, profile_id)
    )""",
    # For how much of a stretch the monitor was there: what is missing is a gap, and not a stretch without traffic.
    """CREATE TABLE watch (
        length_s INTEGER NOT NULL, start INTEGER NOT NULL, watched_s INTEGER NOT NULL, PRIMARY KEY (length_s, start)
    ) WITHOUT ROWID""",
    """CREATE TABLE traffic (
        model TEXT NOT NULL, version TEXT NOT NULL, length_s INTEGER NOT NULL, start INTEGER NOT NULL,
        requests INTEGER NOT NULL, client_errors INTEGER NOT NULL, server_errors INTEGER NOT NULL,
        rejected INTEGER NOT NULL, rows INTEGER NOT NULL, batches INTEGER NOT NULL,
        duration_us INTEGER NOT NULL, queue_us INTEGER NOT NULL, predict_us INTEGER NOT NULL, latency TEXT NOT NULL,
        PRIMARY KEY (model, version, length_s, start)
    ) WITHOUT ROWID""",
    """CREATE TABLE windows (
        model TEXT NOT NULL, version TEXT NOT NULL, profile_id TEXT NOT NULL,
        length_s INTEGER NOT NULL, start INTEGER NOT NULL,
        rows INTEGER NOT NULL, dropped INTEGER NOT NULL, late_rows INTEGER NOT NULL, counts TEXT NOT NULL,
        PRIMARY KEY (model, version, profile_id, length_s, start)
    )""",
    # How far each cumulative counter was read, written together with what was made of it: so nothing is counted twice.
    """CREATE TABLE readings (
        source TEXT NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL, at INTEGER NOT NULL, cells BLOB NOT NULL,
        PRIMARY KEY (source, model, version)
    ) WITHOUT ROWID""",
    # One for each check and hour: the last window that ended in it.
    """CREATE TABLE findings (
        model TEXT NOT NULL, version TEXT NOT NULL, profile_id TEXT NOT NULL,
        role TEXT NOT NULL, name TEXT NOT NULL, "check" TEXT NOT NULL, hour INTEGER NOT NULL,
        window_start INTEGER NOT NULL, window_end INTEGER NOT NULL, method TEXT NOT NULL, score REAL,
        warn REAL NOT NULL, alert REAL NOT NULL, psi REAL, critical REAL, p_value REAL,
        rows INTEGER NOT NULL, reference_rows INTEGER NOT NULL, bins INTEGER NOT NULL,
        verdict TEXT NOT NULL, usual REAL NOT NULL, is_standing INTEGER NOT NULL,
        PRIMARY KEY (model, version, profile_id, role, name, "check", hour)
    ) WITHOUT ROWID""",
    "CREATE INDEX findings_by_hour ON findings (model, version, hour)",
    """CREATE TABLE standing (
        model TEXT NOT NULL, version TEXT NOT NULL, profile_id TEXT NOT NULL,
        role TEXT NOT NULL, name TEXT NOT NULL, "check" TEXT NOT NULL, is_alert INTEGER NOT NULL, since INTEGER,
        in_a_row INTEGER NOT NULL, first INTEGER, judged_until INTEGER,
        PRIMARY KEY (model, version, profile_id, role, name, "check")
    ) WITHOUT ROWID""",
)

_ALERTED = (
    """CREATE TABLE alerts (
        fingerprint TEXT PRIMARY KEY, rule TEXT NOT NULL, model TEXT NOT NULL, state TEXT NOT NULL,
        severity TEXT NOT NULL, json TEXT NOT NULL
    ) WITHOUT ROWID""",
    # What of the alerts' book is of no single alert: one row.
    """CREATE TABLE alert_book (
        only INTEGER PRIMARY KEY CHECK (only = 1), at REAL, due TEXT NOT NULL, left_out INTEGER NOT NULL
    )""",
    """CREATE TABLE alert_events (
        number INTEGER PRIMARY KEY, at REAL NOT NULL, fingerprint TEXT NOT NULL, rule TEXT NOT NULL, model TEXT NOT NULL,
        before TEXT, after TEXT, json TEXT NOT NULL
    )""",
    "CREATE INDEX alert_events_by_model ON alert_events (model, number)",
    """CREATE TABLE silences (
        id TEXT PRIMARY KEY, matchers TEXT NOT NULL, author TEXT NOT NULL, reason TEXT NOT NULL,
        begins_at REAL NOT NULL, ends_at REAL NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE deliveries (
        notification TEXT NOT NULL, channel TEXT NOT NULL, model TEXT NOT NULL, decided_at REAL NOT NULL,
        result TEXT NOT NULL, tries INTEGER NOT NULL, at REAL NOT NULL, error TEXT NOT NULL, json TEXT NOT NULL,
        PRIMARY KEY (notification, channel)
    )""",
    "CREATE INDEX deliveries_by_time ON deliveries (decided_at)",
)

_WAITED = (
    "CREATE TABLE waiting_versions (model TEXT PRIMARY KEY, newer TEXT NOT NULL, since REAL NOT NULL) WITHOUT ROWID",
)

_SHARED = (
    # By server, that is by the counters that a server has while it lives: of several, each one's gaps can be seen.
    """CREATE TABLE watched (
        length_s INTEGER NOT NULL, start INTEGER NOT NULL, server TEXT NOT NULL, watched_s INTEGER NOT NULL,
        PRIMARY KEY (length_s, start, server)
    ) WITHOUT ROWID""",
    "INSERT INTO watched SELECT length_s, start, '', watched_s FROM watch",
    # From when to when a server was there, and the last of its monitors' transactions that is kept.
    """CREATE TABLE servers (
        server TEXT PRIMARY KEY, since INTEGER NOT NULL, until INTEGER NOT NULL, written TEXT NOT NULL
    ) WITHOUT ROWID""",
    """INSERT INTO servers SELECT '', known.since, known.until, ''
        FROM (SELECT min(start) AS since, max(start + length_s) AS until FROM watch) AS known
        WHERE known.since IS NOT NULL""",
    "DROP TABLE watch",
    "CREATE INDEX alert_events_by_alert ON alert_events (fingerprint, at)",
)

_LABELLED = (
    # Rows of answers, for as long as labels may come for them.
    """CREATE TABLE predictions (
        request_id TEXT NOT NULL, model TEXT NOT NULL, version TEXT NOT NULL, place INTEGER NOT NULL,
        rows INTEGER NOT NULL, variant TEXT NOT NULL, at REAL NOT NULL, prediction TEXT NOT NULL,
        score REAL, label TEXT, labelled_at REAL, weight REAL NOT NULL,
        PRIMARY KEY (request_id, model, place)
    ) WITHOUT ROWID""",
    "CREATE INDEX predictions_by_time ON predictions (at)",
    # Labels that came before their prediction did, or after it was given up; `rows` is 0 where any answer will do.
    """CREATE TABLE parked_labels (
        request_id TEXT NOT NULL, model TEXT NOT NULL, place INTEGER NOT NULL, rows INTEGER NOT NULL,
        at REAL NOT NULL, label TEXT NOT NULL, weight REAL NOT NULL,
        corrected INTEGER NOT NULL, duplicate INTEGER NOT NULL,
        PRIMARY KEY (request_id, model, place, rows)
    ) WITHOUT ROWID""",
    "CREATE INDEX parked_labels_by_time ON parked_labels (at)",
    """CREATE TABLE quality (
        model TEXT NOT NULL, version TEXT NOT NULL, variant TEXT NOT NULL,
        length_s INTEGER NOT NULL, start INTEGER NOT NULL, tally TEXT, labels TEXT NOT NULL,
        PRIMARY KEY (model, version, variant, length_s, start)
    )""",
    """CREATE TABLE quality_tasks (
        model TEXT NOT NULL, version TEXT NOT NULL, observed TEXT NOT NULL, chosen TEXT, looked_at INTEGER NOT NULL,
        last_label_at REAL, unreadable INTEGER NOT NULL, why TEXT NOT NULL,
        PRIMARY KEY (model, version)
    ) WITHOUT ROWID""",
)

_LED = (
    "CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, beat INTEGER NOT NULL, rank INTEGER NOT NULL)",
    "CREATE TABLE server_values (server TEXT PRIMARY KEY, at REAL NOT NULL, json TEXT NOT NULL)",
)

# The probability of each class by its name, as JSON.
_SCORED = ("ALTER TABLE predictions ADD COLUMN chances TEXT",)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_COUNTED, _ALERTED, _WAITED, _SHARED, _LABELLED, _LED, _SCORED)
