package models

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// MaxName bounds the name of a person, in characters.
const MaxName = 40

// Ack is somebody's word that an event is taken care of.
type Ack struct {
	By       string    // the name of who is signed in or of an API key, or one that was typed
	Verified bool      // it was not typed
	Peer     string    // the IP address that it came from
	At       time.Time // UTC
}

// CleanName is a typed name as it is kept: one line, without blanks around
// it. The error is a *FieldError for "by".
func CleanName(typed string) (string, error) {
	name, reason := cleanName(typed)
	if reason != "" {
		return "", &FieldError{Field: "by", Reason: reason}
	}
	return name, nil
}

// cleanName is CleanName with nothing but the reason why a name cannot be.
func cleanName(typed string) (name, reason string) {
	name = strings.TrimSpace(clean(strings.TrimSpace(typed), false))
	switch {
	case name == "":
		return "", "is missing"
	case utf8.RuneCountInString(name) > MaxName:
		return "", "longer than 40 characters"
	case !strings.ContainsFunc(name, unicode.IsGraphic):
		return "", "shows nothing"
	}
	return name, ""
}

// Attention is what waits for a person.
type Attention struct {
	Critical, Errors int64   // how many events nobody has acknowledged
	Events           []Event // the newest of them: criticals, then errors
}
