// Package certs owns the certificates that the hub's doors show: it reads them
// from files, reads them again when the files change, gets one from an
// authority (ACME), and makes those of a lab. Only ACME opens connections and
// runs goroutines; of files, a handshake that comes after a change looks at
// them.
package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// lookEvery bounds how often handshakes look at the files.
const lookEvery = time.Second

// Pair is a certificate with its chain, and its key, in two PEM files. All
// methods may be called concurrently.
type Pair struct {
	certFile, keyFile string
	logger            *slog.Logger
	now               func() time.Time

	mu     sync.Mutex // also held while the files are read: handshakes wait for that
	cert   *tls.Certificate
	looked time.Time
	seen   [2]os.FileInfo // the files when they were last read; nil when they could not be asked
}

// Load reads a pair. Its error says what is wrong with which file, and holds
// nothing of the key. A certificate that is out of its time is taken, with a
// warning: a hub that tells of an outage is worth more than one that refuses
// to start in it. A nil logger discards.
func Load(certFile, keyFile string, logger *slog.Logger) (*Pair, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	p := &Pair{certFile: certFile, keyFile: keyFile, logger: logger, now: time.Now}
	p.looked, p.seen = p.now(), p.stat()
	cert, err := p.read()
	if err != nil {
		return nil, err
	}
	p.take(cert)
	return p, nil
}

// Config is how a server shows the pair: TLS 1.2 and up. Each has a copy of
// its own to change.
func (p *Pair) Config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.current(), nil },
	}
}

// Expires is when the certificate that is shown expires.
func (p *Pair) Expires() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cert.Leaf.NotAfter
}

// current is the certificate of the files, or the last good one.
func (p *Pair) current() *tls.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := p.now(); now.Sub(p.looked) >= lookEvery {
		p.looked = now
		p.look()
	}
	return p.cert
}

// look reads the files again if they changed. What cannot be used is told once
// for each change: files are often replaced one after the other. It must be
// called with mu held.
func (p *Pair) look() {
	// Before the reading: a change in between is seen the next time.
	found := p.stat()
	if same(found[0], p.seen[0]) && same(found[1], p.seen[1]) {
		return
	}
	p.seen = found
	cert, err := p.read()
	if err != nil {
		p.logger.Warn("the certificate files changed and cannot be used; the old certificate stays", "error", err)
		return
	}
	p.take(cert)
	p.logger.Info("certificate read again", "file", p.certFile, "expires", cert.Leaf.NotAfter)
}

// take shows cert from now on.
func (p *Pair) take(cert *tls.Certificate) {
	p.cert = cert
	if now := p.now(); now.After(cert.Leaf.NotAfter) || now.Before(cert.Leaf.NotBefore) {
		p.logger.Warn("the certificate is out of its time: most clients will refuse it",
			"file", p.certFile, "from", cert.Leaf.NotBefore, "expires", cert.Leaf.NotAfter)
	}
}

func (p *Pair) read() (*tls.Certificate, error) {
	certPEM, certErr := os.ReadFile(p.certFile)
	keyPEM, keyErr := os.ReadFile(p.keyFile)
	if err := errors.Join(certErr, keyErr); err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", p.certFile, p.keyFile, err)
	}
	return &cert, nil
}

func (p *Pair) stat() (found [2]os.FileInfo) {
	for i, file := range []string{p.certFile, p.keyFile} {
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
