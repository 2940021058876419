package handlers

import (
	"context"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"alerthub/models"
)

// limited serves a hub that takes no more from the source "flood".
func limited(t *testing.T, svc *fakeService) *httptest.Server {
	t.Helper()
	o := testOptions(t, svc)
	o.Limit = func(d models.Draft) error {
		if d.Source == "flood" || d.Source == "" {
			return &models.RateLimited{Wait: 1200 * time.Millisecond}
		}
		return nil
	}
	return serveOptions(t, o)
}

func TestPostEvents_RateLimited(t *testing.T) {
	svc := &fakeService{}
	server := limited(t, svc)
	for _, body := range []string{`{"source":"flood"}`, `no event`, `[{"source":"flood"},{"source":"flood"}]`} {
		answer, text := send(t, server, "POST", "/api/events", body)
		p := decodeAs[problem](t, text)
		if answer.StatusCode != 429 || answer.Header.Get("Retry-After") != "2" || p.Word != "rate_limited" || p.RetryMS != 1200 {
			t.Errorf("%s: status %d, Retry-After %q: %s", body, answer.StatusCode, answer.Header.Get("Retry-After"), text)
		}
	}
	answer, text := send(t, server, "POST", "/api/events", `[{"source":"quiet"},{"source":"flood"},{"source":"quiet"}]`)
	want := `{"results":[{"ok":true,"event_id":1},{"ok":false,"error":"rate_limited","retry_ms":1200},{"ok":true,"event_id":2}]}`
	if answer.StatusCode != 200 || text != want {
		t.Errorf("a mixed batch: %d %s, want %s", answer.StatusCode, text, want)
	}
	if len(svc.drafts) != 2 {
		t.Errorf("%d events stored, want those of the quiet source", len(svc.drafts))
	}
}

func TestForm_RateLimited(t *testing.T) {
	for lang, want := range map[string]string{"en": "Too many events come from this source", "es": "Llegan demasiados eventos de este origen"} {
		svc := &fakeService{}
		answer, text, doc := page(t, limited(t, svc), "POST", "/events", typed("K", "flood", "error", "Restart"), "Accept-Language", lang)
		if answer.StatusCode != 429 || answer.Header.Get("Retry-After") != "2" || len(svc.drafts) != 0 {
			t.Errorf("%s: %d %v", lang, answer.StatusCode, answer.Header)
		}
		if trouble := find(doc, "div", "id", "trouble"); len(trouble) != 1 || !strings.Contains(inner(trouble[0]), want) {
			t.Errorf("%s: %s", lang, text)
		}
	}
}

// TestPostEvents_FloodWaits: a refusal with a pause is told after it, also when
// a part of the batch is taken.
func TestPostEvents_FloodWaits(t *testing.T) {
	const pause = 50 * time.Millisecond
	o := testOptions(t, &fakeService{})
	o.Limit = func(d models.Draft) error {
		if d.Source == "flood" {
			return &models.RateLimited{Wait: time.Millisecond, Pause: pause}
		}
		return nil
	}
	server := serveOptions(t, o)
	for _, body := range []string{`{"source":"flood"}`, `[{"source":"flood"}]`, `[{"source":"flood"},{"source":"quiet"}]`} {
		begun := time.Now()
		send(t, server, "POST", "/api/events", body)
		if took := time.Since(begun); took < pause {
			t.Errorf("%s is answered after %v", body, took)
		}
	}
}

// TestCrowded: one connection too many is told so and closed, in words that
// need no other file of the hub.
func TestCrowded(t *testing.T) {
	var crowd atomic.Bool
	o := testOptions(t, &fakeService{})
	o.Crowded = func(context.Context) bool { return crowd.Load() }
	server := serveOptions(t, o)
	if answer, _ := send(t, server, "GET", "/api/stats", ""); answer.StatusCode != 200 {
		t.Fatalf("status %d", answer.StatusCode)
	}
	crowd.Store(true)
	answer, text := send(t, server, "GET", "/api/stats", "")
	if p := decodeAs[problem](t, text); answer.StatusCode != 503 || p.Word != "too_many_connections" || answer.Header.Get("Retry-After") != "5" || !answer.Close {
		t.Errorf("status %d, closes %v: %s", answer.StatusCode, answer.Close, text)
	}
	answer, text = send(t, server, "GET", "/", "", "Accept", "text/html", "Accept-Language", "es")
	if want := "Network Alert Hub tiene más conexiones abiertas de las que permite"; answer.StatusCode != 503 || !strings.HasPrefix(text, want) {
		t.Errorf("status %d: %s", answer.StatusCode, text)
	}
}
