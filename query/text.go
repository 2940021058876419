package query

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// MaxTerms bounds the terms of a search; the rest is not looked for.
const MaxTerms = 8

// Terms is what a person's text asks for: an event must hold all Words, none
// of Not, and have the ID if there is one. Words are folded and never empty.
type Terms struct {
	Words, Not []string
	ID         int64 // 0 for none
	More       bool  // there were more than MaxTerms
}

// ParseText reads the text of a search. Blanks separate words; double quotes
// hold a phrase together; '-' before a word or phrase excludes it; '#' before
// a number asks for the event of that id (the first one: further ones are
// plain words). A quote that nothing closes holds to the end, as while it is
// being typed. A '-' or quotes around nothing stand for themselves.
func ParseText(text string) Terms {
	var terms Terms
	for n := 0; ; n++ {
		text = strings.TrimLeftFunc(text, unicode.IsSpace)
		if text == "" {
			return terms
		}
		if n == MaxTerms {
			terms.More = true
			return terms
		}
		var word string
		var exclude, quoted bool
		word, exclude, quoted, text = nextTerm(text)
		if !exclude && !quoted && terms.ID == 0 {
			if id, ok := parseID(word); ok {
				terms.ID = id
				continue
			}
		}
		folded := Fold(word)
		switch {
		case folded == "": // only marks
		case exclude:
			terms.Not = append(terms.Not, folded)
		default:
			terms.Words = append(terms.Words, folded)
		}
	}
}

// nextTerm cuts the first term off text, which starts with no blank.
func nextTerm(text string) (word string, exclude, quoted bool, rest string) {
	body := text
	if after, ok := strings.CutPrefix(body, "-"); ok && after != "" && !startsBlank(after) {
		body, exclude = after, true
	}
	if after, ok := strings.CutPrefix(body, `"`); ok {
		phrase, rest, closed := strings.Cut(after, `"`)
		if strings.TrimSpace(phrase) != "" && (closed || !startsBlank(phrase)) {
			return phrase, exclude, true, rest
		}
	}
	end := strings.IndexFunc(body, unicode.IsSpace)
	if end < 0 {
		end = len(body)
	}
	return body[:end], exclude, false, body[end:]
}

func startsBlank(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsSpace(r)
}

func parseID(word string) (int64, bool) {
	digits, ok := strings.CutPrefix(word, "#")
	if !ok || digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	id, err := strconv.ParseInt(digits, 10, 64)
	return id, err == nil && id > 0
}

// Fold is s without what search does not tell apart: in lower case, without
// accents and other marks. The result is valid UTF-8 without NUL (both become
// U+FFFD, so that it is safe as a text of SQLite). Folding twice changes
// nothing. Plain lower-case ASCII is returned as it is.
func Fold(s string) string {
	lower := true
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= utf8.RuneSelf || c == 0 {
			return foldRunes(s)
		}
		lower = lower && (c < 'A' || c > 'Z')
	}
	if lower {
		return s
	}
	return strings.ToLower(s)
}

func foldRunes(s string) string {
	// Made valid first: norm leaves what stands beside a broken byte as it is.
	return strings.Map(foldRune, norm.NFD.String(strings.ToValidUTF8(s, "\uFFFD")))
}

func foldRune(r rune) rune {
	switch {
	case r == 0:
		return utf8.RuneError
	case unicode.Is(unicode.Mn, r):
		return -1
	}
	return unicode.ToLower(r)
}
