package models

import (
	"path"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// KeyPrefix begins the printed form of every API key, so that people and
// scanners of repositories know one when they see it.
const KeyPrefix = "nah_"

// Limits on keys.
const (
	MaxKeyName    = MaxName
	MaxKeySources = 32
)

// Key is what is known of an API key. The secret itself is its holder's.
type Key struct {
	ID           int64
	Name         string   // unique, whatever its case, among revoked keys too
	Hint         string   // how the secret begins, to tell keys apart
	Scopes       []Scope  // at least one
	Sources      []string // globs of the sources that it may speak as; none for any
	CreatedAt    time.Time
	CreatedBy    string    // who made it
	ExpiresAt    time.Time // zero for never
	LastUsedAt   time.Time // zero while it was not used
	LastUsedFrom string    // IP address
	RevokedAt    time.Time // zero while it is good
}

// Usable reports whether k is good at a time.
func (k *Key) Usable(now time.Time) bool {
	return k.RevokedAt.IsZero() && (k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt))
}

// Ingests reports whether k may hand in events.
func (k *Key) Ingests() bool {
	return Actor{Kind: ActorKey, Scopes: k.Scopes}.May(PermitIngest)
}

// KeyUse is when and from where a key was used last.
type KeyUse struct {
	ID   int64
	At   time.Time
	From string // IP address
}

// KeyDraft is what somebody asks of a new key.
type KeyDraft struct {
	Name      string
	Scopes    []Scope
	Sources   []string
	ExpiresAt time.Time // zero for never
}

// Clean is d as it is kept. The error is a *FieldError.
func (d KeyDraft) Clean(now time.Time) (KeyDraft, error) {
	name, reason := cleanName(d.Name)
	if reason != "" {
		return d, &FieldError{Field: "name", Reason: reason}
	}
	d.Name = name
	if len(d.Scopes) == 0 {
		return d, &FieldError{Field: "scopes", Reason: "are missing: ingest, read or admin"}
	}
	for _, s := range d.Scopes {
		if !s.Valid() {
			return d, &FieldError{Field: "scopes", Reason: "must be of ingest, read and admin"}
		}
	}
	d.Scopes = slices.DeleteFunc(Scopes(), func(s Scope) bool { return !slices.Contains(d.Scopes, s) })
	if reason := wrongSources(d.Sources); reason != "" {
		return d, &FieldError{Field: "sources", Reason: reason}
	}
	if len(d.Sources) > 0 && !slices.Equal(d.Scopes, []Scope{ScopeIngest}) {
		// What they bind is how the key speaks, not what it reads or changes.
		return d, &FieldError{Field: "sources", Reason: "bind only a key whose one scope is ingest"}
	}
	d.Sources = slices.Clone(d.Sources)
	if !d.ExpiresAt.IsZero() {
		if d.ExpiresAt = d.ExpiresAt.UTC().Truncate(time.Microsecond); !d.ExpiresAt.After(now) {
			return d, &FieldError{Field: "expires_at", Reason: "is over already"}
		}
	}
	return d, nil
}

// wrongSources says what is wrong with the globs of a key; "" for nothing.
func wrongSources(globs []string) string {
	if len(globs) > MaxKeySources {
		return "are more than 32"
	}
	for _, glob := range globs {
		switch _, err := path.Match(glob, ""); {
		case err != nil || strings.TrimSpace(glob) != glob || glob == "":
			return "must be patterns such as ups-*"
		case utf8.RuneCountInString(glob) > MaxSource || !utf8.ValidString(glob) || strings.ContainsFunc(glob, unicode.IsControl):
			return "must be patterns of at most 80 characters"
		}
	}
	return ""
}

// Source is how a speaks when it names no source: as the one that it is bound
// to, else by its address.
func (a Actor) Source(address string) string {
	if len(a.Sources) == 1 && !strings.ContainsAny(a.Sources[0], GlobSigns) {
		return a.Sources[0]
	}
	return address
}

// SpeaksAs reports whether a may hand in events of a source.
func (a Actor) SpeaksAs(source string) bool {
	return len(a.Sources) == 0 || slices.ContainsFunc(a.Sources, func(glob string) bool { return Glob(glob, source) })
}
