package routes_test

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/routes"
)

// campus is the worked example of docs/escalation.md.
func campus(t testing.TB) *routes.Rules {
	t.Helper()
	page, err := os.ReadFile("../docs/escalation.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("the page has no example")
	}
	return parse(t, string(block[1]))
}

func parse(t testing.TB, file string) *routes.Rules {
	t.Helper()
	rules, mistakes := routes.Parse([]byte(file), machine)
	if len(mistakes) > 0 {
		t.Fatalf("mistakes %v in\n%s", mistakes, file)
	}
	return rules
}

// machine is where the files of these tests are read: some variables are set,
// some files are there, and webhooks of the kind "odd" are wrong.
var machine = routes.Env{
	Getenv: func(name string) string {
		return map[string]string{
			"SLACK_URL": "https://hooks.example.com/services/hidden", "NTFY_URL": "https://ntfy.example.net/hidden",
			"PAGER_KEY": "hidden-key", "EMPTY": "", "TWO_LINES": "hidden\nhidden",
		}[name]
	},
	ReadFile: func(name string) ([]byte, error) {
		switch name {
		case "secrets/hook":
			return []byte("hidden-secret\r\n"), nil
		case "secrets/nothing":
			return []byte("\n"), nil
		}
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	},
	CheckWebhook: func(w models.Webhook) string {
		if w.Kind == "odd" {
			return "there is no such kind"
		}
		return ""
	},
}

// pending is how alerts are born where everything is set up.
func pending(string) (models.EmailStatus, string) { return models.EmailPending, "" }

// told writes who gets what, in order.
func told(alerts []models.NewAlert) []string {
	var list []string
	for _, a := range alerts {
		list = append(list, strings.TrimSpace(a.Contact+" "+a.Recipient))
	}
	return list
}

func TestEscalation_OfTheExample(t *testing.T) {
	decide := campus(t).Escalation(pending)
	facilities, oncall := []string{"facilities facilities@example.net"}, []string{"on-call oncall@example.net", "on-call ntfy ntfy.example.net"}
	noc := []string{"noc noc@example.net", "noc turno@example.net"}
	for name, tt := range map[string]struct {
		source   string
		severity models.Severity
		message  string
		want     []string
	}{
		"an error of anything":             {"core-sw-1", models.SeverityError, "link down", noc},
		"a critical":                       {"core-sw-1", models.SeverityCritical, "down", slices.Concat(oncall, noc)},
		"a warning":                        {"core-sw-1", models.SeverityWarning, "fan", nil},
		"a warning of a UPS":               {"ups-3", models.SeverityWarning, "load 80 %", facilities},
		"an info of a UPS":                 {"ups-3", models.SeverityInfo, "self test", nil},
		"a critical of a UPS, told to all": {"ups-3", models.SeverityCritical, "off", slices.Concat(facilities, oncall, noc)},
		"a warning about a battery":        {"edificio-b/ups", models.SeverityWarning, "BATERÍA baja", noc},
		"without its accent, too":          {"edificio-b/ups", models.SeverityWarning, "cambie la bateria", noc},
		"a source that only ends so":       {"not-ups-3", models.SeverityWarning, "load", nil},
	} {
		got := decide(models.Draft{Source: tt.source, Severity: tt.severity, Message: tt.message, Channel: models.ChannelTCP})
		if diff := cmp.Diff(tt.want, told(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		for _, a := range got {
			if a.Status != models.EmailPending || a.Detail != "" {
				t.Errorf("%s: born as %+v", name, a)
			}
		}
	}
}

func TestEscalation_WhatNoRouteCatches(t *testing.T) {
	decide := parse(t, `{contacts: {a: {email: a@example.net}}, routes: [{sources: ups-*, contacts: a}]}`).Escalation(pending)
	for _, severity := range models.Severities() {
		var want []models.NewAlert
		if severity.Escalates() {
			want = []models.NewAlert{{Status: models.EmailSkipped, Detail: "no route matches"}}
		}
		if diff := cmp.Diff(want, decide(models.Draft{Source: "sw", Severity: severity})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", severity, diff)
		}
	}
}

// Emails come before webhooks, which need no mail server.
func TestEscalation_WithoutAMailServer(t *testing.T) {
	rules := parse(t, `
contacts: {a: {webhook: [{kind: slack, url_env: SLACK_URL}, {kind: pager, name: the desk, token_env: PAGER_KEY}], email: [a@example.net, b@example.net]}}
routes: [{contacts: a}]`)
	got := rules.Escalation(func(channel string) (models.EmailStatus, string) {
		if channel == models.DeliveryEmail {
			return models.EmailSkipped, "why"
		}
		return models.EmailPending, ""
	})(models.Draft{Severity: models.SeverityInfo})
	want := []models.NewAlert{
		{Contact: "a", Channel: "email", Recipient: "a@example.net", Status: models.EmailSkipped, Detail: "why"},
		{Contact: "a", Channel: "email", Recipient: "b@example.net", Status: models.EmailSkipped, Detail: "why"},
		{Contact: "a", Channel: "webhook", Recipient: "slack hooks.example.com", Status: models.EmailPending},
		{Contact: "a", Channel: "webhook", Recipient: "the desk", Status: models.EmailPending},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
}

// Many connections ask at once; what one is told is not changed by the others.
func TestEscalation_SharesNothingThatChanges(t *testing.T) {
	rules := parse(t, `
contacts: {a: {email: a@example.net}, b: {email: b@example.net}, c: {email: c@example.net}, x: {email: x@example.net}, y: {email: y@example.net}}
routes:
  - {severity: warning, contacts: [a, b, c], continue: true}
  - {sources: x, contacts: x}
  - {sources: y, contacts: y}`)
	decide := rules.Escalation(pending)
	var asking sync.WaitGroup
	for _, source := range []string{"x", "y", "z"} {
		want := []string{"a a@example.net", "b b@example.net", "c c@example.net"}
		if source != "z" {
			want = append(want, source+" "+source+"@example.net")
		}
		asking.Go(func() {
			for range 20_000 {
				if got := told(decide(models.Draft{Source: source, Severity: models.SeverityError})); !slices.Equal(want, got) {
					t.Errorf("%s: told %q, want %q", source, got, want)
					return
				}
			}
		})
	}
	asking.Wait()
}

func TestLanguage(t *testing.T) {
	rules := campus(t)
	for contact, want := range map[string]i18n.Lang{"noc": i18n.Spanish, "on-call": i18n.English} {
		if got, ok := rules.Language(contact); !ok || got != want {
			t.Errorf("%s: %v, %v", contact, got, ok)
		}
	}
	if c, ok := rules.Contact("on-call"); !ok || c.Name != "on-call" || c.Webhooks[0].URL != "https://ntfy.example.net/hidden" {
		t.Errorf("on-call: %+v, %v", c, ok)
	}
	for name, r := range map[string]*routes.Rules{"these": rules, "no": nil} {
		if _, ok := r.Language("gone"); ok {
			t.Errorf("%s rules know the language of a contact that is gone", name)
		}
		if _, ok := r.Contact("gone"); ok {
			t.Errorf("%s rules know a contact that is gone", name)
		}
	}
}

func BenchmarkEscalation(b *testing.B) {
	decide := campus(b).Escalation(pending)
	for _, severity := range []models.Severity{models.SeverityInfo, models.SeverityError, models.SeverityCritical} {
		b.Run(string(severity), func(b *testing.B) {
			b.ReportAllocs()
			d := models.Draft{Source: "core-sw-1", Severity: severity, Message: "Link down on port 12", Channel: models.ChannelTCP}
			for b.Loop() {
				decide(d)
			}
		})
	}
}
