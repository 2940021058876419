// Package models is the domain: events, the emails that they cause, and the
// rules that hold for them whatever door they come through. It imports the
// standard library only, runs no goroutine, and knows neither the database
// nor any transport.
package models

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits on an event's texts, in characters (runes). Longer sources and
// messages are cut, longer keys refused.
const (
	MaxSource  = 80
	MaxMessage = 300
	MaxKey     = 128
)

// NoMessage stands in for an absent message.
const NoMessage = "(no message)"

// Event is one stored report of a device, script or person.
type Event struct {
	ID         int64     // ascending in commit order, never reused
	CreatedAt  time.Time // receive time, UTC, microseconds
	Source     string    // 1 to MaxSource characters
	Severity   Severity
	Message    string // 1 to MaxMessage characters
	Channel    Channel
	RawPayload string // what the sender sent, whole; "" when there is none
	Peer       string // the sender's IP address; "" when it is not known

	// Set once somebody has acknowledged the event; see Ack.
	AckedAt       time.Time
	AckedBy       string
	AckedPeer     string
	AckedVerified bool
}

// Acked reports whether somebody has acknowledged the event.
func (e *Event) Acked() bool { return !e.AckedAt.IsZero() }

// NeedsAck reports whether the event waits for a person: it is an error or
// critical, and nobody has acknowledged it.
func (e *Event) NeedsAck() bool { return e.Severity.Escalates() && !e.Acked() }

// Draft is an event as a transport hands it over: normalized, not yet stored.
// Make one with NewDraft.
type Draft struct {
	Source     string
	Severity   Severity
	Message    string
	Channel    Channel
	RawPayload string
	Peer       string   // the sender's IP address, without port
	Credential string   // what the sender proved itself by; "" for nothing
	Key        string   // idempotency key, unique per source; "" for none
	Truncated  []string // the fields that were cut: "source", "message"

	// Fingerprint tells a repeat from a conflict: 64 bits of a SHA-256 over
	// severity and the uncut message. Zero without a key.
	Fingerprint int64
}

// Input is what a sender said, before any rule was applied to it.
type Input struct {
	Source, Severity, Message, Key string

	Channel    Channel
	RawPayload string
	Peer       string
	Unnamed    string // the source when Source is blank; "" for Peer
	Credential string
}

// NewDraft applies the rules that hold at every door: defaults, severity
// aliases, cuts at whole characters, no control characters in what is shown
// (line feeds and tabs of a message stay; the rest becomes U+FFFD). The only
// error is a *FieldError for the key.
func NewDraft(in Input) (Draft, error) {
	d := Draft{Channel: in.Channel, RawPayload: in.RawPayload, Peer: in.Peer, Credential: in.Credential}
	d.Severity = SeverityInfo
	if in.Severity != "" {
		d.Severity, _ = ParseSeverity(in.Severity)
	}
	source := strings.TrimSpace(clean(in.Source, false))
	if source == "" {
		source = cmp.Or(in.Unnamed, in.Peer)
	}
	message := strings.TrimRightFunc(clean(in.Message, true), unicode.IsSpace)
	if strings.TrimSpace(message) == "" {
		message = NoMessage
	}
	var cut bool
	if d.Source, cut = truncate(source, MaxSource); cut {
		d.Truncated = append(d.Truncated, "source")
	}
	if d.Message, cut = truncate(message, MaxMessage); cut {
		d.Truncated = append(d.Truncated, "message")
	}
	if in.Key != "" {
		if err := checkKey(in.Key); err != nil {
			return Draft{}, err
		}
		d.Key = in.Key
		d.Fingerprint = fingerprint(d.Severity, message)
	}
	return d, nil
}

func checkKey(key string) error {
	if utf8.RuneCountInString(key) > MaxKey {
		return &FieldError{Field: "key", Reason: "longer than 128 characters"}
	}
	if strings.ContainsFunc(key, unicode.IsControl) {
		return &FieldError{Field: "key", Reason: "holds a control character"}
	}
	return nil
}

func fingerprint(severity Severity, message string) int64 {
	h := sha256.New()
	h.Write([]byte(severity))
	h.Write([]byte{0})
	h.Write([]byte(message))
	return int64(binary.BigEndian.Uint64(h.Sum(nil)))
}

// clean makes s valid UTF-8 and replaces control characters by U+FFFD, so
// that what was there stays visible; lines keeps line feeds and tabs.
func clean(s string, lines bool) string {
	control := func(r rune) bool {
		return unicode.IsControl(r) && !(lines && (r == '\n' || r == '\t'))
	}
	plain := true
	for i := 0; i < len(s); i++ {
		// The bytes of nearly all text: printable ASCII needs no more than this look.
		if s[i] < ' ' || s[i] >= 0x7f {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	if lines {
		s = strings.ReplaceAll(s, "\r\n", "\n")
	}
	return strings.Map(func(r rune) rune {
		if control(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

// truncate cuts s to at most limit characters and reports whether it did.
func truncate(s string, limit int) (string, bool) {
	if len(s) <= limit {
		return s, false
	}
	n := 0
	for i := range s {
		if n == limit {
			return s[:i], true
		}
		n++
	}
	return s, false
}

// TimeLayout is how times are stored and shown by the API: RFC 3339, UTC,
// always 27 bytes, so that text order is time order.
const TimeLayout = "2006-01-02T15:04:05.000000Z"

// FormatTime writes t in TimeLayout.
func FormatTime(t time.Time) string { return t.UTC().Format(TimeLayout) }

// ParseTime reads TimeLayout.
func ParseTime(s string) (time.Time, error) { return time.Parse(TimeLayout, s) }
