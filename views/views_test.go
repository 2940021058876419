package views

import (
	"bytes"
	"context"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"
	"go.uber.org/goleak"
	"golang.org/x/net/html"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/query"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// at is when everything in these tests happens, now is when it is looked at.
var (
	at  = time.Date(2026, 2, 24, 8, 41, 52, 118234000, time.UTC)
	now = at.Add(4 * time.Second)
)

// in is a reader of a language, an hour east of Greenwich.
func in(l i18n.Lang) context.Context {
	zone := time.FixedZone("Test/East", 3600)
	return i18n.WithNow(i18n.WithZone(i18n.WithLang(context.Background(), l), zone), now)
}

// words are the texts that people and devices choose.
type words struct {
	source, message, payload, severity, channel, recipient, status, detail, health, name, peer, text, contact string
}

var plainWords = words{
	source: "bgp-mon-01", message: "Session down: hold timer expired", payload: `{"source":"bgp-mon-01"}`,
	severity: "critical", channel: "tcp_socket", recipient: "noc@example.net", status: "skipped", detail: "250 2.0.0 Ok",
	health: "535 refused", name: "Ana", peer: "192.0.2.61", text: "timer", contact: "on-call",
}

func (w words) event(id int64) models.Event {
	return models.Event{
		ID: id, CreatedAt: at, Source: w.source, Severity: models.Severity(w.severity), Message: w.message,
		Channel: models.Channel(w.channel), RawPayload: w.payload, Peer: w.peer,
	}
}

func (w words) acked(id int64) models.Event {
	e := w.event(id)
	e.AckedAt, e.AckedBy, e.AckedPeer = at.Add(time.Minute), w.name, w.peer
	return e
}

func (w words) alert(id int64, status string) models.EmailAlert {
	return models.EmailAlert{
		ID: id, EventID: 48213, CreatedAt: at, Channel: models.DeliveryEmail, Recipient: w.recipient, Status: models.EmailStatus(status),
		Detail: w.detail, Attempts: 1, NextAttemptAt: at.Add(time.Minute), UpdatedAt: at,
	}
}

// routed is an alert to a contact.
func (w words) routed(id int64, status string) models.EmailAlert {
	a := w.alert(id, status)
	a.Contact = w.contact
	return a
}

// hooked is an alert by webhook, which has failed.
func (w words) hooked(id int64) models.EmailAlert {
	a := w.routed(id, "failed")
	a.Channel = models.DeliveryWebhook
	return a
}

func (w words) form() EventForm {
	return EventForm{Source: w.source, Severity: "error", Message: w.message, Key: w.payload}
}

func (w words) rows() []Row {
	yesterday := w.event(48100)
	yesterday.CreatedAt = at.Add(-24 * time.Hour)
	return []Row{
		{Event: w.event(48213), N: 3, Mail: models.EmailStatus(w.status), Fresh: true},
		{Event: w.acked(48210), N: 1},
		{Event: yesterday, N: 1},
	}
}

func (w words) query() query.Query {
	return query.Query{}.WithText(w.text).WithSource(w.source).WithSeverities(models.SeverityCritical).WithRange(models.Range24h)
}

func (w words) kpi() KpiData {
	series := testSeries(models.Range15m)
	return KpiData{Series: series, Previous: series.Counts[0], Unacked: HeaderData{Critical: 3}, Range: models.Range15m, TCPConnections: 12}
}

func (w words) attention() models.Attention {
	return models.Attention{Critical: 3, Errors: 1, Events: []models.Event{w.event(48213), w.event(48212)}}
}

func (w words) sources() []models.SourceCount {
	return []models.SourceCount{{Source: w.source, Severity: [4]int64{3204, 512, 184, 12}}, {Source: "sensor-a", Severity: [4]int64{2880, 0, 0, 0}}}
}

func (w words) dashboard() DashboardData {
	return DashboardData{
		Kpi: w.kpi(), At: now, Attention: w.attention(), Rows: w.rows(), LastID: 48213, Sources: w.sources(),
		Alerts: []models.EmailAlert{w.alert(902, w.status), w.alert(901, "pending")}, Samples: testSamples, WallRows: 7,
	}
}

func (w words) events() EventsData {
	return EventsData{
		Query: w.query(), Rows: w.rows(), LastID: 48213, Page: models.EventPage{NextBefore: 48100},
		Match:  models.Match{Total: 18427, Exact: true, Severity: [4]int64{15391, 2604, 403, 29}},
		Series: testSeries(models.Range15m), Sources: []string{"sensor-a"}, Samples: testSamples, At: now,
	}
}

func (w words) drawer() DrawerData {
	return DrawerData{
		Event: w.event(48213), Newer: 48214, Older: 48212, At: now, Back: "/events?q=x",
		Why: Why{Routed: true, Steps: []RouteStep{
			{Number: 1, Line: 12, Checks: []RouteCheck{{"severity", w.source, "error", false}, {"text", w.source, w.message, true}}},
			{Number: 2, Line: 18, Matched: true, Checks: []RouteCheck{{"sources", w.source, w.source, true}}, Tells: []string{w.contact, "noc"}, Onward: true},
			{Number: 3, Line: 24, Matched: true, Tells: []string{"noc"}},
		}},
		Alerts: []models.EmailAlert{w.routed(902, "sent"), w.alert(901, "failed"), w.alert(900, "skipped"), w.alert(899, "pending")},
	}
}

func (w words) alerts() AlertsData {
	return AlertsData{
		Stats: testStats, Counts: testCounts, Next: 901, SMTPConfigured: true, At: now,
		Alerts:   []AlertLine{{w.routed(902, w.status), w.event(48213)}, {Alert: w.alert(901, "pending")}, {Alert: w.hooked(900)}},
		Contacts: []string{w.contact, "noc"},
	}
}

// opened is an alert with everything that can be told of one.
func (w words) opened(status string, mail int64) *AlertData {
	d := &AlertData{AlertLine: AlertLine{w.routed(902, status), w.event(48213)}, Query: query.Outbox{Contact: w.contact}}
	d.Alert.MailID, d.Alert.Channel = mail, models.DeliveryWebhook
	d.Attempts = []models.Attempt{
		{At: at.Add(-24 * time.Hour), Status: models.EmailPending, Detail: w.detail, NextAttemptAt: at},
		{At: at, Status: models.EmailFailed, Detail: w.detail},
		{At: at, Status: models.EmailPending, Detail: "to be tried again: " + w.name, NextAttemptAt: at},
		{At: at, Status: models.EmailSent, Detail: w.detail},
	}
	return d
}

// digest is an alert whose message tells of others too.
func (w words) digest() *AlertData {
	d := w.opened("failed", 902)
	d.Others, d.Many = 999, true
	d.Told = []AlertLine{{w.routed(901, "digested"), w.event(48212)}, {Alert: w.routed(900, "failed")}}
	return d
}

func (w words) paused() models.Health {
	return models.Health{Email: w.health, Pauses: []models.Pause{
		{Lane: models.Lane{Channel: models.DeliveryEmail}, Reason: w.health, Since: at},
		{Lane: models.Lane{Channel: models.DeliveryWebhook, Contact: w.contact, Recipient: w.recipient}, Reason: w.health, Since: at.Add(-24 * time.Hour)},
	}}
}

var testCounts = models.Counts{Event: [4][2]int64{{13000, 2391}, {2500, 104}, {380, 23}, {22, 7}}, Email: [6]int64{418, 9, 5, 2}}

var testStats = models.Stats{
	Events: 18427, LastEventID: 48213,
	Email:   map[models.EmailStatus]int64{"sent": 418, "failed": 9, "skipped": 5, "pending": 2},
	Process: models.ProcessCounters{TCPMessages: 1204, HTTPMessages: 87, EmailSentOK: 31, EmailSentFail: 1},
}

var testAudit = AuditData{
	Range: models.Range24h, Now: testCounts, Before: models.Counts{Event: [4][2]int64{{14000, 2000}}}, Stats: testStats, At: now,
	Ingest: IngestData{Refused: 37, Limited: 12_400, Limits: models.IntakeLimits{Source: models.Rate{PerSecond: 5000, Burst: 10_000}}, Connections: 12, Panels: 3, P99: 3100 * time.Microsecond, Stored: 412e6},
}

var testSamples = Samples{Host: "192.0.2.7", TCPPort: 5090, HTTPPort: 5080}

// testSeries counts something in every second bar.
func testSeries(r models.Range) models.Series {
	s := models.Series{Window: r.Window(now)}
	for i := range s.Bars() {
		c := models.Counts{}
		if i%2 == 0 {
			c = models.Counts{Event: [4][2]int64{{int64(100 + i), 10}, {20, 0}, {3, 0}, {int64(i % 3), 0}}, Email: [6]int64{4, 1, 0, 0}}
		}
		s.Counts = append(s.Counts, c)
	}
	return s
}

func testPage(ctx context.Context, s Section, live bool) Page {
	p := Page{
		Title: section(ctx, s), Section: s, Refresh: live && (s == SectionDashboard || s == SectionEvents),
		Theme: "light", OtherURL: "?lang=es", Version: "1.2.3", Header: HeaderData{Critical: 3, FailedAlerts: 9},
		Actor: models.Actor{Kind: models.ActorOpen},
		Assets: Assets{
			Stylesheet: "/static/panel.css", Script: "/static/all.js",
			Favicon: "/static/favicon.svg", FaviconAlert: "/static/alert.svg", FaviconOffline: "/static/offline.svg",
		},
	}
	if live {
		p.Socket = "/ws?view=" + string(s)
	}
	return p
}

// pages are all pages, in all their states, with w in them.
func pages(ctx context.Context, w words) map[string]templ.Component {
	page := func(s Section, live bool) Page { return testPage(ctx, s, live) }
	still := page(SectionEvents, true)
	still.Refresh = false
	wrong, stuck, done := w.form(), w.form(), w.form()
	wrong.SourceError, wrong.SeverityError, wrong.MessageError = "no source", "no severity", "no message"
	stuck.Trouble, done.Created = "the hub is busy", 48213
	ill := page(SectionAudit, true)
	ill.Health = models.Health{Storage: "disk full", Email: w.health}
	missing := page(SectionNone, false)
	missing.Title = ErrorTitle(ctx, 404)
	wall := page(SectionDashboard, true)
	wall.Wall = true
	toasted := page(SectionEvents, true)
	toasted.Toasts, toasted.Name = []Toast{{Tone: "success", Text: w.message, Undo: "id=12"}, {Tone: "error", Text: w.message}}, w.name
	clear := w.dashboard()
	clear.Attention, clear.Alerts, clear.Sources, clear.LastCritical = models.Attention{}, nil, nil, at.Add(-6*time.Hour)
	none, older, opened, cut, fixed := w.events(), w.events(), w.events(), w.events(), w.events()
	none.Rows, none.Match = nil, models.Match{}
	older.Before = 48300
	drawer := w.drawer()
	opened.Drawer = &drawer
	cut.Page, cut.Index, cut.Match.Exact = models.EventPage{NextBefore: 40000, SearchedTo: at}, models.IndexState{Behind: 9812}, false
	fixed.Query, fixed.Index = query.Query{}.WithWindow(at, at.Add(time.Hour)).WithSource(w.source), models.IndexState{Fault: "disk full"}
	ackedDrawer := DrawerData{Event: w.acked(7), At: now}
	ackedDrawer.Event.RawPayload = ""
	openedAcked := w.events()
	openedAcked.Drawer = &ackedDrawer
	unset, oldAlerts := w.alerts(), w.alerts()
	unset.SMTPConfigured, unset.Missing = false, []string{"SMTP_HOST"}
	oldAlerts.Before, oldAlerts.Query = 950, query.Outbox{Status: models.EmailFailed}
	filtered, waiting, told, bare := w.alerts(), w.alerts(), w.alerts(), w.alerts()
	filtered.Query = query.Outbox{Status: models.EmailPending, Channel: models.DeliveryWebhook, Contact: w.contact, Mail: 902}
	filtered.Alerts, filtered.Contacts = nil, nil
	waiting.Opened, told.Opened, bare.Opened = w.opened("pending", 0), w.opened("digested", 900), &AlertData{AlertLine: AlertLine{Alert: w.alert(901, "skipped")}}
	digest := w.alerts()
	digest.Opened = w.digest()
	paused := page(SectionAlerts, true)
	paused.Health, paused.Header.WaitingEmails, paused.Header.WaitingWebhooks = w.paused(), 12, 1
	surround := CreateData{Samples: testSamples, Sources: []string{w.source}, Recipients: []string{w.recipient}, Panels: 3, MaxImport: 5e6}
	file := ImportData{Import: models.Import{Token: "t", Name: w.message, Size: 61000, State: models.ImportChecked, Events: 214, Emails: 9, From: at, To: now, Kept: 200, Renumbered: 14}}
	refused, running, ended, failed := file, file, file, file
	refused.State, refused.Problems, refused.Trouble = models.ImportRefused, []string{w.detail}, w.detail
	running.State, running.Done = models.ImportRunning, 100
	ended.State, ended.Done, ended.FirstRenumbered = models.ImportFinished, 214, 48214
	failed.State, failed.Error = models.ImportFailed, w.detail
	all := map[string]templ.Component{
		"dashboard":       Dashboard(page(SectionDashboard, true), w.dashboard()),
		"dashboard-clear": Dashboard(page(SectionDashboard, true), clear),
		"dashboard-first": Dashboard(page(SectionDashboard, true), DashboardData{Kpi: w.kpi(), FirstRun: true, Samples: testSamples}),
		"wall":            Wall(wall, w.dashboard()),
		"events":          Events(toasted, w.events()),
		"events-first":    Events(page(SectionEvents, true), EventsData{FirstRun: true, Samples: testSamples}),
		"events-none":     Events(page(SectionEvents, true), none),
		"events-older":    Events(still, older),
		"events-cut":      Events(page(SectionEvents, true), cut),
		"events-fixed":    Events(page(SectionEvents, true), fixed),
		"event":           Event(page(SectionEvents, true), opened),
		"event-acked":     Event(page(SectionEvents, true), openedAcked),
		"alerts":          Alerts(page(SectionAlerts, true), w.alerts()),
		"alerts-first":    Alerts(page(SectionAlerts, true), AlertsData{}),
		"alerts-unset":    Alerts(page(SectionAlerts, true), unset),
		"alerts-older":    Alerts(page(SectionAlerts, true), oldAlerts),
		"alerts-filtered": Alerts(page(SectionAlerts, true), filtered),
		"alerts-waiting":  Alerts(page(SectionAlerts, true), waiting),
		"alerts-told":     Alerts(page(SectionAlerts, true), told),
		"alerts-digest":   Alerts(page(SectionAlerts, true), digest),
		"alerts-bare":     Alerts(paused, bare),
		"cancel":          ConfirmCancel(page(SectionAlerts, false), CancelData{models.Cancellation{Contact: w.contact, Source: w.source}, 12, false}),
		"cancel-many":     ConfirmCancel(page(SectionAlerts, false), CancelData{models.Cancellation{Source: w.source}, 10000, true}),
		"cancel-none":     ConfirmCancel(page(SectionAlerts, false), CancelData{models.Cancellation{Contact: w.contact}, 0, false}),
		"name-retry":      AskName(page(SectionAlerts, false), NameData{Action: "/alerts/902/retry", Next: "/alerts"}),
		"audit":           Audit(page(SectionAudit, true), testAudit),
		"audit-ill":       Audit(ill, AuditData{}),
		"create":          Create(page(SectionCreate, true), w.form(), surround),
		"create-bare":     Create(page(SectionCreate, true), EventForm{}, CreateData{}),
		"create-wrong":    Create(page(SectionCreate, true), wrong, surround),
		"create-stuck":    Create(page(SectionCreate, true), stuck, surround),
		"create-done":     Create(page(SectionCreate, true), done, surround),
		"name":            AskName(page(SectionEvents, false), NameData{IDs: []string{w.source, "13"}, Group: true, Next: "/events", Error: w.detail}),
		"name-alone":      AskName(page(SectionEvents, false), NameData{}),
		"ack-all":         ConfirmAckAll(page(SectionEvents, false), AckAllData{Query: w.query(), Upto: 48214, Count: 12, Exact: true}),
		"ack-all-many":    ConfirmAckAll(page(SectionEvents, false), AckAllData{Query: w.query(), Upto: 48214, Count: 1000}),
		"import":          ImportConfirm(page(SectionCreate, false), file),
		"import-unknown":  ImportConfirm(page(SectionCreate, false), ImportData{Trouble: w.detail}),
		"import-refused":  ImportConfirm(page(SectionCreate, false), refused),
		"import-failed":   ImportConfirm(page(SectionCreate, false), failed),
		"import-running":  ImportConfirm(page(SectionCreate, false), running),
		"import-ended":    ImportConfirm(page(SectionCreate, false), ended),
		"error":           Error(missing, ErrorData{Status: 404, RequestID: "abc123"}),
	}
	maps.Copy(all, accessPages(ctx, w))
	return all
}

// frames are all parts that live frames are made of, with w in them.
func frames(w words) map[string]templ.Component {
	gap := &Gap{Count: 9812, FromID: 1, ToID: 9812, From: at, To: at.Add(time.Second), Link: "/events?from=x"}
	return map[string]templ.Component{
		"rows":          RowsFrame(w.rows(), 48213, gap),
		"rows-none":     RowsFrame(nil, 48213, nil),
		"all":           AllFrame(w.rows(), 48213),
		"mini":          MiniFrame(w.rows(), 48213),
		"alerts":        AlertsFrame(w.alerts().Alerts, false),
		"alerts-all":    AlertsFrame(w.alerts().Alerts, true),
		"mails":         MiniAlertsFrame(w.dashboard().Alerts),
		"beat":          Beat(BeatData{LastID: 48213, At: now, AsOf: now.Add(-time.Second), Rate: 2.5, Build: "1.2.3"}),
		"counts":        HeaderCounts(HeaderData{Critical: 3}, true),
		"kpis":          Kpis(w.kpi(), true),
		"histo":         Histogram(testSeries(models.Range15m), true),
		"strip":         Strip(query.Query{Severities: []models.Severity{models.SeverityCritical}, Range: models.Range15m}, testSeries(models.Range15m), true),
		"attn":          AttentionCard(w.attention(), now, time.Time{}, true),
		"attn-clear":    AttentionCard(models.Attention{}, now, at, true),
		"srcs":          SourcesCard(w.sources(), testSeries(models.Range15m), true),
		"srcs-soon":     SourcesCard(nil, testSeries(models.Range15m), true),
		"srcs-none":     SourcesCard(nil, models.Series{}, true),
		"alert-figures": AlertFigures(w.alerts(), true),
		"alert-tallies": AlertTallies(w.alerts()),
		"event-tallies": EventTallies(w.events()),
		"as-of":         AsOf(models.Range24h, at, true),
		"audit-tables":  AuditTables(testAudit, true),
		"notices":       Notices(models.Health{Storage: "disk full", Email: w.health}, HeaderData{}, true),
		"paused":        Notices(w.paused(), HeaderData{WaitingEmails: 1234, WaitingWebhooks: 1}, true),
		"pill":          Pill(23, [4]int64{20, 2, 0, 1}),
		"pill-none":     Pill(0, [4]int64{}),
		"news":          NewsFlash([]models.Event{w.event(48213), w.event(48212)}),
	}
}

func render(ctx context.Context, t testing.TB, c templ.Component) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Render(ctx, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
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

// text is what an element says, with its blanks run together.
func text(n *html.Node) string { return strings.Join(strings.Fields(exactText(n)), " ") }

func exactText(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return b.String()
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Emails that wait are told of as long as there are any.
func TestKpis_tellOfPendingEmails(t *testing.T) {
	for pending, want := range map[int64]string{0: "8 failed · 2 skipped", 1: "1 pending · 8 failed · 2 skipped"} {
		if got := otherEmails(in(i18n.English), [6]int64{418, 8, 2, pending}); got != want {
			t.Errorf("with %d pending: %q, want %q", pending, got, want)
		}
	}
}

// The way to acknowledge all names a number only where it is known.
func TestAckAllLink_saysHowMany(t *testing.T) {
	waiting := models.Attention{Critical: 3, Errors: 4}
	for address, want := range map[string]string{
		"": "Acknowledge all 7", "sev=critical": "Acknowledge all 3", "sev=error,info": "Acknowledge all 4",
		"ack=no&q=fan": "Acknowledge all 12", "src=a": "Acknowledge all", "range=1h": "Acknowledge all", "sev=critical&ch=tcp": "Acknowledge all",
	} {
		values, err := url.ParseQuery(address)
		if err != nil {
			t.Fatal(err)
		}
		q, _ := query.Parse(values, now)
		if got := ackAllLink(in(i18n.English), EventsData{Query: q, Waiting: waiting, Match: models.Match{Total: 12, Exact: true}}); got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
	q, _ := query.Parse(url.Values{"ack": {"no"}}, now)
	if got := ackAllLink(in(i18n.English), EventsData{Query: q, Waiting: waiting, Match: models.Match{Total: 1000}}); got != "Acknowledge all" {
		t.Errorf("of at least a thousand: %q", got)
	}
}
