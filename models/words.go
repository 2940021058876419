package models

import (
	"strings"
	"unicode"
)

// MaxWords bounds what is kept of the other side's words, in characters.
const MaxWords = 300

// Words makes one bounded line of valid UTF-8 of what came from the other
// side of a delivery: at most MaxWords characters, and an ellipsis when there
// were more.
func Words(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if r := []rune(s); len(r) > MaxWords {
		return string(r[:MaxWords]) + "…"
	}
	return s
}
