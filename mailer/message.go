package mailer

import (
	"bytes"
	"fmt"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"
	"time"

	"alerthub/models"
)

// boundary separates the parts. Quoted-printable text cannot hold "=_"
// (RFC 2045, section 6.7), so no device can forge it, and a constant keeps a
// repeated mail the same to the byte.
const boundary = "=_alerthub"

// message is one mail to one recipient, ready for the server.
type message struct {
	from, to string // the envelope's addresses
	data     string // header and body, CRLF lines, seven bits
}

// compose writes the mail of n in its contact's language. publicURL is where
// the panel is found; "" leaves links out. It is pure: the same notice always
// gives the same bytes. Its errors are faults: a bad sender address concerns
// every mail, a bad recipient this one.
//
// The library has a composer too. It is not used because it rewrites
// src="cid:..." inside what a device said, leaves encoded words that a device
// wrote to be decoded, and orders the header at random.
func compose(from, publicURL string, n models.Notice) (message, error) {
	sender, err := mail.ParseAddress(from)
	if err != nil {
		return message{}, &models.Fault{Server: true, Words: models.Words(fmt.Sprintf("sender address %q: %v", from, err))}
	}
	recipient, err := mail.ParseAddress(n.Alert.Recipient)
	if err != nil {
		return message{}, &models.Fault{Permanent: true, Words: models.Words(fmt.Sprintf("recipient address %q: %v", n.Alert.Recipient, err))}
	}
	l := newLetter(publicURL, n)
	body, err := composeBody(l)
	if err != nil {
		return message{}, &models.Fault{Permanent: true, Words: models.Words(err.Error())}
	}
	domain := sender.Address[strings.LastIndexByte(sender.Address, '@')+1:]
	thread := threadID(domain, n)
	header := []string{
		// When the mail was ready to go: the row's birth, however late it goes.
		"Date: " + n.Alert.CreatedAt.UTC().Format(time.RFC1123Z),
		"From: " + foldAddress(sender),
		"To: " + foldAddress(recipient),
		fold("Subject: "+subjectStart(n, l.Severity.Severity), l.Subject),
		"Message-ID: " + messageID(domain, n.Alert),
		"In-Reply-To: " + thread,
		"References: " + thread,
		"Auto-Submitted: auto-generated", // RFC 3834: no out-of-office answers
		"MIME-Version: 1.0",
		"Content-Type: " + mime.FormatMediaType("multipart/alternative", map[string]string{"boundary": boundary}),
	}
	if l.Severity.Severity == models.SeverityCritical {
		// The first is RFC 2156's; the second is what many phones look at.
		header = append(header, "Importance: high", "X-Priority: 1")
	}
	return message{
		from: sender.Address, to: recipient.Address,
		data: strings.Join(header, "\r\n") + "\r\n\r\n" + string(body),
	}, nil
}

// composeBody writes the two alternatives, the richer one last (RFC 2046,
// section 5.1.4).
func composeBody(l *letter) ([]byte, error) {
	rich, err := l.rich()
	if err != nil {
		return nil, fmt.Errorf("write the HTML part: %w", err)
	}
	var body bytes.Buffer
	parts := multipart.NewWriter(&body)
	if err := parts.SetBoundary(boundary); err != nil {
		return nil, fmt.Errorf("set the boundary %q: %w", boundary, err)
	}
	for _, p := range []struct {
		kind string
		text []byte
	}{{"text/plain", l.plain()}, {"text/html", rich}} {
		w, err := parts.CreatePart(textproto.MIMEHeader{
			"Content-Type":              {p.kind + "; charset=utf-8"},
			"Content-Transfer-Encoding": {"quoted-printable"},
		})
		if err != nil {
			return nil, fmt.Errorf("open the part %s: %w", p.kind, err)
		}
		qp := quotedprintable.NewWriter(w)
		if _, err := qp.Write(p.text); err != nil {
			return nil, fmt.Errorf("write the part %s: %w", p.kind, err)
		}
		if err := qp.Close(); err != nil {
			return nil, fmt.Errorf("end the part %s: %w", p.kind, err)
		}
	}
	if err := parts.Close(); err != nil {
		return nil, fmt.Errorf("end the body: %w", err)
	}
	return body.Bytes(), nil
}
