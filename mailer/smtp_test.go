package mailer

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
)

// deliver sends one mail through a new sender and returns how long it took.
func deliver(t *testing.T, cfg Config) (words string, took time.Duration, err error) {
	t.Helper()
	s := New(cfg)
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), cfg.AttemptTimeout)
	defer cancel()
	words, err = s.send(ctx, mustCompose(t, due("core-sw-1", "uplink down")))
	took = time.Since(begin)
	s.Close()
	return words, took, err
}

// noSecrets fails when a credential or a mail crossed the wire in clear.
func noSecrets(t *testing.T, s *scripted) {
	t.Helper()
	wire, _, mails, _ := s.seen()
	for _, secret := range []string{
		"AUTH", "s3cret-word", "hub-user", "MAIL", "RCPT", "DATA", "core-sw-1",
		base64.StdEncoding.EncodeToString([]byte("s3cret-word")),
		base64.StdEncoding.EncodeToString([]byte("\x00hub-user\x00s3cret-word")),
		base64.StdEncoding.EncodeToString([]byte("hub-user")),
	} {
		if strings.Contains(wire, secret) {
			t.Errorf("%q crossed in clear: %q", secret, wire)
		}
	}
	if len(mails) > 0 {
		t.Errorf("%d mails arrived", len(mails))
	}
}

func TestSend_ClassesEveryFaultAtEveryStage(t *testing.T) {
	cert, roots := certificate(t, nil)
	const limit = 600 * time.Millisecond
	timeout := "no answer within 600ms"
	closed := "the server closed the connection"
	for _, stage := range []struct {
		name, words string
		server      bool
	}{
		{"greeting", "greeting", true}, {"EHLO", "EHLO", true}, {"STARTTLS", "STARTTLS", true},
		{"EHLO+TLS", "EHLO", true}, {"AUTH", "AUTH", true},
		{"MAIL", "MAIL", false}, {"RCPT", "RCPT", false}, {"DATA", "DATA", false}, {".", "DATA", false},
	} {
		for _, c := range []struct {
			name, reply, words string
			permanent, slow    bool
		}{
			{"4xx", "451 4.3.0 try later", "451 4.3.0 try later", false, false},
			{"421", "421 4.3.2 going down", "421 4.3.2 going down", false, false},
			{"5xx", "550-5.7.1 not\r\n550 5.7.1 wanted", "550 5.7.1 not 5.7.1 wanted", true, false},
			{"stall", stall, timeout, false, true},
			{"trickle", trickle, timeout, false, true},
			{"drop", drop, closed, false, false},
			{"flood", flood, "", false, false}, // the start of the line, or that there is too much of it
			{"nonsense", "hello there", `short response: "hello there"`, false, false},
		} {
			t.Run(stage.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				s := (&scripted{cert: cert, steps: map[string]string{stage.name: c.reply}}).listen(t)
				cfg := s.config(ModeSTARTTLS, roots)
				if c.slow {
					cfg.AttemptTimeout = limit
				}
				_, took, err := deliver(t, cfg)
				f := asFault(t, err)
				if n := utf8.RuneCountInString(f.Words); n > models.MaxWords+1 {
					t.Errorf("%d characters of words", n)
				}
				if f.Server != stage.server || f.Permanent != (c.permanent && !stage.server) {
					t.Errorf("fault %+v", f)
				}
				if !strings.HasPrefix(f.Words, stage.words+": ") ||
					!strings.HasSuffix(f.Words, c.words) && !strings.HasSuffix(f.Words, "broken pipe") && !strings.HasSuffix(f.Words, "connection reset by peer") {
					t.Errorf("words %q, want %q", f.Words, stage.words+": "+c.words)
				}
				// A flood is stopped by its size, not by the limit of 5 s.
				if c.slow && took < limit || took > 4*time.Second {
					t.Errorf("took %v, limit %v", took, cfg.AttemptTimeout)
				}
				if _, _, mails, _ := s.seen(); stage.name != "." && len(mails) > 0 {
					t.Errorf("mail delivered")
				}
				noClear(t, s)
			})
		}
	}
}

// noClear is noSecrets for sessions that may deliver under TLS.
func noClear(t *testing.T, s *scripted) {
	t.Helper()
	wire, _, _, _ := s.seen()
	for _, secret := range []string{"AUTH", "MAIL", "RCPT", "core-sw-1"} {
		if strings.Contains(wire, secret) {
			t.Errorf("%q crossed in clear", secret)
		}
	}
}

func TestSend_GivesNothingToAServerThatCannotBeTrusted(t *testing.T) {
	good, roots := certificate(t, nil)
	wrongName, wrongRoots := certificate(t, func(c *x509.Certificate) {
		c.IPAddresses, c.DNSNames = nil, []string{"other.example.net"}
	})
	expired, expiredRoots := certificate(t, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-time.Hour)
	})
	_, strangers := certificate(t, nil)
	for name, c := range map[string]struct {
		server *scripted
		roots  *x509.CertPool
		words  string
	}{
		"no STARTTLS":          {&scripted{cert: good, offers: "AUTH PLAIN LOGIN"}, roots, "does not offer STARTTLS; nothing was sent"},
		"STARTTLS as a name":   {&scripted{cert: good, steps: map[string]string{"EHLO": "250-STARTTLS\r\n250 AUTH PLAIN"}}, roots, "does not offer STARTTLS"},
		"STARTTLS refused":     {&scripted{cert: good, steps: map[string]string{"STARTTLS": "454 4.7.0 TLS not available"}}, roots, "454 4.7.0"},
		"bytes before TLS":     {&scripted{cert: good, steps: map[string]string{"STARTTLS": "220 go\r\n250-mail\r\n250 AUTH PLAIN"}}, roots, "more before TLS began; nothing was sent"},
		"unknown authority":    {&scripted{cert: good}, strangers, "unknown authority"},
		"system authorities":   {&scripted{cert: good}, nil, "unknown authority"},
		"wrong host name":      {&scripted{cert: wrongName}, wrongRoots, "127.0.0.1"},
		"expired":              {&scripted{cert: expired}, expiredRoots, "expired"},
		"TLS: unknown":         {&scripted{cert: good, implicit: true}, strangers, "unknown authority"},
		"TLS: wrong host name": {&scripted{cert: wrongName, implicit: true}, wrongRoots, "127.0.0.1"},
		"TLS: expired":         {&scripted{cert: expired, implicit: true}, expiredRoots, "expired"},
		"TLS: plain server":    {&scripted{cert: good}, roots, "TLS: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := c.server.listen(t)
			mode := ModeSTARTTLS
			if strings.HasPrefix(name, "TLS:") {
				mode = ModeTLS
			}
			_, _, err := deliver(t, s.config(mode, c.roots))
			f := asFault(t, err)
			if !f.Server || !strings.Contains(f.Words, c.words) {
				t.Errorf("fault %+v, want words %q", f, c.words)
			}
			noSecrets(t, s)
		})
	}
}

func TestSend_NeedsTheLoginItIsConfiguredFor(t *testing.T) {
	cert, roots := certificate(t, nil)
	for name, offers := range map[string]string{"none": "SIZE 1000", "unknown": "AUTH XOAUTH2", "HELO only": ""} {
		t.Run(name, func(t *testing.T) {
			s := &scripted{cert: cert, secure: offers}
			if offers == "" {
				s.steps = map[string]string{"EHLO+TLS": "250 plain old server"}
			}
			s.listen(t)
			_, _, err := deliver(t, s.config(ModeSTARTTLS, roots))
			if f := asFault(t, err); !f.Server {
				t.Errorf("fault %+v", f)
			}
			_, commands, mails, _ := s.seen()
			if len(mails) > 0 || slices.ContainsFunc(commands, func(c string) bool { return strings.HasPrefix(c, "MAIL") }) {
				t.Errorf("sent without a login: %q", commands)
			}
		})
	}
}

func TestSend_SpeaksInOrderAndReportsTheQueueID(t *testing.T) {
	cert, roots := certificate(t, nil)
	plain := base64.StdEncoding.EncodeToString([]byte("\x00hub-user\x00s3cret-word"))
	tail := []string{"MAIL FROM:<hub@example.net> BODY=8BITMIME SIZE=", "RCPT TO:<ops@example.net>", "DATA", "QUIT"}
	for mode, want := range map[Mode][]string{
		ModeSTARTTLS: append([]string{"EHLO localhost", "STARTTLS", "EHLO localhost", "AUTH PLAIN " + plain}, tail...),
		ModeTLS:      append([]string{"EHLO localhost", "AUTH PLAIN " + plain}, tail...),
		"":           append([]string{"EHLO localhost", "STARTTLS", "EHLO localhost", "AUTH PLAIN " + plain}, tail...),
	} {
		t.Run(string(mode), func(t *testing.T) {
			s := (&scripted{cert: cert, implicit: mode == ModeTLS}).listen(t)
			words, _, err := deliver(t, s.config(mode, roots))
			if err != nil || words != "250 2.0.0 queued as 4711" {
				t.Fatalf("words %q, error %v", words, err)
			}
			_, commands, mails, _ := s.seen()
			for i := range commands {
				if before, _, ok := strings.Cut(commands[i], "SIZE="); ok {
					commands[i] = before + "SIZE="
				}
			}
			if diff := cmp.Diff(want, commands); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{mustCompose(t, due("core-sw-1", "uplink down")).data}, mails); diff != "" {
				t.Errorf("mail (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSend_NeverRepeatsThePasswordInWords(t *testing.T) {
	cert, roots := certificate(t, nil)
	plain := base64.StdEncoding.EncodeToString([]byte("\x00hub-user\x00s3cret-word"))
	s := (&scripted{cert: cert, steps: map[string]string{"AUTH": "500 unknown command AUTH PLAIN " + plain}}).listen(t)
	_, _, err := deliver(t, s.config(ModeSTARTTLS, roots))
	if f := asFault(t, err); f.Words != "AUTH: 500 unknown command AUTH PLAIN ***" {
		t.Errorf("words %q", f.Words)
	}
}

func TestSend_TellsARefusedConnectionApart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	_, _, err = deliver(t, Config{Host: "127.0.0.1", Port: port, From: "hub@example.net"}.withDefaults())
	if f := asFault(t, err); !f.Server || !strings.Contains(f.Words, "connection refused") {
		t.Errorf("fault %+v", f)
	}
}

func TestSend_EndsWithItsContext(t *testing.T) {
	cert, roots := certificate(t, nil)
	for _, stage := range []string{"greeting", "EHLO", "EHLO+TLS", "AUTH", "MAIL", "DATA", "."} {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			s := (&scripted{cert: cert, steps: map[string]string{stage: stall}}).listen(t)
			sender := New(s.config(ModeSTARTTLS, roots))
			ctx, cancel := context.WithCancel(t.Context())
			timer := time.AfterFunc(100*time.Millisecond, cancel)
			defer timer.Stop()
			begin := time.Now()
			_, err := sender.send(ctx, mustCompose(t, due("a", "b")))
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			if took := time.Since(begin); took > 2*time.Second {
				t.Errorf("took %v", took)
			}
			if sender.session != nil {
				t.Error("the session outlives its attempt")
			}
		})
	}
}

func TestClose_DoesNotWaitForAServerThatWillNotPart(t *testing.T) {
	cert, roots := certificate(t, nil)
	s := (&scripted{cert: cert, steps: map[string]string{"QUIT": stall}}).listen(t)
	begin := time.Now()
	if words, _, err := deliver(t, s.config(ModeSTARTTLS, roots)); err != nil {
		t.Fatalf("words %q, error %v", words, err)
	}
	if took := time.Since(begin); took > quitTimeout+2*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestSend_KeepsItsSessionAndSurvivesTheEndOfIt(t *testing.T) {
	cert, roots := certificate(t, nil)
	s := (&scripted{cert: cert, perConn: 3}).listen(t)
	sender := New(s.config(ModeSTARTTLS, roots))
	for range 7 {
		if _, err := sender.send(t.Context(), mustCompose(t, due("a", "b"))); err != nil {
			t.Fatal(err)
		}
	}
	sender.Close()
	if _, _, mails, conns := s.seen(); len(mails) != 7 || conns != 3 {
		t.Errorf("%d mails over %d connections, want 7 over 3", len(mails), conns)
	}
}

func TestSend_RedialsWhenTheServerLeftBetweenMails(t *testing.T) {
	cert, roots := certificate(t, nil)
	s := (&scripted{cert: cert}).listen(t)
	sender := New(s.config(ModeSTARTTLS, roots))
	for range 3 {
		if _, err := sender.send(t.Context(), mustCompose(t, due("a", "b"))); err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		for _, c := range s.conns {
			c.Close()
		}
		s.mu.Unlock()
	}
	sender.Close()
	if _, _, mails, conns := s.seen(); len(mails) != 3 || conns != 3 {
		t.Errorf("%d mails over %d connections, want 3 over 3", len(mails), conns)
	}
}

func TestSend_NeverRepeatsAMailWithinAnAttempt(t *testing.T) {
	cert, roots := certificate(t, nil)
	s := (&scripted{cert: cert}).listen(t)
	sender := New(s.config(ModeSTARTTLS, roots))
	if _, err := sender.send(t.Context(), mustCompose(t, due("a", "b"))); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.steps = map[string]string{".": drop}
	s.mu.Unlock()
	_, err := sender.send(t.Context(), mustCompose(t, due("a", "b")))
	if f := asFault(t, err); f.Server || f.Permanent {
		t.Errorf("fault %+v", f)
	}
	if _, _, mails, conns := s.seen(); len(mails) != 2 || conns != 1 {
		t.Errorf("%d mails over %d connections, want 2 over 1", len(mails), conns)
	}
}
