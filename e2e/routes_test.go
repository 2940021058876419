package e2e

import (
	"fmt"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	routedContacts = `contacts:
  noc: {email: noc@example.net, language: es}
  on-call: {email: [oncall@example.net, pager@example.net]}
  facilities: {email: facilities@example.net}
`
	routedRoutes = `routes:
  - {sources: ups-*, severity: warning, contacts: facilities, continue: true}
  - {severity: critical, contacts: [on-call, noc]}
  - {text: temperatura, channel: http_api, contacts: noc}
  - {sources: core-*, severity: error, contacts: noc}
`
)

// outcomes writes the rows of an event, in the order of their birth.
func outcomes(p *process, event int64) []string {
	var list []string
	for _, r := range slices.Backward(p.emails(event)) {
		list = append(list, strings.Join([]string{r.Contact, r.Recipient, r.Channel, r.Status}, " "))
	}
	return list
}

// TestRoutes: events of several routes reach whom the file names, in their
// language; and who has left the file is told nothing more.
func TestRoutes(t *testing.T) {
	t.Parallel()
	server := newMailServer(t, false)
	server.Start()
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "routes.yaml")
	write := func(contacts, routes string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(contacts+routes), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(routedContacts, routedRoutes)
	start := options{dir: dir, env: server.Settings("", login...), args: append([]string{"--routes", file}, impatient...)}
	p := startHub(t, start)
	d := dialDevice(t, p)
	send := func(source, severity, message string) int64 {
		t.Helper()
		a := d.Ask(fmt.Sprintf(`{"source":%q,"severity":%q,"message":%q}`, source, severity, message))
		if !a.OK {
			t.Fatalf("%+v", a)
		}
		return a.EventID
	}

	ups := send("ups-1", "critical", "on battery")
	core := send("core-sw-1", "error", "caída")
	warning := send("ups-2", "warning", "load")
	quiet := send("core-sw-1", "warning", "temperatura alta") // by TCP: not that route
	lost := send("printer-9", "error", "jam")
	var posted answer
	p.postJSON("/api/events", `{"source":"sala 2","severity":"info","message":"TEMPERATURÁ 31"}`, &posted)
	for event, want := range map[int64][]string{
		ups: {"facilities facilities@example.net email sent", "on-call oncall@example.net email sent",
			"on-call pager@example.net email sent", "noc noc@example.net email sent"},
		core:           {"noc noc@example.net email sent"},
		warning:        {"facilities facilities@example.net email sent"},
		quiet:          nil,
		lost:           {"  email skipped"},
		posted.EventID: {"noc noc@example.net email sent"},
	} {
		eventually(t, 20*time.Second, func() error {
			if diff := cmp.Diff(want, outcomes(p, event)); diff != "" {
				return fmt.Errorf("rows of event %d (-want +got):\n%s", event, diff)
			}
			return nil
		})
	}
	if rows := p.emails(lost); rows[0].Detail != "no route matches" {
		t.Errorf("row %+v, want the reason", rows[0])
	}

	// What arrived, by recipient: the language is the contact's.
	words := map[string]string{"noc@example.net": "registró una alerta", "oncall@example.net": "recorded an alert", "pager@example.net": "recorded an alert", "facilities@example.net": "recorded an alert"}
	count := map[string]int{}
	for _, m := range server.Mails() {
		count[m.To]++
		header, parts := mailParts(t, m.Raw)
		if subject := header.Get("Subject"); !strings.HasPrefix(subject, "[NetworkAlertHub] Alert ") {
			t.Errorf("subject %q", subject)
		}
		if to, err := mail.ParseAddress(header.Get("To")); err != nil || to.Address != m.To {
			t.Errorf("to %q, %v", header.Get("To"), err)
		}
		for kind, text := range parts {
			if !strings.Contains(text, words[m.To]) {
				t.Errorf("the %s to %s does not say %q:\n%s", kind, m.To, words[m.To], text)
			}
		}
	}
	if diff := cmp.Diff(map[string]int{"noc@example.net": 3, "oncall@example.net": 1, "pager@example.net": 1, "facilities@example.net": 2}, count); diff != "" {
		t.Errorf("mails (-want +got):\n%s", diff)
	}
	if _, page := p.get("/alerts"); !strings.Contains(page, "Contact: on-call") {
		t.Error("the page of emails names no contact")
	}

	// The server is away, a mail waits for the one on call, who leaves the file.
	server.Stop()
	waiting := send("rtr-1", "critical", "down")
	eventually(t, 20*time.Second, func() error {
		if rows := p.emails(waiting); len(rows) != 3 || rows[0].Status != "pending" || rows[0].Detail == "" {
			return fmt.Errorf("rows %+v, want three that wait", rows)
		}
		return nil
	})
	p.Stop(10 * time.Second)
	write("contacts:\n  noc: {email: noc@example.net, language: es}\n", "routes: [{contacts: noc}]\n")
	server.Start()
	p = startHub(t, start)
	eventually(t, 20*time.Second, func() error {
		want := []string{"on-call oncall@example.net email skipped", "on-call pager@example.net email skipped", "noc noc@example.net email sent"}
		if diff := cmp.Diff(want, outcomes(p, waiting)); diff != "" {
			return fmt.Errorf("rows (-want +got):\n%s", diff)
		}
		return nil
	})
	for _, r := range p.emails(waiting) {
		if r.Contact == "on-call" && r.Detail != "the contact on-call is not in the routes file any more" {
			t.Errorf("row %+v, want the reason", r)
		}
	}
	for _, m := range server.Mails() {
		if _, parts := mailParts(t, m.Raw); strings.Contains(parts["text/plain"], "rtr-1") && m.To != "noc@example.net" {
			t.Errorf("%s was told after the contact had gone", m.To)
		}
	}
}
