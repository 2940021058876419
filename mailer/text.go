package mailer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what a mail shows, in columns: see cut. The domain's own are
// narrower; rows of an older database may exceed them.
const (
	maxSource       = 160
	maxMessage      = 2000
	maxSubject      = 60 // of the message in the subject
	maxDigestRows   = 20 // sources of a digest
	maxDigestSource = 50
	maxDigestLine   = 120 // of the message of one of a digest's newest events
)

// oneLine makes s valid UTF-8, without what breaks a line, controls a terminal
// or turns the direction of what stands beside it; U+FFFD shows where it was.
// Events lack most of it since they entered; a mail does not rely on it.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) || turns(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

// manyLines is oneLine for each line of s; tabs stay.
func manyLines(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return r
		case unicode.In(r, unicode.Zl, unicode.Zp):
			return '\n'
		case unicode.IsControl(r), turns(r):
			return utf8.RuneError
		}
		return r
	}, strings.ReplaceAll(s, "\r\n", "\n"))
}

// flat is the text of s on one line, with single blanks.
func flat(s string) string {
	return oneLine(strings.Join(strings.Fields(manyLines(s)), " "))
}

// turns reports the embeddings, overrides and isolates of the bidirectional
// algorithm (UAX 9). Letters need none of them to be written in their direction.
func turns(r rune) bool {
	return r >= '\u202A' && r <= '\u202E' || r >= '\u2066' && r <= '\u2069'
}

// cut shortens s to at most n columns, the last one "…" when something is
// missing. Characters of three bytes and more, which are wide or rare, take
// two, so that n columns are hardly more than 2n bytes. It cuts between
// characters, not between a letter and its accents.
func cut(s string, n int) string {
	columns, end := 0, 0 // end: where it can be cut to leave room for the mark
	joined := false      // the last character wants another one behind it
	for i, r := range s {
		if columns < n && !joined && !joins(r) {
			end = i
		}
		joined = r == '\u200D'
		if columns++; r >= 0x800 {
			columns++
		}
		if columns > n {
			return strings.TrimRight(s[:end], " ") + "…"
		}
	}
	return s
}

// joins reports what belongs to the character before it.
func joins(r rune) bool {
	return unicode.Is(unicode.M, r) || r == '\u200D' || r >= 0x1F3FB && r <= 0x1F3FF
}
