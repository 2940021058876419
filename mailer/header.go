package mailer

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/mail"
	"strings"
	"unicode/utf8"

	"alerthub/models"
)

const (
	// maxHeaderLine is how long a line of a header gets, in bytes. RFC 2047
	// allows 76 where an encoded word is.
	maxHeaderLine = 76
	// maxEncoded bounds what one encoded word holds, in bytes before encoding;
	// it may be 75 bytes long after it.
	maxEncoded = 45
)

// subjectStart is the same in every language, for filters that look at it.
func subjectStart(n models.Notice, s models.Severity) string {
	kind := "Alert"
	if n.Digest != nil {
		kind = "Digest"
	}
	return "[NetworkAlertHub] " + kind + " " + strings.ToUpper(string(s)) + ":"
}

// messageID names the row, so that a repeat after a crash is recognisable. The
// time tells it from the same number of another database.
func messageID(domain string, a models.EmailAlert) string {
	return fmt.Sprintf("<alert-%d.%d@%s>", a.ID, a.CreatedAt.UnixMicro(), domain)
}

// threadID names what a mail answers: a mail that nobody ever sent, the same
// for all mails about a source on a day (of UTC), and for all digests of a
// contact on a day. Readers gather what answers the same mail (RFC 5256).
func threadID(domain string, n models.Notice) string {
	of := "source\x00" + n.Event.Source
	if n.Digest != nil {
		of = "contact\x00" + n.Contact.Name
	}
	sum := sha256.Sum256([]byte(of))
	return fmt.Sprintf("<thread-%x.%s@%s>", sum[:8], n.Event.CreatedAt.UTC().Format("20060102"), domain)
}

// foldAddress writes an address whose encoded name may be long on lines of its own.
func foldAddress(a *mail.Address) string {
	return strings.ReplaceAll(a.String(), "?= ", "?=\r\n ")
}

// fold writes a header field that ends with text, one line without control
// characters: its words as they are when every reader will show just that,
// all others as encoded words (RFC 2047). Decoding gives back exactly text.
func fold(field, text string) string {
	if text == "" {
		return field
	}
	var b strings.Builder
	b.WriteString(field)
	width := len(field)
	put := func(word string) {
		if width+1+len(word) > maxHeaderLine {
			b.WriteString("\r\n")
			width = 0
		}
		b.WriteString(" " + word)
		width += 1 + len(word)
	}
	words := strings.Split(text, " ")
	for i := 0; i < len(words); {
		if plainWord(words, i) {
			put(words[i])
			i++
			continue
		}
		// The blanks between encoded words are no text: all of a run, with the
		// blanks in it, is encoded as one.
		end := i + 1
		for end < len(words) && !plainWord(words, end) {
			end++
		}
		for rest := strings.Join(words[i:end], " "); rest != ""; {
			n := min(len(rest), maxEncoded)
			for n < len(rest) && !utf8.RuneStart(rest[n]) {
				n--
			}
			put("=?utf-8?b?" + base64.StdEncoding.EncodeToString([]byte(rest[:n])) + "?=")
			rest = rest[n:]
		}
		i = end
	}
	return b.String()
}

// plainWord reports whether words[i] survives unencoded: printable ASCII that
// fits in a line, nothing that looks like an encoded word, and a single blank
// on either side, since unfolding would lose others.
func plainWord(words []string, i int) bool {
	w := words[i]
	if w == "" || len(w) > maxHeaderLine-1 || strings.Contains(w, "=?") ||
		i > 0 && words[i-1] == "" || i+1 < len(words) && words[i+1] == "" {
		return false
	}
	return !strings.ContainsFunc(w, func(r rune) bool { return r <= ' ' || r > '~' })
}
