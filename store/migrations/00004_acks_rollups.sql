-- Acknowledgements, and counts by time that no request has to count.

-- +goose Up
ALTER TABLE events ADD COLUMN acked_at TEXT;
ALTER TABLE events ADD COLUMN acked_by TEXT;
ALTER TABLE events ADD COLUMN acked_peer TEXT;

-- What waits for a person, in the order of ids: every index ends with the
-- rowid. The column says nothing, so that an insert always appends; one index
-- by severity would cost the insert more (docs/adr/0007). A query
-- must repeat both terms to be answered from it.
CREATE INDEX events_unacked_critical ON events(acked_at) WHERE severity = 'critical' AND acked_at IS NULL;
CREATE INDEX events_unacked_error ON events(acked_at) WHERE severity = 'error' AND acked_at IS NULL;

-- minute is in minutes since 1970, UTC; kind is '<severity>:<channel>' of
-- events, 'email:<status>' of emails by the minute of their birth. Minutes
-- older than 48 hours are folded into half-hours.
CREATE TABLE rollups (
    minute INTEGER NOT NULL,
    kind   TEXT NOT NULL,
    n      INTEGER NOT NULL,
    PRIMARY KEY (minute, kind)
) WITHOUT ROWID;

INSERT INTO rollups
SELECT iif(minute < (unixepoch('now') / 60 - 2880) / 30 * 30, minute / 30 * 30, minute), kind, sum(n) FROM (
    SELECT unixepoch(substr(created_at, 1, 16)) / 60 AS minute, severity || ':' || channel AS kind, count(*) AS n FROM events GROUP BY 1, 2
    UNION ALL
    SELECT unixepoch(substr(created_at, 1, 16)) / 60, 'email:' || status, count(*) FROM email_alerts GROUP BY 1, 2
) GROUP BY 1, 2;

INSERT INTO counters SELECT 'unacked:' || severity, count(*) FROM events WHERE severity IN ('error', 'critical') GROUP BY severity;
