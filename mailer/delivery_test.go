package mailer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"alerthub/models"
)

// backend is a real SMTP server's store of mails.
type backend struct {
	mu       sync.Mutex
	password string // wanted of hub-user; "" for no login
	conns    map[*smtp.Conn]bool
	received []received
}

type received struct {
	from, to, data string
	login, secure  bool
}

func (b *backend) NewSession(c *smtp.Conn) (smtp.Session, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conns[c] = true
	return &backendSession{b: b, conn: c}, nil
}

type backendSession struct {
	b    *backend
	conn *smtp.Conn
	now  received
}

func (s *backendSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *backendSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		s.b.mu.Lock()
		defer s.b.mu.Unlock()
		if user != "hub-user" || password != s.b.password {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "bad credentials"}
		}
		s.now.login = true
		return nil
	}), nil
}

func (s *backendSession) Mail(from string, _ *smtp.MailOptions) error {
	if s.b.password != "" && !s.now.login {
		return smtp.ErrAuthRequired
	}
	s.now.from = from
	return nil
}

func (s *backendSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(to, "nobody@") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	}
	s.now.to = to
	return nil
}

func (s *backendSession) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	_, s.now.secure = s.conn.TLSConnectionState()
	s.now.data = string(data)
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.b.received = append(s.b.received, s.now)
	return nil
}

func (s *backendSession) Reset()        {}
func (s *backendSession) Logout() error { return nil }

// serveReal runs a go-smtp server and returns the sender's way to it.
func serveReal(t *testing.T, b *backend, mode Mode) Config {
	t.Helper()
	server := smtp.NewServer(b)
	server.Domain, server.AllowInsecureAuth = "mail.example.net", mode == ModeNone
	server.ErrorLog = silent{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	var roots *x509.CertPool
	if mode != ModeNone {
		var cert *tls.Certificate
		cert, roots = certificate(t, nil)
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*cert}}
		if mode == ModeTLS {
			l = tls.NewListener(l, server.TLSConfig)
		}
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-done; err != nil && !errors.Is(err, smtp.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return Config{
		Host: "127.0.0.1", Port: port, From: "hub@example.net", User: "hub-user", Password: "s3cret-word",
		TLS: mode, RootCAs: roots,
	}
}

type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

// mailTo is a notice for an address.
func mailTo(id int64, to, source, text string) models.Notice {
	n := due(source, text)
	n.Alert.ID, n.Alert.Recipient = id, to
	return n
}

// asked sends a notice with the time that one attempt has.
func asked(t *testing.T, s *Sender, n models.Notice) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return s.Send(ctx, n)
}

func TestSender_DeliversToARealServer(t *testing.T) {
	for name, c := range map[string]struct {
		mode  Mode
		login bool
	}{
		"STARTTLS and login": {ModeSTARTTLS, true}, "TLS and login": {ModeTLS, true},
		"clear and login": {ModeNone, true}, "clear relay": {ModeNone, false}, "STARTTLS relay": {ModeSTARTTLS, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := &backend{conns: map[*smtp.Conn]bool{}}
			cfg := serveReal(t, b, c.mode)
			if c.login {
				b.password = cfg.Password
			} else {
				cfg.User, cfg.Password = "", ""
			}
			notices := []models.Notice{
				mailTo(1, "ops@example.net", "core-sw-1", "uplink down"),
				mailTo(2, "nobody@example.net", "core-sw-1", "uplink down"),
				mailTo(3, "Night Shift <night@example.net>", "Añasco", ".\r\n.\r\nQUIT\r\n"),
			}
			s := New(cfg)
			defer s.Close()
			for i, want := range []string{"250 2.0.0 OK: queued", "", "250 2.0.0 OK: queued"} {
				words, err := asked(t, s, notices[i])
				if words != want || (want == "") != (err != nil) {
					t.Errorf("mail %d: %q, %v", i+1, words, err)
				}
				if f := new(models.Fault); want == "" && (!errors.As(err, &f) || !f.Permanent || f.Server || f.Words != "RCPT: 550 5.1.1 no such user") {
					t.Errorf("to nobody: %+v", err)
				}
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			if len(b.received) != 2 || len(b.conns) != 2 {
				t.Fatalf("%d mails over %d connections, want 2 over 2", len(b.received), len(b.conns))
			}
			for i, to := range []string{"ops@example.net", "night@example.net"} {
				r := b.received[i]
				if r.from != "hub@example.net" || r.to != to || r.login != c.login || r.secure != (c.mode != ModeNone) {
					t.Errorf("received %+v", r)
				}
				want, err := compose(cfg.From, "", notices[2*i])
				if err != nil || r.data != want.data {
					t.Errorf("data %q, want %q (%v)", r.data, want.data, err)
				}
			}
			if p := parseMail(t, b.received[1].data); p.Subject != "[NetworkAlertHub] Alert CRITICAL: Añasco – . . QUIT" || !strings.Contains(p.Plain, "Message:\n    .\n    .\n    QUIT\n    \n") {
				t.Errorf("subject %q, text %q", p.Subject, p.Plain)
			}
		})
	}
}

func TestSender_OutlivesARotatedPassword(t *testing.T) {
	b := &backend{password: "another", conns: map[*smtp.Conn]bool{}}
	cfg := serveReal(t, b, ModeSTARTTLS)
	s := New(cfg)
	defer s.Close()
	n := mailTo(1, "ops@example.net", "core-sw-1", "uplink down")
	for range 3 {
		var f *models.Fault
		if _, err := asked(t, s, n); !errors.As(err, &f) || !f.Server || f.Words != "AUTH: 535 5.7.8 bad credentials" {
			t.Fatalf("with a wrong password: %+v", err)
		}
	}
	b.mu.Lock()
	b.password = cfg.Password
	b.mu.Unlock()
	if words, err := asked(t, s, n); err != nil {
		t.Errorf("with the right one: %q, %v", words, err)
	}
}

// What a server took without the hub learning of it is sent again, and is the
// same mail to the byte.
func TestSender_RepeatIsRecognisable(t *testing.T) {
	cert, roots := certificate(t, nil)
	server := (&scripted{cert: cert, steps: map[string]string{".": stall}}).listen(t)
	cfg := server.config(ModeSTARTTLS, roots)
	n := mailTo(1, "ops@example.net", "core-sw-1", "uplink down")
	ctx, cancel := context.WithCancel(t.Context())
	first := New(cfg)
	done := make(chan error, 1)
	go func() {
		_, err := first.Send(ctx, n)
		done <- err
	}()
	arrived(t, server, 1)
	begin := time.Now()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || time.Since(begin) > 2*time.Second {
		t.Errorf("cut after %v: %v", time.Since(begin), err)
	}
	first.Close()
	server.mu.Lock()
	server.steps = nil
	server.mu.Unlock()
	second := New(cfg)
	defer second.Close()
	if _, err := asked(t, second, n); err != nil {
		t.Error(err)
	}
	if _, _, mails, _ := server.seen(); len(mails) != 2 || mails[0] != mails[1] {
		t.Errorf("%d mails: %q", len(mails), mails)
	}
}

// arrived waits until s has n mails.
func arrived(t *testing.T, s *scripted, n int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if _, _, mails, _ := s.seen(); len(mails) >= n {
			return
		}
	}
	t.Fatalf("no %d mails within 10 s", n)
}

func TestSender_RefusesABadSenderAddressForAll(t *testing.T) {
	s := New(Config{From: "nobody"})
	var f *models.Fault
	if _, err := asked(t, s, due("core-sw-1", "uplink down")); !errors.As(err, &f) || !f.Server || !strings.Contains(f.Words, "sender address") {
		t.Errorf("%+v", err)
	}
}
