package mailer

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// The actions of a scripted server beside its replies.
const (
	stall   = "!stall"   // reads on, says nothing
	drop    = "!drop"    // closes the connection
	trickle = "!trickle" // says a byte of an endless line now and then
	flood   = "!flood"   // says an endless line as fast as it can
)

// scripted is an SMTP server that behaves, except where steps says otherwise.
// The keys of steps are commands, "greeting", "EHLO+TLS" (the one after
// STARTTLS) and "." (the end of a mail); the values replies or actions.
type scripted struct {
	steps    map[string]string
	offers   string // of EHLO in clear, comma-separated
	secure   string // of EHLO under TLS
	cert     *tls.Certificate
	implicit bool // TLS from the first byte
	perConn  int  // mails before MAIL is answered 421 and the connection closed; 0 for any number

	listener net.Listener
	wg       sync.WaitGroup
	done     chan struct{}

	mu       sync.Mutex
	conns    []net.Conn
	wire     bytes.Buffer // every byte that arrived, as it was on the wire
	commands []string     // as understood
	mails    []string
}

// listen starts s on a free port.
func (s *scripted) listen(t *testing.T) *scripted {
	t.Helper()
	if s.offers == "" {
		s.offers = "STARTTLS,AUTH PLAIN LOGIN"
	}
	if s.secure == "" {
		s.secure = "AUTH PLAIN LOGIN,8BITMIME,SIZE 1000000"
	}
	var err error
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s.done = make(chan struct{})
	s.wg.Go(func() {
		for {
			conn, err := s.listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, conn)
			s.mu.Unlock()
			s.wg.Go(func() {
				defer conn.Close()
				s.serve(conn)
			})
		}
	})
	t.Cleanup(s.close)
	return s
}

func (s *scripted) close() {
	s.listener.Close()
	close(s.done)
	s.mu.Lock()
	for _, c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// config points a sender at s.
func (s *scripted) config(mode Mode, roots *x509.CertPool) Config {
	return Config{
		Host: "127.0.0.1", Port: s.listener.Addr().(*net.TCPAddr).Port, From: "hub@example.net",
		User: "hub-user", Password: "s3cret-word", TLS: mode, RootCAs: roots, AttemptTimeout: 5 * time.Second,
	}.withDefaults()
}

// recorder notes what arrives on the wire.
type recorder struct {
	net.Conn
	s *scripted
}

func (r recorder) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.s.mu.Lock()
	r.s.wire.Write(p[:n])
	r.s.mu.Unlock()
	return n, err
}

func (s *scripted) serve(raw net.Conn) {
	var conn net.Conn = recorder{raw, s}
	secure := false
	if s.implicit {
		if conn = s.handshake(conn); conn == nil {
			return
		}
		secure = true
	}
	in := bufio.NewReader(conn)
	mails := 0
	if !s.say(conn, "greeting", "220 mail.example.net ESMTP") {
		return
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		verb, _, _ := strings.Cut(line, " ")
		s.mu.Lock()
		s.commands = append(s.commands, line)
		s.mu.Unlock()
		reply := "250 2.0.0 ok"
		stage := verb
		switch verb {
		case "EHLO":
			offers := s.offers
			if secure {
				stage, offers = "EHLO+TLS", s.secure
			}
			reply = "250-mail.example.net\r\n250-" + strings.ReplaceAll(offers, ",", "\r\n250-") + "\r\n250 HELP"
		case "HELO":
			stage = "EHLO+TLS"
		case "STARTTLS":
			reply = "220 2.0.0 go ahead"
		case "AUTH":
			reply = "235 2.7.0 welcome"
		case "MAIL":
			if mails++; s.perConn > 0 && mails > s.perConn {
				io.WriteString(conn, "421 4.7.0 too many mails\r\n")
				return
			}
		case "DATA":
			reply = "354 go on"
		case "QUIT":
			reply = "221 2.0.0 bye"
		}
		if !s.say(conn, stage, reply) {
			return
		}
		switch {
		case verb == "STARTTLS" && strings.HasPrefix(s.step(stage, reply), "220"):
			if conn = s.handshake(conn); conn == nil {
				return
			}
			in, secure = bufio.NewReader(conn), true
		case verb == "DATA" && strings.HasPrefix(s.step(stage, reply), "354"):
			if !s.receive(in) || !s.say(conn, ".", "250 2.0.0 queued as 4711") {
				return
			}
		case verb == "QUIT":
			return
		}
	}
}

func (s *scripted) handshake(conn net.Conn) net.Conn {
	secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*s.cert}})
	if secure.Handshake() != nil {
		return nil
	}
	return secure
}

// receive reads the lines of a mail up to the final dot.
func (s *scripted) receive(in *bufio.Reader) bool {
	var b strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, b.String())
	return true
}

func (s *scripted) step(stage, standard string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.steps[stage]; ok {
		return r
	}
	return standard
}

// say answers at stage; false means that the conversation is over.
func (s *scripted) say(conn net.Conn, stage, standard string) bool {
	switch reply := s.step(stage, standard); reply {
	case stall:
		io.Copy(io.Discard, conn)
		return false
	case drop:
		return false
	case trickle:
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-s.done:
				return false
			}
			if _, err := io.WriteString(conn, "2"); err != nil {
				return false
			}
		}
	case flood:
		for {
			if _, err := conn.Write(bytes.Repeat([]byte("2"), 4096)); err != nil {
				return false
			}
		}
	default:
		_, err := io.WriteString(conn, reply+"\r\n")
		return err == nil
	}
}

// seen returns what arrived: the bytes on the wire, the commands, the mails
// and the number of connections.
func (s *scripted) seen() (wire string, commands, mails []string, conns int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wire.String(), append([]string(nil), s.commands...), append([]string(nil), s.mails...), len(s.conns)
}

// certificate makes an authority and a certificate of it for 127.0.0.1,
// changed as change says, and returns it with a pool of the authority.
func certificate(t *testing.T, change func(c *x509.Certificate)) (*tls.Certificate, *x509.CertPool) {
	t.Helper()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	authorityKey, authorityDER := sign(t, authority, authority, nil)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "mail"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(leaf)
	}
	key, der := sign(t, leaf, authority, authorityKey)
	parsed, err := x509.ParseCertificate(authorityDER)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func sign(t *testing.T, c, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if parentKey == nil {
		parentKey = key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}
