-- Whether the name in acked_by is that of a signed-in person or of a key.

-- +goose Up
ALTER TABLE events ADD COLUMN acked_verified INTEGER NOT NULL DEFAULT 0;
