// Package webhook is the sender of notices by HTTP: it writes a notice in the
// form that the other side understands, posts it, and tells what became of it.
//
// It never decides what is sent or when to try again, never stores anything,
// never follows a redirect, never uses a proxy, and never connects to a
// private address that the operator did not list. No secret of a webhook is in
// what it returns.
//
// It runs no goroutine of its own. Those of net/http end with each try; a name
// lookup that nobody answers ends by the resolver's own limit.
package webhook

import (
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"alerthub/models"
)

// Config says how notices go out. Every zero value means what is beside it.
type Config struct {
	PublicURL string         // where people open the panel; "": messages hold no link
	Allow     []netip.Prefix // private addresses that may be targets; none
	RootCAs   *x509.CertPool // who may vouch for a target; nil: the system's

	AttemptTimeout time.Duration // the longest one try may take: 30 s
	Version        string        // of the program, told to the other side: "dev"

	Now func() time.Time // time.Now
}

// Sender delivers notices; safe for concurrent use. Make one with New.
type Sender struct {
	cfg       Config
	dialer    *net.Dialer
	transport *http.Transport
}

const (
	// maxHeader bounds the header of an answer, in bytes.
	maxHeader = 16 << 10
	// maxBody bounds what is read of the body of a refusal, in bytes.
	maxBody = 4 << 10
	// bodyTimeout bounds the wait for that body: it is only words.
	bodyTimeout = 2 * time.Second
)

// New makes a Sender.
func New(cfg Config) *Sender {
	if cfg.AttemptTimeout <= 0 {
		cfg.AttemptTimeout = 30 * time.Second
	}
	if cfg.Version == "" {
		cfg.Version = "dev"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.PublicURL = strings.TrimRight(cfg.PublicURL, "/")
	// The transport goes on dialing when a try has ended: the dial needs a bound of its own.
	dialer := &net.Dialer{Timeout: cfg.AttemptTimeout, ControlContext: newGuard(cfg.Allow).control}
	return &Sender{cfg: cfg, dialer: dialer, transport: &http.Transport{
		// A proxy would resolve names and connect where the guard cannot look.
		Proxy:       nil,
		DialContext: dialer.DialContext,

		TLSClientConfig:     tlsConfig(cfg.RootCAs),
		TLSHandshakeTimeout: cfg.AttemptTimeout,

		// Messages are minutes apart. On a kept connection that the other side
		// has ended meanwhile, nobody could tell whether a POST arrived.
		DisableKeepAlives: true,
		// What is read of an answer is bounded as it is, not unpacked.
		DisableCompression: true,

		MaxResponseHeaderBytes: maxHeader,
	}}
}

// Close ends connections that are not in use.
func (s *Sender) Close() { s.transport.CloseIdleConnections() }

// format is how the notices of a kind look.
type format struct {
	kind    string
	compose func(l letter, w models.Webhook, n models.Notice) (call, error)

	token tokenUse
	signs bool   // Secret signs the body
	url   string // where it goes when the webhook names no URL; "": it must
}

// tokenUse is what a kind does with a webhook's token.
type tokenUse int

const (
	noToken tokenUse = iota
	maybeToken
	needsToken
)

// call is one request, to be posted as JSON.
type call struct {
	url    string
	header http.Header // beside those of every request; nil for none
	body   any
}

// formats lists the kinds in the order in which they are shown.
func formats() []format {
	return []format{
		{kind: "generic", compose: composeGeneric, token: maybeToken, signs: true},
		{kind: "slack", compose: composeSlack},
		{kind: "teams", compose: composeTeams},
		{kind: "discord", compose: composeDiscord},
		{kind: "ntfy", compose: composeNtfy, token: maybeToken},
		{kind: "gotify", compose: composeGotify, token: needsToken},
		{kind: "pagerduty", compose: composePagerDuty, token: needsToken, url: pagerDutyURL},
	}
}

// find returns the format of a kind; false when there is none.
func find(kind string) (format, bool) {
	for _, f := range formats() {
		if f.kind == kind {
			return f, true
		}
	}
	return format{}, false
}

// Kinds lists what models.Webhook.Kind may be.
func Kinds() []string {
	var kinds []string
	for _, f := range formats() {
		kinds = append(kinds, f.kind)
	}
	return kinds
}
