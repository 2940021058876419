package query_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
	"alerthub/query"
)

func TestParseText(t *testing.T) {
	tests := map[string]struct {
		in   string
		want query.Terms
	}{
		"words fold":             {"Caída DISCO", query.Terms{Words: []string{"caida", "disco"}}},
		"excluded":               {"disk -sda", query.Terms{Words: []string{"disk"}, Not: []string{"sda"}}},
		"phrase":                 {`"disk full" now`, query.Terms{Words: []string{"disk full", "now"}}},
		"excluded phrase":        {`-"disk full"`, query.Terms{Not: []string{"disk full"}}},
		"blanks in a phrase":     {`" up "`, query.Terms{Words: []string{" up "}}},
		"phrase being typed":     {`"disk fu`, query.Terms{Words: []string{"disk fu"}}},
		"id":                     {"#123", query.Terms{ID: 123}},
		"id and word":            {"disk #123", query.Terms{Words: []string{"disk"}, ID: 123}},
		"second id is a word":    {"#1 #2", query.Terms{Words: []string{"#2"}, ID: 1}},
		"quoted id is a word":    {`"#12"`, query.Terms{Words: []string{"#12"}}},
		"excluded id is a word":  {"-#12", query.Terms{Not: []string{"#12"}}},
		"not an id":              {"#0 #+1 #1x # #99999999999999999999", query.Terms{Words: []string{"#0", "#+1", "#1x", "#", "#99999999999999999999"}}},
		"lone minus":             {"- -", query.Terms{Words: []string{"-", "-"}}},
		"minus inside":           {"core-sw --x", query.Terms{Words: []string{"core-sw"}, Not: []string{"-x"}}},
		"lone quotes":            {`" a`, query.Terms{Words: []string{`"`, "a"}}},
		"quotes around nothing":  {`"" -""`, query.Terms{Words: []string{`""`}, Not: []string{`""`}}},
		"quote inside a word":    {`5" disk`, query.Terms{Words: []string{`5"`, "disk"}}},
		"only marks":             {"\u0301", query.Terms{}},
		"at most eight":          {"1 2 3 4 5 6 7 8 9", query.Terms{Words: strings.Fields("1 2 3 4 5 6 7 8"), More: true}},
		"blanks of other tongue": {"a\u3000b\u00a0c", query.Terms{Words: []string{"a", "b", "c"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, query.ParseText(tt.in)); diff != "" {
				t.Errorf("ParseText(%q) (-want +got):\n%s", tt.in, diff)
			}
		})
	}
}

func TestFold(t *testing.T) {
	for in, want := range map[string]string{
		"disk": "disk", "DISK 5%": "disk 5%", "Caída": "caida", "cai\u0301da": "caida",
		"Ñandú": "nandu", "ÅNGSTRÖM": "angstrom", "ΩΜΈΓΑ": "ωμεγα", "Straße": "straße",
		"İ": "i", "a\x00b": "a\uFFFDb", "a\xffb": "a\uFFFDb", "日本": "日本",
	} {
		if got := query.Fold(in); got != want {
			t.Errorf("Fold(%q) = %q, want %q", in, got, want)
		}
	}
	for r := range unicode.MaxRune + 1 {
		if folded := query.Fold(string(r)); query.Fold(folded) != folded {
			t.Errorf("Fold(%q) = %q, then %q", r, folded, query.Fold(folded))
		}
	}
	if n := testing.AllocsPerRun(100, func() { query.Fold("plain lower-case ascii") }); n != 0 {
		t.Errorf("plain text costs %v allocations", n)
	}
}

func FuzzFold(f *testing.F) {
	for _, seed := range []string{"DISK", "Caída", "İ\u0307", "\xff\x00", "각", "ẞ", "Å\u0328\u0301", "𝅗𝅥", "ǅ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		folded := query.Fold(s)
		if again := query.Fold(folded); again != folded {
			t.Errorf("Fold(%q) = %q, then %q", s, folded, again)
		}
		if !utf8.ValidString(folded) || strings.ContainsRune(folded, 0) || strings.ContainsFunc(folded, func(r rune) bool { return unicode.Is(unicode.Mn, r) }) {
			t.Errorf("Fold(%q) = %q", s, folded)
		}
	})
}

func TestMatcher(t *testing.T) {
	event := models.Event{
		ID: 7, CreatedAt: now, Source: "Core-SW-1", Severity: models.SeverityError,
		Message: "Caída del enlace\nGi0/1", Channel: models.ChannelTCP, Peer: "10.0.0.7",
	}
	acked := event
	acked.AckedAt = now
	tests := map[string]struct {
		filter models.EventFilter
		event  models.Event
		want   bool
	}{
		"everything":               {models.EventFilter{}, event, true},
		"ids do not count":         {models.EventFilter{Before: 3, After: 9, Limit: 1}, event, true},
		"severity":                 {models.EventFilter{Severities: []models.Severity{"error", "info"}}, event, true},
		"another severity":         {models.EventFilter{Severities: []models.Severity{"info"}}, event, false},
		"another channel":          {models.EventFilter{Channels: []models.Channel{models.ChannelHTTP}}, event, false},
		"source is exact":          {models.EventFilter{Source: "core-sw-1"}, event, false},
		"from is part":             {models.EventFilter{From: now}, event, true},
		"to is not":                {models.EventFilter{To: now}, event, false},
		"unacked":                  {models.EventFilter{Unacked: true}, event, true},
		"acked":                    {models.EventFilter{Unacked: true}, acked, false},
		"folded message":           {models.EventFilter{Text: "CAIDA"}, event, true},
		"part of a word":           {models.EventFilter{Text: "nlac"}, event, true},
		"peer":                     {models.EventFilter{Text: "0.0.7"}, event, true},
		"words in any fields":      {models.EventFilter{Text: "core caída 10.0"}, event, true},
		"one word missing":         {models.EventFilter{Text: "caida router"}, event, false},
		"excluded":                 {models.EventFilter{Text: "caida -gi0/1"}, event, false},
		"only excluded":            {models.EventFilter{Text: "-router"}, event, true},
		"id":                       {models.EventFilter{Text: "#7"}, event, true},
		"another id":               {models.EventFilter{Text: "#8"}, event, false},
		"phrase spans no fields":   {models.EventFilter{Text: "\"1\n10\""}, event, false},
		"phrase across line break": {models.EventFilter{Text: "\"enlace\ngi0\""}, event, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := query.Compile(tt.filter).Match(&tt.event); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// FuzzMatcher compares with the plainest reading of the same rule.
func FuzzMatcher(f *testing.F) {
	f.Add("Caída del enlace", "core-1", "10.0.0.7", `caida -"del router" "1"`, int64(7))
	f.Add("x", "", "", "#7 x", int64(7))
	f.Fuzz(func(t *testing.T, message, source, peer, text string, id int64) {
		event := models.Event{ID: id, Message: message, Source: source, Peer: peer}
		terms := query.ParseText(text)
		if len(terms.Words)+len(terms.Not) > query.MaxTerms {
			t.Fatalf("%d terms", len(terms.Words)+len(terms.Not))
		}
		holds := func(word string) bool {
			for _, field := range []string{message, source, peer} {
				if strings.Contains(query.Fold(field), word) {
					return true
				}
			}
			return false
		}
		want := terms.ID == 0 || terms.ID == id
		for _, word := range terms.Words {
			want = want && holds(word)
		}
		for _, word := range terms.Not {
			want = want && !holds(word)
		}
		if got := query.Compile(models.EventFilter{Text: text}).Match(&event); got != want {
			t.Errorf("%q on %+v: %v, want %v", text, event, got, want)
		}
	})
}
