package handlers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
)

const (
	jsonType  = "application/json"
	linesType = "application/x-ndjson"
)

// decodeAs reads an answer's body.
func decodeAs[T any](t testing.TB, body string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, body)
	}
	return v
}

func TestPostEvents_StoresOneEvent(t *testing.T) {
	svc := &fakeService{}
	server := serve(t, svc)
	sent := `{"source":"sw-1","severity":"CRIT","message":"Fan <b>stopped</b>","rack":7}`
	answer, body := send(t, server, "POST", "/api/events", sent, "Content-Type", jsonType)

	if answer.StatusCode != 201 || answer.Header.Get("Location") != "/api/events/1" {
		t.Errorf("status %d, Location %q, want 201 and /api/events/1", answer.StatusCode, answer.Header.Get("Location"))
	}
	want := map[string]any{
		"id": 1.0, "event_id": 1.0, "created_at": "2026-11-23T18:30:00.123456Z", "source": "sw-1", "severity": "critical",
		"message": "Fan <b>stopped</b>", "channel": "http_api", "raw_payload": sent, "acked_at": nil, "acked_by": nil, "acked_verified": false,
	}
	if diff := cmp.Diff(want, decodeAs[map[string]any](t, body)); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	if peer := svc.drafts[0].Peer; peer != "127.0.0.1" {
		t.Errorf("peer %q, want the sender's address", peer)
	}
}

func TestPostEvents_NamesWhatWasCut(t *testing.T) {
	server := serve(t, &fakeService{})
	_, body := send(t, server, "POST", "/api/events",
		fmt.Sprintf(`{"source":%q,"message":%q}`, strings.Repeat("s", 81), strings.Repeat("ñ", 301)))
	got := decodeAs[created](t, body)
	if diff := cmp.Diff([]string{"source", "message"}, got.Truncated); diff != "" {
		t.Errorf("truncated (-want +got):\n%s", diff)
	}
	if got.Message != strings.Repeat("ñ", 300) {
		t.Errorf("message of %d bytes, want 300 whole characters", len(got.Message))
	}
}

func TestPostEvents_TakesTheAddressForASource(t *testing.T) {
	server := serve(t, &fakeService{})
	_, body := send(t, server, "POST", "/api/events", `{}`, "X-Forwarded-For", "192.0.2.9", "X-Real-IP", "192.0.2.9")
	if got := decodeAs[created](t, body); got.Source != "127.0.0.1" {
		t.Errorf("source %q: the peer counts, not what a header says of it", got.Source)
	}
}

func TestPostEvents_RepeatsAnswerTheFirstEvent(t *testing.T) {
	svc := &fakeService{}
	server := serve(t, svc)
	const keyed, plain = `{"source":"a","message":"m","key":"k1"}`, `{"source":"a","message":"m"}`
	send(t, server, "POST", "/api/events", plain)
	tests := []struct {
		name, body, header string
		status             int
		id                 int64
		duplicate          bool
	}{
		{"first", keyed, "", 201, 2, false},
		{"repeat by member", keyed, "", 200, 2, true},
		{"repeat by header", plain, "k1", 200, 2, true},
		{"the member wins", keyed, "k2", 200, 2, true},
		{"another key", plain, "k2", 201, 3, false},
		{"another source", `{"source":"b","message":"m","key":"k1"}`, "", 201, 4, false},
	}
	for _, tt := range tests {
		answer, body := send(t, server, "POST", "/api/events", tt.body, "Idempotency-Key", tt.header)
		got := decodeAs[created](t, body)
		if answer.StatusCode != tt.status || got.ID != tt.id || got.EventID != tt.id || got.Duplicate != tt.duplicate ||
			answer.Header.Get("Location") != fmt.Sprintf("/api/events/%d", tt.id) || got.Message != "m" {
			t.Errorf("%s: status %d, %s, Location %s; want %d, id %d, duplicate %v",
				tt.name, answer.StatusCode, body, answer.Header.Get("Location"), tt.status, tt.id, tt.duplicate)
		}
	}
	if len(svc.events) != 4 {
		t.Errorf("%d events stored, want 4", len(svc.events))
	}
}

func TestPostEvents_MediaTypes(t *testing.T) {
	server := serve(t, &fakeService{})
	tests := map[string]struct {
		contentType, body string
		status            int
	}{
		"json":                        {jsonType, `{}`, 201},
		"json in UTF-8":               {"application/json; charset=UTF-8", `{}`, 201},
		"in capitals":                 {"Application/JSON", `{}`, 201},
		"with a byte order mark":      {jsonType, "\uFEFF{}", 201},
		"array after a mark":          {jsonType, "\uFEFF [{}]", 200},
		"none":                        {"", `{}`, 201},
		"none, array":                 {"", `[{}]`, 200},
		"curl -d":                     {"application/x-www-form-urlencoded", `{"message":"m"}`, 201},
		"curl -d, array":              {"application/x-www-form-urlencoded", ` [{"message":"m"}]`, 200},
		"a form":                      {"application/x-www-form-urlencoded", `source=a&message=m`, 400},
		"lines":                       {linesType, "{}\n{}", 200},
		"one line":                    {linesType, "{}", 200},
		"lines that claim to be json": {jsonType, "{}\n{}", 400},
		"json in Latin-1":             {"application/json; charset=iso-8859-1", `{}`, 415},
		"text":                        {"text/plain", `{}`, 415},
		"multipart":                   {"multipart/form-data; boundary=x", `{}`, 415},
		"xml":                         {"application/xml", `<a/>`, 415},
		"broken":                      {"application/json; =", `{}`, 415},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			answer, body := send(t, server, "POST", "/api/events", tt.body, "Content-Type", tt.contentType)
			if answer.StatusCode != tt.status {
				t.Errorf("status %d, want %d: %s", answer.StatusCode, tt.status, body)
			}
		})
	}
}

func TestPostEvents_AnswersABatchInOrderAndInOneGroup(t *testing.T) {
	items := []string{
		`{"source":"a","message":"one","key":"k"}`,
		`{"message":7}`,
		`{"source":"a","message":"one","key":"k"}`,
		`"words"`,
		`{"source":"a","message":"other","key":"k"}`,
		`{"a":1,"a":2}`,
		`{"severity":[1]}`,
		`{"message":"` + strings.Repeat("x", 301) + `"}`,
	}
	want := `{"results":[` + strings.Join([]string{
		`{"ok":true,"event_id":1}`,
		`{"ok":false,"error":"invalid_event","field":"message"}`,
		`{"ok":true,"event_id":1,"duplicate":true}`,
		`{"ok":false,"error":"invalid_json"}`,
		`{"ok":false,"error":"key_conflict"}`,
		`{"ok":false,"error":"invalid_json"}`,
		`{"ok":false,"error":"invalid_event","field":"severity"}`,
		`{"ok":true,"event_id":2,"truncated":["message"]}`,
	}, ",") + `]}`
	for contentType, body := range map[string]string{
		jsonType:  "[" + strings.Join(items, ",\n") + "]",
		linesType: "\r\n" + strings.Join(items, "\r\n\n \n"),
	} {
		t.Run(contentType, func(t *testing.T) {
			svc := &fakeService{}
			answer, got := send(t, serve(t, svc), "POST", "/api/events", body, "Content-Type", contentType)
			if answer.StatusCode != 200 {
				t.Errorf("status %d, want 200", answer.StatusCode)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]int{4}, svc.groups); diff != "" {
				t.Errorf("groups (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPostEvents_AWholeBatchIsRepeatableByItsHeader(t *testing.T) {
	svc := &fakeService{}
	server := serve(t, svc)
	const batch = `[{"source":"a","message":"same"},{"source":"a","message":"same"},{"source":"a","message":"m","key":"own"}]`
	_, first := send(t, server, "POST", "/api/events", batch, "Idempotency-Key", "b1")
	_, again := send(t, server, "POST", "/api/events", batch, "Idempotency-Key", "b1")
	if want := `{"results":[{"ok":true,"event_id":1},{"ok":true,"event_id":2},{"ok":true,"event_id":3}]}`; first != want {
		t.Errorf("first answer %s, want %s", first, want)
	}
	if want := `{"results":[{"ok":true,"event_id":1,"duplicate":true},{"ok":true,"event_id":2,"duplicate":true},{"ok":true,"event_id":3,"duplicate":true}]}`; again != want {
		t.Errorf("second answer %s, want %s", again, want)
	}
	if len(svc.events) != 3 {
		t.Errorf("%d events stored, want 3", len(svc.events))
	}
}

func TestPostEvents_EmptyBatchStoresNothing(t *testing.T) {
	svc := &fakeService{}
	server := serve(t, svc)
	for contentType, body := range map[string]string{jsonType: " [ ] ", linesType: "\n\n"} {
		answer, got := send(t, server, "POST", "/api/events", body, "Content-Type", contentType)
		if answer.StatusCode != 200 || got != `{"results":[]}` {
			t.Errorf("%s: %d %s", contentType, answer.StatusCode, got)
		}
	}
	if len(svc.groups) != 0 {
		t.Errorf("the service was asked: %v", svc.groups)
	}
}

func TestPostEvents_Limits(t *testing.T) {
	svc := &fakeService{}
	server := serve(t, svc)
	long := `{"message":"` + strings.Repeat("x", maxBatchBody) + `"}`
	tests := map[string]struct {
		contentType, body string
		status            int
	}{
		"1000 in an array": {jsonType, "[" + strings.Repeat("{},", 999) + "{}]", 200},
		"1001 in an array": {jsonType, "[" + strings.Repeat("{},", 1000) + "{}]", 413},
		"1000 lines":       {linesType, strings.Repeat("{}\n", 1000), 200},
		"1001 lines":       {linesType, strings.Repeat("{}\n", 1001), 413},
		"exactly 1 MiB":    {jsonType, long[:12] + long[26:], 201},
		"over 1 MiB":       {jsonType, long, 413},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.status == 201 && len(tt.body) != maxBatchBody {
				t.Fatalf("the body has %d bytes", len(tt.body))
			}
			answer, body := send(t, server, "POST", "/api/events", tt.body, "Content-Type", tt.contentType)
			if answer.StatusCode != tt.status {
				t.Errorf("status %d, want %d: %.200s", answer.StatusCode, tt.status, body)
			}
			if tt.status == 413 && decodeAs[problem](t, body).Word != "too_large" {
				t.Errorf("problem %s", body)
			}
		})
	}
	stored := len(svc.events)
	t.Run("over 1 MiB without saying so", func(t *testing.T) {
		r, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+"/api/events", struct{ *strings.Reader }{strings.NewReader(long)})
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = -1
		answer, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if answer.StatusCode != 413 {
			t.Errorf("status %d, want 413", answer.StatusCode)
		}
	})
	if len(svc.events) != stored {
		t.Error("a refused body stored something")
	}
}

func TestPostEvents_TellsWhatIsKnownOfAFailure(t *testing.T) {
	tests := map[string]struct {
		svc    *fakeService
		status int
		word   string
		retry  string
	}{
		"queue full":     {&fakeService{failRegister: models.ErrBusy}, 503, "busy", "1"},
		"no place":       {&fakeService{stall: true}, 503, "busy", "1"},
		"no commit":      {&fakeService{stall: true, failRegister: fmt.Errorf("%w: %w", models.ErrUnknown, context.DeadlineExceeded)}, 503, "outcome_unknown", "1"},
		"disk full":      {&fakeService{failRegister: fmt.Errorf("%w: /data/alerthub.db: disk full", models.ErrUnavailable)}, 503, "storage_unavailable", "5"},
		"shutting down":  {&fakeService{failRegister: models.ErrClosed}, 503, "shutting_down", "5"},
		"something else": {&fakeService{failRegister: fmt.Errorf("SELECT secret FROM /data/alerthub.db")}, 500, "internal_error", ""},
		"no receipt":     {&fakeService{forget: true}, 500, "internal_error", ""},
	}
	for name, tt := range tests {
		for kind, body := range map[string]string{"one": `{"message":"m"}`, "batch": `[{"message":"m"},5]`} {
			t.Run(name+", "+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					start := time.Now()
					recorder := httptest.NewRecorder()
					New(testOptions(t, tt.svc)).ServeHTTP(recorder, httptest.NewRequest("POST", "/api/events", strings.NewReader(body)))
					answer := recorder.Result()
					got := decodeAs[problem](t, recorder.Body.String())
					if answer.StatusCode != tt.status || got.Word != tt.word || answer.Header.Get("Retry-After") != tt.retry {
						t.Errorf("%d %s, Retry-After %q; want %d %s %q",
							answer.StatusCode, recorder.Body, answer.Header.Get("Retry-After"), tt.status, tt.word, tt.retry)
					}
					if strings.Contains(recorder.Body.String(), "/data") || strings.Contains(recorder.Body.String(), "secret") {
						t.Errorf("the answer shows an error's own text: %s", recorder.Body)
					}
					if tt.svc.stall && time.Since(start) != patience {
						t.Errorf("answered after %v, want %v", time.Since(start), patience)
					}
				})
			})
		}
	}
}

func TestPostEvents_Refused(t *testing.T) {
	svc := &fakeService{}
	server := serve(t, svc)
	send(t, server, "POST", "/api/events", `{"source":"a","message":"m","key":"k"}`)
	tests := map[string]struct {
		body, key string
		status    int
		word      string
		field     string
	}{
		"nothing":           {"", "", 400, "invalid_json", ""},
		"words":             {"hello", "", 400, "invalid_json", ""},
		"two objects":       {"{} {}", "", 400, "invalid_json", ""},
		"member twice":      {`{"source":"a","source":"b"}`, "", 400, "invalid_json", ""},
		"array cut off":     {`[{}`, "", 400, "invalid_json", ""},
		"source a number":   {`{"source":1}`, "", 400, "invalid_event", "source"},
		"severity an array": {`{"severity":[]}`, "", 400, "invalid_event", "severity"},
		"long key":          {`{"key":"` + strings.Repeat("k", 129) + `"}`, "", 400, "invalid_event", "key"},
		"long key outside":  {`{}`, strings.Repeat("k", 129), 400, "invalid_event", "key"},
		"key in Latin-1":    {`{}`, "caf\xe9", 400, "invalid_event", "Idempotency-Key"},
		"key conflict":      {`{"source":"a","message":"n","key":"k"}`, "", 409, "key_conflict", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			answer, body := send(t, server, "POST", "/api/events", tt.body, "Idempotency-Key", tt.key)
			got := decodeAs[problem](t, body)
			if answer.StatusCode != tt.status || got.Status != tt.status || got.Word != tt.word || got.Field != tt.field {
				t.Errorf("%d %s; want %d %s, field %q", answer.StatusCode, body, tt.status, tt.word, tt.field)
			}
		})
	}
	if len(svc.events) != 1 {
		t.Errorf("%d events stored, want the first alone", len(svc.events))
	}
}
