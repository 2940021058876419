package handlers

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"alerthub/access"
	"alerthub/models"
)

// fakeAudit keeps what it is told.
type fakeAudit struct {
	fail error // of both methods

	mu      sync.Mutex
	entries []models.AuditEntry // the oldest first
}

func (f *fakeAudit) Record(ctx context.Context, action models.AuditAction, object, detail string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	actor := models.ActorOf(ctx)
	f.entries = append(f.entries, models.AuditEntry{
		ID: int64(len(f.entries) + 1), At: received, Kind: actor.Kind, Actor: actor.Name, Address: actor.Address, Action: action, Object: object, Detail: detail,
	})
	return nil
}

func (f *fakeAudit) AuditLog(_ context.Context, filter models.AuditFilter) ([]models.AuditEntry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return selectedEntries(f.entries, filter), f.fail
}

// told is what was recorded since the last call, a text a line.
func (f *fakeAudit) told() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var lines []string
	for _, e := range f.entries {
		lines = append(lines, fmt.Sprintf("%s@%s %s: %s: %s", e.Actor, e.Address, e.Action, e.Object, e.Detail))
	}
	f.entries = nil
	return lines
}

func serveAudit(t *testing.T, svc *fakeService, audit *fakeAudit) *httptest.Server {
	o := testOptions(t, svc)
	o.Audit, o.Canaries = audit, &fakeCanaries{state: models.CanaryState{Contact: "noc"}}
	o.Transfer = &fakeTransfer{
		imports: map[string]models.Import{"SECRET": {Token: "SECRET", Name: "old hub.json", Events: 214, State: models.ImportChecked}},
		export: func(w io.Writer, _ models.ExportFormat, _ models.EventFilter) error {
			_, err := io.WriteString(w, "all of it")
			return err
		},
	}
	server := serveOptions(t, o)
	server.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return server
}

// Whatever somebody does by the web door is recorded once, with who, from
// where, to what; what changes nothing and what is refused is not, and no token
// ever is.
func TestAudit_RecordsWhatWasDone(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	audit, svc := &fakeAudit{}, outbox()
	server := serveAudit(t, svc, audit)
	for _, step := range []struct {
		method, target, kind, body string
		status                     int
		want                       []string
	}{
		{"POST", "/events/ack", form, "id=3&id=4&by=Ana", 303, []string{"Ana@127.0.0.1 acknowledged: events 2: #3 #4"}},
		{"POST", "/events/ack", form, "id=3&by=Ana", 303, nil},
		{"POST", "/events/ack", form, "id=x&by=Ana", 400, nil},
		{"POST", "/events/unack", form, "id=3", 303, []string{"@127.0.0.1 acknowledgement_undone: event 3: "}},
		{"POST", "/events/ack", form, "id=3&group=1&by=Ana", 303, []string{"Ana@127.0.0.1 acknowledged: events 3: #1 #2 #3"}},
		{"DELETE", "/api/events/3/ack", "", "", 200, []string{"@127.0.0.1 acknowledgement_undone: event 3: "}},
		{"DELETE", "/api/events/3/ack", "", "", 200, nil},
		{"POST", "/api/events/3/ack", jsonType, `{"by":"Ben"}`, 200, []string{"Ben@127.0.0.1 acknowledged: event 3: "}},
		{"DELETE", "/api/events/3/ack", "", "", 200, []string{"@127.0.0.1 acknowledgement_undone: event 3: "}},
		{"POST", "/events/ack-all", form, "upto=99&q=alert&by=Ana", 303, []string{"Ana@127.0.0.1 acknowledged: events 1: ack=no&q=alert&upto=99"}},
		{"POST", "/events/unack", form, "batch=" + bulkToken, 303, []string{"@127.0.0.1 acknowledgement_undone: events 1: "}},
		{"POST", "/alerts/1/retry", form, "by=Ana", 303, []string{"Ana@127.0.0.1 alert_retried: alert 1: "}},
		{"POST", "/alerts/1/retry", form, "by=Ana", 303, nil},
		{"POST", "/api/alerts/2/retry", jsonType, `{"by":"Ben"}`, 200, []string{"Ben@127.0.0.1 alert_retried: alert 2: "}},
		{"POST", "/api/alerts/2/retry", jsonType, `{"by":"Ben"}`, 409, nil},
		{"POST", "/alerts/cancel", form, "contact=noc&by=Ana", 200, nil}, // asks first
		{"POST", "/alerts/cancel", form, "contact=noc&source=sw+1&by=Ana&confirmed=1", 303, []string{"Ana@127.0.0.1 alerts_cancelled: alerts 12: contact=noc&source=sw+1"}},
		{"POST", "/api/alerts/cancel", jsonType, `{"contact":"noc","by":"Ana"}`, 200, nil}, // nothing is left
		{"POST", "/canary", form, "", 303, []string{"@127.0.0.1 canary_sent: : "}},
		{"POST", "/api/canary", "", "", 202, []string{"@127.0.0.1 canary_sent: : "}},
		{"POST", "/seed", form, "", 303, []string{"@127.0.0.1 samples_stored: events 5: "}},
		{"POST", "/import/SECRET", form, "", 303, []string{"@127.0.0.1 import_started: events 214: old hub.json"}},
		{"POST", "/import/other", form, "", 404, nil},
		{"GET", "/export.csv?sev=critical", "", "", 200, []string{"@127.0.0.1 exported: events: csv sev=critical"}},
		{"GET", "/export.json", "", "", 200, []string{"@127.0.0.1 exported: events: json"}},
		{"HEAD", "/export.json", "", "", 200, nil},
		{"GET", "/audit.csv?actor=Ana&action=acknowledged", "", "", 200, []string{"@127.0.0.1 exported: audit log: csv action=acknowledged&actor=Ana"}},
		{"HEAD", "/audit.json", "", "", 200, nil},
		{"GET", "/events", "", "", 200, nil},
	} {
		answer, body := send(t, server, step.method, step.target, step.body, "Content-Type", step.kind)
		if answer.StatusCode != step.status {
			t.Errorf("%s %s %s: %d, want %d: %s", step.method, step.target, step.body, answer.StatusCode, step.status, body)
		}
		told := audit.told()
		if diff := gocmp.Diff(step.want, told); diff != "" {
			t.Errorf("%s %s %s (-want +recorded):\n%s", step.method, step.target, step.body, diff)
		}
		if all := strings.Join(told, "\n"); strings.Contains(all, "SECRET") || strings.Contains(all, bulkToken) {
			t.Errorf("a token is recorded: %s", all)
		}
	}
}

// One request that changes many events is one line, of bounded length.
func TestAudit_NamesAFewOfMany(t *testing.T) {
	audit, svc := &fakeAudit{}, &fakeService{}
	body := "by=Ana"
	for i := range 30 {
		svc.register(models.Draft{Source: "a", Severity: models.SeverityCritical, Message: "m", Channel: models.ChannelTCP})
		body += fmt.Sprintf("&id=%d", i+1)
	}
	send(t, serveAudit(t, svc, audit), "POST", "/events/ack", body, "Content-Type", "application/x-www-form-urlencoded")
	lines := audit.told()
	if len(lines) != 1 || !strings.HasPrefix(lines[0], "Ana@127.0.0.1 acknowledged: events 30: #1 #2 ") || !strings.HasSuffix(lines[0], " #20 …") {
		t.Errorf("recorded: %q", lines)
	}
}

// A log that cannot be written stops nobody.
func TestAudit_StopsNobody(t *testing.T) {
	server := serveAudit(t, seeded(), &fakeAudit{fail: models.ErrUnavailable})
	if answer, body := send(t, server, "POST", "/api/events/3/ack", `{"by":"Ana"}`, "Content-Type", jsonType); answer.StatusCode != 200 || !strings.Contains(body, `"acked_by":"Ana"`) {
		t.Errorf("%d %s", answer.StatusCode, body)
	}
}

// Who leaves as soon as it is done is recorded all the same.
func TestAudit_RecordsWhoHasGone(t *testing.T) {
	o := testOptions(t, seeded())
	audit := o.Access.(*access.Service)
	o.Audit = audit
	gone, leave := context.WithCancel(t.Context())
	leave()
	r := httptest.NewRequestWithContext(gone, "DELETE", "/api/events/3/ack", nil)
	o.Service.(*fakeService).events[2].AckedAt = received
	New(o).ServeHTTP(httptest.NewRecorder(), r)
	if lines, err := audit.AuditLog(t.Context(), models.AuditFilter{Limit: 10}); err != nil || len(lines) != 1 {
		t.Errorf("recorded: %+v, %v", lines, err)
	}
}

// recorded is a log of n lines.
func recorded(n int) *fakeAudit {
	f := &fakeAudit{}
	for i := range n {
		f.entries = append(f.entries, models.AuditEntry{
			ID: int64(i + 1), At: received, Kind: models.ActorUser, Actor: "=1+1", Address: "192.0.2.61", Action: models.AuditAck, Object: "event 7", Detail: "a \"b\",\r\nc",
		})
	}
	return f
}

func TestAudit_ListIsPaged(t *testing.T) {
	server := serveAudit(t, seeded(), recorded(3))
	for target, want := range map[string][2]string{
		"/api/audit":                   {`"id":3`, `"next_before":null`},
		"/api/audit?limit=2":           {`"id":3`, `"next_before":2`},
		"/api/audit?limit=2&before=2":  {`{"id":1,"at":"2026-11-23T18:30:00.123456Z","kind":"user","actor":"=1+1","address":"192.0.2.61","action":"acknowledged","object":"event 7","detail":"a \"b\",\r\nc"}`, `"next_before":null`},
		"/api/audit?actor=nobody":      {`"entries":[]`, `"next_before":null`},
		"/api/audit?action=unheard_of": {`"entries":[]`, `"next_before":null`},
	} {
		answer, body := send(t, server, "GET", target, "")
		if answer.StatusCode != 200 || !strings.Contains(body, want[0]) || !strings.Contains(body, want[1]) {
			t.Errorf("%s: %d %s", target, answer.StatusCode, body)
		}
	}
	if answer, body := send(t, serveAudit(t, seeded(), &fakeAudit{fail: errors.New("broken")}), "GET", "/api/audit", ""); answer.StatusCode != 500 {
		t.Errorf("of a broken log: %d %s", answer.StatusCode, body)
	}
}

// An export is the whole log, in pages of a thousand, as a file that a
// spreadsheet may open.
func TestAudit_ExportIsWhole(t *testing.T) {
	const lines = 2*models.MaxLimit + 1
	server := serveAudit(t, seeded(), recorded(lines))
	answer, body := send(t, server, "GET", "/audit.csv", "")
	records, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil || len(records) != lines+1 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	if got := answer.Header.Get("Content-Disposition"); got != "attachment; filename=alerthub-audit-2026-11-23-183001.csv" {
		t.Errorf("disposition %q", got)
	}
	if diff := gocmp.Diff([]string{"2001", "2026-11-23T18:30:00.123456Z", "user", "'=1+1", "192.0.2.61", "acknowledged", "event 7", "a \"b\",\nc"}, records[1]); diff != "" {
		t.Errorf("the first record (-want +got):\n%s", diff)
	}
	if records[lines][0] != "1" || records[0][0] != "id" {
		t.Errorf("from %v to %v", records[0], records[lines])
	}
	for n, want := range map[int]string{0: `{"entries":[]}`, 1: `{"entries":[{"id":1,`} {
		if _, body := send(t, serveAudit(t, seeded(), recorded(n)), "GET", "/audit.json?action=acknowledged", ""); !strings.HasPrefix(body, want) || !strings.HasSuffix(body, "]}\n") {
			t.Errorf("of %d lines: %s", n, body)
		}
	}
	if answer, body := send(t, serveAudit(t, seeded(), &fakeAudit{fail: errors.New("broken")}), "GET", "/audit.csv", ""); answer.StatusCode != 500 || answer.Header.Get("Content-Disposition") != "" {
		t.Errorf("of a broken log: %d, %q: %s", answer.StatusCode, answer.Header.Get("Content-Disposition"), body)
	}
}

// The audit page shows the newest lines, leads to older ones, and keeps the
// filter on the way.
func TestAudit_PageShowsActivity(t *testing.T) {
	server := serveAudit(t, seeded(), recorded(120))
	for target, want := range map[string]struct {
		rows  int
		older string
	}{
		"/audit":           {50, "/audit?before=71&range=24h#activity"},
		"/audit?before=71": {50, "/audit?before=21&range=24h#activity"},
		"/audit?before=21&range=7d&action=acknowledged&actor=%3D1%2B1": {20, "/audit?action=acknowledged&actor=%3D1%2B1&before=0&range=7d#activity"}, // hidden
		"/audit?action=sign_in": {0, "/audit?action=sign_in&before=0&range=24h#activity"}, // too
	} {
		answer, _, doc := page(t, server, "GET", target, "")
		rows := find(find(doc, "section", "id", "activity")[0], "tr", "class", "rec")
		older := attribute(find(find(doc, "div", "class", "tbl-foot")[0], "a", "", "")[0], "href")
		if answer.StatusCode != 200 || len(rows) != want.rows || older != want.older {
			t.Errorf("%s: %d, %d rows, older at %q", target, answer.StatusCode, len(rows), older)
		}
	}
}
