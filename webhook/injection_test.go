package webhook

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
)

// hostile is what a device may say to become more than text.
var hostile = []string{
	"<!channel> <!here> <@U024BE7LH> <#C024BE7LR> <https://evil.example/|ok> &lt;!channel&gt;",
	"@everyone @here <@1234> <@&1234> <#1234> <:a:1> <t:1700000000:R> :tada:",
	"[click](https://evil.example) ![x](https://evil.example/x.png) https://evil.example WWW.evil.example www.evil.example",
	"**b** *i* _u_ ~~s~~ ~s~ `c` ```c``` ||spoiler|| # h\n## h\n> q\n- l\n1. n\n-# small",
	"<at>Ana</at> {{DATE(2017-02-14T06:08:39Z, SHORT)}} {{{{TIME(2017-02-14T06:08:39Z)}} ${x} @{x} {{{x}}}",
	"a\r\nX-Injected: 1\r\n\r\nb\x00\x1b[31m\u202etxt.exe\u2066\u2028\u2029",
	"\",\"injected\":\"1\"}\\\",\\u003c",
	"\xff\xfe\xc3",
	"<script>alert(1)</script><b>&amp;",
}

// notices are hostile ones of both sorts.
func notices(text string) []models.Notice {
	source := string([]rune(strings.ToValidUTF8(text, "\xff"))[:min(utf8.RuneCountInString(text), models.MaxSource)])
	return []models.Notice{single(source, text), digest(30, source, text)}
}

// decode is strict about the one thing that Go is lenient about.
func decode(t *testing.T, body []byte) map[string]any {
	t.Helper()
	if !utf8.Valid(body) {
		t.Errorf("not UTF-8: %q", body)
	}
	var v map[string]any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return v
}

// walk calls visit with every object below v.
func walk(v any, visit func(o map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		visit(v)
		for _, x := range v {
			walk(x, visit)
		}
	case []any:
		for _, x := range v {
			walk(x, visit)
		}
	}
}

// leaves lists every string below v, but those under the keys of skip.
func leaves(v any, skip ...string) (all []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case map[string]any:
		for k, x := range v {
			if !slices.Contains(skip, k) {
				all = append(all, leaves(x, skip...)...)
			}
		}
	case []any:
		for _, x := range v {
			all = append(all, leaves(x, skip...)...)
		}
	}
	return all
}

var linkish = regexp.MustCompile(`(?i)://|www\.`)

const panelLink = "https://panel.example.net/events/42"

// checks say what must hold of a kind, whatever devices say.
var checks = map[string]func(t *testing.T, v map[string]any, n models.Notice){
	"slack": func(t *testing.T, v map[string]any, n models.Notice) {
		if v["parse"] != "none" || v["mrkdwn"] != false || v["unfurl_links"] != false {
			t.Errorf("parse %v, mrkdwn %v, unfurl %v", v["parse"], v["mrkdwn"], v["unfurl_links"])
		}
		var preformatted string
		walk(v["blocks"], func(o map[string]any) {
			switch o["type"] {
			case nil:
				if diff := cmp.Diff(map[string]any{"bold": true}, o); diff != "" {
					t.Errorf("style: %s", diff)
				}
			case "rich_text", "rich_text_section", "rich_text_list", "text":
			case "rich_text_preformatted":
				preformatted = leaves(o, "type")[0]
			case "link":
				if o["url"] != panelLink {
					t.Errorf("link %v", o["url"])
				}
			default:
				t.Errorf("element %v", o["type"])
			}
		})
		for _, s := range leaves(v, "url", "style", "type") {
			rest := strings.NewReplacer("&amp;", "", "&lt;", "", "&gt;", "").Replace(s)
			if strings.ContainsAny(rest, "<>&") {
				t.Errorf("control characters in %q", s)
			}
		}
		if shown := strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">").Replace(preformatted); n.Digest == nil && shown != plain(n.Event.Message, true) {
			t.Errorf("shown %q, said %q", shown, n.Event.Message)
		}
	},
	"teams": func(t *testing.T, v map[string]any, n models.Notice) {
		content := v["attachments"].([]any)[0].(map[string]any)["content"].(map[string]any)
		if diff := cmp.Diff(map[string]any{"width": "Full"}, content["msteams"]); diff != "" {
			t.Errorf("entities: %s", diff)
		}
		walk(content["body"], func(o map[string]any) {
			if o["type"] != "RichTextBlock" && o["type"] != "TextRun" || o["selectAction"] != nil {
				t.Errorf("element %v", o)
			}
			if text, _ := o["text"].(string); strings.Contains(text, "{{") || o["type"] == "TextRun" && text == "" {
				t.Errorf("text %q", text)
			}
		})
		if a := content["actions"].([]any); len(a) != 1 || a[0].(map[string]any)["url"] != panelLink {
			t.Errorf("actions %v", a)
		}
	},
	"discord": func(t *testing.T, v map[string]any, n models.Notice) {
		if diff := cmp.Diff(map[string]any{"parse": []any{}}, v["allowed_mentions"]); diff != "" {
			t.Errorf("mentions: %s", diff)
		}
		if v["content"] != nil || len(v["embeds"].([]any)) != 1 {
			t.Errorf("message %v", v)
		}
		embed := v["embeds"].([]any)[0].(map[string]any)
		if embed["url"] != panelLink {
			t.Errorf("link %v", embed["url"])
		}
		ours := regexp.MustCompile(`(?m)^\*\*[^*\n]+:\*\*`)
		for _, s := range []string{embed["title"].(string), ours.ReplaceAllString(embed["description"].(string), "")} {
			if rest := discordToken.ReplaceAllString(s, ""); rest != "" {
				t.Errorf("%q is left of %q", rest, s)
			}
		}
	},
	"ntfy": func(t *testing.T, v map[string]any, n models.Notice) {
		if v["topic"] != "t0pic-noc" || v["click"] != panelLink || v["markdown"] != nil || len(v) != 5 {
			t.Errorf("message %v", v)
		}
	},
	"gotify": func(t *testing.T, v map[string]any, n models.Notice) {
		want := map[string]any{
			"client::display":      map[string]any{"contentType": "text/plain"},
			"client::notification": map[string]any{"click": map[string]any{"url": panelLink}},
		}
		if diff := cmp.Diff(want, v["extras"]); diff != "" {
			t.Error(diff)
		}
	},
	"pagerduty": func(t *testing.T, v map[string]any, n models.Notice) {
		if v["client_url"] != panelLink || len(v["links"].([]any)) != 1 || v["images"] != nil || v["routing_key"] != "r0uting-key" {
			t.Errorf("message %v", v)
		}
		if s := v["payload"].(map[string]any)["summary"].(string); strings.Contains(s, "\n") {
			t.Errorf("summary %q", s)
		}
	},
}

// discordToken is what has no meaning: letters, digits, blanks, whatever is
// beyond ASCII, and a character behind a backslash.
var discordToken = regexp.MustCompile(`\\[!-/:-@\[-` + "`" + `{-~]|[A-Za-z0-9\s]|[^\x00-\x7f]`)

func TestCompose_WhatDevicesSayStaysText(t *testing.T) {
	for _, kind := range Kinds() {
		for _, text := range hostile {
			for _, n := range notices(text) {
				r := post(t, kind, n)
				v := decode(t, r.body)
				for name, values := range r.header {
					if strings.Contains(strings.ToLower(name+strings.Join(values, "")), "injected") {
						t.Errorf("%s: header %s: %q", kind, name, values)
					}
				}
				if kind == "generic" {
					continue // see TestGeneric_TellsEventsAsTheyAre
				}
				t.Run(kind, func(t *testing.T) { checks[kind](t, v, n) })
				for _, s := range leaves(v, "url", "click", "client_url", "href", "$schema") {
					if linkish.MatchString(s) {
						t.Errorf("%s: a link in %q", kind, s)
					}
					if strings.ContainsAny(s, "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\x00\x1b\r") {
						t.Errorf("%s: a control character in %q", kind, s)
					}
				}
			}
		}
	}
}

func TestGeneric_TellsEventsAsTheyAre(t *testing.T) {
	for _, text := range hostile {
		for _, n := range notices(text) {
			var got genericBody
			if err := json.Unmarshal(post(t, "generic", n).body, &got); err != nil {
				t.Fatal(err)
			}
			want := strings.ToValidUTF8(text, "\uFFFD")
			if strings.Contains(text, "\xff") {
				want = "\uFFFD\uFFFD\uFFFD" // each byte is one, to encoding/json
			}
			if got.Event.Message != want || got.Event.ID != 42 || got.Event.Channel != "tcp_socket" {
				t.Errorf("event %+v, want %q", got.Event, want)
			}
			if n.Digest != nil && (len(got.Digest.Newest) != 20 || got.Digest.Newest[3].Message != want || got.Digest.Newest[3].ID != 39) {
				t.Errorf("newest %+v", got.Digest.Newest)
			}
		}
	}
}

// longest are texts that take most room: in bytes, in escapes, in UTF-16.
var longest = []string{"&", "\\", "\"", "𝄞", "\u2028", "*", "é", "{", "a\n", "\n"}

func TestCompose_StaysWithinTheBounds(t *testing.T) {
	chars := func(s string) int { return len(utf16.Encode([]rune(s))) }
	for _, one := range longest {
		text := strings.Repeat(one, models.MaxMessage/utf8.RuneCountInString(one))
		source := strings.Repeat(strings.TrimSpace(one)+"x", models.MaxSource/2)
		for _, n := range []models.Notice{single(source, text), digest(60, source, text)} {
			for _, kind := range Kinds() {
				r := post(t, kind, n)
				v := decode(t, r.body)
				limit := 24 << 10
				if kind == "generic" {
					limit = 256 << 10 // it tells all, bounded by the models
				}
				if len(r.body) > limit {
					t.Errorf("%s %q: %d bytes", kind, one, len(r.body))
				}
				switch kind {
				case "slack":
					total := 0
					for _, s := range leaves(v["blocks"], "type", "style", "url") {
						total += chars(s)
						if chars(s) > 3000 || regexp.MustCompile(`&[a-z]*(…|$)`).MatchString(s) {
							t.Errorf("text %q", s)
						}
					}
					if total > 10000 {
						t.Errorf("slack %q: %d characters", one, total)
					}
				case "discord":
					e := v["embeds"].([]any)[0].(map[string]any)
					checks[kind](t, v, n) // no escape is cut
					if a, b := chars(e["title"].(string)), chars(e["description"].(string)); a > 256 || b > 4096 {
						t.Errorf("discord %q: %d and %d", one, a, b)
					}
				case "ntfy":
					if len(v["message"].(string)) > 4096 || chars(v["title"].(string)) > 250 {
						t.Errorf("ntfy %q: %d bytes", one, len(v["message"].(string)))
					}
				case "pagerduty":
					if s := v["payload"].(map[string]any)["summary"].(string); chars(s) > 1024 {
						t.Errorf("pagerduty %q: %d", one, chars(s))
					}
				}
			}
		}
	}
}

func TestDiscord_TitleIsCut(t *testing.T) {
	c, err := composeDiscord(letter{title: strings.Repeat("*", 300)}, models.Webhook{}, models.Notice{})
	if err != nil {
		t.Fatal(err)
	}
	if title := c.body.(discordBody).Embeds[0].Title; title != strings.Repeat(`\*`, 127)+"…" {
		t.Errorf("title %q", title)
	}
}

func TestCompose_WithoutAPanelThereIsNoLink(t *testing.T) {
	for _, kind := range Kinds() {
		s := listen(t, nil)
		for _, n := range notices("x") {
			if _, err := sender(t, func(c *Config) { c.PublicURL = "" }).Send(t.Context(), hook(kind, s.URL), n); err != nil {
				t.Fatal(err)
			}
		}
		for _, r := range s.seen() {
			if strings.Contains(string(r.body), "/events/") || regexp.MustCompile(`"(url|link|links|click|href|client_url|actions)":`).Match(r.body) {
				t.Errorf("%s: %s", kind, r.body)
			}
		}
	}
}

func TestCompose_SeverityDecidesPriority(t *testing.T) {
	for kind, want := range map[string][]string{
		"ntfy":      {`"priority":2`, `"priority":3`, `"priority":4`, `"priority":5`},
		"gotify":    {`"priority":2`, `"priority":4`, `"priority":6`, `"priority":9`},
		"pagerduty": {`"severity":"info"`, `"severity":"warning"`, `"severity":"error"`, `"severity":"critical"`},
		"discord":   {`"color":2450411`, `"color":14251782`, `"color":15357964`, `"color":12131356`},
		"teams":     {`"color":"Accent"`, `"color":"Warning"`, `"color":"Attention"`, `"color":"Attention"`},
	} {
		for i, severity := range models.Severities() {
			n := single("a", "b")
			n.Event.Severity = severity
			if r := post(t, kind, n); !strings.Contains(string(r.body), want[i]) {
				t.Errorf("%s %s: %s", kind, severity, r.body)
			}
		}
		n := single("a", "b")
		n.Event.Severity = "odd"
		post(t, kind, n)
	}
}

func FuzzEscapes(f *testing.F) {
	for _, text := range hostile {
		f.Add(text, 40)
	}
	f.Fuzz(func(t *testing.T, text string, n int) {
		n = max(1, n%500)
		for _, lines := range []bool{true, false} {
			s := plain(text, lines)
			if !utf8.ValidString(s) || linkish.MatchString(s) || !lines && strings.ContainsAny(s, "\n\t") {
				t.Errorf("plain: %q", s)
			}
			if s := escaped(s, n, discordEscape); units(s) > n || discordToken.ReplaceAllString(s, "") != "" {
				t.Errorf("discord: %q", s)
			}
			e := escaped(s, n, slackEscape)
			if rest := strings.NewReplacer("&amp;", "", "&lt;", "", "&gt;", "").Replace(e); units(e) > n || strings.ContainsAny(rest, "<>&") {
				t.Errorf("slack: %q", e)
			}
			if back := strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">").Replace(escaped(s, 6*len(s)+1, slackEscape)); back != s {
				t.Errorf("slack: %q came back as %q", s, back)
			}
			if s := teamsText(s); strings.Contains(s, "{{") || s == "" {
				t.Errorf("teams: %q", s)
			}
			if c := cut(s, n); utf8.RuneCountInString(c) > n || !utf8.ValidString(c) {
				t.Errorf("cut: %q", c)
			}
			if c := cutBytes(s, n+2); len(c) > n+2 || !utf8.ValidString(c) {
				t.Errorf("cutBytes: %q", c)
			}
		}
	})
}
