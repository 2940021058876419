package e2e

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// upload sends a file to /import and returns the address of its page.
func (p *process) upload(file string) string {
	p.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "history.json")
	if err == nil {
		_, err = io.WriteString(part, file)
	}
	if err != nil || form.Close() != nil {
		p.t.Fatal(err)
	}
	res := p.submit("/import", form.FormDataContentType(), &body)
	if res.StatusCode != http.StatusSeeOther {
		p.t.Fatalf("POST /import: %d", res.StatusCode)
	}
	return res.Header.Get("Location")
}

// submit posts as a form without JavaScript does, and follows no redirect.
func (p *process) submit(path, contentType string, body io.Reader) *http.Response {
	p.t.Helper()
	req, err := http.NewRequest(http.MethodPost, p.URL(path), body)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Accept", "text/html")
	client := &http.Client{
		Transport:     httpClient.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		p.t.Fatalf("POST %s: %v", path, err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res
}

// begin gives the word for an upload.
func (p *process) begin(page string) {
	p.t.Helper()
	eventually(p.t, 10*time.Second, func() error {
		if res := p.submit(page, "application/x-www-form-urlencoded", nil); res.StatusCode != http.StatusSeeOther {
			return fmt.Errorf("POST %s: %d", page, res.StatusCode)
		}
		return nil
	})
}

// awaitImport waits until the page of an import says these words.
func (p *process) awaitImport(page, words string, patience time.Duration) {
	p.t.Helper()
	eventually(p.t, patience, func() error {
		if _, body := p.get(page); !strings.Contains(body, words) {
			return fmt.Errorf("%s says %.300s", page, importSays.FindString(body))
		}
		return nil
	})
}

var importSays = regexp.MustCompile(`id="import-h">[^<]*`)

// bulkFile is a file of n events of the last 30 days, a tenth of them errors
// with an email, the newest first.
func bulkFile(n int) string {
	var events, emails strings.Builder
	start := time.Now().UTC().Add(-30 * 24 * time.Hour).Truncate(time.Second)
	step := 30 * 24 * time.Hour / time.Duration(n)
	for id := n; id >= 1; id-- {
		at := start.Add(time.Duration(id) * step).Format("2006-01-02T15:04:05.000000Z")
		severity := "info"
		if id%10 == 0 {
			severity = "error"
			fmt.Fprintf(&emails, `%s{"id":%d,"event_id":%d,"created_at":%q,"recipient":"noc@example.net","status":"sent","detail":"250 ok","attempts":1}`,
				comma(&emails), id, id, at)
		}
		fmt.Fprintf(&events, "%s{\"id\":%d,\"created_at\":%q,\"source\":\"core-rtr-%02d\",\"severity\":%q,\"message\":\"Interface xe-0/0/%d changed state, number %d\",\"channel\":\"tcp_socket\",\"raw_payload\":\"{\\\"severity\\\":\\\"%s\\\"}\"}\n",
			comma(&events), id, at, id%40, severity, id%48, id, severity)
	}
	return `{"events":[` + events.String() + `],"email_logs":[` + emails.String() + `]}`
}

func comma(b *strings.Builder) string {
	if b.Len() == 0 {
		return ""
	}
	return ","
}

// TestImport_Killed: kill -9 in the middle of an import leaves nothing of it,
// neither visible nor in the file, and the hub starts as fast as ever.
func TestImport_Killed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startHub(t, options{dir: dir, like: fixedAddrs(t)})
	device := dialDevice(t, p)
	device.Ask(`{"source":"a","severity":"critical","message":"before"}`)
	file := bulkFile(100_000)
	page := p.upload(file)
	p.begin(page)
	done := regexp.MustCompile(`[1-9][0-9,]* of 100,000 events imported`)
	eventually(t, 20*time.Second, func() error {
		if _, body := p.get(page); !done.MatchString(body) {
			return fmt.Errorf("%s says %s", page, importSays.FindString(body))
		}
		return nil
	})
	visible := func(when string) {
		t.Helper()
		var list struct {
			Events []struct{ ID int64 }
		}
		p.getJSON("/api/events?limit=1000", &list)
		if len(list.Events) != 1 || p.stats().TotalEvents != 1 {
			t.Errorf("%s: %d events are listed, %d counted; want the one that is not imported", when, len(list.Events), p.stats().TotalEvents)
		}
		if _, body := p.get("/export.ndjson"); strings.Count(body, "\n") != 1 {
			t.Errorf("%s: the export holds %d events", when, strings.Count(body, "\n"))
		}
	}
	visible("while it runs")
	p.Signal(syscall.SIGKILL)
	<-p.exit
	p = startHub(t, options{dir: dir, like: p})
	visible("right after the restart")
	p.awaitImport(page, "Nothing of it was kept", 30*time.Second)
	visible("after the removal")
	db := openDatabase(t, dir)
	for _, table := range []string{"events", "email_alerts"} {
		var left int
		if err := db.QueryRow("SELECT count(*) FROM " + table + " WHERE import_id IS NOT NULL").Scan(&left); err != nil || left > 0 {
			t.Errorf("%d rows of it are left in %s, %v", left, table, err)
		}
	}
	checkIntegrity(t, db)
	// The same file again, to its end: what was reserved before is free again.
	page = p.upload(file)
	p.begin(page)
	p.awaitImport(page, "100,000 events imported.", 60*time.Second)
	if n := p.stats().TotalEvents; n != 100_001 {
		t.Errorf("%d events, want 100,001", n)
	}
}

// TestImport_BesideIngest: senders are answered while an import runs, in their
// order and with ascending ids; the figures are printed.
func TestImport_BesideIngest(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	page := p.upload(bulkFile(100_000))
	device := dialDevice(t, p)
	ask := func(n int, while func() bool) (took []time.Duration) {
		for i := 0; i < n || while(); i++ {
			began := time.Now()
			if answer := device.Ask(`{"source":"a","severity":"info","message":"beside"}`); !answer.OK {
				t.Fatalf("refused: %+v", answer)
			}
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		return took
	}
	alone := ask(1000, func() bool { return false })
	p.begin(page)
	began := time.Now()
	var lasted time.Duration
	var mu sync.Mutex
	over := func() bool { mu.Lock(); defer mu.Unlock(); return lasted > 0 }
	var waiting sync.WaitGroup
	waiting.Go(func() {
		for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			if _, body := p.get(page); strings.Contains(body, "100,000 events imported.") {
				break
			}
		}
		mu.Lock()
		lasted = time.Since(began)
		mu.Unlock()
	})
	beside := ask(0, func() bool { return !over() })
	waiting.Wait()
	p.awaitImport(page, "100,000 events imported.", settled)
	p99 := func(d []time.Duration) time.Duration { return d[len(d)*99/100] }
	t.Logf("100,000 events with 10,000 emails in %v: %.0f events/s", lasted.Round(time.Millisecond), 100_000/lasted.Seconds())
	t.Logf("one sender: p50 %v p99 %v max %v alone; p50 %v p99 %v max %v beside the import (%d answers)",
		alone[len(alone)/2], p99(alone), alone[len(alone)-1], beside[len(beside)/2], p99(beside), beside[len(beside)-1], len(beside))
	if slowest := beside[len(beside)-1]; slowest > 2*time.Second {
		t.Errorf("an answer took %v beside an import", slowest)
	}
}

// TestImport_RoundTrip: what one hub exports, an empty one imports and exports
// the same, but for the time of the export and what its process counted.
func TestImport_RoundTrip(t *testing.T) {
	t.Parallel()
	a, b := startHub(t, options{}), startHub(t, options{})
	device := dialDevice(t, a)
	for i, text := range []string{`línea 1\n\tlínea 2`, strings.Repeat("ñ", 300), `\u0001\u007f\u2028`, `=1+1`, `</script>\"<b>`, "\U0001F6A8"} {
		severity := []string{"info", "warning", "error", "critical"}[i%4]
		if answer := device.Ask(fmt.Sprintf(`{"source":"núcleo-%d","severity":%q,"message":"%s","extra":{"nested":[1,2,"\u0000"]}}`, i, severity, text)); !answer.OK {
			t.Fatalf("%+v", answer)
		}
	}
	if status := a.postJSON("/api/events/3/ack", `{"by":"Ana López"}`, nil); status != http.StatusOK {
		t.Fatalf("ack: %d", status)
	}
	if res := a.submit("/seed", "application/x-www-form-urlencoded", nil); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("POST /seed: %d", res.StatusCode)
	}
	_, first := a.get("/export.json")
	page := b.upload(first)
	b.begin(page)
	b.awaitImport(page, "11 events imported.", 20*time.Second)
	_, second := b.get("/export.json")
	if volatile.ReplaceAllString(first, "") != volatile.ReplaceAllString(second, "") {
		t.Errorf("exported\n%s\nand after the import\n%s", first, second)
	}
	for _, format := range []string{"csv", "ndjson"} {
		_, before := a.get("/export." + format)
		if _, after := b.get("/export." + format); before != after || strings.Count(before, "núcleo-") < 6 {
			t.Errorf("%s:\n%s\nand after the import\n%s", format, before, after)
		}
	}
	// The index takes in what came with ids below its watermark.
	eventually(t, 10*time.Second, func() error {
		if _, body := b.get("/export.ndjson?q=l%C3%ADnea"); strings.Count(body, "\n") != 1 {
			return fmt.Errorf("a search finds %q", body)
		}
		return nil
	})
}

var volatile = regexp.MustCompile(`"exported_at":"[^"]*"|"(tcp_messages|http_messages|email_sent_ok|email_sent_fail)":\d+`)
