package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// routesFile writes a routes file for a hub.
func routesFile(t testing.TB, text string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "routes.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return append([]string{"--routes", file}, impatient...)
}

// decodeHeader reads the encoded words of a header.
func decodeHeader(t testing.TB, text string) string {
	t.Helper()
	decoded, err := new(mime.WordDecoder).DecodeHeader(text)
	if err != nil {
		t.Errorf("header %q: %v", text, err)
	}
	return decoded
}

// subjects are those of the mails so far.
func (m *mailServer) subjects() []string {
	var list []string
	for _, mail := range m.Mails() {
		header, _ := mailParts(m.t, mail.Raw)
		list = append(list, decodeHeader(m.t, header.Get("Subject")))
	}
	return list
}

// TestEscalation_StormStaysSmall: hundreds of errors stay a handful of mails, a
// critical event of another source in their middle has its own, and a restart
// neither forgets nor repeats.
func TestEscalation_StormStaysSmall(t *testing.T) {
	t.Parallel()
	server := newMailServer(t, false)
	server.Start()
	start := options{dir: t.TempDir(), env: server.Settings("", login...), args: routesFile(t, `
contacts:
  noc: {email: noc@example.net, limits: {per_hour: 6, reserve: 2, gather: 5m, interval: 10m}}
routes:
  - {severity: error, contacts: noc}
`)}
	p := startHub(t, start)
	n := 0
	storm := func() {
		sendMany(p, 300, func() string {
			n++
			return fmt.Sprintf(`{"source":"access-sw-%02d","severity":"error","message":"port flaps, change %d"}`, n%30, n)
		})
	}
	storm()
	mails := func(want int) {
		t.Helper()
		eventually(t, 20*time.Second, func() error {
			if got := server.subjects(); len(got) != want {
				return fmt.Errorf("mails: %q", got)
			}
			return nil
		})
	}
	mails(4)
	began := time.Now()
	lone := dialDevice(t, p).Ask(`{"source":"ups-rack-b4","severity":"critical","message":"On battery"}`).EventID
	storm()
	rowsAre(t, p, lone, 30*time.Second, "sent")
	t.Logf("the lone critical was sent after %v", time.Since(began))
	mails(5)
	if last := server.subjects()[4]; !strings.Contains(last, "CRITICAL: ups-rack-b4") {
		t.Errorf("the last mail is %q", last)
	}
	p.Stop(10 * time.Second)
	p = startHub(t, start)
	storm()
	// Another lone critical uses the reserve up, which the restart has not forgotten.
	second := dialDevice(t, p).Ask(`{"source":"ups-rack-b5","severity":"critical","message":"On battery"}`).EventID
	third := dialDevice(t, p).Ask(`{"source":"ups-rack-b6","severity":"critical","message":"On battery"}`).EventID
	rowsAre(t, p, second, 30*time.Second, "sent")
	eventually(t, 10*time.Second, func() error {
		if row := p.emails(third)[0]; row.Status != "pending" || !strings.Contains(row.Detail, "limit by the hour") {
			return fmt.Errorf("past the reserve: %+v", row)
		}
		return nil
	})
	if got := server.subjects(); len(got) != 6 {
		t.Errorf("mails after the restart: %q", got)
	}
	if s := p.stats(); s.Email["sent"] != 6 || s.Email["pending"] != 900-4+1 || s.Email["failed"] != 0 {
		t.Errorf("stats %v", s.Email)
	}
}

// TestEscalation_Digest: what follows on a message about a source comes in one
// mail that names it, and each row leads to that mail.
func TestEscalation_Digest(t *testing.T) {
	t.Parallel()
	server := newMailServer(t, false)
	server.Start()
	p := startHub(t, options{env: server.Settings("", login...), args: append(routesFile(t, `
contacts:
  noc: {email: noc@example.net, language: es, limits: {gather: 2s}}
routes:
  - {severity: error, contacts: noc}
`), "--public-url", "https://alerts.example.net/")})
	d := dialDevice(t, p)
	first := d.Ask(`{"source":"core-sw-1","severity":"error","message":"uplink flaps"}`).EventID
	rowsAre(t, p, first, 20*time.Second, "sent")
	var later []int64
	for i := range 3 {
		later = append(later, d.Ask(fmt.Sprintf(`{"source":"core-sw-1","severity":"critical","message":"<b>uplink</b> down %d"}`, i)).EventID)
	}
	rowsAre(t, p, later[2], 20*time.Second, "sent")
	rowsAre(t, p, later[0], 20*time.Second, "digested")
	rowsAre(t, p, later[1], 20*time.Second, "digested")
	mails := server.Mails()
	if len(mails) != 2 {
		t.Fatalf("%d mails: %q", len(mails), server.subjects())
	}
	header, parts := mailParts(t, mails[1].Raw)
	if got := decodeHeader(t, header.Get("Subject")); got != "[NetworkAlertHub] Digest CRITICAL: 3 eventos de 1 origen" {
		t.Errorf("the subject is %q", got)
	}
	for kind, want := range map[string][]string{
		"text/plain": {"core-sw-1", "<b>uplink</b> down 2", "https://alerts.example.net/events"},
		"text/html":  {"core-sw-1", "&lt;b&gt;uplink&lt;/b&gt; down 2", `href="https://alerts.example.net/events`},
	} {
		for _, words := range want {
			if !strings.Contains(parts[kind], words) {
				t.Errorf("%s lacks %s:\n%s", kind, words, parts[kind])
			}
		}
	}
	carrier := p.emails(later[2])[0]
	for _, id := range later[:2] {
		if row := p.emails(id)[0]; row.MailID != carrier.ID || row.Detail != fmt.Sprintf("told in the digest of alert %d", carrier.ID) {
			t.Errorf("row %+v, want the mail of %d", row, carrier.ID)
		}
	}
}

// receiver is a webhook's other side, which checks what the documentation says
// of signatures.
type receiver struct {
	t      testing.TB
	secret string

	mu         sync.Mutex
	deliveries []string
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		r.t.Error(err)
	}
	mac := hmac.New(sha256.New, []byte(r.secret))
	fmt.Fprintf(mac, "%s.%s", request.Header.Get("X-Alerthub-Timestamp"), body)
	if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); request.Header.Get("X-Alerthub-Signature") != want {
		r.t.Errorf("the signature is %s, want %s", request.Header.Get("X-Alerthub-Signature"), want)
	}
	if !strings.Contains(string(body), "On battery") {
		r.t.Errorf("the body is %s", body)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.deliveries = append(r.deliveries, request.Header.Get("X-Alerthub-Delivery")); len(r.deliveries) == 1 {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// TestEscalation_Webhook: a webhook is signed, tried again when the other side
// asks for it, and never goes to a private address that nobody listed.
func TestEscalation_Webhook(t *testing.T) {
	t.Parallel()
	r := &receiver{t: t, secret: "s3cret-of-the-hook"}
	server := httptest.NewServer(r)
	defer server.Close()
	key := filepath.Join(t.TempDir(), "hook.key")
	if err := os.WriteFile(key, []byte(r.secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := routesFile(t, fmt.Sprintf(`
contacts:
  tickets: {webhook: {kind: generic, url_env: TICKETS_URL, secret_file: %s, name: ticket system}}
routes:
  - {severity: error, contacts: tickets}
`, key))
	env := []string{"TICKETS_URL=" + server.URL + "/very-secret-path"}
	refusing := startHub(t, options{env: env, args: args})
	id := dialDevice(t, refusing).Ask(`{"source":"ups-1","severity":"critical","message":"On battery"}`).EventID
	eventually(t, 20*time.Second, func() error {
		if row := refusing.emails(id)[0]; row.Status != "pending" || !strings.Contains(row.Detail, "--webhook-allow") {
			return fmt.Errorf("row %+v", row)
		}
		return nil
	})
	if _, page := refusing.get("/"); !strings.Contains(page, "ticket system") || !strings.Contains(page, "Nothing has reached") {
		t.Error("the panel does not say that the webhook delivers nothing")
	}
	if r := refusing.ready(); r.Status != 200 || len(r.Pauses) != 1 || r.Pauses[0].Contact != "tickets" || r.Pauses[0].Recipient != "ticket system" ||
		!strings.Contains(r.Pauses[0].Reason, "--webhook-allow") || r.Email != "" {
		t.Errorf("/readyz: %+v", r)
	}
	if refusing.metric(`alerthub_delivery_paused{channel="webhook"}`) != 1 || refusing.metric(`alerthub_delivery_paused{channel="email"}`) != 0 ||
		refusing.metric(`alerthub_outbox_webhooks{status="pending"}`) != 1 {
		t.Error("/metrics does not tell that the webhook is paused and holds a message")
	}
	refusing.Stop(10 * time.Second)

	p := startHub(t, options{env: env, args: append(slices.Clone(args), "--webhook-allow", "127.0.0.0/8")})
	id = dialDevice(t, p).Ask(`{"source":"ups-1","severity":"critical","message":"On battery"}`).EventID
	rowsAre(t, p, id, 20*time.Second, "sent")
	row := p.emails(id)[0]
	if row.Channel != "webhook" || row.Recipient != "ticket system" || row.Contact != "tickets" || row.Attempts != 2 || !strings.Contains(row.Detail, "200") {
		t.Errorf("row %+v", row)
	}
	r.mu.Lock()
	if len(r.deliveries) != 2 || r.deliveries[0] != r.deliveries[1] || r.deliveries[0] == "" {
		t.Errorf("deliveries %q, want one, tried twice", r.deliveries)
	}
	r.mu.Unlock()
	var stats struct {
		Email, Webhook map[string]int64
	}
	if p.getJSON("/api/stats", &stats); stats.Webhook["sent"] != 1 || stats.Email["sent"] != 0 {
		t.Errorf("stats %+v", stats)
	}
	if p.metric(`alerthub_webhooks_finished_total{outcome="sent"}`) != 1 || p.metric(`alerthub_delivery_paused{channel="webhook"}`) != 0 {
		t.Error("/metrics does not tell what was delivered")
	}
	for _, hub := range []*process{refusing, p} {
		if log := hub.log.Tail(1000); strings.Contains(log, "very-secret-path") || strings.Contains(log, r.secret) {
			t.Errorf("a secret is in the log:\n%s", log)
		}
	}
}

// TestEscalation_RetryOfWhatIsGone: what is tried again for a webhook that has
// left the file says so, and does not wait for ever.
func TestEscalation_RetryOfWhatIsGone(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnprocessableEntity) }))
	defer server.Close()
	file := func(noc string) []string {
		return append(routesFile(t, "contacts:\n  noc: "+noc+"\nroutes:\n  - {severity: error, contacts: noc}\n"), "--webhook-allow", "127.0.0.0/8")
	}
	start := options{dir: t.TempDir(), args: file("{webhook: {kind: generic, url: '" + server.URL + "', name: tickets}}")}
	p := startHub(t, start)
	id := dialDevice(t, p).Ask(`{"source":"ups-1","severity":"critical","message":"On battery"}`).EventID
	alert := rowsAre(t, p, id, 20*time.Second, "failed")[0].ID
	p.Stop(10 * time.Second)

	start.args = file("{email: noc@example.net}")
	p = startHub(t, start)
	if status := p.postJSON(fmt.Sprintf("/api/alerts/%d/retry", alert), `{"by":"ana"}`, nil); status != http.StatusOK {
		t.Errorf("retry: %d", status)
	}
	if row := rowsAre(t, p, id, 20*time.Second, "skipped")[0]; row.Detail != "the contact noc has no webhook tickets any more" {
		t.Errorf("row %+v", row)
	}
}

// TestNotifyTest: the command tells of every address of a contact what the
// other side said, and stores nothing.
func TestNotifyTest(t *testing.T) {
	t.Parallel()
	mail := newMailServer(t, false)
	mail.rcpt = func(to string) error {
		if strings.HasPrefix(to, "left@") {
			return fmt.Errorf("no such user")
		}
		return nil
	}
	mail.Start()
	var posted sync.Map
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		posted.Store(string(body), true)
	}))
	defer hook.Close()
	args := routesFile(t, fmt.Sprintf(`
contacts:
  noc: {email: [noc@example.net, left@example.net], webhook: {kind: ntfy, url: "%s/alerts"}}
routes:
  - {severity: error, contacts: noc}
`, hook.URL))[:2]
	got := runBinary(t, mail.Settings("", login...), append([]string{"notify", "test", "noc", "--webhook-allow", "127.0.0.1"}, args...)...)
	for _, want := range []string{"email to noc@example.net: accepted: 250", "email to left@example.net: not delivered: RCPT: ", "webhook to ntfy 127.0.0.1", ": accepted: 200"} {
		if !strings.Contains(got.Stdout, want) {
			t.Errorf("it does not say %q:\n%s%s", want, got.Stdout, got.Stderr)
		}
	}
	if got.Code != 1 || !strings.Contains(got.Stderr, "1 test message not delivered") {
		t.Errorf("exit %d, %s", got.Code, got.Stderr)
	}
	if n := len(mail.Mails()); n != 1 {
		t.Errorf("%d mails", n)
	}
	if got := runBinary(t, mail.Settings("", login...), append([]string{"notify", "test", "nobody"}, args...)...); got.Code != 64 || !strings.Contains(got.Stderr, `there is no contact "nobody"; the file has noc`) {
		t.Errorf("of nobody: %+v", got)
	}
}
