package models

import (
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"as it is":            {"250 2.0.0 OK", "250 2.0.0 OK"},
		"one line":            {" a\r\n\tb\x00c\u0085d ", "a b c d"},
		"valid UTF-8":         {"a\xff\xfeb", "a\uFFFDb"},
		"nothing":             {"\r\n", ""},
		"at the bound":        {strings.Repeat("é", MaxWords), strings.Repeat("é", MaxWords)},
		"cut at a character":  {strings.Repeat("é", MaxWords+1), strings.Repeat("é", MaxWords) + "…"},
		"blanks do not count": {strings.Repeat("a \n", MaxWords/2), strings.TrimSpace(strings.Repeat("a ", MaxWords/2))},
	} {
		if got := Words(c.in); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
