package views

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/net/html"

	"alerthub/i18n"
	"alerthub/models"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// at is when everything in these tests happens.
var at = time.Date(2026, 2, 24, 8, 41, 52, 118234000, time.UTC)

// words are the texts that people and devices choose.
type words struct{ source, message, payload, severity, channel, recipient, status, detail, health string }

var plainWords = words{
	source: "bgp-mon-01", message: "Session down: hold timer expired", payload: `{"source":"bgp-mon-01"}`,
	severity: "critical", channel: "tcp_socket", recipient: "noc@example.net", status: "sent", detail: "250 2.0.0 Ok", health: "535 refused",
}

func (w words) event(id int64) models.Event {
	return models.Event{
		ID: id, CreatedAt: at, Source: w.source, Severity: models.Severity(w.severity), Message: w.message,
		Channel: models.Channel(w.channel), RawPayload: w.payload,
	}
}

func (w words) alert(id int64, status string) models.EmailAlert {
	return models.EmailAlert{
		ID: id, EventID: 48213, CreatedAt: at, Recipient: w.recipient, Status: models.EmailStatus(status),
		Detail: w.detail, Attempts: 1, NextAttemptAt: at.Add(time.Minute), UpdatedAt: at,
	}
}

func (w words) form() EventForm {
	return EventForm{Source: w.source, Severity: "error", Message: w.message, Key: w.payload}
}

var testStats = models.Stats{
	Events: 18427, LastEventID: 48213,
	Severity: map[models.Severity]int64{"info": 15391, "warning": 2604, "error": 403, "critical": 29},
	Channel:  map[models.Channel]int64{"tcp_socket": 15902, "http_api": 2525},
	Email:    map[models.EmailStatus]int64{"sent": 418, "failed": 9, "skipped": 5, "pending": 2},
	Process:  models.ProcessCounters{TCPMessages: 1204, HTTPMessages: 87, EmailSentOK: 31, EmailSentFail: 1},
}

var testSamples = Samples{Host: "192.0.2.7", TCPPort: 5090, HTTPPort: 5080}

func testPage(ctx context.Context, s Section, live bool) Page {
	p := Page{
		Title: section(ctx, s), Section: s, Live: live, Refresh: live && (s == SectionDashboard || s == SectionEvents),
		Theme: "dark", OtherURL: "?lang=es", Version: "1.2.3",
		Assets: Assets{
			Stylesheet: "/static/panel.css", Script: "/static/all.js",
			Favicon: "/static/favicon.svg", FaviconOffline: "/static/favicon-offline.svg",
		},
	}
	return p
}

// pages are all pages, in all their states, with w in them.
func pages(ctx context.Context, w words) map[string]templ.Component {
	page := func(s Section, live bool) Page { return testPage(ctx, s, live) }
	events := []models.Event{w.event(48213), w.event(48212)}
	alerts := []models.EmailAlert{w.alert(902, w.status), w.alert(901, "pending")}
	wrong := w.form()
	wrong.SourceError, wrong.SeverityError, wrong.MessageError = "no source", "no severity", "no message"
	stuck, done := w.form(), w.form()
	stuck.Trouble, done.Created = "the hub is busy", 48213
	ill := page(SectionAudit, true)
	ill.Health = models.Health{Storage: "disk full", Email: w.health}
	missing := page(SectionNone, false)
	missing.Title = ErrorTitle(ctx, 404)
	return map[string]templ.Component{
		"dashboard":       Dashboard(page(SectionDashboard, true), DashboardData{testStats, events, alerts, testSamples}),
		"dashboard-first": Dashboard(page(SectionDashboard, true), DashboardData{Samples: testSamples}),
		"events":          Events(page(SectionEvents, true), EventsData{Events: events, Next: 48212, Samples: testSamples}),
		"events-first":    Events(page(SectionEvents, true), EventsData{Samples: testSamples}),
		"events-older":    Events(page(SectionEvents, false), EventsData{Events: events, Before: 48300, Next: 48212}),
		"events-oldest":   Events(page(SectionEvents, false), EventsData{Before: 1}),
		"event":           Event(page(SectionEvents, false), EventData{w.event(48213), alerts}),
		"event-bare":      Event(page(SectionEvents, false), EventData{Event: models.Event{ID: 7, CreatedAt: at, Severity: "info"}}),
		"alerts":          Alerts(page(SectionAlerts, true), AlertsData{Stats: testStats, Alerts: alerts, Next: 901, SMTPConfigured: true}),
		"alerts-first":    Alerts(page(SectionAlerts, true), AlertsData{}),
		"alerts-older":    Alerts(page(SectionAlerts, false), AlertsData{Alerts: alerts, Before: 950, SMTPConfigured: true}),
		"audit":           Audit(page(SectionAudit, true), testStats),
		"audit-ill":       Audit(ill, models.Stats{}),
		"create":          Create(page(SectionCreate, false), w.form(), testSamples),
		"create-wrong":    Create(page(SectionCreate, false), wrong, testSamples),
		"create-stuck":    Create(page(SectionCreate, false), stuck, testSamples),
		"create-done":     Create(page(SectionCreate, false), done, testSamples),
		"error":           Error(missing, ErrorData{Status: 404, RequestID: "abc123"}),
	}
}

func in(l i18n.Lang) context.Context { return i18n.WithLang(context.Background(), l) }

func render(ctx context.Context, t testing.TB, c templ.Component) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Render(ctx, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// rows reads table rows the way a browser does with a frame.
func rows(t testing.TB, text string) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader("<table><tbody>" + text + "</tbody></table>"))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func parse(t testing.TB, text string) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func elements(root *html.Node, names ...string) []*html.Node {
	var found []*html.Node
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		for _, name := range names {
			if n.Data == name || name == "*" {
				found = append(found, n)
			}
		}
	}
	return found
}

func attr(n *html.Node, key string) string {
	value, _ := lookup(n, key)
	return value
}

func lookup(n *html.Node, key string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val, true
		}
	}
	return "", false
}

func byID(root *html.Node, id string) *html.Node {
	for _, n := range elements(root, "*") {
		if attr(n, "id") == id {
			return n
		}
	}
	return nil
}

func text(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return b.String()
}

// TestGolden keeps an eye on every page and part: what changes in the HTML is
// seen in the review of its golden file.
func TestGolden(t *testing.T) {
	spriteText := render(context.Background(), t, sprite())
	for _, l := range i18n.Langs() {
		ctx := in(l)
		all := pages(ctx, plainWords)
		all["part-counters-frame"] = Counters(testStats, true)
		all["part-figures-frame"] = AlertFigures(testStats, true)
		all["part-audit-frame"] = AuditTables(testStats, true)
		all["part-notices-frame"] = Notices(models.Health{Storage: "disk full"}, true)
		all["part-form"] = Form(EventForm{Key: "k", Severity: "info"})
		all["part-trouble"] = Trouble(ErrorData{Status: 500, RequestID: "abc123"})
		for name, c := range all {
			got := strings.ReplaceAll(render(ctx, t, c), spriteText, "<!-- icons -->")
			golden(t, name+"."+l.String()+".html", got)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	got = strings.ReplaceAll(got, "><", ">\n<") + "\n"
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got); if it is meant to, run the test with -update:\n%s", path, diff)
	}
}
