// Package mailer sends notices as mails: it makes one mail of each and hands it
// to the SMTP server. It is the only importer of go-simple-mail.
//
// It never decides who is told of what, never stores anything, and never sends
// a credential or a mail in clear unless ModeNone asks for it. It runs no
// goroutine.
package mailer

import (
	"crypto/x509"
	"strings"
	"time"
)

// Mode is how the conversation with the server is protected.
type Mode string

// The modes. Anything else, the zero value too, is ModeSTARTTLS.
const (
	ModeSTARTTLS Mode = "starttls" // RFC 3207; a server that does not offer it gets nothing
	ModeTLS      Mode = "tls"      // TLS from the first byte, RFC 8314
	ModeNone     Mode = "none"     // all in clear, the password too
)

// Config says where mail goes. Host and From are needed; every other zero
// value means the default beside it.
type Config struct {
	Host     string
	Port     int    // 587
	User     string // none: a relay without login
	Password string
	From     string // an address, "Name <address>" too; also the envelope's sender
	TLS      Mode   // ModeSTARTTLS
	Helo     string // the name in EHLO: localhost

	// PublicURL is where people find the panel, for the links in mails:
	// https://alerts.example.net. Without it, mails have none.
	PublicURL string

	// RootCAs are the authorities that may vouch for the server; nil means
	// the system's.
	RootCAs *x509.CertPool

	AttemptTimeout time.Duration // what faults say of a deadline that has passed: 30 s
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	if c.Port == 0 {
		c.Port = 587
	}
	if c.Helo == "" || strings.ContainsFunc(c.Helo, notInName) {
		c.Helo = "localhost"
	}
	if c.AttemptTimeout <= 0 {
		c.AttemptTimeout = 30 * time.Second
	}
	return c
}

// notInName reports what cannot stand in a host name or address literal, so
// that a name never becomes a second command.
func notInName(r rune) bool {
	return r <= ' ' || r >= 0x7f
}
