package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

const (
	// requestTimeout bounds one request to the authority.
	requestTimeout = 30 * time.Second
	// The waits after a certificate was refused double between these. Public
	// authorities take five failures an hour, and autocert answers from memory
	// for a minute.
	firstRetry = 2 * time.Minute
	lastRetry  = time.Hour
)

// LetsEncrypt is the directory of the public authority.
const LetsEncrypt = acme.LetsEncryptURL

// ACMEConfig says for which name a certificate is got, and from whom.
type ACMEConfig struct {
	Domain    string         // in ASCII
	Email     string         // where the authority may write to; "" for nowhere
	Directory string         // URL of the authority (RFC 8555 section 7.1.1)
	Roots     *x509.CertPool // whom its own certificate must be from; nil for the system's
	Dir       string         // keeps the account's key and the certificate, and is made if it is not there

	Logger *slog.Logger // nil discards
}

// ACME is a certificate that is got from an authority, and renewed a third of
// its time before it expires. The authority proves the name by a connection to
// the door that shows it (TLS-ALPN-01, RFC 8737). All methods may be called
// concurrently.
type ACME struct {
	domain  string
	logger  *slog.Logger
	manager *autocert.Manager
	got     atomic.Bool // once there is a certificate
}

// NewACME asks for nothing yet; Run does.
func NewACME(cfg ACMEConfig) *ACME {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.Roots}}
	return &ACME{
		domain: strings.ToLower(cfg.Domain), logger: cfg.Logger,
		manager: &autocert.Manager{
			Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(cfg.Dir), HostPolicy: autocert.HostWhitelist(cfg.Domain), Email: cfg.Email,
			Client: &acme.Client{DirectoryURL: cfg.Directory, HTTPClient: &http.Client{Transport: transport, Timeout: requestTimeout}, UserAgent: "alerthub"},
		},
	}
}

// Run gets the certificate, from the directory of files or from the authority,
// and tries again until it has one. It returns nil then, and ctx's error when
// that ends first. The door must be open before: the authority knocks at it.
func (a *ACME) Run(ctx context.Context) error {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		// autocert cannot be interrupted: at the end of the program, what is under
		// way ends with it.
		outcome := make(chan error, 1)
		go func() {
			_, err := a.current()
			outcome <- err
		}()
		select {
		case err := <-outcome:
			if err == nil {
				a.got.Store(true)
				a.logger.Info("certificate ready", "domain", a.domain, "expires", a.Expires())
				return nil
			}
			a.logger.Error("no certificate from the ACME directory; the panel cannot be reached until there is one", "domain", a.domain, "again_in", wait, "error", err)
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Config is how a server shows the certificate: TLS 1.2 and up, to those who
// ask for its name. Each has a copy of its own to change.
func (a *ACME) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: a.show, NextProtos: []string{acme.ALPNProto}}
}

// Expires is when the certificate expires; zero before there is one.
func (a *ACME) Expires() time.Time {
	if !a.got.Load() {
		return time.Time{}
	}
	cert, err := a.current()
	if err != nil {
		return time.Time{}
	}
	return cert.Leaf.NotAfter
}

var errNoCertificate = errors.New("there is no certificate yet")

// show answers a handshake. None of them makes the hub ask the authority for
// anything: whoever connects could use up what that allows.
func (a *ACME) show(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	switch name := strings.TrimSuffix(strings.ToLower(hello.ServerName), "."); {
	case name != a.domain:
		return nil, nil // the alert unrecognized_name, RFC 6066 section 3
	case len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acme.ALPNProto:
		return a.manager.GetCertificate(hello) // what the authority wants to see
	case !a.got.Load():
		return nil, errNoCertificate
	}
	return a.current()
}

// current is the certificate of now, always the same for all clients: one for
// those that know nothing newer than RSA would have to be asked for.
func (a *ACME) current() (*tls.Certificate, error) {
	return a.manager.GetCertificate(&tls.ClientHelloInfo{ServerName: a.domain, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}})
}
