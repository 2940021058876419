-- Digests, and the tries of every message. mail_id is the row whose message
-- tells of this one: its own id if it carries one. claimed_at and claim are of
-- rows that carry one: the limits of contacts are counted from them.

-- +goose Up
ALTER TABLE email_alerts ADD COLUMN mail_id INTEGER;
ALTER TABLE email_alerts ADD COLUMN claimed_at TEXT;
ALTER TABLE email_alerts ADD COLUMN claim TEXT;

-- What is pending, by whom it is for, in the order of ids; and what has ended,
-- in the order of ids. A row is in one of them: each more costs every
-- acknowledgement a page of the log.
DROP INDEX email_alerts_due;
CREATE INDEX email_alerts_pending ON email_alerts(channel, contact, recipient) WHERE status = 'pending';
CREATE INDEX email_alerts_ended ON email_alerts(status) WHERE status <> 'pending';
-- Messages that are under way, the one that is due first.
CREATE INDEX email_alerts_carrying ON email_alerts(channel, next_attempt_at) WHERE status = 'pending' AND mail_id = id;
CREATE INDEX email_alerts_mail ON email_alerts(mail_id) WHERE mail_id IS NOT NULL;
CREATE INDEX email_alerts_claimed ON email_alerts(claimed_at) WHERE claimed_at IS NOT NULL;

-- What a contact was told, newest first.
CREATE INDEX email_alerts_contact ON email_alerts(contact) WHERE contact IS NOT NULL;

CREATE TABLE attempts (
    alert_id        INTEGER NOT NULL,
    n               INTEGER NOT NULL,
    at              TEXT NOT NULL,
    status          TEXT NOT NULL,
    detail          TEXT,
    next_attempt_at TEXT,
    PRIMARY KEY (alert_id, n)
) WITHOUT ROWID;
