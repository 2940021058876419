-- Imports of history. Rows of one that is still running are invisible to
-- every read; rows of a finished one keep its number.

-- +goose Up
ALTER TABLE events ADD COLUMN import_id INTEGER;
ALTER TABLE email_alerts ADD COLUMN import_id INTEGER;
CREATE INDEX events_import ON events(import_id) WHERE import_id IS NOT NULL;
CREATE INDEX email_alerts_import ON email_alerts(import_id) WHERE import_id IS NOT NULL;

-- No visible event has an id from reserved_after + 1 to reserved_to while the
-- import runs. indexed is 1 once the search index was told of a finished one.
CREATE TABLE imports (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    token            TEXT NOT NULL UNIQUE,
    name             TEXT NOT NULL,
    size             INTEGER NOT NULL,
    state            TEXT NOT NULL,
    started_at       TEXT NOT NULL,
    ended_at         TEXT,
    events           INTEGER NOT NULL,
    emails           INTEGER NOT NULL,
    oldest_at        TEXT,
    newest_at        TEXT,
    kept             INTEGER NOT NULL,
    renumbered       INTEGER NOT NULL,
    first_renumbered INTEGER NOT NULL,
    reserved_after   INTEGER NOT NULL,
    reserved_to      INTEGER NOT NULL,
    error            TEXT,
    indexed          INTEGER NOT NULL DEFAULT 0
);
