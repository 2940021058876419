package mailer

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	mail "github.com/xhit/go-simple-mail/v2"

	"alerthub/models"
)

// quitTimeout bounds the farewell to a server that has nothing more to do.
const quitTimeout = time.Second

var (
	errNoSTARTTLS = errors.New("the server does not offer STARTTLS; nothing was sent")
	errInjected   = errors.New("the server sent more before TLS began; nothing was sent")
	errNoAUTH     = errors.New("the server does not offer a login, but a user is configured; nothing was sent")
)

// Sender delivers mails. It keeps its session with the server between them;
// not safe for concurrent use. Make one with New.
type Sender struct {
	cfg     Config
	redact  *strings.Replacer // hides the password in words that echo it
	session *session          // nil when there is none
}

// session is one connection on which the server is ready for a mail.
type session struct {
	raw    net.Conn // under TLS; closing it ends every call at once
	conn   *conversation
	client *mail.SMTPClient
}

// New makes a sender. It connects to nothing.
func New(cfg Config) *Sender {
	cfg = cfg.withDefaults()
	redact := strings.NewReplacer()
	if cfg.Password != "" {
		encode := base64.StdEncoding.EncodeToString
		redact = strings.NewReplacer(
			encode([]byte("\x00"+cfg.User+"\x00"+cfg.Password)), "***",
			encode([]byte(cfg.Password)), "***")
	}
	return &Sender{cfg: cfg, redact: redact}
}

// Send makes a mail of n, delivers it and returns the server's words of
// acceptance. It ends soon after ctx does, whatever the server does. Its error
// is a *models.Fault, or context.Canceled when ctx was cancelled.
func (s *Sender) Send(ctx context.Context, n models.Notice) (string, error) {
	m, err := compose(s.cfg.From, s.cfg.PublicURL, n)
	if err != nil {
		return "", err
	}
	return s.send(ctx, m)
}

// send delivers m and returns the server's words of acceptance. It ends soon
// after ctx does, whatever the server does. Its error is a *models.Fault, or
// context.Canceled when ctx was cancelled; a passed deadline is a fault.
func (s *Sender) send(ctx context.Context, m message) (string, error) {
	for {
		reused := s.session != nil
		if !reused {
			var err error
			if s.session, err = s.open(ctx); err != nil {
				return "", s.present(err)
			}
		}
		words, err := s.session.deliver(ctx, m)
		if err == nil {
			return models.Words(s.redact.Replace(words)), nil
		}
		stage := s.session.conn.stage
		s.drop(ctx, err)
		if reused && stage == "MAIL" && ctx.Err() == nil {
			// Servers end a session that was idle or long. Nothing of this mail
			// was sent yet: it deserves a session of its own.
			continue
		}
		return "", s.present(newFault(ctx, true, stage, s.cfg.AttemptTimeout, err))
	}
}

// Close ends the session, if there is one, politely.
func (s *Sender) Close() {
	if s.session != nil {
		s.session.quit(context.Background())
		s.session = nil
	}
}

// drop ends the session after err. A server that answered is told goodbye.
func (s *Sender) drop(ctx context.Context, err error) {
	var reply *textproto.Error
	if errors.As(err, &reply) {
		s.session.quit(ctx)
	}
	s.session.raw.Close()
	s.session = nil
}

// present makes the words of a fault fit for people.
func (s *Sender) present(err error) error {
	var f *models.Fault
	if errors.As(err, &f) {
		f.Words = models.Words(s.redact.Replace(f.Words))
	}
	return err
}

// open dials, protects the connection as the mode says, and logs in.
//
// The library's own dialing is not used: it goes on in clear when STARTTLS is
// not offered, knows no context, and its timeouts wait for what they guard.
func (s *Sender) open(ctx context.Context) (*session, error) {
	address := net.JoinHostPort(s.cfg.Host, strconv.Itoa(s.cfg.Port))
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, newFault(ctx, false, "connect to "+address, s.cfg.AttemptTimeout, err)
	}
	defer endWith(ctx, raw)()
	conn := &conversation{Conn: raw, stage: "greeting", budget: maxReplies}
	client, err := s.establish(ctx, raw, conn)
	if err != nil {
		raw.Close()
		return nil, newFault(ctx, false, conn.stage, s.cfg.AttemptTimeout, err)
	}
	return &session{raw: raw, conn: conn, client: client}, nil
}

// establish brings the session up on conn, a conversation over raw.
func (s *Sender) establish(ctx context.Context, raw net.Conn, conn *conversation) (*mail.SMTPClient, error) {
	switch s.cfg.TLS {
	case ModeNone:
	case ModeTLS:
		if err := s.protect(ctx, raw, conn); err != nil {
			return nil, err
		}
	default:
		if err := askForTLS(conn, s.cfg.Helo); err != nil {
			return nil, err
		}
		if err := s.protect(ctx, raw, conn); err != nil {
			return nil, err
		}
		// The server has greeted already; the library waits for it.
		conn.replay = "220 ready\r\n"
	}
	server := mail.NewSMTPClient()
	server.Host, server.Helo = s.cfg.Host, s.cfg.Helo
	server.Username, server.Password = s.cfg.User, s.cfg.Password
	server.CustomConn, server.Encryption = conn, mail.EncryptionNone
	// Its timeouts cannot end a stuck call, and leak the goroutine that waits.
	server.ConnectTimeout, server.SendTimeout = 0, 0
	client, err := server.Connect()
	if err != nil {
		return nil, err
	}
	if s.cfg.User != "" && !conn.loggedIn {
		return nil, errNoAUTH // where the library goes on without a login
	}
	return client, nil
}

// askForTLS speaks as far as the server's consent to STARTTLS.
func askForTLS(conn *conversation, helo string) error {
	text := textproto.NewConn(conn)
	if _, _, err := text.ReadResponse(220); err != nil {
		return err
	}
	if err := text.PrintfLine("EHLO %s", helo); err != nil {
		return err
	}
	_, offers, err := text.ReadResponse(250)
	if err != nil {
		return err
	}
	if !offersSTARTTLS(offers) {
		return errNoSTARTTLS
	}
	if err := text.PrintfLine("STARTTLS"); err != nil {
		return err
	}
	if _, _, err := text.ReadResponse(220); err != nil {
		return err
	}
	if text.R.Buffered() > 0 {
		// Taken for the answers of the protected session, they would be a
		// stranger's (CVE-2011-0411).
		return errInjected
	}
	return nil
}

// offersSTARTTLS looks through the lines after the first of an EHLO answer.
func offersSTARTTLS(answer string) bool {
	for i, line := range strings.Split(answer, "\n") {
		if i > 0 && strings.EqualFold(strings.TrimSpace(line), "STARTTLS") {
			return true
		}
	}
	return false
}

// protect puts TLS between raw and conn. The certificate must be valid for
// the configured host.
func (s *Sender) protect(ctx context.Context, raw net.Conn, conn *conversation) error {
	conn.stage = "TLS"
	secure := tls.Client(raw, &tls.Config{
		ServerName: s.cfg.Host,
		RootCAs:    s.cfg.RootCAs,
		MinVersion: tls.VersionTLS12,
	})
	if err := secure.HandshakeContext(ctx); err != nil {
		return err
	}
	conn.Conn, conn.stage = secure, "greeting"
	return nil
}

// deliver sends m and returns the server's answer to its last byte.
func (s *session) deliver(ctx context.Context, m message) (string, error) {
	defer endWith(ctx, s.raw)()
	s.conn.stage, s.conn.budget = "MAIL", maxReplies
	if err := mail.SendMessage(m.from, []string{m.to}, m.data, s.client); err != nil {
		return "", err
	}
	return string(s.conn.heard), nil
}

// quit says goodbye and closes, within quitTimeout and ctx.
func (s *session) quit(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, quitTimeout)
	defer cancel()
	defer endWith(ctx, s.raw)()
	// What a server answers to a farewell changes nothing.
	_ = s.client.Quit()
	s.raw.Close()
}

// endWith closes raw when ctx ends, until the returned function is called.
// Closing beats a deadline here: tls.Conn.Close sets one of its own.
func endWith(ctx context.Context, raw net.Conn) func() bool {
	return context.AfterFunc(ctx, func() { raw.Close() })
}
