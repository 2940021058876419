// Package mailer delivers the outbox: it takes the alerts that are due, makes
// one mail of each, hands it to the SMTP server and records what became of it.
// It is the only importer of go-simple-mail.
//
// It never decides which event deserves a mail, never stores anything itself,
// and never sends a credential or a mail in clear unless ModeNone asks for it.
//
// It runs one goroutine, the caller of Worker.Run. That goroutine owns the
// connection to the server and all of the worker's state but the counters and
// the reason of a pause.
package mailer

import (
	"crypto/x509"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"alerthub/i18n"
)

// Mode is how the conversation with the server is protected.
type Mode string

// The modes. Anything else, the zero value too, is ModeSTARTTLS.
const (
	ModeSTARTTLS Mode = "starttls" // RFC 3207; a server that does not offer it gets nothing
	ModeTLS      Mode = "tls"      // TLS from the first byte, RFC 8314
	ModeNone     Mode = "none"     // all in clear, the password too
)

// Config says where mail goes and how patient the worker is. Host and From
// are needed; every other zero value means the default beside it.
type Config struct {
	Host     string
	Port     int    // 587
	User     string // none: a relay without login
	Password string
	From     string // an address, "Name <address>" too; also the envelope's sender
	TLS      Mode   // ModeSTARTTLS
	Helo     string // the name in EHLO: localhost

	// Language is the language of a contact; false for one that is not known
	// any more, whose emails are skipped. It is not asked about emails without a
	// contact, which are in English; nil knows nobody.
	Language func(contact string) (i18n.Lang, bool)

	// RootCAs are the authorities that may vouch for the server; nil means
	// the system's.
	RootCAs *x509.CertPool

	AttemptTimeout time.Duration // the longest one attempt may take: 30 s
	MaxAge         time.Duration // of a row, after which it fails: 24 h

	// What concerns one message is tried again after waits that double from
	// RetryMin (10 s) to RetryMax (15 min); each is cut at random by up to half.
	RetryMin, RetryMax time.Duration
	// What concerns the server pauses everything, for waits that double from
	// PauseMin (5 s) to PauseMax (5 min), cut in the same way.
	PauseMin, PauseMax time.Duration

	Logger *slog.Logger     // silence
	Now    func() time.Time // time.Now
	Rand   func() float64   // from 0 to below 1: rand.Float64
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	if c.Port == 0 {
		c.Port = 587
	}
	if c.Helo == "" || strings.ContainsFunc(c.Helo, notInName) {
		c.Helo = "localhost"
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.AttemptTimeout, 30 * time.Second},
		{&c.MaxAge, 24 * time.Hour},
		{&c.RetryMin, 10 * time.Second},
		{&c.RetryMax, 15 * time.Minute},
		{&c.PauseMin, 5 * time.Second},
		{&c.PauseMax, 5 * time.Minute},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if c.Language == nil {
		c.Language = func(string) (i18n.Lang, bool) { return i18n.English, false }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Float64
	}
	return c
}

// notInName reports what cannot stand in a host name or address literal, so
// that a name never becomes a second command.
func notInName(r rune) bool {
	return r <= ' ' || r >= 0x7f
}
