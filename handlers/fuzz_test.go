package handlers

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzPostEvents posts what anybody may post: whatever it is, the answer is
// valid JSON, never the hub's own fault, and tells the truth about how many
// events were stored.
func FuzzPostEvents(f *testing.F) {
	for _, contentType := range []string{jsonType, linesType, "application/x-www-form-urlencoded", "text/plain", "", "application/json; charset=latin1", "a/b; =\x00"} {
		for _, body := range []string{
			`{}`, `[{},5,{"key":"k","source":"a"},{"key":"k","source":"a","message":"n"}]`, "{}\n\r\n{\"severity\":[]}\n[", "\uFEFF[]",
			`{"source":"a","source":"b"}`, "{\"message\":\"\xff\\ud800\"}", `[[[[[`, `{"key":"\u0000"}`, "a=b&c=d", "",
		} {
			f.Add(contentType, "key", []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, contentType, key string, body []byte) {
		svc := &fakeService{}
		options := testOptions(t, svc)
		options.Logger = nil
		r := httptest.NewRequest("POST", "/api/events", strings.NewReader(string(body)))
		r.Header["Content-Type"] = []string{contentType}
		r.Header["Idempotency-Key"] = []string{key}
		recorder := httptest.NewRecorder()
		New(options).ServeHTTP(recorder, r)

		answer := recorder.Body.Bytes()
		var got struct {
			EventID   int64 `json:"event_id"`
			Duplicate bool
			Error     string
			RequestID string `json:"request_id"`
			Results   []struct {
				OK        bool
				EventID   int64 `json:"event_id"`
				Duplicate bool
				Error     string
			}
		}
		if err := json.Unmarshal(answer, &got); err != nil {
			t.Fatalf("%d, not JSON: %v\n%q", recorder.Code, err, answer)
		}
		stored := 0
		switch mediaType := recorder.Header().Get("Content-Type"); recorder.Code {
		case http.StatusCreated:
			stored = 1
			if mediaType != jsonType || got.EventID != 1 || got.Duplicate {
				t.Errorf("201 %s %s", mediaType, answer)
			}
		case http.StatusOK:
			if mediaType != jsonType || got.Results == nil {
				t.Errorf("200 %s %s", mediaType, answer)
			}
			for _, result := range got.Results {
				if result.OK != (result.Error == "") || result.OK != (result.EventID > 0) {
					t.Errorf("result %+v", result)
				}
				if result.OK && !result.Duplicate {
					stored++
				}
			}
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
			if mediaType != "application/problem+json" || got.Error == "" || got.RequestID == "" {
				t.Errorf("%d %s %s", recorder.Code, mediaType, answer)
			}
		default:
			t.Errorf("status %d: %s", recorder.Code, answer)
		}
		if len(svc.events) != stored {
			t.Errorf("%d events stored, the answer says %d: %s", len(svc.events), stored, answer)
		}
	})
}

// FuzzListEvents asks for lists with any query.
func FuzzListEvents(f *testing.F) {
	for _, rawQuery := range []string{"", "limit=5", "limit=%00", "from=2026-01-31T18:00:00%2B02:00", "severity=error,critical&severity=", "q=%ff", "a;b", "before=1&after=-1"} {
		f.Add(rawQuery)
	}
	f.Fuzz(func(t *testing.T, rawQuery string) {
		filter, err := eventFilter(rawQuery)
		if err != nil {
			if p := problemOf(err); p.Status != http.StatusBadRequest || p.Field == "" {
				t.Fatalf("problem %+v", p)
			}
			return
		}
		if filter.Limit < 1 || filter.Limit > 1000 || filter.Before < 0 || filter.After < 0 {
			t.Fatalf("filter %+v", filter)
		}
		for _, s := range filter.Severities {
			if !s.Valid() {
				t.Fatalf("filter %+v", filter)
			}
		}
	})
}
