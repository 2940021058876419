package handlers

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"alerthub/models"
)

// fakeTransfer exports what it is told and keeps what is uploaded.
type fakeTransfer struct {
	export  func(w io.Writer, format models.ExportFormat, f models.EventFilter) error
	imports map[string]models.Import
	refuse  error // of Upload and Start

	name, file string // the last upload
	started    []string
}

func (f *fakeTransfer) Export(_ context.Context, w io.Writer, format models.ExportFormat, filter models.EventFilter) error {
	return f.export(w, format, filter)
}

func (f *fakeTransfer) Upload(_ context.Context, name string, from io.Reader) (models.Import, error) {
	content, err := io.ReadAll(io.LimitReader(from, models.MaxImport+1))
	f.name, f.file = name, string(content)
	switch {
	case f.refuse != nil:
		return models.Import{}, f.refuse
	case err != nil:
		return models.Import{}, fmt.Errorf("receive: %w", err)
	case len(content) > models.MaxImport:
		return models.Import{}, models.ErrImportTooLarge
	}
	return f.imports["T"], nil
}

func (f *fakeTransfer) Import(_ context.Context, token string) (models.Import, error) {
	i, ok := f.imports[token]
	if !ok {
		return i, models.ErrNotFound
	}
	return i, nil
}

func (f *fakeTransfer) Start(token string) error {
	if f.refuse != nil {
		return f.refuse
	}
	if _, ok := f.imports[token]; !ok {
		return models.ErrNotFound
	}
	f.started = append(f.started, token)
	return nil
}

func serveTransfer(t *testing.T, f *fakeTransfer) *httptest.Server {
	options := testOptions(t, seeded())
	options.Transfer = f
	server := httptest.NewServer(New(options))
	t.Cleanup(server.Close)
	return server
}

// browse asks as a browser does and returns the answer with its body.
func browse(t *testing.T, method, address, contentType string, body io.Reader) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequest(method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "text/html")
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}

func TestExport_AnswersAFile(t *testing.T) {
	var asked []models.EventFilter
	server := serveTransfer(t, &fakeTransfer{export: func(w io.Writer, format models.ExportFormat, f models.EventFilter) error {
		asked = append(asked, f)
		_, err := io.WriteString(w, strings.Repeat("a line of "+string(format)+"\n", 200))
		return err
	}})
	for format, kind := range map[string]string{
		"json": "application/json", "ndjson": "application/x-ndjson", "csv": "text/csv; charset=utf-8; header=present",
	} {
		address := server.URL + "/export." + format + "?sev=critical&q=" + url.QueryEscape("núcleo") + "&before=7"
		response, body := browse(t, "GET", address, "", nil)
		if response.StatusCode != 200 || response.Header.Get("Content-Type") != kind || strings.Count(body, "\n") != 200 {
			t.Errorf("%s: %d %s, %d bytes", format, response.StatusCode, response.Header.Get("Content-Type"), len(body))
		}
		if got, want := response.Header.Get("Content-Disposition"), "attachment; filename=alerthub-"+received.Add(time.Second).UTC().Format("2006-01-02-150405")+"."+format; got != want {
			t.Errorf("%s: disposition %q, want %q", format, got, want)
		}
		f := asked[len(asked)-1]
		if f.Text != "núcleo" || !slices.Equal(f.Severities, []models.Severity{models.SeverityCritical}) || f.Before != 0 {
			t.Errorf("%s: asked for %+v", format, f)
		}
		before := len(asked)
		if response, body := browse(t, "HEAD", address, "", nil); response.StatusCode != 200 || body != "" || response.Header.Get("Content-Type") != kind || len(asked) != before {
			t.Errorf("%s: HEAD answers %d %q and reads %d times", format, response.StatusCode, body, len(asked)-before)
		}
	}
	if response, body := browse(t, "GET", server.URL+"/export.json?sev=grave", "", nil); response.StatusCode != 400 || response.Header.Get("Content-Disposition") != "" {
		t.Errorf("a filter that is not understood: %d %s", response.StatusCode, body)
	}
}

// A fault before the first byte is an error like any other; later, the
// transfer must not look complete, whether it is compressed or not.
func TestExport_Faults(t *testing.T) {
	var before atomic.Int64 // bytes written before the fault
	server := serveTransfer(t, &fakeTransfer{export: func(w io.Writer, _ models.ExportFormat, _ models.EventFilter) error {
		if n := int(before.Load()); n > 0 {
			if _, err := io.WriteString(w, strings.Repeat("x", n)); err != nil {
				return err
			}
		}
		return models.ErrUnavailable
	}})
	for _, written := range []int64{0, 10, 5_000, 1_000_000} {
		before.Store(written)
		for _, encoding := range []string{"identity", "gzip"} {
			request, err := http.NewRequest("GET", server.URL+"/export.csv", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Accept-Encoding", encoding)
			response, err := http.DefaultClient.Do(request)
			if written == 0 && encoding == "identity" {
				if err != nil || response.StatusCode != 503 || response.Header.Get("Content-Disposition") != "" {
					t.Errorf("failed at once: %+v, %v", response, err)
				}
			}
			if err != nil {
				continue // nothing came at all
			}
			_, err = io.ReadAll(response.Body)
			response.Body.Close()
			if response.StatusCode == 200 && err == nil {
				t.Errorf("failed after %d bytes (%s): it looks whole", written, encoding)
			}
		}
	}
}

// form is a multipart form with one file.
func form(t *testing.T, field, name string, content io.Reader) (string, io.Reader) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile(field, name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(part, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), &b
}

func TestImport_Upload(t *testing.T) {
	checked := models.Import{Token: "T", Name: "h<i>.json", State: models.ImportChecked, Events: 214, Kept: 211, Renumbered: 3, Emails: 9, From: received, To: received}
	f := &fakeTransfer{imports: map[string]models.Import{"T": checked}}
	server := serveTransfer(t, f)
	kind, body := form(t, "file", "dir/h\u202e<i>.json", strings.NewReader("{}"))
	response, _ := browse(t, "POST", server.URL+"/import", kind, body)
	if response.StatusCode != 303 || response.Header.Get("Location") != "/import/T" || f.file != "{}" || f.name != "h<i>.json" {
		t.Errorf("%d to %q with %q %q", response.StatusCode, response.Header.Get("Location"), f.name, f.file)
	}
	response, page := browse(t, "GET", server.URL+"/import/T", "", nil)
	for _, part := range []string{"h&lt;i&gt;.json", "214", "211 are kept, 3 are taken", `method="post" action="/import/T"`} {
		if response.StatusCode != 200 || !strings.Contains(page, part) {
			t.Errorf("%d, the page that asks lacks %s", response.StatusCode, part)
		}
	}
	if response, _ := browse(t, "POST", server.URL+"/import/T", "", nil); response.StatusCode != 303 || !slices.Equal(f.started, []string{"T"}) {
		t.Errorf("started: %d, %v", response.StatusCode, f.started)
	}

	refused := models.Import{Token: "T", State: models.ImportRefused, Problems: []string{"event 17: severity: must be <x>"}}
	f.imports["T"] = refused
	kind, body = form(t, "file", "x", strings.NewReader("?"))
	if response, page := browse(t, "POST", server.URL+"/import", kind, body); response.StatusCode != 422 || !strings.Contains(page, "event 17: severity: must be &lt;x&gt;") {
		t.Errorf("refused: %d\n%s", response.StatusCode, page)
	}
	for name, tt := range map[string]struct {
		kind   string
		body   io.Reader
		refuse error
		status int
		words  string
	}{
		"no form":       {"text/plain", strings.NewReader("x"), nil, 400, "could not be read"},
		"no file in it": {"multipart/form-data; boundary=x", strings.NewReader("--x--\r\n"), nil, 400, "could not be read"},
		"broken off":    {"multipart/form-data; boundary=x", strings.NewReader("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nabc"), nil, 400, "could not be read"},
		"another one":   {"", nil, models.ErrImporting, 409, "Another import is under way"},
		"a full disk":   {"", nil, models.ErrUnavailable, 503, "Not available"},
	} {
		if f.refuse = tt.refuse; tt.kind == "" {
			tt.kind, tt.body = form(t, "file", "x", strings.NewReader("{}"))
		}
		if response, page := browse(t, "POST", server.URL+"/import", tt.kind, tt.body); response.StatusCode != tt.status || !strings.Contains(page, tt.words) {
			t.Errorf("%s: %d, want %d and %q\n%s", name, response.StatusCode, tt.status, tt.words, page)
		}
	}
	f.refuse = nil
	for _, path := range []string{"/import/gone", "/import/%00"} {
		if response, page := browse(t, "GET", server.URL+path, "", nil); response.StatusCode != 404 || !strings.Contains(page, "not known any more") {
			t.Errorf("%s: %d", path, response.StatusCode)
		}
	}
}

// TestImport_TooLarge: told as such, with its length or without.
func TestImport_TooLarge(t *testing.T) {
	f := &fakeTransfer{}
	server := serveTransfer(t, f)
	huge := func() (string, io.Reader) {
		return form(t, "file", "x", io.LimitReader(zeros{}, models.MaxImport+2<<20))
	}
	kind, body := huge()
	if response, page := browse(t, "POST", server.URL+"/import", kind, body); response.StatusCode != 413 || !strings.Contains(page, "larger than 100\u00a0MB") {
		t.Errorf("with its length: %d\n%s", response.StatusCode, page)
	}
	kind, body = huge()
	if response, _ := browse(t, "POST", server.URL+"/import", kind, io.MultiReader(body)); response.StatusCode != 413 {
		t.Errorf("without its length: %d", response.StatusCode)
	}
	if len(f.file) != models.MaxImport+1 {
		t.Errorf("read %d bytes of it", len(f.file))
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestImport_Progress(t *testing.T) {
	f := &fakeTransfer{imports: map[string]models.Import{}}
	server := serveTransfer(t, f)
	for name, tt := range map[string]struct {
		i     models.Import
		words []string
	}{
		"running":  {models.Import{State: models.ImportRunning, Events: 200, Done: 50}, []string{"50 of 200 events imported (25 %)", `<progress max="200" value="50"`, `http-equiv="refresh"`}},
		"removing": {models.Import{State: models.ImportRunning, Events: 200, Done: 50, Error: "events 1 to 2: disk full"}, []string{"is being removed", "events 1 to 2: disk full"}},
		"failed":   {models.Import{State: models.ImportFailed, Events: 200, Error: "events 1 to 2: disk full"}, []string{"Nothing of it was kept", "events 1 to 2: disk full"}},
		"finished": {models.Import{State: models.ImportFinished, Events: 200, Done: 200, Kept: 50, Renumbered: 150, FirstRenumbered: 901}, []string{"200 events imported.", "50 are kept, 150", `href="/events?before=1001"`, "#901"}},
	} {
		tt.i.Token = "T"
		f.imports["T"] = tt.i
		response, page := browse(t, "GET", server.URL+"/import/T", "", nil)
		for _, words := range tt.words {
			if response.StatusCode != 200 || !strings.Contains(page, words) {
				t.Errorf("%s: %d lacks %q", name, response.StatusCode, words)
			}
		}
	}
}

func TestSeed(t *testing.T) {
	svc := &fakeService{}
	server := httptest.NewServer(New(testOptions(t, svc)))
	t.Cleanup(server.Close)
	if response, _ := browse(t, "POST", server.URL+"/seed", "", nil); response.StatusCode != 303 || response.Header.Get("Location") != "/events" {
		t.Errorf("%d to %q", response.StatusCode, response.Header.Get("Location"))
	}
	events, err := svc.EventsAfter(t.Context(), 0, 100)
	if err != nil || len(events) != 5 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	request, err := http.NewRequest("POST", server.URL+"/seed", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("HX-Request", "true")
	response, err := http.DefaultClient.Do(request)
	if err != nil || response.StatusCode != 204 || !strings.Contains(response.Header.Get("HX-Trigger"), "Five sample events stored") {
		t.Errorf("to htmx: %+v, %v", response, err)
	}
	svc.failRegister = models.ErrUnavailable
	if response, _ := browse(t, "POST", server.URL+"/seed", "", nil); response.StatusCode != 503 {
		t.Errorf("a full disk: %d", response.StatusCode)
	}
}
