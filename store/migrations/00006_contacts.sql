-- Whom the routes named, and by which way the alert goes out. All rows so far
-- are mails to nobody's name.

-- +goose Up
ALTER TABLE email_alerts ADD COLUMN contact TEXT;
ALTER TABLE email_alerts ADD COLUMN channel TEXT NOT NULL DEFAULT 'email';
