package tcpingest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"time"

	"alerthub/models"
)

// tlsHandshake is the first byte of every TLS stream, RFC 8446 section 5.1.
const tlsHandshake = 0x16

// peeked is a connection whose first byte was looked at. Its reads are not
// concurrent: peek comes before the first.
type peeked struct {
	net.Conn
	first [1]byte
	held  bool // first is still to be read
}

func (p *peeked) peek() (byte, error) {
	n, err := p.Conn.Read(p.first[:])
	if n == 1 {
		p.held, err = true, nil
	}
	return p.first[0], err
}

// Read gives the first byte back.
func (p *peeked) Read(b []byte) (int, error) {
	if p.held && len(b) > 0 {
		p.held = false
		return copy(b, p.first[:]), nil
	}
	return p.Conn.Read(b)
}

// secure wraps the connection in TLS, which encrypt then speaks.
func (c *conn) secure(cfg *tls.Config) {
	c.peek = &peeked{Conn: c.raw}
	c.net = tls.Server(c.peek, cfg)
}

// encrypt does the handshake, within the time of a line. False means that the
// connection ends: who speaks plain text is told so in plain text, and nothing
// of it is read as an event.
func (c *conn) encrypt(ctx context.Context) bool {
	_ = c.raw.SetDeadline(time.Now().Add(c.srv.cfg.LineTimeout))
	if c.srv.closing.Load() {
		return false // as in armRead
	}
	first, err := c.peek.peek()
	if err != nil {
		return false
	}
	if first != tlsHandshake {
		refusal := refusalOf(errTLSRequired)
		c.srv.refused[refusal].Add(1)
		c.armWrite()
		if _, err := c.raw.Write(appendRefusal(nil, refusal, errTLSRequired)); err == nil {
			c.linger(c.raw)
		}
		return false
	}
	conn := c.net.(*tls.Conn)
	if err := conn.HandshakeContext(ctx); err != nil {
		c.srv.refused[refusalOf(errHandshake)].Add(1)
		c.srv.cfg.Logger.Debug("tcp: no TLS with this client", "peer", c.origin.Peer, "error", err)
		c.linger(c.raw) // the reason is on its way, and it may be sending already
		return false
	}
	if shown := conn.ConnectionState().PeerCertificates; len(shown) > 0 {
		c.admit(c.device(shown[0]))
	}
	return true
}

// device is who shows a certificate that was verified: the source of its first
// DNS name, or else of its common name, and no other. A name that stands for
// several, or cannot be a source, is nobody's.
func (c *conn) device(cert *x509.Certificate) models.Actor {
	name := cert.Subject.CommonName
	if len(cert.DNSNames) > 0 {
		name = cert.DNSNames[0]
	}
	d, err := models.NewDraft(models.Input{Source: name})
	if err != nil || name == "" || d.Source != name || strings.ContainsAny(name, models.GlobSigns) {
		return models.Actor{Kind: models.ActorNobody, Address: c.origin.Peer}
	}
	return models.Actor{Kind: models.ActorDevice, Name: name, Address: c.origin.Peer, Sources: []string{name}, Until: cert.NotAfter}
}
