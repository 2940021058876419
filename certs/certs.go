// Package certs owns the certificates that the hub's doors show: it reads them
// from files, reads them again when the files change, gets one from an
// authority (ACME), and makes those of a lab. Only ACME opens connections and
// runs goroutines; of files, a handshake that comes after a change looks at
// them.
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// lookEvery bounds how often handshakes look at the files.
const lookEvery = time.Second

// Pair is a certificate with its chain, and its key, in two PEM files, and
// perhaps a third with the authorities of clients. All methods may be called
// concurrently.
type Pair struct {
	certFile, keyFile string
	clientFile        string // "" when clients show no certificate
	logger            *slog.Logger
	now               func() time.Time

	mu     sync.Mutex // also held while the files are read: handshakes wait for that
	held   held
	looked time.Time
	seen   [3]os.FileInfo // the files when they were last read; nil when they could not be asked
}

// held is what the files hold.
type held struct {
	cert        *tls.Certificate
	withClients *tls.Config // of a handshake in which clients may show certificates; nil for none
}

// Load reads a pair. With a third file, clients may show certificates that its
// authorities have signed: who shows another one is refused, who shows none is
// not. The error says what is wrong with which file, and holds
// nothing of the key. A certificate that is out of its time is taken, with a
// warning: a hub that tells of an outage is worth more than one that refuses
// to start in it. A nil logger discards.
func Load(certFile, keyFile, clientFile string, logger *slog.Logger) (*Pair, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	p := &Pair{certFile: certFile, keyFile: keyFile, clientFile: clientFile, logger: logger, now: time.Now}
	p.looked, p.seen = p.now(), p.stat()
	held, err := p.read()
	if err != nil {
		return nil, err
	}
	p.take(held)
	return p, nil
}

// Config is how a server shows the pair: TLS 1.2 and up. Each has a copy of
// its own to change.
func (p *Pair) Config() *tls.Config {
	cfg := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.current().cert, nil },
	}
	if p.clientFile != "" {
		cfg.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return p.current().withClients, nil }
	}
	return cfg
}

// Expires is when the certificate that is shown expires.
func (p *Pair) Expires() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held.cert.Leaf.NotAfter
}

// current is what the files hold, or what they held when it was last good.
func (p *Pair) current() held {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := p.now(); now.Sub(p.looked) >= lookEvery {
		p.looked = now
		p.look()
	}
	return p.held
}

// look reads the files again if they changed. What cannot be used is told once
// for each change: files are often replaced one after the other. It must be
// called with mu held.
func (p *Pair) look() {
	// Before the reading: a change in between is seen the next time.
	found := p.stat()
	if same(found[0], p.seen[0]) && same(found[1], p.seen[1]) && same(found[2], p.seen[2]) {
		return
	}
	p.seen = found
	held, err := p.read()
	if err != nil {
		p.logger.Warn("the certificate files changed and cannot be used; the old certificate stays", "error", err)
		return
	}
	p.take(held)
	p.logger.Info("certificate read again", "file", p.certFile, "expires", held.cert.Leaf.NotAfter)
}

// take shows what is held from now on.
func (p *Pair) take(held held) {
	p.held = held
	cert := held.cert
	if now := p.now(); now.After(cert.Leaf.NotAfter) || now.Before(cert.Leaf.NotBefore) {
		p.logger.Warn("the certificate is out of its time: most clients will refuse it",
			"file", p.certFile, "from", cert.Leaf.NotBefore, "expires", cert.Leaf.NotAfter)
	}
}

func (p *Pair) read() (held, error) {
	certPEM, certErr := os.ReadFile(p.certFile)
	keyPEM, keyErr := os.ReadFile(p.keyFile)
	var clientPEM []byte
	var clientErr error
	if p.clientFile != "" {
		clientPEM, clientErr = os.ReadFile(p.clientFile)
	}
	if err := errors.Join(certErr, keyErr, clientErr); err != nil {
		return held{}, err
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return held{}, fmt.Errorf("certificate %s with key %s: %w", p.certFile, p.keyFile, err)
	}
	if p.clientFile == "" {
		return held{cert: &cert}, nil
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(clientPEM) {
		return held{}, fmt.Errorf("%s holds no PEM certificate", p.clientFile)
	}
	return held{&cert, &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert},
		ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: authorities,
	}}, nil
}

func (p *Pair) stat() (found [3]os.FileInfo) {
	for i, file := range []string{p.certFile, p.keyFile, p.clientFile} {
		if info, err := os.Stat(file); err == nil {
			found[i] = info
		}
	}
	return found
}

// same reports whether a file is as it was.
func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
