package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

const operatedRoutes = `contacts:
  noc: {email: noc@example.net}
  gone: {email: gone@example.net}
  later: {email: later@example.net}
routes:
  - {sources: gone-*, contacts: gone}
  - {sources: later-*, contacts: later}
  - {severity: error, contacts: noc}
`

// What people do in the tab of alerts: they open one that failed and have it
// tried again, filter by contact, and cancel what is pending for it. Pages
// that are open see all of it.
func TestBrowser_AlertsAreOperated(t *testing.T) {
	t.Parallel()
	server := newMailServer(t, false)
	gone := true
	server.rcpt = func(to string) error {
		switch {
		case to == "later@example.net":
			return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "come back later"}
		case to == "gone@example.net" && gone:
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
		}
		return nil
	}
	server.Start()
	file := filepath.Join(t.TempDir(), "routes.yaml")
	if err := os.WriteFile(file, []byte(operatedRoutes), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startHub(t, options{env: server.Settings("", login...), args: append([]string{"--routes", file}, impatient...)})
	d := dialDevice(t, p)
	send := func(source string) {
		t.Helper()
		if a := d.Ask(fmt.Sprintf(`{"source":%q,"severity":"critical","message":"down"}`, source)); !a.OK {
			t.Fatalf("%+v", a)
		}
	}
	for i, source := range []string{"gone-1", "later-1", "later-2", "sw-1"} {
		send(source)
		rowsAre(t, p, int64(i+1), 20*time.Second, []string{"failed", "pending", "pending", "sent"}[i])
	}
	b, pending := browse(t, p.URL("/alerts")), browse(t, p.URL("/alerts?st=pending"))
	for _, o := range []*tab{b, pending} {
		o.Becomes("live", settled)
	}
	b.Shows("alert-rows", []row{{ID: 4}, {ID: 3}, {ID: 2}, {ID: 1}}, settled)
	pending.Shows("alert-rows", []row{{ID: 3}, {ID: 2}}, settled)

	// Opened, it tells what the server said; tried again, it arrives, and the
	// page that is open tells so by itself.
	b.Click("#al-1 .c-msg a")
	b.At("/alerts/1")
	b.Becomes("live", settled)
	if text := b.Text("#alert .tl"); !strings.Contains(text, "Failed") || !strings.Contains(text, "550 5.1.1 no such user") {
		t.Errorf("the attempts: %q", text)
	}
	server.Set(func(*mailServer) { gone = false })
	b.Click("#alert-retry")
	b.Until(`document.querySelector('main form [name=by]') !== null`, settled)
	b.Click("main [name=by]")
	b.Type("Ana")
	b.Click("main form [type=submit]")
	b.At("/alerts/1")
	b.Until(`document.getElementById('toasts').textContent.includes('Alert #1 is tried again')`, settled)
	b.Until(`document.querySelector('#alert header .mail')?.dataset.st === 'sent'`, settled)
	if text := b.Text("#alert .tl"); !strings.Contains(text, "to be tried again: Ana") || !strings.Contains(text, "Sent") {
		t.Errorf("the attempts: %q", text)
	}
	if b.Count("#alert-retry") != 0 {
		t.Error("what was sent can be tried again")
	}
	found := false
	for _, m := range server.Mails() {
		found = found || m.To == "gone@example.net"
	}
	if !found {
		t.Error("it did not arrive")
	}
	b.Is(`document.querySelector('#al-1 .mail').dataset.st`, "sent")

	// Of one contact, also what comes from now on.
	b.Click("#alert-close")
	b.At("/alerts")
	eval[bool](b, `document.querySelector('[name=contact]').value = 'later', true`)
	b.Click(".livebar form button")
	b.At("/alerts?contact=later")
	b.Becomes("live", settled)
	b.Shows("alert-rows", []row{{ID: 3}, {ID: 2}}, settled)
	send("sw-2")
	send("later-3")
	b.Shows("alert-rows", []row{{ID: 6}, {ID: 3}, {ID: 2}}, settled)
	pending.Until(`document.getElementById('al-6') !== null`, settled)

	// What is pending for it is cancelled once that is confirmed.
	b.Click(".livebar .end a")
	b.At("/alerts/cancel?contact=later")
	if text := b.Text("main form"); !strings.Contains(text, "3 pending alerts will be cancelled.") || !strings.Contains(text, "later") {
		t.Errorf("it asks %q", text)
	}
	b.axe()
	b.Click("main form [name=confirmed]")
	b.At("/alerts?contact=later")
	b.Until(`document.getElementById('toasts').textContent.includes('3 alerts cancelled')`, settled)
	for _, id := range []int64{2, 3, 6} {
		b.Is(fmt.Sprintf(`document.querySelector('#al-%d .c-det').textContent.trim()`, id), "cancelled by Ana")
	}
	pending.Shows("alert-rows", []row{}, settled)
	if s := p.stats(); s.Email["cancelled"] != 3 || s.Email["pending"] != 0 || s.Email["sent"] != 3 {
		t.Errorf("stats: %+v", s.Email)
	}
}

// Delivery that pauses is told on every page, with the server's words, how many
// wait, and its end.
func TestBrowser_PauseIsTold(t *testing.T) {
	t.Parallel()
	server := newMailServer(t, false)
	refuse := true
	server.auth = func(string, string) error {
		if refuse {
			return smtp.ErrAuthFailed
		}
		return nil
	}
	server.Start()
	p := startHub(t, options{env: server.Settings("ops@example.net", login...), args: impatient})
	b, list := browse(t, p.URL("/?lang=es")), browse(t, p.URL("/alerts"))
	for _, o := range []string{"sw-1", "sw-2"} {
		dialDevice(t, p).Ask(fmt.Sprintf(`{"source":%q,"severity":"critical","message":"down"}`, o))
	}
	b.Until(`/No sale ningún correo \(desde \d\d:\d\d:\d\d\)\. .*535.* · .*\d alertas? esperan?\. Se reintenta por sí solo\./.test(document.getElementById('notices').innerText.replace(/\s+/g, ' '))`, settled)
	list.Until(`/No email has got through since .*535/.test(document.getElementById('notices').innerText)`, settled)
	list.Until(`document.getElementById('notices').innerText.includes('2 alerts wait')`, settled)
	server.Set(func(*mailServer) { refuse = false })
	for _, o := range []*tab{b, list} {
		o.Until(`document.getElementById('notices').innerText.trim() === ''`, 30*time.Second)
	}
	rowsAre(t, p, 1, 20*time.Second, "sent")
	rowsAre(t, p, 2, 20*time.Second, "sent")
}
