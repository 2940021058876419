package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func get(t *testing.T, method, target string, headers ...string) (*http.Response, []byte) {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result(), w.Body.Bytes()
}

func TestHandler_servesWhatURLNames(t *testing.T) {
	for name, contentType := range map[string]string{
		"css/panel.css": "text/css; charset=utf-8", "js/all.js": "text/javascript; charset=utf-8",
		"img/favicon.svg": "image/svg+xml", "img/favicon-offline.svg": "image/svg+xml",
	} {
		answer, body := get(t, "GET", URL(name))
		if answer.StatusCode != 200 || len(body) == 0 {
			t.Errorf("%s: status %d, %d bytes", name, answer.StatusCode, len(body))
		}
		if got := answer.Header.Get("Content-Type"); got != contentType {
			t.Errorf("%s: type %q, want %q", name, got, contentType)
		}
		if got := answer.Header.Get("Cache-Control"); !strings.Contains(got, "immutable") {
			t.Errorf("%s: Cache-Control %q", name, got)
		}
		digest := sha256.Sum256(body)
		if !strings.Contains(URL(name), "."+hex.EncodeToString(digest[:6])+".") {
			t.Errorf("%s: %s does not carry the digest of its content", name, URL(name))
		}
	}
}

func TestHandler_answers404ToAnythingElse(t *testing.T) {
	for _, target := range []string{
		"/static/", "/static/css/panel.css", "/static/css/panel.000000000000.css", "/static/nothing.js",
		"/static/static.go", "/static/../static.go", "/static/vendor/NOTICE.md", URL("no/such.css"), URL("css/panel.css") + "/",
	} {
		answer, _ := get(t, "GET", target)
		if answer.StatusCode != 404 || strings.Contains(answer.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: status %d, Cache-Control %q", target, answer.StatusCode, answer.Header.Get("Cache-Control"))
		}
	}
}

func TestHandler_compressesForThoseWhoAcceptIt(t *testing.T) {
	_, plain := get(t, "GET", URL("css/panel.css"))
	for accept, want := range map[string]string{
		"gzip": "gzip", "deflate, gzip;q=0.5, br": "gzip", "GZIP": "gzip",
		"": "", "br": "", "gzip;q=0": "", "x-gzip-like": "",
	} {
		answer, body := get(t, "GET", URL("css/panel.css"), "Accept-Encoding", accept)
		if got := answer.Header.Get("Content-Encoding"); got != want {
			t.Errorf("%q: encoding %q, want %q", accept, got, want)
			continue
		}
		if answer.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: Vary %q", accept, answer.Header.Get("Vary"))
		}
		if want == "gzip" {
			unpacked, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(unpacked); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(body, plain) {
			t.Errorf("%q: another content", accept)
		}
	}
}

func TestHandler_answersHEADWithoutBody(t *testing.T) {
	answer, body := get(t, "HEAD", URL("js/all.js"))
	if answer.StatusCode != 200 || len(body) != 0 || answer.Header.Get("Content-Length") == "0" {
		t.Errorf("status %d, %d bytes, Content-Length %s", answer.StatusCode, len(body), answer.Header.Get("Content-Length"))
	}
}

func TestVendoredFiles_areThoseOfTheNotice(t *testing.T) {
	notice, err := os.ReadFile("vendor/NOTICE.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| (\S+\.js) \|.*\| ([0-9a-f]{64}) \|$`).FindAllStringSubmatch(string(notice), -1)
	var named []string
	for _, row := range rows {
		named = append(named, row[1])
		body, err := files.ReadFile("vendor/" + row[1])
		if err != nil {
			t.Error(err)
			continue
		}
		if digest := sha256.Sum256(body); hex.EncodeToString(digest[:]) != row[2] {
			t.Errorf("%s is not the file that the notice describes: its SHA-256 is %x", row[1], digest)
		}
	}
	entries, err := files.ReadDir("vendor")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !slices.Contains(named, entry.Name()) {
			t.Errorf("%s is in no row of the notice", entry.Name())
		}
	}
}

// The bars of what a first view loads, compressed.
func TestSizes_stayWithinTheirBars(t *testing.T) {
	css, js := len(byName["css/panel.css"].gzipped()), len(byName["js/all.js"].gzipped())
	t.Logf("gzip: css %d bytes, js %d bytes", css, js)
	if css > 12<<10 || js > 24<<10 {
		t.Errorf("css %d of %d bytes, js %d of %d", css, 12<<10, js, 24<<10)
	}
}

// Every style sheet and script is part of what pages load.
func TestBundles_areWhole(t *testing.T) {
	for dir, bundle := range map[string]string{"css": "css/panel.css", "js": "js/all.js", "vendor": "js/all.js"} {
		entries, err := files.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if name := dir + "/" + entry.Name(); !slices.Contains(bundles[bundle], name) {
				t.Errorf("%s is not served", name)
			}
		}
	}
	if !slices.IsSortedFunc([]string{"vendor/htmx.min.js", "vendor/ws.min.js", "js/base.js", "js/live.js"}, func(a, b string) int {
		return slices.Index(bundles["js/all.js"], a) - slices.Index(bundles["js/all.js"], b)
	}) {
		t.Error("the scripts do not come in the order in which they use each other")
	}
	// One that ended without a semicolon would call what the next begins with.
	for _, name := range bundles["js/all.js"] {
		body, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if end := bytes.TrimSpace(body); !bytes.HasSuffix(end, []byte(";")) && !bytes.HasSuffix(end, []byte("}")) {
			t.Errorf("%s does not end a statement", name)
		}
	}
}

// The style sheet holds nothing that would make the browser ask elsewhere.
func TestStylesheet_isSelfContained(t *testing.T) {
	for _, word := range []string{"url(", "@import", "expression("} {
		if bytes.Contains(byName["css/panel.css"].body, []byte(word)) {
			t.Errorf("the style sheet holds %s", word)
		}
	}
}

var relaxed = regexp.MustCompile(`\beval\(|new Function|(inner|outer)HTML\s*\+?=[^=]|document\.write|\.style\b`)

// The scripts run under a policy without eval and inline code.
func TestScripts_needNoRelaxedPolicy(t *testing.T) {
	for _, name := range bundles["js/all.js"] {
		if path.Dir(name) != "js" {
			continue
		}
		body, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if found := relaxed.Find(body); found != nil {
			t.Errorf("%s holds %s", name, found)
		}
	}
}
