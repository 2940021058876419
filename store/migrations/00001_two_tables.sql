-- The two tables of the domain. A database written by the first program of
-- this name already holds exactly these; there the statements do nothing.

-- +goose Up
CREATE TABLE IF NOT EXISTS events (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at  TEXT NOT NULL,
    source      TEXT NOT NULL,
    severity    TEXT NOT NULL,
    message     TEXT NOT NULL,
    channel     TEXT NOT NULL,
    raw_payload TEXT
);
CREATE TABLE IF NOT EXISTS email_alerts (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id   INTEGER NOT NULL REFERENCES events(id),
    created_at TEXT NOT NULL,
    recipient  TEXT,
    status     TEXT NOT NULL,
    detail     TEXT
);
