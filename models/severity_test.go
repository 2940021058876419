package models_test

import (
	"testing"

	"alerthub/models"
)

func TestParseSeverity(t *testing.T) {
	known := map[models.Severity][]string{
		models.SeverityInfo:     {"info", "INFO", " Notice ", "debug", "5", "6", "7"},
		models.SeverityWarning:  {"warning", "warn", "WARNING", "4"},
		models.SeverityError:    {"error", "err", "Err", "3", "3.0", " 3e0"},
		models.SeverityCritical: {"critical", "crit", "alert", "emerg", "Emergency", "0", "1", "2", "2.0"},
	}
	for want, words := range known {
		for _, word := range words {
			if got, ok := models.ParseSeverity(word); got != want || !ok {
				t.Errorf("ParseSeverity(%q) = %s, %v; want %s", word, got, ok, want)
			}
		}
	}
	for _, word := range []string{"", "spicy", "8", "-1", "2.5", "8.0", "nan", "grave"} {
		if got, ok := models.ParseSeverity(word); got != models.SeverityInfo || ok {
			t.Errorf("ParseSeverity(%q) = %s, %v; want info as the default", word, got, ok)
		}
	}
}

func TestSeverity_Order(t *testing.T) {
	for i, s := range models.Severities() {
		if s.Rank() != i || !s.Valid() {
			t.Errorf("%s has rank %d, want %d", s, s.Rank(), i)
		}
		if want := i >= 2; s.Escalates() != want {
			t.Errorf("%s escalates: %v, want %v", s, s.Escalates(), want)
		}
	}
	if unknown := models.Severity("spicy"); unknown.Valid() || unknown.Rank() != -1 || unknown.Escalates() {
		t.Errorf("an unknown severity is valid, ranked or escalates")
	}
}
