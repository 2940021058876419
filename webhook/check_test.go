package webhook

import (
	"slices"
	"strings"
	"testing"

	"alerthub/models"
)

func TestKinds(t *testing.T) {
	want := []string{"generic", "slack", "teams", "discord", "ntfy", "gotify", "pagerduty"}
	if got := Kinds(); !slices.Equal(got, want) {
		t.Errorf("kinds %v", got)
	}
}

func TestCheck(t *testing.T) {
	for _, kind := range Kinds() {
		if wrong := Check(hook(kind, "https://hooks.example.net")); wrong != "" {
			t.Errorf("%s: %s", kind, wrong)
		}
	}
	if wrong := Check(models.Webhook{Kind: "pagerduty", Token: "key"}); wrong != "" {
		t.Errorf("pagerduty without a URL: %s", wrong)
	}
	const good = "https://hooks.example.net/s3cr3t"
	for name, c := range map[string]struct {
		w    models.Webhook
		want string
	}{
		"no kind":             {models.Webhook{URL: good}, "kind is missing"},
		"unknown kind":        {models.Webhook{Kind: "Slack", URL: good}, `kind "Slack" is none of generic, slack`},
		"no URL":              {models.Webhook{Kind: "slack"}, "URL is missing"},
		"gotify without URL":  {models.Webhook{Kind: "gotify", Token: "x"}, "URL is missing"},
		"unreadable URL":      {models.Webhook{Kind: "slack", URL: "https://h/\x7fs3cr3t"}, "cannot be read"},
		"another scheme":      {models.Webhook{Kind: "slack", URL: "ftp://h/s3cr3t"}, "neither http:// nor https://"},
		"a file":              {models.Webhook{Kind: "slack", URL: "file:///s3cr3t"}, "neither http:// nor https://"},
		"no scheme":           {models.Webhook{Kind: "slack", URL: "//hooks.example.net/s3cr3t"}, "neither http:// nor https://"},
		"no host":             {models.Webhook{Kind: "slack", URL: "https:///s3cr3t"}, "names no host"},
		"only a port":         {models.Webhook{Kind: "slack", URL: "https://:443/s3cr3t"}, "names no host"},
		"a user":              {models.Webhook{Kind: "slack", URL: "https://u:s3cr3t@h/"}, "user or password"},
		"a fragment":          {models.Webhook{Kind: "slack", URL: good + "#s3cr3t"}, "fragment"},
		"port 0":              {models.Webhook{Kind: "slack", URL: "https://h:0/s3cr3t"}, "port"},
		"port 65536":          {models.Webhook{Kind: "slack", URL: "https://h:65536/s3cr3t"}, "port"},
		"gotify needs":        {models.Webhook{Kind: "gotify", URL: good}, "needs a token"},
		"pagerduty needs":     {models.Webhook{Kind: "pagerduty"}, "needs a token"},
		"slack takes none":    {models.Webhook{Kind: "slack", URL: good, Token: "s3cr3t"}, "takes no token"},
		"a token of lines":    {models.Webhook{Kind: "generic", URL: good, Token: "s3cr3t\r\nX: y"}, "blank or a character"},
		"a token beyond":      {models.Webhook{Kind: "generic", URL: good, Token: "s3cr3tñ"}, "blank or a character"},
		"only generic signs":  {models.Webhook{Kind: "slack", URL: good, Secret: "s3cr3t"}, "takes no secret"},
		"ntfy without topic":  {models.Webhook{Kind: "ntfy", URL: "https://ntfy.example.net/"}, "topic"},
		"ntfy without path":   {models.Webhook{Kind: "ntfy", URL: "https://ntfy.example.net"}, "topic"},
		"ntfy with a bad one": {models.Webhook{Kind: "ntfy", URL: "https://ntfy.example.net/a.b"}, "topic"},
		"ntfy with a long one": {
			models.Webhook{Kind: "ntfy", URL: "https://ntfy.example.net/" + strings.Repeat("a", 65)}, "topic",
		},
	} {
		got := Check(c.w)
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
		if strings.Contains(got, "s3cr3t") {
			t.Errorf("%s: %q tells a secret", name, got)
		}
		if got != "" {
			_, err := sender(t, nil).Send(t.Context(), c.w, single("a", "b"))
			if f := asFault(t, err); !f.Server || f.Permanent || f.Words != "configuration: "+got {
				t.Errorf("%s: fault %+v", name, f)
			}
		}
	}
}

func TestSend_WhereEachKindPosts(t *testing.T) {
	s := listen(t, nil)
	for _, c := range []struct{ kind, path, want string }{
		{"generic", "/a?b=c", "/a?b=c"},
		{"ntfy", "/topic", "/"},
		{"ntfy", "/base/topic?auth=x", "/base/?auth=x"},
		{"gotify", "", "/message"},
		{"gotify", "/", "/message"},
		{"gotify", "/base/message", "/base/message"},
		{"gotify", "/base/", "/base/message"},
		{"pagerduty", "/v2/enqueue", "/v2/enqueue"},
	} {
		w := hook(c.kind, s.URL)
		w.URL = s.URL + c.path
		if _, err := sender(t, nil).Send(t.Context(), w, single("a", "b")); err != nil {
			t.Fatal(err)
		}
		all := s.seen()
		if r := all[len(all)-1]; r.path != c.want || r.method != "POST" || r.header.Get("Content-Type") != "application/json" || r.header.Get("User-Agent") != "alerthub/1.2.3" {
			t.Errorf("%s %s: %s %s %v", c.kind, c.path, r.method, r.path, r.header)
		}
	}
	f, _ := find("pagerduty")
	r, err := sender(t, nil).request(t.Context(), f, models.Webhook{Kind: "pagerduty", Token: "k"}, single("a", "b"))
	if err != nil || r.URL.String() != "https://events.pagerduty.com/v2/enqueue" {
		t.Errorf("request %v, error %v", r, err)
	}
}
