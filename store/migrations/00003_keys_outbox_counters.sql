-- Idempotency keys, the outbox's state, and the kept counters. Migration 2,
-- in Go, has given all older rows their fixed form before.

-- +goose Up
ALTER TABLE events ADD COLUMN idempotency_key TEXT;
ALTER TABLE events ADD COLUMN fingerprint INTEGER;
ALTER TABLE events ADD COLUMN peer TEXT;

ALTER TABLE email_alerts ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE email_alerts ADD COLUMN next_attempt_at TEXT;
ALTER TABLE email_alerts ADD COLUMN updated_at TEXT;

-- The only index that an acknowledgement waits for; it holds keyed events only.
CREATE UNIQUE INDEX events_key ON events(source, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- Next due: status, then time. Newest of a finished status: both columns equal, then id.
CREATE INDEX email_alerts_due ON email_alerts(status, next_attempt_at);
CREATE INDEX email_alerts_event ON email_alerts(event_id);

CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

-- The clock of migrations: what is still pending is due from its birth on.
UPDATE email_alerts SET next_attempt_at = created_at WHERE status = 'pending';

INSERT INTO counters SELECT 'events', count(*) FROM events;
INSERT INTO counters SELECT 'severity:' || severity, count(*) FROM events GROUP BY severity;
INSERT INTO counters SELECT 'channel:' || channel, count(*) FROM events GROUP BY channel;
INSERT INTO counters SELECT 'email:' || status, count(*) FROM email_alerts GROUP BY status;
