-- A registry as schema 1 left it: .dump of a file in WAL mode. Never edit it: it stands for files that exist.
BEGIN TRANSACTION;
CREATE TABLE aliases (
        model_key INTEGER NOT NULL REFERENCES models ON DELETE CASCADE,
        alias TEXT NOT NULL,
        version INTEGER NOT NULL,
        PRIMARY KEY (model_key, alias),
        FOREIGN KEY (model_key, version) REFERENCES versions DEFERRABLE INITIALLY DEFERRED
    ) WITHOUT ROWID;
INSERT INTO "aliases" VALUES(1,'champion',2);
CREATE TABLE changes (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at_ms INTEGER NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        model_key INTEGER,
        model TEXT,
        version INTEGER,
        before TEXT,
        after TEXT
    );
INSERT INTO "changes" VALUES(1,1795208665305,'ann@desk/41','create',1,'fraud',NULL,NULL,'{"name": "fraud", "description": "", "tags": {}}');
INSERT INTO "changes" VALUES(2,1795208665305,'ann@desk/41','register',1,'fraud',1,'{"versions": {"1": null}}','{"versions": {"1": {"stage": "None", "digest": "sha256:0000000000000000000000000000000000000000000000000000000000000000", "source": "/models/fraud-0", "description": "it''s the n°0", "tags": {}}}}');
INSERT INTO "changes" VALUES(3,1795208666305,'ann@desk/41','register',1,'fraud',2,'{"versions": {"2": null}}','{"versions": {"2": {"stage": "None", "digest": "sha256:1111111111111111111111111111111111111111111111111111111111111111", "source": "/models/fraud-1", "description": "it''s the n°1", "tags": {}}}}');
INSERT INTO "changes" VALUES(4,1795208667305,'ann@desk/41','register',1,'fraud',3,'{"versions": {"3": null}}','{"versions": {"3": {"stage": "None", "digest": "sha256:2222222222222222222222222222222222222222222222222222222222222222", "source": "/models/fraud-2", "description": "it''s the n°2", "tags": {}}}}');
INSERT INTO "changes" VALUES(5,1795208668305,'ann@desk/41','transition',1,'fraud',1,'{"versions": {"1": {"stage": "None"}}}','{"versions": {"1": {"stage": "Production"}}}');
INSERT INTO "changes" VALUES(6,1795208669305,'ann@desk/41','transition',1,'fraud',2,'{"versions": {"2": {"stage": "None"}, "1": {"stage": "Production"}}}','{"versions": {"2": {"stage": "Production"}, "1": {"stage": "Archived"}}}');
INSERT INTO "changes" VALUES(7,1795208670305,'ann@desk/41','alias',1,'fraud',2,'{"aliases": {"champion": null}}','{"aliases": {"champion": 2}}');
INSERT INTO "changes" VALUES(8,1795208671305,'ann@desk/41','tag',1,'fraud',NULL,'{"tags": {"team": null}}','{"tags": {"team": "risk"}}');
INSERT INTO "changes" VALUES(9,1795208672305,'ann@desk/41','tag',1,'fraud',2,'{"versions": {"2": {"tags": {"data": null}}}}','{"versions": {"2": {"tags": {"data": "2026"}}}}');
INSERT INTO "changes" VALUES(10,1795208673305,'ann@desk/41','delete-version',1,'fraud',3,'{"versions": {"3": {"stage": "None", "digest": "sha256:2222222222222222222222222222222222222222222222222222222222222222", "source": "/models/fraud-2", "description": "it''s the n°2", "tags": {}}}}','{"versions": {"3": null}}');
INSERT INTO "changes" VALUES(11,1795208674305,'ann@desk/41','create',2,'churn',NULL,NULL,'{"name": "churn", "description": "", "tags": {}}');
INSERT INTO "changes" VALUES(12,1795208674305,'ann@desk/41','register',2,'churn',1,'{"versions": {"1": null}}','{"versions": {"1": {"stage": "None", "digest": "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "source": "/models/churn", "description": "", "tags": {}}}}');
INSERT INTO "changes" VALUES(13,1795208675305,'ann@desk/41','rename',2,'leavers',NULL,'{"name": "churn"}','{"name": "leavers"}');
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('registry_id','0123456789abcdef0123456789abcdef');
INSERT INTO "meta" VALUES('schema','1');
CREATE TABLE model_tags (
        model_key INTEGER NOT NULL REFERENCES models ON DELETE CASCADE,
        tag TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (model_key, tag)
    ) WITHOUT ROWID;
INSERT INTO "model_tags" VALUES(1,'team','risk');
CREATE TABLE models (
        key INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        description TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        updated_ms INTEGER NOT NULL
    );
INSERT INTO "models" VALUES(1,'fraud','',1795208665305,1795208673305);
INSERT INTO "models" VALUES(2,'leavers','',1795208674305,1795208675305);
CREATE TABLE numbers (name TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "numbers" VALUES('churn',1);
INSERT INTO "numbers" VALUES('fraud',3);
INSERT INTO "numbers" VALUES('leavers',1);
CREATE TABLE version_tags (
        model_key INTEGER NOT NULL,
        version INTEGER NOT NULL,
        tag TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (model_key, version, tag),
        FOREIGN KEY (model_key, version) REFERENCES versions ON DELETE CASCADE
    ) WITHOUT ROWID;
INSERT INTO "version_tags" VALUES(1,2,'data','2026');
CREATE TABLE versions (
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
    ) WITHOUT ROWID;
INSERT INTO "versions" VALUES(1,1,'Archived','sha256:0000000000000000000000000000000000000000000000000000000000000000','/models/fraud-0','it''s the n°0',1795208665305,1795208669305,'ann@desk/41');
INSERT INTO "versions" VALUES(1,2,'Production','sha256:1111111111111111111111111111111111111111111111111111111111111111','/models/fraud-1','it''s the n°1',1795208666305,1795208672305,'ann@desk/41');
INSERT INTO "versions" VALUES(2,1,'None','sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','/models/churn','',1795208674305,1795208674305,'ann@desk/41');
CREATE INDEX changes_by_key ON changes (model_key);
CREATE INDEX changes_by_name ON changes (model);
CREATE TRIGGER changes_are_not_edited BEFORE UPDATE ON changes
        BEGIN SELECT RAISE(ABORT, 'the change record is append-only'); END;
CREATE TRIGGER changes_are_not_deleted BEFORE DELETE ON changes
        BEGIN SELECT RAISE(ABORT, 'the change record is append-only'); END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('models',2);
INSERT INTO "sqlite_sequence" VALUES('changes',13);
COMMIT;
