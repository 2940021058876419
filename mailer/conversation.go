package mailer

import (
	"bytes"
	"errors"
	"net"
)

// maxReplies bounds what a server may say while one session comes up or one
// mail is delivered, in bytes. The library reads lines of any length.
const maxReplies = 64 << 10

// maxHeard bounds what is remembered of one answer, in bytes.
const maxHeard = 1 << 10

var errTalkative = errors.New("the server says more than an SMTP server has to say")

// conversation is a connection as the library sees it. It follows what is
// said, because the library's errors do not tell at which command they arose
// and its success does not tell whether it logged in.
type conversation struct {
	net.Conn
	replay   string // read before anything of Conn
	budget   int    // bytes that may still be read
	stage    string // the last command, or what comes before the first
	loggedIn bool   // AUTH was said
	heard    []byte // the answer so far to what was written last
}

// Read reads from the replay, then from the server.
func (c *conversation) Read(p []byte) (int, error) {
	if c.replay != "" {
		n := copy(p, c.replay)
		c.replay = c.replay[n:]
		return n, nil
	}
	if c.budget <= 0 {
		return 0, errTalkative
	}
	n, err := c.Conn.Read(p[:min(len(p), c.budget)])
	c.budget -= n
	c.heard = append(c.heard, p[:min(n, maxHeard-len(c.heard))]...)
	return n, err
}

// Write passes p on and notes which command it is; the library writes one
// command at a time. After DATA come the lines of the mail, not commands. HELO
// counts as the EHLO that it stands in for.
func (c *conversation) Write(p []byte) (int, error) {
	c.heard = c.heard[:0]
	if c.stage != "DATA" {
		verb, _, _ := bytes.Cut(bytes.TrimRight(p, "\r\n"), []byte(" "))
		switch v := string(verb); v {
		case "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA":
			c.stage = v
			c.loggedIn = c.loggedIn || v == "AUTH"
		}
	}
	return c.Conn.Write(p)
}
