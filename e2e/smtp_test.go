package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// mailServer is an SMTP server with a certificate of its own authority. The
// functions answer for it; nil accepts.
type mailServer struct {
	Addr   string // host:port; the same after Stop and Start
	CAFile string

	t      testing.TB
	cert   tls.Certificate
	plain  bool // offers no STARTTLS, and login in clear
	server *smtp.Server
	served chan struct{}

	mu     sync.Mutex
	auth   func(user, password string) error
	rcpt   func(to string) error
	data   func(m receivedMail) error // called when the whole mail is here, before it is answered
	mails  []receivedMail             // all that were answered with 250, or cut while answered
	logins int
	spoken int // MAIL commands
}

// receivedMail is a mail as it arrived.
type receivedMail struct {
	From, To  string
	TLS       bool
	User      string
	Raw       []byte
	MessageID string
}

// newMailServer makes a server; Start starts it.
func newMailServer(t testing.TB, plain bool) *mailServer {
	t.Helper()
	m := &mailServer{t: t, plain: plain, Addr: fixedAddr(t), CAFile: filepath.Join(t.TempDir(), "ca.pem")}
	m.cert = m.makeCertificate()
	return m
}

// makeCertificate makes an authority, writes it to CAFile, and signs 127.0.0.1.
func (m *mailServer) makeCertificate() tls.Certificate {
	m.t.Helper()
	fatal := func(err error) {
		if err != nil {
			m.t.Fatal(err)
		}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	fatal(err)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	fatal(err)
	fatal(os.WriteFile(m.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), 0o600))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	fatal(err)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "mail.example.net"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	fatal(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Start listens; the server ends with the test.
func (m *mailServer) Start() {
	m.t.Helper()
	m.server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &mailSession{server: m, conn: c}, nil
	}))
	m.server.Domain = "mail.example.net"
	m.server.ErrorLog = log.New(io.Discard, "", 0)
	m.server.ReadTimeout, m.server.WriteTimeout = 20*time.Second, 20*time.Second
	m.server.AllowInsecureAuth = m.plain
	if !m.plain {
		m.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{m.cert}, MinVersion: tls.VersionTLS12}
	}
	var l net.Listener
	eventually(m.t, 5*time.Second, func() (err error) {
		l, err = net.Listen("tcp", m.Addr)
		return err
	})
	served := make(chan struct{})
	m.served = served
	go func() {
		defer close(served)
		_ = m.server.Serve(l) // ends with Close
	}()
	m.t.Cleanup(m.Stop)
}

// Stop closes the port and all connections.
func (m *mailServer) Stop() {
	_ = m.server.Close() // it may be closed already
	<-m.served
}

// Set changes how the server behaves.
func (m *mailServer) Set(change func(m *mailServer)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m)
}

// Mails are the mails that arrived so far.
func (m *mailServer) Mails() []receivedMail {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]receivedMail(nil), m.mails...)
}

// Settings make a hub use the server.
func (m *mailServer) Settings(to string, more ...string) []string {
	host, port, err := net.SplitHostPort(m.Addr)
	if err != nil {
		m.t.Fatal(err)
	}
	return append([]string{"SMTP_HOST=" + host, "SMTP_PORT=" + port, "SMTP_CA_FILE=" + m.CAFile,
		"SMTP_FROM=hub@example.net", "SMTP_TO=" + to}, more...)
}

// mailSession is one connection.
type mailSession struct {
	server   *mailServer
	conn     *smtp.Conn
	user     string
	from, to string
}

var _ smtp.AuthSession = (*mailSession)(nil)

func (s *mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		s.server.mu.Lock()
		check := s.server.auth
		s.server.logins++
		s.server.mu.Unlock()
		if check != nil {
			if err := check(user, password); err != nil {
				return err
			}
		}
		s.user = user
		return nil
	}), nil
}

func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.spoken++
	s.from = from
	return nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.server.mu.Lock()
	check := s.server.rcpt
	s.server.mu.Unlock()
	s.to = to
	if check != nil {
		return check(to)
	}
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m := receivedMail{From: s.from, To: s.to, User: s.user, Raw: raw}
	_, m.TLS = s.conn.TLSConnectionState()
	if parsed, err := mail.ReadMessage(bytes.NewReader(raw)); err == nil {
		m.MessageID = parsed.Header.Get("Message-ID")
	}
	s.server.mu.Lock()
	hook := s.server.data
	s.server.mu.Unlock()
	if hook != nil {
		if err := hook(m); err != nil {
			return err
		}
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.mails = append(s.server.mails, m)
	return nil
}

func (s *mailSession) Reset()        {}
func (s *mailSession) Logout() error { return nil }

// mailParts reads a mail: its header, and the text of its parts by type.
func mailParts(t testing.TB, raw []byte) (mail.Header, map[string]string) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("the mail cannot be read: %v\n%s", err, raw)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("content type %q: %v", m.Header.Get("Content-Type"), err)
	}
	parts := make(map[string]string)
	for reader := multipart.NewReader(m.Body, params["boundary"]); ; {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			return m.Header, parts
		}
		if err != nil {
			t.Fatalf("the mail's parts: %v\n%s", err, raw)
		}
		if encoding := part.Header.Get("Content-Transfer-Encoding"); encoding != "quoted-printable" {
			t.Fatalf("a part is encoded as %q", encoding)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatalf("a part of the mail: %v", err)
		}
		kind, _, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		parts[kind] = string(text)
	}
}
