package store

import (
	"errors"
	"testing"

	"alerthub/models"
)

func TestUnavailable_TellsTheDatabasesOwnWords(t *testing.T) {
	err := unavailable("insert batch of 3", &rawError{what: "commit", message: "database or disk is full", code: 13})
	var worded interface{ Reason() string }
	if !errors.As(err, &worded) || worded.Reason() != "database or disk is full" {
		t.Errorf("%v has no words for people", err)
	}
	if !errors.Is(err, models.ErrUnavailable) {
		t.Errorf("%v is not ErrUnavailable", err)
	}
}
