package mailer

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestCut_LeavesAStartOfWholeCharacters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOfN(rapid.RuneFrom([]rune(" abñ😀e\u0301\u200D\uFFFD…")), 0, 60, -1).Draw(t, "text")
		n := rapid.IntRange(1, 40).Draw(t, "columns")
		got := cut(s, n)
		if got == s {
			return
		}
		start, ok := strings.CutSuffix(got, "…")
		rest := strings.TrimLeft(s[min(len(s), len(start)):], " ")
		first, _ := utf8.DecodeRuneInString(rest)
		if !ok || !strings.HasPrefix(s, start) || !utf8.ValidString(got) || len(got) > 2*n+1 ||
			start != "" && (joins(first) || strings.HasSuffix(start, "\u200D")) && !strings.HasPrefix(s, start+" ") {
			t.Fatalf("%q is cut at %d to %q", s, n, got)
		}
	})
}

func TestCut_CountsWideCharactersTwice(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{
		{"", 3, ""}, {"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"ñññ", 3, "ñññ"}, {"😀😀", 4, "😀😀"}, {"😀😀a", 4, "😀…"}, {"a b c", 3, "a…"},
	} {
		if got := cut(c.text, c.n); got != c.want {
			t.Errorf("%q at %d: %q, want %q", c.text, c.n, got, c.want)
		}
	}
}
