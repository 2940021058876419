-- Canaries: tries whether an event comes through the hub to a person.

-- +goose Up
CREATE TABLE canaries (
    id       INTEGER PRIMARY KEY,
    begun_at TEXT NOT NULL,
    ended_at TEXT,
    event_id INTEGER,
    stage    TEXT NOT NULL,
    detail   TEXT
);
