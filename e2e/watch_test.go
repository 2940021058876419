package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/emersion/go-smtp"
)

// canaryAnswer is what GET /api/canary says.
type canaryAnswer struct {
	Contact string `json:"contact"`
	Last    struct {
		Outcome string `json:"outcome"`
		Stage   string `json:"stage"`
		EventID int64  `json:"event_id"`
		Detail  string `json:"detail"`
	} `json:"last"`
	LastThroughAt string `json:"last_through_at"`
}

func (p *process) canary() (c canaryAnswer) {
	p.t.Helper()
	if status := p.getJSON("/api/canary", &c); status != http.StatusOK {
		p.t.Fatalf("GET /api/canary: %d", status)
	}
	return c
}

// TestWatch_CanaryComesThrough: by the TCP door to a mailbox, and to nobody
// else; the panel says so, also after a restart.
func TestWatch_CanaryComesThrough(t *testing.T) {
	t.Parallel()
	server := newMailServer(t, false)
	server.Start()
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "routes.yaml")
	if err := os.WriteFile(file, []byte(`contacts:
  noc: {email: noc@example.net}
  tester: {email: tester@example.net}
routes: [{contacts: noc}]
`), 0o600); err != nil {
		t.Fatal(err)
	}
	start := options{dir: dir, env: server.Settings("", login...), args: append([]string{"--routes", file, "--canary=tester"}, impatient...)}
	p := startHub(t, start)
	if _, page := p.get("/"); !strings.Contains(page, "Canary: none was sent yet") {
		t.Error("the dashboard says nothing of canaries")
	}
	// Who only calls himself a canary is an event like any other.
	d := dialDevice(t, p)
	a := d.Ask(`{"source":"alerthub-canary","severity":"critical","message":"Canary 1","key":"canary-X"}`)
	if rows := rowsAre(t, p, a.EventID, 20*time.Second, "sent"); rows[0].Contact != "noc" {
		t.Errorf("a device's canary is told to %s", rows[0].Contact)
	}

	got := runBinary(t, nil, "canary", "--addr", p.HTTP)
	if got.Code != 0 || !strings.Contains(got.Stdout, "came through: event ") {
		t.Fatalf("alerthub canary: %+v\n%s", got, p.log.Tail(20))
	}
	c := p.canary()
	if c.Contact != "tester" || c.Last.Outcome != "through" || c.LastThroughAt == "" || c.Last.EventID <= a.EventID {
		t.Errorf("the canary is %+v", c)
	}
	if rows := p.emails(c.Last.EventID); len(rows) != 1 || rows[0].Contact != "tester" || rows[0].Status != "sent" {
		t.Errorf("its rows are %+v", rows)
	}
	var event struct {
		storedEvent
		AckedBy string `json:"acked_by"`
	}
	if p.getJSON(fmt.Sprintf("/api/events/%d", c.Last.EventID), &event); event.Channel != "tcp_socket" || event.Source != "alerthub-canary" || event.AckedBy != "canary" {
		t.Errorf("its event is %+v", event)
	}
	var to []string
	for _, m := range server.Mails() {
		to = append(to, m.To)
	}
	if strings.Join(to, " ") != "noc@example.net tester@example.net" {
		t.Errorf("mails went to %v", to)
	}
	if p.metric("alerthub_canary_ok") != 1 || p.metric("alerthub_canary_last_success_timestamp_seconds") < 1e9 {
		t.Error("the metrics do not tell that it came through")
	}
	p.Stop(10 * time.Second)
	p = startHub(t, start)
	if again := p.canary(); again != c {
		t.Errorf("after a restart it is %+v, was %+v", again, c)
	}
	if _, page := p.get("/"); !strings.Contains(page, "Canary: came through") || !strings.Contains(page, `action="/canary"`) {
		t.Error("the dashboard does not say that it came through")
	}
}

// hooks takes what a webhook posts.
type hooks struct {
	mu    sync.Mutex
	texts []string
}

func (h *hooks) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.texts = append(h.texts, string(body))
}

func (h *hooks) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.texts...)
}

// TestWatch_RefusedMail: the canary fails at its delivery, in the server's
// words, and the contact that is named for it is told, once.
func TestWatch_RefusedMail(t *testing.T) {
	t.Parallel()
	server := newMailServer(t, false)
	server.Set(func(m *mailServer) {
		m.rcpt = func(string) error {
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
		}
	})
	server.Start()
	receiver := &hooks{}
	web := httptest.NewServer(receiver)
	t.Cleanup(web.Close)
	file := filepath.Join(t.TempDir(), "routes.yaml")
	if err := os.WriteFile(file, []byte(fmt.Sprintf(`contacts:
  noc: {email: noc@example.net, if_failing: on-call, limits: none}
  on-call: {webhook: {kind: generic, url: %q, name: pager}, if_failing: noc}
routes: [{severity: critical, sources: sw-*, contacts: noc}]
`, web.URL+"/s3cret")), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startHub(t, options{env: server.Settings("", login...), args: append([]string{"--routes", file, "--canary=noc", "--webhook-allow=127.0.0.0/8"}, impatient...)})

	// By the button, without JavaScript.
	if status := p.request(http.MethodPost, "/canary", "application/x-www-form-urlencoded", nil, nil); status != http.StatusOK && status != http.StatusSeeOther {
		t.Errorf("POST /canary: %d", status)
	}
	eventually(t, 20*time.Second, func() error {
		if c := p.canary(); c.Last.Outcome != "failed" || c.Last.Stage != "delivered" || !strings.Contains(c.Last.Detail, "no such user") {
			return fmt.Errorf("the canary is %+v", c.Last)
		}
		return nil
	})
	if _, page := p.get("/"); !strings.Contains(page, "Canary: failed at delivery") || !strings.Contains(page, "no such user") {
		t.Error("the dashboard does not say why it failed")
	}
	if got := runBinary(t, nil, "canary", "--addr", p.HTTP); got.Code != 1 || !strings.Contains(got.Stderr, "failed at delivered: email to noc@example.net: ") {
		t.Errorf("alerthub canary: %+v", got)
	}
	var told storedEvent
	eventually(t, 20*time.Second, func() error {
		l := p.list("?source=alerthub")
		if len(l.Events) != 1 || len(receiver.all()) == 0 {
			return fmt.Errorf("told %+v by %q", l.Events, receiver.all())
		}
		told = l.Events[0]
		return nil
	})
	if told.Severity != "critical" || told.Channel != "http_api" || !strings.HasPrefix(told.Message, "Email to noc (noc@example.net) failed at ") || !strings.Contains(told.Message, "no such user") {
		t.Errorf("told %+v", told)
	}
	rows := rowsAre(t, p, told.ID, 20*time.Second, "sent")
	if rows[0].Contact != "on-call" || rows[0].Recipient != "pager" {
		t.Errorf("its rows are %+v", rows)
	}
	// The second canary and another event failed too; that is not told again.
	a := dialDevice(t, p).Ask(`{"source":"sw-1","severity":"critical","message":"down"}`)
	rowsAre(t, p, a.EventID, 20*time.Second, "failed")
	if l := p.list("?source=alerthub"); len(l.Events) != 1 || len(receiver.all()) != 1 {
		t.Errorf("told %+v by %q", l.Events, receiver.all())
	}
	var posted map[string]any
	if err := json.Unmarshal([]byte(receiver.all()[0]), &posted); err != nil || !strings.Contains(receiver.all()[0], "failed at") {
		t.Errorf("the webhook got %q", receiver.all())
	}
	b := browse(t, p.URL("/"))
	b.axe()
	for _, width := range []int64{1440, 390} {
		b.Sees(width, 900, "light")
		b.accessible("a canary that failed")
	}
	if p.metric("alerthub_canary_ok") != 0 {
		t.Error("the metrics do not tell that it failed")
	}
	p.Stop(10 * time.Second)
	if log := p.log.String(); strings.Contains(log, "s3cret") {
		t.Error("the log holds the address of the webhook")
	}
}

// TestBrowser_Canary: the dashboard sends one and tells its outcome without a
// reload; without scripts the button works, too.
func TestBrowser_Canary(t *testing.T) {
	t.Parallel()
	server := newMailServer(t, false)
	arrive := make(chan struct{})
	server.Set(func(m *mailServer) {
		m.data = func(receivedMail) error {
			<-arrive
			return nil
		}
	})
	server.Start()
	p := startHub(t, options{env: server.Settings("ops@example.net", login...), args: append([]string{"--canary=SMTP_TO"}, impatient...)})
	dialDevice(t, p).Ask(`{"source":"sw-1","severity":"info","message":"not the first run"}`)
	b := browse(t, p.URL("/?range=1h"))
	b.Click("#canary-send")
	b.Until(`location.search === '?range=1h' && document.getElementById('canary')?.textContent.includes('on its way') === true`, settled)
	b.Becomes("live", settled)
	b.Mark()
	b.axe()
	b.accessible("a canary under way")
	close(arrive)
	b.Until(`document.getElementById('canary')?.textContent.includes('came through') === true && document.getElementById('canary-send') !== null`, settled)
	b.Untouched()
	b.accessible("a canary that came through")

	plain := openTab(t)
	call(plain, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	plain.Go(p.URL("/"))
	plain.Click("#canary-send")
	plain.At("/")
	plain.Is(`String(document.getElementById('canary').textContent.includes('on its way'))`, "true") // gathered behind the first
}

// TestWatch_Heartbeat: it beats while all is well, and its address stays secret.
func TestWatch_Heartbeat(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 8)
	web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.Method + " " + r.URL.Path }))
	t.Cleanup(web.Close)
	p := startHub(t, options{env: []string{"ALERTHUB_HEARTBEAT_URL=" + web.URL + "/s3cret"}, args: []string{"--heartbeat-every=10s"}})
	select {
	case request := <-asked:
		if request != "GET /s3cret" {
			t.Errorf("asked by %s", request)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("no heartbeat\n%s", p.log.Tail(20))
	}
	eventually(t, 10*time.Second, func() error {
		if p.metric("alerthub_heartbeat_ok") != 1 || p.metric("alerthub_heartbeat_last_success_timestamp_seconds") < 1e9 {
			return fmt.Errorf("the metrics do not tell of it")
		}
		return nil
	})
	if p.metric("alerthub_canary_ok") != -1 {
		t.Error("the metrics tell of canaries where there are none")
	}
	if got := runBinary(t, nil, "canary", "--addr", p.HTTP); got.Code != 1 || !strings.Contains(got.Stderr, "--canary") {
		t.Errorf("alerthub canary without a contact: %+v", got)
	}
	p.Stop(10 * time.Second)
	if log := p.log.String(); strings.Contains(log, "s3cret") || !strings.Contains(log, "heartbeat is sent") {
		t.Errorf("the log:\n%s", log)
	}
}
