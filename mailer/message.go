package mailer

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"html/template"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"alerthub/i18n"
	"alerthub/models"
)

// subjectForm is the same in every language, for filters that look at it: the
// severity; the source follows.
const subjectForm = "[NetworkAlertHub] Alert %s:"

// boundary separates the parts. Quoted-printable text cannot hold "=_"
// (RFC 2045, section 6.7), so no device can forge it, and a constant keeps a
// repeated mail the same to the byte.
const boundary = "=_alerthub"

// message is one mail to one recipient, ready for the server.
type message struct {
	from, to string // the envelope's addresses
	data     string // header and body, CRLF lines, seven bits
}

// compose writes the mail about due in a language. It is pure: the same row
// always gives the same bytes. Its errors are faults: a bad sender address concerns every
// mail, a bad recipient this one.
//
// The library has a composer too. It is not used because it rewrites
// src="cid:..." inside what a device said, leaves encoded words that a device
// wrote to be decoded, and orders the header at random.
func compose(from string, due models.DueAlert, lang i18n.Lang) (message, error) {
	sender, err := mail.ParseAddress(from)
	if err != nil {
		return message{}, &fault{server: true, words: tidy(fmt.Sprintf("sender address %q: %v", from, err))}
	}
	recipient, err := mail.ParseAddress(due.Alert.Recipient)
	if err != nil {
		return message{}, &fault{permanent: true, words: tidy(fmt.Sprintf("recipient address %q: %v", due.Alert.Recipient, err))}
	}
	body, err := composeBody(due.Event, lang)
	if err != nil {
		return message{}, &fault{permanent: true, words: tidy(err.Error())}
	}
	severity := strings.ToUpper(oneLine(string(due.Event.Severity)))
	var b strings.Builder
	for _, h := range [][2]string{
		// When the mail was ready to go: the row's birth, however late it goes.
		{"Date", due.Alert.CreatedAt.UTC().Format(time.RFC1123Z)},
		{"From", sender.String()},
		{"To", recipient.String()},
		{"Subject", fmt.Sprintf(subjectForm, severity) + headerText(oneLine(due.Event.Source))},
		{"Message-ID", messageID(sender.Address, due.Alert)},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834: no out-of-office answers
		{"MIME-Version", "1.0"},
		{"Content-Type", mime.FormatMediaType("multipart/alternative", map[string]string{"boundary": boundary})},
	} {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("\r\n")
	b.Write(body)
	return message{from: sender.Address, to: recipient.Address, data: b.String()}, nil
}

// messageID names the row, so that a repeat after a crash is recognisable. The
// time tells it from the same number of another database.
func messageID(sender string, a models.EmailAlert) string {
	domain := sender[strings.LastIndexByte(sender, '@')+1:]
	return fmt.Sprintf("<alert-%d.%d@%s>", a.ID, a.CreatedAt.UnixMicro(), domain)
}

// row is one line of the body.
type row struct{ Label, Value string }

var page = template.Must(template.New("mail").Parse(`<!DOCTYPE html>
<html lang="{{.Lang}}">
<head><meta charset="utf-8"><title>{{.Intro}}</title></head>
<body>
<p>{{.Intro}}</p>
<table>
{{range .Rows}}<tr><th scope="row" align="left" valign="top">{{.Label}}</th><td style="white-space: pre-wrap">{{.Value}}</td></tr>
{{end}}</table>
</body>
</html>
`))

// composeBody writes the two alternatives, the richer one last (RFC 2046,
// section 5.1.4).
func composeBody(e models.Event, lang i18n.Lang) ([]byte, error) {
	ctx := i18n.WithLang(context.Background(), lang)
	intro := i18n.T(ctx, "letter.intro")
	rows := []row{
		{i18n.T(ctx, "col.event"), strconv.FormatInt(e.ID, 10)},
		{i18n.T(ctx, "letter.date"), e.CreatedAt.UTC().Format("2006-01-02 15:04:05 UTC")},
		{i18n.T(ctx, "col.source"), oneLine(e.Source)},
		{i18n.T(ctx, "col.severity"), strings.ToUpper(oneLine(string(e.Severity)))},
		{i18n.T(ctx, "col.message"), manyLines(e.Message)},
	}
	var plain, rich, body bytes.Buffer
	plain.WriteString(intro + "\n\n")
	// The message ends the text: whatever lines it holds, none can pass for a
	// line of ours that comes after it.
	facts, last := rows[:len(rows)-1], rows[len(rows)-1]
	width := 0
	for _, r := range facts {
		width = max(width, utf8.RuneCountInString(r.Label)+1)
	}
	for _, r := range facts {
		fmt.Fprintf(&plain, "%-*s %s\n", width, r.Label+":", r.Value)
	}
	fmt.Fprintf(&plain, "\n%s:\n%s\n", last.Label, last.Value)
	if err := page.Execute(&rich, struct {
		Lang  i18n.Lang
		Intro string
		Rows  []row
	}{lang, intro, rows}); err != nil {
		return nil, fmt.Errorf("write the HTML part: %w", err)
	}
	parts := multipart.NewWriter(&body)
	if err := parts.SetBoundary(boundary); err != nil {
		return nil, fmt.Errorf("set the boundary %q: %w", boundary, err)
	}
	for _, p := range []struct {
		kind string
		text []byte
	}{{"text/plain", plain.Bytes()}, {"text/html", rich.Bytes()}} {
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

// oneLine makes s valid UTF-8 without control characters. Events are so since
// they entered; a mail does not rely on it.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

// manyLines is oneLine for each line of s; tabs stay.
func manyLines(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return utf8.RuneError
		}
		return r
	}, strings.ReplaceAll(s, "\r\n", "\n"))
}

// headerText writes s, one line, as the end of a header field, with the space
// before it: as it is when every reader will show just that, else on lines of
// its own as encoded words (RFC 2047), of at most 45 bytes each.
func headerText(s string) string {
	if plainHeader(s) {
		return " " + s
	}
	var b strings.Builder
	for len(s) > 0 {
		n := min(len(s), 45)
		for n < len(s) && !utf8.RuneStart(s[n]) {
			n--
		}
		b.WriteString("\r\n =?utf-8?b?" + base64.StdEncoding.EncodeToString([]byte(s[:n])) + "?=")
		s = s[n:]
	}
	return b.String()
}

// plainHeader reports whether s survives unencoded: short printable ASCII,
// no blanks that unfolding would lose, nothing that looks like an encoded word.
func plainHeader(s string) bool {
	if len(s) > 80 || strings.Contains(s, "=?") || strings.Join(strings.Fields(s), " ") != s {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
