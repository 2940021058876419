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

	"alerthub/i18n"
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

// serveReal runs a go-smtp server and returns the worker's way to it.
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
		TLS: mode, RootCAs: roots, Logger: logger(t),
		PauseMin: 20 * time.Millisecond, PauseMax: 100 * time.Millisecond,
	}
}

type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

// next waits for an outcome.
func next(t *testing.T, o *memory) models.AlertUpdate {
	t.Helper()
	select {
	case u := <-o.finished:
		return u
	case <-time.After(10 * time.Second):
		t.Fatal("no outcome within 10 s")
		return models.AlertUpdate{}
	}
}

func TestWorker_DeliversToARealServer(t *testing.T) {
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
			o := newMemory()
			o.finished = make(chan models.AlertUpdate, 16)
			now := time.Now().UTC().Truncate(time.Microsecond)
			o.add(1, "ops@example.net", now)
			o.add(2, "nobody@example.net", now)
			o.add(3, "Night Shift <night@example.net>", now)
			o.rows[2].Event.Source, o.rows[2].Event.Message = "Añasco", ".\r\n.\r\nQUIT\r\n"
			w := New(o, cfg)
			stop := start(t, w)
			for id, want := range []models.AlertUpdate{
				{ID: 1, Status: models.EmailSent, Detail: "250 2.0.0 OK: queued"},
				{ID: 2, Status: models.EmailFailed, Detail: "RCPT: 550 5.1.1 no such user"},
				{ID: 3, Status: models.EmailSent, Detail: "250 2.0.0 OK: queued"},
			} {
				if u := next(t, o); u.ID != want.ID || u.Status != want.Status || u.Detail != want.Detail || u.Attempts != 1 {
					t.Errorf("outcome %d: %+v, want %+v", id+1, u, want)
				}
			}
			stop()
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
				want, err := compose(cfg.From, o.rows[2*i], i18n.English)
				if err != nil || r.data != want.data {
					t.Errorf("data %q, want %q (%v)", r.data, want.data, err)
				}
			}
			if p := parseMail(t, b.received[1].data); p.Subject != "[NetworkAlertHub] Alert CRITICAL: Añasco" || !strings.HasSuffix(p.Plain, "Message:\n.\n.\nQUIT\n\n") {
				t.Errorf("subject %q, text %q", p.Subject, p.Plain)
			}
			if w.SentOK() != 2 || w.SentFail() != 1 {
				t.Errorf("ok %d, fail %d", w.SentOK(), w.SentFail())
			}
		})
	}
}

func TestWorker_OutlivesARotatedPassword(t *testing.T) {
	b := &backend{password: "another", conns: map[*smtp.Conn]bool{}}
	cfg := serveReal(t, b, ModeSTARTTLS)
	o := newMemory()
	o.finished = make(chan models.AlertUpdate, 1000)
	o.add(1, "ops@example.net", time.Now())
	w := New(o, cfg)
	stop := start(t, w)
	for range 3 {
		if u := next(t, o); u.Status != models.EmailPending || u.Detail != "AUTH: 535 5.7.8 bad credentials" {
			t.Fatalf("outcome %+v", u)
		}
	}
	if got := w.Paused(); got != "AUTH: 535 5.7.8 bad credentials" {
		t.Errorf("paused %q", got)
	}
	b.mu.Lock()
	b.password = cfg.Password
	b.mu.Unlock()
	for {
		if u := next(t, o); u.Status == models.EmailSent {
			break
		}
	}
	stop()
	if w.Paused() != "" || w.SentFail() != 0 {
		t.Errorf("paused %q, fail %d", w.Paused(), w.SentFail())
	}
}

func TestWorker_RepeatAfterACrashIsRecognisable(t *testing.T) {
	cert, roots := certificate(t, nil)
	s := (&scripted{cert: cert, steps: map[string]string{".": stall}}).listen(t)
	cfg := s.config(ModeSTARTTLS, roots)
	cfg.Logger = logger(t)
	o := newMemory()
	o.finished = make(chan models.AlertUpdate, 16)
	o.add(1, "ops@example.net", time.Now().Truncate(time.Microsecond))
	stop := start(t, New(o, cfg))
	arrived(t, s, 1)
	begin := time.Now()
	stop() // the server has the mail, the hub does not know
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if a := o.row(t, 1); a.Status != models.EmailPending || a.Attempts != 0 {
		t.Errorf("row %+v", a)
	}
	s.mu.Lock()
	s.steps = nil
	s.mu.Unlock()
	start(t, New(o, cfg))
	if u := next(t, o); u.Status != models.EmailSent {
		t.Errorf("outcome %+v", u)
	}
	_, _, mails, _ := s.seen()
	if len(mails) != 2 || mails[0] != mails[1] {
		t.Errorf("%d mails: %q", len(mails), mails)
	}
}

// arrived waits until s has n mails.
func arrived(t *testing.T, s *scripted, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, _, mails, _ := s.seen(); len(mails) >= n {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("no %d mails within 10 s", n)
		}
	}
}

func TestWorker_StaysWithinBoundsUnderAStalledServer(t *testing.T) {
	// Two greylisted stalls must not hold a third mail back longer than their limits.
	cert, roots := certificate(t, nil)
	s := (&scripted{cert: cert, steps: map[string]string{"DATA": stall}}).listen(t)
	cfg := s.config(ModeSTARTTLS, roots)
	cfg.AttemptTimeout, cfg.Logger = 200*time.Millisecond, logger(t)
	o := newMemory()
	o.finished = make(chan models.AlertUpdate, 16)
	for id := range int64(3) {
		o.add(id+1, "ops@example.net", time.Now())
	}
	begin := time.Now()
	stop := start(t, New(o, cfg))
	for id := range int64(3) {
		if u := next(t, o); u.ID != id+1 || u.Status != models.EmailPending || u.Detail != "DATA: no answer within 200ms" || u.Attempts != 1 {
			t.Errorf("outcome %+v", u)
		}
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	stop()
}
