// Package static owns the files that pages load: styles, scripts and icons,
// embedded in the program. Their URLs carry a digest of their content, so
// that browsers keep them for ever and never use a stale one. It knows no
// page and runs no goroutine; everything in it is safe for concurrent use.
package static

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/tdewolff/minify/v2"
	"github.com/tdewolff/minify/v2/js"
)

// Prefix is where Handler serves.
const Prefix = "/static/"

//go:embed css/*.css js/*.js img/*.svg vendor/*.js
var files embed.FS

// bundles are files that are served as one, so that a first view takes few
// requests. The first style sheet declares the order of the layers that the
// others fill. This project's own scripts come after those made elsewhere, and
// are one function, in the order in which each uses what is before it.
var bundles = map[string][]string{
	"css/panel.css": {
		"css/tokens.css", "css/base.css", "css/layout.css", "css/components.css", "css/charts.css",
		"css/tables.css", "css/forms.css", "css/pages.css", "css/phone.css", "css/modes.css",
	},
	"js/all.js": {"vendor/htmx.min.js", "vendor/ws.min.js", "js/base.js", "js/live.js", "js/panel.js", "js/lists.js"},
}

// contentTypes are fixed here because package mime asks the machine.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// asset is one file as it is served.
type asset struct {
	url         string
	contentType string
	body        []byte
	gzipped     func() []byte // made at the first request that takes it
}

// byName and byURL are read-only after they are built.
var byName, byURL = load()

// load reads the embedded files. They are part of the program, so one that
// cannot be read is a fault of the build: it panics, in every test.
func load() (byName, byURL map[string]*asset) {
	byName, byURL = map[string]*asset{}, map[string]*asset{}
	add := func(name string, body []byte) {
		a := newAsset(name, body)
		byName[name], byURL[a.url] = a, a
	}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(name) != ".svg" {
			return err
		}
		body, err := files.ReadFile(name)
		add(name, body)
		return err
	})
	if err != nil {
		panic(fmt.Sprintf("static: embedded files: %v", err))
	}
	for bundle, names := range bundles {
		var whole, own bytes.Buffer
		for _, name := range names {
			body, err := files.ReadFile(name)
			if err != nil {
				panic(fmt.Sprintf("static: %s: %v", bundle, err))
			}
			part := &whole
			if path.Dir(name) == "js" {
				part = &own
			}
			part.Write(body)
			part.WriteByte('\n')
		}
		if own.Len() > 0 {
			add(bundle, small(whole.String()+"(() => {'use strict';\n"+own.String()+"})();\n"))
		} else {
			add(bundle, whole.Bytes())
		}
	}
	return byName, byURL
}

// small makes scripts small: with their comments and long names ours would be
// half as large again as what pages may load. Names of the outermost level
// stay as they are.
func small(scripts string) []byte {
	var b bytes.Buffer
	if err := js.Minify(minify.New(), &b, strings.NewReader(scripts), nil); err != nil {
		panic(fmt.Sprintf("static: scripts: %v", err))
	}
	return b.Bytes()
}

func newAsset(name string, body []byte) *asset {
	digest := sha256.Sum256(body)
	extension := path.Ext(name)
	return &asset{
		url:         Prefix + strings.TrimSuffix(name, extension) + "." + hex.EncodeToString(digest[:6]) + extension,
		contentType: contentTypes[extension],
		body:        body,
		gzipped: sync.OnceValue(func() []byte {
			var b bytes.Buffer
			// None can fail: the level is one, and the buffer takes everything.
			w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
			_, _ = w.Write(body)
			_ = w.Close()
			return b.Bytes()
		}),
	}
}

// URL is where a file is served: URL("css/panel.css") is
// /static/css/panel.<digest>.css. Of a file that does not exist, it is a URL
// that answers 404.
func URL(name string) string {
	if a, ok := byName[name]; ok {
		return a.url
	}
	return Prefix + name
}

// Handler serves GET and HEAD of what URL names, for ever cacheable,
// compressed for those who accept gzip. It answers 404 to everything else.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, ok := byURL[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		header, body := w.Header(), a.body
		header.Set("Content-Type", a.contentType)
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
		header.Add("Vary", "Accept-Encoding")
		if acceptsGzip(r) {
			body = a.gzipped()
			header.Set("Content-Encoding", "gzip")
		}
		header.Set("Content-Length", strconv.Itoa(len(body)))
		if r.Method != http.MethodHead {
			_, _ = w.Write(body) // fails only when the client is gone
		}
	})
}

// acceptsGzip reports whether the request names gzip and does not refuse it.
func acceptsGzip(r *http.Request) bool {
	for _, offer := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		coding, quality, _ := strings.Cut(offer, ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(quality), "q="), 64)
			return err != nil || q > 0
		}
	}
	return false
}
