package models

import (
	"strconv"
	"strings"
)

// Severity is how much an event matters. The four words are the wire format
// of every door and of the database.
type Severity string

// The severities, from the least to the most severe.
const (
	SeverityInfo     Severity = "info"
	SeverityWarning  Severity = "warning"
	SeverityError    Severity = "error"
	SeverityCritical Severity = "critical"
)

// Severities lists all severities, the least severe first.
func Severities() []Severity {
	return []Severity{SeverityInfo, SeverityWarning, SeverityError, SeverityCritical}
}

// severityWords maps what real senders say to our four words: the syslog
// keywords and numbers of RFC 5424 section 6.2.1, and common spellings.
var severityWords = map[string]Severity{
	"info": SeverityInfo, "information": SeverityInfo, "informational": SeverityInfo,
	"notice": SeverityInfo, "debug": SeverityInfo, "trace": SeverityInfo, "ok": SeverityInfo,
	"warning": SeverityWarning, "warn": SeverityWarning,
	"error": SeverityError, "err": SeverityError,
	"critical": SeverityCritical, "crit": SeverityCritical, "alert": SeverityCritical,
	"emerg": SeverityCritical, "emergency": SeverityCritical, "panic": SeverityCritical, "fatal": SeverityCritical,
	"0": SeverityCritical, "1": SeverityCritical, "2": SeverityCritical,
	"3": SeverityError, "4": SeverityWarning, "5": SeverityInfo, "6": SeverityInfo, "7": SeverityInfo,
}

// ParseSeverity reads a sender's word or syslog number, in any case and with
// surrounding blanks; a number may be written as a float. The second result is false for an unknown word; the
// severity is then SeverityInfo, the default.
func ParseSeverity(word string) (Severity, bool) {
	// The four exact words are nearly all the traffic: no folding for them.
	switch s := Severity(word); s {
	case SeverityInfo, SeverityWarning, SeverityError, SeverityCritical:
		return s, true
	}
	word = strings.ToLower(strings.TrimSpace(word))
	if s, ok := severityWords[word]; ok {
		return s, true
	}
	if n, err := strconv.ParseFloat(word, 64); err == nil {
		if s, ok := severityWords[strconv.FormatFloat(n, 'f', -1, 64)]; ok {
			return s, true
		}
	}
	return SeverityInfo, false
}

// Valid reports whether s is one of the four severities.
func (s Severity) Valid() bool { return s.Rank() >= 0 }

// Rank orders severities: 0 for info to 3 for critical, -1 for anything else.
func (s Severity) Rank() int {
	switch s {
	case SeverityInfo:
		return 0
	case SeverityWarning:
		return 1
	case SeverityError:
		return 2
	case SeverityCritical:
		return 3
	}
	return -1
}

// Escalates reports whether an event of this severity must reach a person.
func (s Severity) Escalates() bool { return s == SeverityError || s == SeverityCritical }
