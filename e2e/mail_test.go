package e2e

import (
	"fmt"
	"mime"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
)

// impatient makes the hub try again soon, so that tests see it.
var impatient = []string{"--email-retry-min=100ms", "--email-retry-max=400ms"}

// login is the account that the hub uses.
var login = []string{"SMTP_USER=hub@example.net", "SMTP_PASS=correct horse"}

// rowsAre waits until the outbox rows of an event have these states.
func rowsAre(t *testing.T, p *process, event int64, patience time.Duration, want ...string) []emailRow {
	t.Helper()
	var rows []emailRow
	eventually(t, patience, func() error {
		rows = p.emails(event)
		var got []string
		for _, r := range rows {
			got = append(got, r.Status)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			return fmt.Errorf("the rows of event %d are %+v, want %v", event, rows, want)
		}
		return nil
	})
	return rows
}

// TestMail_IsDelivered: STARTTLS, login, one mail a recipient, and what is in it.
func TestMail_IsDelivered(t *testing.T) {
	t.Parallel()
	server := newMailServer(t, false)
	server.auth = func(user, password string) error {
		if user != "hub@example.net" || password != "correct horse" {
			return smtp.ErrAuthFailed
		}
		return nil
	}
	server.Start()
	p := startHub(t, options{env: server.Settings("ops@example.net, Night Shift <night@example.net>", login...), args: impatient})
	d := dialDevice(t, p)
	if a := d.Ask(`{"source":"quiet","severity":"warning","message":"no mail of this"}`); !a.OK {
		t.Fatalf("%+v", a)
	}
	a := d.Ask(`{"source":"core-sw-1 ñ","severity":"critical","message":"link down <script>alert(1)</script>\nBcc: everybody@example.net"}`)
	rows := rowsAre(t, p, a.EventID, 20*time.Second, "sent", "sent")
	for _, row := range rows {
		if !strings.HasPrefix(row.Detail, "250") && !strings.Contains(row.Detail, "250") || row.Attempts != 1 {
			t.Errorf("row %+v: want the server's words and one attempt", row)
		}
	}
	mails := server.Mails()
	var to []string
	for _, m := range mails {
		to = append(to, m.To)
		if m.From != "hub@example.net" || !m.TLS || m.User != "hub@example.net" {
			t.Errorf("a mail came from %q, TLS %v, as %q", m.From, m.TLS, m.User)
		}
		checkMail(t, m, a.EventID)
	}
	slices.Sort(to)
	if diff := cmp.Diff([]string{"night@example.net", "ops@example.net"}, to); diff != "" {
		t.Fatalf("recipients (-want +got):\n%s", diff)
	}
	if mails[0].MessageID == mails[1].MessageID {
		t.Errorf("both mails are %s", mails[0].MessageID)
	}
	stats := p.stats()
	if stats.EmailSentOK != 2 || stats.Email["sent"] != 2 || stats.Email["pending"] != 0 {
		t.Errorf("stats: %+v", stats)
	}
}

func checkMail(t *testing.T, m receivedMail, event int64) {
	t.Helper()
	header, parts := mailParts(t, m.Raw)
	subject, err := new(mime.WordDecoder).DecodeHeader(header.Get("Subject"))
	if err != nil || subject != "[NetworkAlertHub] Alert CRITICAL: core-sw-1 ñ – link down <script>alert(1)</script> Bcc: everybody@example.…" {
		t.Errorf("subject %q (%q): %v", subject, header.Get("Subject"), err)
	}
	for name, want := range map[string]string{"Auto-Submitted": "auto-generated", "Mime-Version": "1.0", "Bcc": ""} {
		if got := header.Get(name); got != want {
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{"From": "hub@example.net", "To": m.To} {
		if a, err := mail.ParseAddress(header.Get(name)); err != nil || a.Address != want {
			t.Errorf("header %s is %q: %v", name, header.Get(name), err)
		}
	}
	if at, err := header.Date(); err != nil || time.Since(at).Abs() > time.Minute {
		t.Errorf("date %q: %v", header.Get("Date"), err)
	}
	if id := header.Get("Message-Id"); !strings.HasPrefix(id, "<") || !strings.HasSuffix(id, "@example.net>") {
		t.Errorf("message id %q", id)
	}
	for _, word := range []string{fmt.Sprintf("Event:    %d", event), "core-sw-1 ñ", "CRITICAL", "link down <script>alert(1)</script>", "UTC"} {
		if !strings.Contains(parts["text/plain"], word) {
			t.Errorf("the plain part does not hold %q:\n%s", word, parts["text/plain"])
		}
	}
	rich := parts["text/html"]
	if !strings.Contains(rich, "&lt;script&gt;") || strings.Contains(rich, "<script") || !strings.Contains(rich, "core-sw-1 ñ") {
		t.Errorf("the HTML part is\n%s", rich)
	}
}

// TestMail_OutageIsWaitedOut: nobody listens, then somebody does.
func TestMail_OutageIsWaitedOut(t *testing.T) {
	t.Parallel()
	server := newMailServer(t, false)
	p := startHub(t, options{env: server.Settings("ops@example.net", login...), args: impatient})
	d := dialDevice(t, p)
	var events []int64
	for i := range 5 {
		events = append(events, d.Ask(fmt.Sprintf(`{"source":"s%d","severity":"error","message":"m"}`, i)).EventID)
	}
	eventually(t, 20*time.Second, func() error {
		for _, id := range events {
			if rows := p.emails(id); rows[0].Status != "pending" || !strings.Contains(rows[0].Detail, "refused") {
				return fmt.Errorf("row %+v, want the reason", rows[0])
			}
		}
		return nil
	})
	if r := p.ready(); r.Status != 200 || !strings.Contains(r.Email, "refused") {
		t.Errorf("/readyz: %+v", r)
	}
	server.Start()
	for _, id := range events {
		rowsAre(t, p, id, 20*time.Second, "sent")
	}
	if n := len(server.Mails()); n != 5 {
		t.Errorf("%d mails, want 5", n)
	}
	if r := p.ready(); r.Email != "" {
		t.Errorf("/readyz still says %q", r.Email)
	}
}

// TestMail_RefusedForGood: what the server says of one recipient fails that
// one at once, with its words, and no other.
func TestMail_RefusedForGood(t *testing.T) {
	t.Parallel()
	server := newMailServer(t, false)
	server.rcpt = func(to string) error {
		if to == "gone@example.net" {
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox here"}
		}
		return nil
	}
	server.Start()
	p := startHub(t, options{env: server.Settings("gone@example.net,ops@example.net"), args: impatient})
	a := dialDevice(t, p).Ask(`{"source":"s","severity":"error","message":"m"}`)
	rows := rowsAre(t, p, a.EventID, 20*time.Second, "failed", "sent")
	for _, row := range rows {
		if row.Recipient == "gone@example.net" && (row.Status != "failed" || row.Attempts != 1 ||
			!strings.Contains(row.Detail, "550") || !strings.Contains(row.Detail, "no such mailbox here")) {
			t.Errorf("row %+v", row)
		}
	}
	if stats := p.stats(); stats.EmailSentFail != 1 || stats.EmailSentOK != 1 {
		t.Errorf("stats: %+v", stats)
	}
	if r := p.ready(); r.Email != "" {
		t.Errorf("one bad recipient pauses delivery: %q", r.Email)
	}
}

// TestMail_RefusedForNow: a 451 is tried again until it is taken.
func TestMail_RefusedForNow(t *testing.T) {
	t.Parallel()
	server := newMailServer(t, false)
	var tries atomic.Int64
	server.data = func(receivedMail) error {
		if tries.Add(1) < 3 {
			return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted"}
		}
		return nil
	}
	server.Start()
	p := startHub(t, options{env: server.Settings("ops@example.net"), args: impatient})
	a := dialDevice(t, p).Ask(`{"source":"s","severity":"error","message":"m"}`)
	if rows := rowsAre(t, p, a.EventID, 20*time.Second, "sent"); rows[0].Attempts != 3 {
		t.Errorf("row %+v, want 3 attempts", rows[0])
	}
}

// TestMail_RotatedPasswordFailsNothing: a refused login pauses delivery, and
// everybody can see why; the rows are sent once it is accepted.
func TestMail_RotatedPasswordFailsNothing(t *testing.T) {
	t.Parallel()
	server := newMailServer(t, false)
	server.auth = func(string, string) error {
		return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "password expired"}
	}
	server.Start()
	p := startHub(t, options{env: server.Settings("ops@example.net", login...), args: impatient})
	d := dialDevice(t, p)
	var events []int64
	for i := range 20 { // of other sources: each has a mail of its own
		events = append(events, d.Ask(fmt.Sprintf(`{"source":"s%d","severity":"critical","message":"m"}`, i)).EventID)
	}
	eventually(t, 20*time.Second, func() error {
		for _, id := range events {
			if rows := p.emails(id); rows[0].Status != "pending" || !strings.Contains(rows[0].Detail, "535") || !strings.Contains(rows[0].Detail, "password expired") {
				return fmt.Errorf("row %+v, want the reason", rows[0])
			}
		}
		return nil
	})
	if r := p.ready(); r.Status != 200 || !r.Ready || !strings.Contains(r.Email, "535") {
		t.Errorf("/readyz: %+v", r)
	}
	if _, page := p.get("/"); !strings.Contains(page, "No email has got through") || !strings.Contains(page, "password expired") {
		t.Error("the panel does not say that no mail gets through, and why")
	}
	server.Set(func(m *mailServer) { m.auth = nil })
	for _, id := range events {
		rowsAre(t, p, id, 20*time.Second, "sent")
	}
	if r := p.ready(); r.Email != "" {
		t.Errorf("/readyz still says %q", r.Email)
	}
	if _, page := p.get("/"); strings.Contains(page, "No email has got through") {
		t.Error("the panel still says that no mail gets through")
	}
	stats := p.stats()
	if stats.Email["failed"] != 0 || stats.Email["sent"] != 20 || len(server.Mails()) != 20 {
		t.Errorf("stats %+v, %d mails", stats, len(server.Mails()))
	}
}

// TestMail_NothingCrossesInClear: a server without STARTTLS gets neither a
// login nor a mail; one that the operator trusts by name gets both.
func TestMail_NothingCrossesInClear(t *testing.T) {
	t.Parallel()
	server := newMailServer(t, true)
	server.Start()
	t.Run("by default", func(t *testing.T) {
		p := startHub(t, options{env: server.Settings("ops@example.net", login...), args: impatient})
		a := dialDevice(t, p).Ask(`{"source":"s","severity":"error","message":"m"}`)
		eventually(t, 20*time.Second, func() error {
			if rows := p.emails(a.EventID); rows[0].Status != "pending" || rows[0].Attempts < 2 || !strings.Contains(rows[0].Detail, "STARTTLS") {
				return fmt.Errorf("row %+v, want the reason", rows[0])
			}
			return nil
		})
		server.Set(func(m *mailServer) {
			if m.logins != 0 || m.spoken != 0 {
				t.Errorf("the server saw %d logins and %d senders", m.logins, m.spoken)
			}
		})
	})
	t.Run("a certificate that nobody vouches for", func(t *testing.T) {
		strict := newMailServer(t, false)
		strict.Start()
		stranger := newMailServer(t, false) // its authority did not sign the other's certificate
		env := append(strict.Settings("ops@example.net", login...), "SMTP_CA_FILE="+stranger.CAFile)
		p := startHub(t, options{env: env, args: impatient})
		a := dialDevice(t, p).Ask(`{"source":"s","severity":"error","message":"m"}`)
		eventually(t, 20*time.Second, func() error {
			if rows := p.emails(a.EventID); rows[0].Status != "pending" || rows[0].Attempts < 2 || !strings.Contains(rows[0].Detail, "certificate") {
				return fmt.Errorf("row %+v, want the reason", rows[0])
			}
			return nil
		})
		strict.Set(func(m *mailServer) {
			if m.logins != 0 || m.spoken != 0 {
				t.Errorf("the server saw %d logins and %d senders", m.logins, m.spoken)
			}
		})
	})
	t.Run("asked for by name", func(t *testing.T) {
		p := startHub(t, options{env: server.Settings("ops@example.net", append(login, "SMTP_TLS=none")...), args: impatient})
		a := dialDevice(t, p).Ask(`{"source":"s","severity":"error","message":"m"}`)
		rowsAre(t, p, a.EventID, 20*time.Second, "sent")
		server.Set(func(m *mailServer) {
			if m.logins != 1 || len(m.mails) != 1 || m.mails[0].TLS {
				t.Errorf("the server saw %d logins and %d mails", m.logins, len(m.mails))
			}
		})
	})
}

func TestMail_NotConfiguredIsSkippedAndSaid(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		env    []string
		detail string
		to     []string
	}{
		"nothing set":      {nil, "email is not configured: SMTP_HOST, SMTP_FROM, SMTP_TO not set", []string{""}},
		"a host alone":     {[]string{"SMTP_HOST=mail.example.net"}, "email is not configured: SMTP_FROM, SMTP_TO not set", []string{""}},
		"no host":          {[]string{"SMTP_FROM=a@example.net", "SMTP_TO=b@example.net,c@example.net"}, "email is not configured: SMTP_HOST not set", []string{"b@example.net", "c@example.net"}},
		"the user is from": {[]string{"SMTP_USER=a@example.net", "SMTP_PASS=p", "SMTP_HOST=mail.example.net"}, "email is not configured: SMTP_TO not set", []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startHub(t, options{env: tt.env})
			d := dialDevice(t, p)
			for _, severity := range []string{"info", "warning", "error", "critical"} {
				a := d.Ask(fmt.Sprintf(`{"source":"s","severity":"%s","message":"m"}`, severity))
				rows := p.emails(a.EventID)
				var to []string
				for _, r := range rows {
					to = append(to, r.Recipient)
					if r.Status != "skipped" || r.Detail != tt.detail {
						t.Errorf("row %+v, want skipped: %s", r, tt.detail)
					}
				}
				slices.Sort(to)
				want := tt.to
				if severity == "info" || severity == "warning" {
					want = nil
				}
				if diff := cmp.Diff(want, to); diff != "" {
					t.Errorf("%s: recipients (-want +got):\n%s", severity, diff)
				}
			}
		})
	}
}

// TestMail_NotConfiguredAnyMore: mails that still wait then are skipped as new
// ones are, and so is one that is tried again.
func TestMail_NotConfiguredAnyMore(t *testing.T) {
	t.Parallel()
	server := newMailServer(t, false)
	server.rcpt = func(string) error {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox here"}
	}
	server.Start()
	start := options{dir: t.TempDir(), env: server.Settings("ops@example.net"), args: impatient}
	p := startHub(t, start)
	failed := dialDevice(t, p).Ask(`{"source":"s","severity":"error","message":"m"}`)
	alert := rowsAre(t, p, failed.EventID, 20*time.Second, "failed")[0].ID
	server.Stop()
	waiting := dialDevice(t, p).Ask(`{"source":"s","severity":"error","message":"m"}`)
	rowsAre(t, p, waiting.EventID, 20*time.Second, "pending")
	p.Stop(20 * time.Second)

	start.env = []string{"SMTP_TO=ops@example.net", "SMTP_FROM=hub@example.net"}
	p = startHub(t, start)
	const detail = "email is not configured: SMTP_HOST not set"
	if rows := rowsAre(t, p, waiting.EventID, 20*time.Second, "skipped"); rows[0].Detail != detail {
		t.Errorf("row %+v", rows[0])
	}
	if status := p.postJSON(fmt.Sprintf("/api/alerts/%d/retry", alert), `{"by":"ana"}`, nil); status != http.StatusOK {
		t.Errorf("retry: %d", status)
	}
	if rows := rowsAre(t, p, failed.EventID, 20*time.Second, "skipped"); rows[0].Detail != detail {
		t.Errorf("row %+v", rows[0])
	}
}

// TestMail_KilledWhileSending: a mail that a crash overtakes is sent again,
// under the same Message-ID, once; and no event stays without its mail.
func TestMail_KilledWhileSending(t *testing.T) {
	t.Parallel()
	rnd := newRand(t)
	server := newMailServer(t, false)
	var armed atomic.Bool
	victim := make(chan *process)
	server.data = func(receivedMail) error {
		if armed.CompareAndSwap(true, false) {
			// The whole mail is here, and the hub will never hear so.
			p := <-victim
			p.Signal(syscall.SIGKILL)
			<-p.exit
		}
		return nil
	}
	server.Start()
	dir := t.TempDir()
	to := "ops@example.net,night@example.net"
	start := options{dir: dir, env: server.Settings(to), args: impatient, like: fixedAddrs(t)}
	p := startHub(t, start)
	var events []int64
	const rounds = 8
	for round := range rounds {
		d := dialDevice(t, p)
		armed.Store(round%2 == 0)
		for i := range 3 {
			a := d.Ask(fmt.Sprintf(`{"source":"round %d, %d","severity":"critical","message":"m"}`, round, i))
			if !a.OK {
				t.Fatalf("%+v", a)
			}
			events = append(events, a.EventID)
		}
		if round%2 == 0 {
			select {
			case victim <- p:
			case <-time.After(20 * time.Second):
				t.Fatal("no mail came")
			}
		} else {
			// Anywhere in the sending of six mails.
			time.Sleep(time.Duration(rnd.Int64N(int64(30 * time.Millisecond))))
			p.Signal(syscall.SIGKILL)
		}
		<-p.exit
		p = startHub(t, start)
		for _, id := range events[len(events)-3:] {
			rowsAre(t, p, id, 30*time.Second, "sent", "sent")
		}
	}
	copies := make(map[string]int)
	text := make(map[string]string)
	for _, m := range server.Mails() {
		copies[m.MessageID]++
		if first, ok := text[m.MessageID]; ok && first != string(m.Raw) {
			t.Errorf("two mails are %s and not the same", m.MessageID)
		}
		text[m.MessageID] = string(m.Raw)
	}
	repeats := 0
	for id, n := range copies {
		repeats += n - 1
		if n > 2 {
			t.Errorf("%s came %d times", id, n)
		}
	}
	if want := 2 * len(events); len(copies) != want {
		t.Errorf("%d different mails, want %d", len(copies), want)
	}
	if repeats < rounds/2 || repeats > rounds {
		t.Errorf("%d repeats after %d kills", repeats, rounds)
	}
	t.Logf("%d events, %d kills, %d different mails, %d repeats under their Message-ID", len(events), rounds, len(copies), repeats)
	p.Stop(10 * time.Second)
	checkIntegrity(t, openDatabase(t, dir))
}
