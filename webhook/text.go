package webhook

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// joiner is U+2060 WORD JOINER: it is not seen, breaks no line, and keeps
// what stands at its sides from being taken for one thing.
const joiner = "\u2060"

var www = regexp.MustCompile(`(?i)(www)\.`)

// plain makes what a device said a text that shows itself: valid UTF-8
// without control characters and without those that turn the direction of
// what follows (Unicode TR36, section 2.4), and without addresses that a
// reader would make links of. lines keeps line feeds and tabs; else they are
// blanks.
func plain(s string, lines bool) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case (r == '\n' || r == '\t') && lines:
			return r
		case r == '\n', r == '\t', r == '\u2028', r == '\u2029':
			return ' '
		case unicode.IsControl(r), r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
			return utf8.RuneError
		}
		return r
	}, strings.ReplaceAll(s, "\r\n", "\n"))
	s = strings.ReplaceAll(s, "://", ":"+joiner+"//")
	return www.ReplaceAllString(s, "${1}"+joiner+".")
}

// oneLine is plain without line feeds.
func oneLine(s string) string { return plain(s, false) }

// cut bounds s to n characters, the ellipsis of a cut included.
func cut(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// cutBytes bounds s to n bytes of whole characters, the ellipsis included.
func cutBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n -= len("…")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// units counts UTF-16 code units, the largest of the ways in which services
// count characters.
func units(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}

// escaped writes s by escape, character by character, within n units: what
// does not fit is cut between characters, never inside an escape, and ends
// with an ellipsis.
func escaped(s string, n int, escape func(rune) string) string {
	var b strings.Builder
	used, fits := 0, 0 // fits: how much of b leaves room for the ellipsis
	for _, r := range s {
		e := escape(r)
		if used += units(e); used > n {
			return b.String()[:fits] + "…"
		}
		b.WriteString(e)
		if used < n {
			fits = b.Len()
		}
	}
	return b.String()
}

// fit returns the first of lines, with a line feed after each, that stay
// within n units, and how many units are left.
func fit(lines []string, n int) (kept []string, left int) {
	for _, l := range lines {
		size := units(l) + 1
		if size > n {
			break
		}
		n -= size
		kept = append(kept, l)
	}
	return kept, n
}
