-- People, their sessions, the keys of scripts and devices, who sends without
-- one, and what was done by whom.

-- +goose Up
CREATE TABLE users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT NOT NULL UNIQUE COLLATE NOCASE,
    role          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    password_at   TEXT NOT NULL,
    created_at    TEXT NOT NULL,
    disabled_at   TEXT,
    totp_secret   TEXT,
    totp_step     INTEGER NOT NULL DEFAULT 0,
    recovery      TEXT NOT NULL DEFAULT ''
);

CREATE TABLE sessions (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    token_hash TEXT NOT NULL UNIQUE,
    user_id    INTEGER NOT NULL REFERENCES users(id),
    begun_at   TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    address    TEXT NOT NULL,
    agent      TEXT NOT NULL,
    data       BLOB NOT NULL
);

CREATE TABLE api_keys (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    name           TEXT NOT NULL UNIQUE COLLATE NOCASE,
    hash           TEXT NOT NULL UNIQUE,
    hint           TEXT NOT NULL,
    scopes         TEXT NOT NULL,
    sources        TEXT NOT NULL,
    created_at     TEXT NOT NULL,
    created_by     TEXT NOT NULL,
    expires_at     TEXT,
    last_used_at   TEXT,
    last_used_from TEXT,
    revoked_at     TEXT
);

CREATE TABLE anonymous_senders (
    address     TEXT NOT NULL PRIMARY KEY,
    first_at    TEXT NOT NULL,
    last_at     TEXT NOT NULL,
    events      INTEGER NOT NULL,
    last_source TEXT NOT NULL
);

CREATE TABLE audit_log (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at TEXT NOT NULL,
    kind       TEXT NOT NULL,
    actor      TEXT NOT NULL,
    address    TEXT NOT NULL,
    action     TEXT NOT NULL,
    object     TEXT NOT NULL,
    detail     TEXT NOT NULL
);

-- +goose StatementBegin
CREATE TRIGGER audit_log_is_never_edited BEFORE UPDATE ON audit_log BEGIN
    SELECT raise(ABORT, 'the audit log is never edited');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER audit_log_is_never_deleted BEFORE DELETE ON audit_log BEGIN
    SELECT raise(ABORT, 'the audit log is never edited');
END;
-- +goose StatementEnd

-- INSERT OR REPLACE deletes without asking that trigger.
-- +goose StatementBegin
CREATE TRIGGER audit_log_is_never_replaced BEFORE INSERT ON audit_log
WHEN EXISTS (SELECT 1 FROM audit_log WHERE id = NEW.id) BEGIN
    SELECT raise(ABORT, 'the audit log is never edited');
END;
-- +goose StatementEnd
