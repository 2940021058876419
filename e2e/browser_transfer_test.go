package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"
)

// An empty hub shows how to begin; one press fills it with samples.
func TestBrowser_FirstRunAndSamples(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	for _, path := range []string{"/events", "/"} {
		b := browse(t, p.URL(path))
		if text := b.Text("main"); !strings.Contains(text, "Listening. No events yet.") || !strings.Contains(text, "nc ") {
			t.Errorf("%s says %q", path, text)
		}
	}
	watching := browse(t, p.URL("/"))
	watching.Becomes("live", settled)
	watching.Mark()
	b := browse(t, p.URL("/"))
	b.Click(".first [type=submit]")
	b.At("/events")
	b.Shows("rows", stored(p, 5), settled)
	if n := len(stored(p, 10)); n != 5 {
		t.Errorf("%d samples", n)
	}
	if text := b.Text("#toasts"); !strings.Contains(text, "Five sample events stored") {
		t.Errorf("it says %q", text)
	}
	watching.Shows("rows", stored(p, 5), settled)
	watching.Until(`!document.querySelector('.first')?.checkVisibility()`, settled)
	watching.Untouched()
	b.Go(p.URL("/create"))
	b.Click("[form=seed]")
	b.At("/events")
	if n := len(stored(p, 20)); n != 10 {
		t.Errorf("%d events after ten samples", n)
	}
}

// What a filter shows comes out as a file, and goes into another hub.
func TestBrowser_ExportAndImport(t *testing.T) {
	t.Parallel()
	p := mixed(t)
	b := browse(t, p.URL("/events?src=sw-1"))
	b.Click(".menu summary")
	hrefs := eval[[]string](b, `[...document.querySelectorAll('.menu-pop a')].filter(a => a.checkVisibility()).map(a => a.getAttribute('href'))`)
	want := []string{"/export.json?src=sw-1", "/export.ndjson?src=sw-1", "/export.csv?src=sw-1"}
	if diff := cmp.Diff(want, hrefs); diff != "" {
		t.Errorf("the menu (-want +got):\n%s", diff)
	}
	var file listing
	p.getJSON(hrefs[0], &file)
	if n := len(file.Events); n != 4 {
		t.Errorf("%d events are exported, want 4", n)
	}
	_, text := p.get(hrefs[2])
	if n := strings.Count(text, "sw-1"); n < 4 || strings.Contains(text, "ups-9") {
		t.Errorf("as CSV: %s", text)
	}
	_, whole := p.get("/export.json")
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "history <b>.json"), filepath.Join(dir, "bad.json")
	for path, content := range map[string]string{good: whole, bad: strings.Replace(whole, `"critical"`, `"loud"`, 1)} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	other := startHub(t, options{})
	into, watching := browse(t, other.URL("/create")), browse(t, other.URL("/events"))
	watching.Becomes("live", settled)
	watching.Mark()
	choose := func(path string) {
		into.do(chromedp.SetUploadFiles(chromedp.CSS("#import-file"), []string{path}))
		into.Click(`form[action="/import"] .btn`)
		into.Until(`document.getElementById('dlg-confirm').open`, settled)
		into.Is(`document.activeElement.value`, "cancel") // the safe one has the focus
	}
	choose(good)
	if text := into.Text("#dlg-confirm"); !strings.Contains(text, "history <b>.json") || !strings.Contains(text, "kB") {
		t.Errorf("it asks %q", text)
	}
	into.Type(kb.Enter)
	into.Until(`!document.getElementById('dlg-confirm').open`, settled)
	choose(bad)
	into.Click("#dlg-confirm-ok")
	into.Until(`document.readyState === 'complete' && document.getElementById('import')?.textContent.includes('cannot be imported')`, settled)
	into.Excuse("422")
	if text := into.Text("#import"); !strings.Contains(text, "severity") {
		t.Errorf("what is wrong is not named: %q", text)
	}
	into.Go(other.URL("/create"))
	choose(good)
	into.Click("#dlg-confirm-ok")
	into.Until(`location.pathname.startsWith('/import/') && document.readyState === 'complete'`, settled)
	if n := len(stored(other, 10)); n != 0 {
		t.Errorf("%d events are stored before the last question", n)
	}
	if text := into.Text("#import"); !strings.Contains(text, "8 events") || !strings.Contains(text, "history <b>.json") {
		t.Errorf("it asks %q", text)
	}
	into.Click("#import .primary")
	into.Is(`document.getElementById('import-h')?.textContent`, "8 events imported.")
	if diff := cmp.Diff(p.list("").Events, other.list("").Events); diff != "" {
		t.Errorf("imported (-there +here):\n%s", diff)
	}
	watching.Lists(8, 7, 6, 5, 4, 3, 2, 1)
	watching.Fresh(5 * time.Second)
	watching.Untouched()
	// Again: the numbers are taken, which is told before.
	into.Go(other.URL("/create"))
	choose(good)
	into.Click("#dlg-confirm-ok")
	into.Until(`location.pathname.startsWith('/import/') && document.readyState === 'complete'`, settled)
	if text := into.Text("#import"); !strings.Contains(text, "8 are taken") {
		t.Errorf("it does not tell of the numbers: %q", text)
	}
	into.Click("#import a.btn") // no
	into.At("/create")
	if n := len(stored(other, 20)); n != 8 {
		t.Errorf("%d events after an import that was not wanted", n)
	}
}
