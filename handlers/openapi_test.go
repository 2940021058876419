package handlers

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"

	"alerthub/models"
)

// openDocument reads the document that is served and makes its validator.
func openDocument(t *testing.T) (libopenapi.Document, validator.Validator) {
	t.Helper()
	_, text := send(t, serve(t, &fakeService{}), "GET", "/api/openapi.yaml", "")
	document, err := libopenapi.NewDocument([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(document)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	t.Cleanup(func() {
		v.Release()
		document.Release()
	})
	return document, v
}

func TestOpenAPI_IsValid(t *testing.T) {
	_, v := openDocument(t)
	if ok, errs := v.ValidateDocument(); !ok {
		for _, err := range errs {
			t.Errorf("%s: %s %v", err.Message, err.Reason, err.SchemaValidationErrors)
		}
	}
}

func TestOpenAPI_DescribesEveryRouteAndNoOther(t *testing.T) {
	document, _ := openDocument(t)
	model, err := document.BuildV3Model()
	if err != nil {
		t.Fatal(err)
	}
	var described []string
	for path, item := range model.Model.Paths.PathItems.FromOldest() {
		for method := range item.GetOperations().FromOldest() {
			described = append(described, strings.ToUpper(method)+" "+path)
		}
	}
	h := newHandler(testOptions(t, &fakeService{}))
	e := h.newEcho()
	h.mount(e, concat(h.apiRoutes(), h.adminRoutes()))
	var registered []string
	for _, route := range e.Routes() {
		registered = append(registered, route.Method+" "+strings.ReplaceAll(route.Path, ":id", "{id}"))
	}
	slices.Sort(described)
	slices.Sort(registered)
	if diff := gocmp.Diff(registered, described); diff != "" {
		t.Errorf("routes (-registered +described):\n%s", diff)
	}
}

func TestOpenAPI_EveryProblemWordIsDescribed(t *testing.T) {
	document, _ := openDocument(t)
	model, err := document.BuildV3Model()
	if err != nil {
		t.Fatal(err)
	}
	var described []string
	for _, node := range model.Model.Components.Schemas.GetOrZero("Problem").Schema().Properties.GetOrZero("error").Schema().Enum {
		described = append(described, node.Value)
		if !strings.Contains(model.Model.Info.Description, "| `"+node.Value+"` |") {
			t.Errorf("the table of words has no %s", node.Value)
		}
	}
	var used []string
	for _, f := range failures {
		used = append(used, f.word)
	}
	used = append(used, tooManyTries.word)
	for _, f := range statusFailures {
		used = append(used, f.word)
	}
	used = append(used, invalidParameter.word, crossOrigin.word, wrongHost.word, rateLimited.word, crowded.word, internal.word)
	slices.Sort(used)
	slices.Sort(described)
	if diff := gocmp.Diff(slices.Compact(used), described); diff != "" {
		t.Errorf("words (-used +described):\n%s", diff)
	}
}

// exchange is one real request and what it must be answered.
type exchange struct {
	method, target, body string
	contentType, key     string
	svc                  *fakeService // nil for one that works
	status               int
	wrong                bool // the request breaks the document on purpose, or the validator cannot read it
}

func exchanges() []exchange {
	long := `{"source":"` + strings.Repeat("é", 90) + `","message":"` + strings.Repeat("x", 400) + `"}`
	broken := &fakeService{fail: errors.New("broken"), failRegister: errors.New("broken"), panics: true}
	unavailable := &fakeService{fail: models.ErrUnavailable, failRegister: models.ErrUnavailable, health: models.Health{Storage: "disk full", Email: "paused"}}
	outbox, cutShort := &fakeService{pending: 3}, &fakeService{pending: 3, fail: models.ErrUnavailable}
	for _, status := range []models.EmailStatus{models.EmailFailed, models.EmailDigested, models.EmailPending} {
		id := int64(len(outbox.alerts) + 1)
		outbox.alerts = append(outbox.alerts, models.EmailAlert{
			ID: id, EventID: id, MailID: id, CreatedAt: received, Status: status, Contact: "noc", Channel: models.DeliveryWebhook, Recipient: "chat",
		})
	}
	return []exchange{
		{method: "POST", target: "/api/events", body: `{"source":"a","severity":"error","message":"m","key":"k"}`, contentType: jsonType, status: 201},
		{method: "POST", target: "/api/events", body: `{"source":"a","severity":"error","message":"m","key":"k"}`, contentType: jsonType, status: 200},
		{method: "POST", target: "/api/events", body: `{"source":null,"severity":3,"more":{}}`, contentType: jsonType, key: "h", status: 201},
		{method: "POST", target: "/api/events", body: long, contentType: jsonType, status: 201},
		{method: "POST", target: "/api/events", body: `[{"source":"a","severity":"err","message":"m","key":"k"},{"severity":"critical"},` + long + `]`, contentType: jsonType, status: 200},
		{method: "POST", target: "/api/events", body: `[]`, contentType: jsonType, status: 200},
		{method: "POST", target: "/api/events", body: `[{"source":1},5,{"source":"a","key":"k"}]`, contentType: jsonType, status: 200, wrong: true},
		{method: "POST", target: "/api/events", body: "{}\n{\"a\n{\"source\":\"a\",\"key\":\"k\"}\n", contentType: linesType, status: 200, wrong: true},
		{method: "POST", target: "/api/events", body: `{"message":[]}`, contentType: jsonType, status: 400, wrong: true},
		{method: "POST", target: "/api/events", body: `{`, contentType: jsonType, status: 400, wrong: true},
		{method: "POST", target: "/api/events", body: `{"source":"a","key":"k"}`, contentType: jsonType, status: 409},
		{method: "POST", target: "/api/events", body: `[` + strings.Repeat("{},", 1000) + `{}]`, contentType: jsonType, status: 413, wrong: true},
		{method: "POST", target: "/api/events", body: `{}`, contentType: "text/plain", status: 415, wrong: true},
		{method: "POST", target: "/api/events", body: `{}`, contentType: jsonType, svc: unavailable, status: 503},
		{method: "POST", target: "/api/events", body: `{}`, contentType: jsonType, svc: broken, status: 500},
		{method: "POST", target: "/api/events", body: `{}`, contentType: jsonType, svc: &fakeService{failRegister: &models.RateLimited{Wait: time.Second}}, status: 429},
		{method: "GET", target: "/api/events", status: 200},
		{method: "GET", target: "/api/events?limit=1&before=9&after=0&from=2026-01-01T00:00:00Z&to=2027-01-01T00:00:00Z&severity=info,error&channel=http_api&source=a&q=m&ack=no", status: 200},
		{method: "GET", target: "/api/events", svc: &fakeService{nextBefore: 7, searchedTo: received}, status: 200},
		{method: "GET", target: "/api/events?limit=0", status: 400, wrong: true},
		{method: "GET", target: "/api/events?severity=loud", status: 400, wrong: true},
		{method: "GET", target: "/api/events?ack=yes", status: 400, wrong: true},
		{method: "GET", target: "/api/events", svc: broken, status: 500},
		{method: "GET", target: "/api/events/1", status: 200},
		{method: "GET", target: "/api/events/99", status: 404},
		{method: "GET", target: "/api/events/1", svc: unavailable, status: 503},
		{method: "POST", target: "/api/events/1/ack", body: `{"by":"Ana"}`, contentType: jsonType, status: 200},
		{method: "GET", target: "/api/events/1", status: 200},
		{method: "GET", target: "/api/events", status: 200},
		{method: "DELETE", target: "/api/events/1/ack", status: 200},
		{method: "POST", target: "/api/events/1/ack", body: `{}`, contentType: jsonType, status: 400, wrong: true},
		{method: "POST", target: "/api/events/1/ack", body: `{"by":""}`, contentType: jsonType, status: 400, wrong: true},
		{method: "POST", target: "/api/events/1/ack", body: `{"by":7}`, contentType: jsonType, status: 400, wrong: true},
		{method: "POST", target: "/api/events/1/ack", body: `Ana`, contentType: jsonType, status: 400, wrong: true},
		{method: "POST", target: "/api/events/1/ack", body: `{"by":"Ana"}`, contentType: "text/plain", status: 415, wrong: true},
		{method: "POST", target: "/api/events/99/ack", body: `{"by":"Ana"}`, contentType: jsonType, status: 404},
		{method: "DELETE", target: "/api/events/99/ack", status: 404},
		{method: "POST", target: "/api/events/1/ack", body: `{"by":"Ana"}`, contentType: jsonType, svc: unavailable, status: 503},
		{method: "DELETE", target: "/api/events/1/ack", svc: broken, status: 500},
		{method: "GET", target: "/api/alerts", svc: outbox, status: 200},
		{method: "GET", target: "/api/alerts?limit=2&before=9&status=failed&channel=webhook&contact=noc&event=1", svc: outbox, status: 200},
		{method: "GET", target: "/api/alerts?limit=1", svc: outbox, status: 200},
		{method: "GET", target: "/api/alerts?status=odd", status: 400, wrong: true},
		{method: "GET", target: "/api/alerts?channel=tcp_socket", status: 400, wrong: true},
		{method: "GET", target: "/api/alerts?limit=1001", status: 400, wrong: true},
		{method: "GET", target: "/api/alerts", svc: unavailable, status: 503},
		{method: "GET", target: "/api/alerts/1", svc: outbox, status: 200},
		{method: "GET", target: "/api/alerts/99", svc: outbox, status: 404},
		{method: "GET", target: "/api/alerts/1", svc: broken, status: 500},
		{method: "POST", target: "/api/alerts/1/retry", body: `{"by":"Ana"}`, contentType: jsonType, svc: outbox, status: 200},
		{method: "POST", target: "/api/alerts/1/retry", body: `{"by":"Ana"}`, contentType: jsonType, svc: outbox, status: 409},
		{method: "POST", target: "/api/alerts/99/retry", body: `{"by":"Ana"}`, contentType: jsonType, svc: outbox, status: 404},
		{method: "POST", target: "/api/alerts/1/retry", body: `{}`, contentType: jsonType, svc: outbox, status: 400, wrong: true},
		{method: "POST", target: "/api/alerts/1/retry", body: `{"by":"Ana"}`, contentType: "text/plain", svc: outbox, status: 415, wrong: true},
		{method: "POST", target: "/api/alerts/cancel", body: `{"contact":"noc","source":"sw-1","by":"Ana"}`, contentType: jsonType, svc: outbox, status: 200},
		{method: "POST", target: "/api/alerts/cancel", body: `{"source":"sw-1","by":"Ana"}`, contentType: jsonType, svc: outbox, status: 200},
		{method: "POST", target: "/api/alerts/cancel", body: `{"by":"Ana"}`, contentType: jsonType, svc: outbox, status: 400, wrong: true},
		{method: "POST", target: "/api/alerts/cancel", body: `{"contact":"noc"}`, contentType: jsonType, svc: outbox, status: 400, wrong: true},
		{method: "POST", target: "/api/alerts/cancel", body: `{"contact":7,"by":"Ana"}`, contentType: jsonType, svc: outbox, status: 400, wrong: true},
		{method: "POST", target: "/api/alerts/cancel", body: `[]`, contentType: jsonType, svc: outbox, status: 400, wrong: true},
		{method: "POST", target: "/api/alerts/cancel", body: `{"contact":"noc","by":"Ana"}`, contentType: "text/plain", svc: outbox, status: 415, wrong: true},
		{method: "POST", target: "/api/alerts/cancel", body: `{"contact":"noc","by":"Ana"}`, contentType: jsonType, svc: unavailable, status: 503},
		{method: "POST", target: "/api/alerts/cancel", body: `{"contact":"noc","by":"Ana"}`, contentType: jsonType, svc: cutShort, status: 503},
		{method: "GET", target: "/api/audit", status: 200},
		{method: "GET", target: "/api/audit?limit=1&before=9&actor=ana&action=acknowledged", status: 200},
		{method: "GET", target: "/api/audit?limit=0", status: 400, wrong: true},
		{method: "GET", target: "/api/stats", status: 200},
		{method: "GET", target: "/api/stats", svc: broken, status: 500},
		{method: "GET", target: "/api/stats", svc: unavailable, status: 503},
		{method: "GET", target: "/api/config", status: 200},
		{method: "POST", target: "/api/keys", body: `{"name":"ups of hall 3","scopes":["ingest"],"sources":["ups-*"],"expires_at":"2027-01-31T00:00:00+01:00"}`, contentType: jsonType, status: 201},
		{method: "POST", target: "/api/keys", body: `{"name":"UPS of hall 3","scopes":["read"]}`, contentType: jsonType, status: 400},
		{method: "POST", target: "/api/keys", body: `{"name":"script","scopes":["admin","read"],"sources":null,"expires_at":null}`, contentType: jsonType, status: 201},
		{method: "POST", target: "/api/keys", body: `{"name":"script"}`, contentType: jsonType, status: 400, wrong: true},
		{method: "POST", target: "/api/keys", body: `{"name":"other","scopes":"read"}`, contentType: jsonType, status: 400, wrong: true},
		{method: "POST", target: "/api/keys", body: `{"name":"other","scopes":["write"]}`, contentType: jsonType, status: 400, wrong: true},
		{method: "POST", target: "/api/keys", body: `{"name":"other","scopes":["read"],"expires_at":"tomorrow"}`, contentType: jsonType, status: 400},
		{method: "POST", target: "/api/keys", body: `name=other`, contentType: "text/plain", status: 415, wrong: true},
		{method: "GET", target: "/api/keys", status: 200},
		{method: "DELETE", target: "/api/keys/1", status: 200},
		{method: "DELETE", target: "/api/keys/99", status: 404},
		{method: "POST", target: "/api/token", body: `{"username":"nobody","password":"wrong","code":null}`, contentType: jsonType, status: 401},
		{method: "POST", target: "/api/token", body: `{"username":"nobody"}`, contentType: jsonType, status: 400, wrong: true},
		{method: "POST", target: "/api/token", body: `{}`, contentType: "text/plain", status: 415, wrong: true},
		{method: "GET", target: "/api/senders", status: 200},
		{method: "GET", target: "/api/senders?anonymous=10.0.0.0/8,192.0.2.7", status: 200},
		{method: "GET", target: "/api/senders?anonymous=somebody", status: 400},
		{method: "POST", target: "/api/users", body: `{"name":"Ana","role":"admin","password":"correct horse battery"}`, contentType: jsonType, status: 201},
		{method: "POST", target: "/api/users", body: `{"name":"ana","role":"viewer","password":"correct horse battery"}`, contentType: jsonType, status: 409},
		{method: "POST", target: "/api/users", body: `{"name":"eve","role":"boss","password":"correct horse battery"}`, contentType: jsonType, status: 400, wrong: true},
		{method: "POST", target: "/api/users", body: `{"name":"eve","role":"viewer","password":"password"}`, contentType: jsonType, status: 400},
		{method: "POST", target: "/api/users", body: `{"name":"eve"}`, contentType: jsonType, status: 400, wrong: true},
		{method: "GET", target: "/api/users", status: 200},
		{method: "PATCH", target: "/api/users/1", body: `{"password":"another good one","two_factor":false,"disabled":false}`, contentType: jsonType, status: 200},
		{method: "PATCH", target: "/api/users/1", body: `{"disabled":true}`, contentType: jsonType, status: 409},
		{method: "PATCH", target: "/api/users/1", body: `{"two_factor":true}`, contentType: jsonType, status: 400},
		{method: "PATCH", target: "/api/users/9", body: `{}`, contentType: jsonType, status: 404},
		{method: "GET", target: "/api/openapi.yaml", status: 200},
		{method: "GET", target: "/healthz", svc: unavailable, status: 200},
		{method: "GET", target: "/readyz", status: 200},
		{method: "GET", target: "/readyz", svc: &fakeService{health: models.Health{Email: "paused", Pauses: []models.Pause{
			{Lane: models.Lane{Channel: models.DeliveryEmail}, Reason: "paused", Since: time.Unix(0, 0)},
			{Lane: models.Lane{Channel: models.DeliveryWebhook, Contact: "noc", Recipient: "slack"}, Reason: "404", Since: time.Unix(0, 0)},
		}}}, status: 200},
		{method: "GET", target: "/readyz", svc: unavailable, status: 503},
		{method: "GET", target: "/metrics", status: 200},
	}
}

func TestOpenAPI_RealRequestsAndAnswersPass(t *testing.T) {
	_, v := openDocument(t)
	working := serveHere(t, testOptions(t, &fakeService{}))
	for _, x := range exchanges() {
		name := x.method + " " + x.target + " " + x.body
		server := working
		if x.svc != nil {
			server = httptest.NewServer(New(testOptions(t, x.svc)))
		}
		newRequest := func() *http.Request {
			r, err := http.NewRequestWithContext(t.Context(), x.method, server.URL+x.target, strings.NewReader(x.body))
			if err != nil {
				t.Fatal(err)
			}
			if x.contentType != "" {
				r.Header.Set("Content-Type", x.contentType)
			}
			if x.key != "" {
				r.Header.Set("Idempotency-Key", x.key)
			}
			return r
		}
		answer, err := server.Client().Do(newRequest())
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		if err = cmp.Or(err, answer.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if x.svc != nil {
			server.Close()
		}
		if answer.StatusCode != x.status {
			t.Errorf("%.100s: status %d, want %d: %.300s", name, answer.StatusCode, x.status, body)
		}
		if ok, errs := v.ValidateHttpRequestSync(newRequest()); ok == x.wrong {
			t.Errorf("%.100s: the request passes: %v, want %v", name, ok, !x.wrong)
			for _, err := range errs {
				t.Log(err.Message, err.Reason, err.SchemaValidationErrors)
			}
		}
		answer.Body = io.NopCloser(bytes.NewReader(body))
		if ok, errs := v.ValidateHttpResponse(newRequest(), answer); !ok {
			t.Errorf("%.100s: the answer does not pass: %s", name, body)
			for _, err := range errs {
				t.Log(err.Message, err.Reason, err.SchemaValidationErrors)
			}
		}
	}
}

// TestOpenAPI_OtherAnswersFail shows that the check above can fail.
func TestOpenAPI_OtherAnswersFail(t *testing.T) {
	_, v := openDocument(t)
	const event = `"id":1,"created_at":"2026-11-23T18:30:00.123456Z","source":"a","severity":"info","message":"m","channel":"http_api","raw_payload":null,"acked_at":null,"acked_by":null,"acked_verified":false`
	const alert = `"id":1,"event_id":1,"created_at":"2026-11-23T18:30:00.123456Z","recipient":null,"status":"failed","detail":null,"attempts":1,"next_attempt_at":null,"contact":null,"channel":"email","mail_id":1`
	const key = `"id":1,"name":"n","hint":"nah_abcd","scopes":["ingest"],"sources":[],"created_at":"2026-11-23T18:30:00.123456Z","created_by":"ana","expires_at":null,"last_used_at":null,"last_used_from":null,"revoked_at":null`
	tests := []struct {
		method, path, contentType, body string
		status                          int
		pass                            bool
	}{
		{"POST", "/api/events", jsonType, `{` + event + `,"event_id":1}`, 201, true},
		{"POST", "/api/events", jsonType, `{` + event + `}`, 201, false},
		{"POST", "/api/events", jsonType, `{` + event + `,"event_id":1,"more":1}`, 201, false},
		{"POST", "/api/events", jsonType, `{"results":[{"ok":true}]}`, 200, false},
		{"POST", "/api/events", jsonType, `{"results":[{"ok":false,"error":"odd"}]}`, 200, false},
		{"GET", "/api/events", jsonType, `{"events":[{` + event + `}],"email_logs":[],"next_before":null,"searched_to":null}`, 200, true},
		{"GET", "/api/events", jsonType, `{"events":[{` + strings.Replace(event, "123456Z", "1Z", 1) + `}],"email_logs":[],"next_before":null,"searched_to":null}`, 200, false},
		{"GET", "/api/events", jsonType, `{"events":[{` + event + `,"peer":"x"}],"email_logs":[],"next_before":null,"searched_to":null}`, 200, false},
		{"GET", "/api/events", jsonType, `{"events":null,"email_logs":[],"next_before":null,"searched_to":null}`, 200, false},
		{"GET", "/api/events", jsonType, `{"events":[{` + event + `}],"email_logs":[],"next_before":null}`, 200, false},
		{"POST", "/api/events/1/ack", jsonType, `{` + event + `}`, 200, true},
		{"POST", "/api/events/1/ack", jsonType, `{` + strings.Replace(event, `,"acked_by":null`, "", 1) + `}`, 200, false},
		{"DELETE", "/api/events/1/ack", jsonType, `{"ok":true}`, 200, false},
		{"GET", "/api/events", "text/plain", `{"events":[],"email_logs":[],"next_before":null,"searched_to":null}`, 200, false},
		{"GET", "/api/alerts/1", jsonType, `{` + alert + `,"tries":[{"at":"2026-11-23T18:30:00.123456Z","status":"failed","detail":null,"next_attempt_at":null}]}`, 200, true},
		{"GET", "/api/alerts/1", jsonType, `{` + alert + `}`, 200, false},
		{"GET", "/api/alerts/1", jsonType, `{` + alert + `,"tries":[{"at":"2026-11-23T18:30:00.123456Z","status":"failed"}]}`, 200, false},
		{"GET", "/api/alerts", jsonType, `{"alerts":[{` + alert + `}],"next_before":null}`, 200, true},
		{"GET", "/api/alerts", jsonType, `{"alerts":[{` + alert + `,"claim":"alone"}],"next_before":null}`, 200, false},
		{"POST", "/api/alerts/cancel", jsonType, `{"cancelled":-1}`, 200, false},
		{"POST", "/api/keys", jsonType, `{` + key + `,"key":"nah_` + strings.Repeat("x", 43) + `"}`, 201, true},
		{"POST", "/api/keys", jsonType, `{` + key + `}`, 201, false},
		{"GET", "/api/keys", jsonType, `{"keys":[{` + key + `}]}`, 200, true},
		{"GET", "/api/keys", jsonType, `{"keys":[{` + key + `,"key":"nah_` + strings.Repeat("x", 43) + `"}]}`, 200, false},
		{"POST", "/api/token", jsonType, `{"token":"a.b.c","token_type":"Bearer","expires_at":"2026-11-23T18:30:00.000000Z"}`, 200, true},
		{"POST", "/api/token", jsonType, `{"token":"a.b.c","expires_at":"2026-11-23T18:30:00.000000Z"}`, 200, false},
		{"DELETE", "/api/keys/1", jsonType, `{` + key + `,"hash":"x"}`, 200, false},
		{"GET", "/api/config", jsonType, `{"http_port":1,"ws_port":1,"tcp_port":1,"smtp_configured":true,"anonymous":"none","version":"1","smtp_pass":"x"}`, 200, false},
		{"POST", "/api/events", jsonType, `{"results":[{"ok":false,"error":"rate_limited","retry_ms":7}]}`, 200, true},
		{"POST", "/api/events", jsonType, `{"results":[{"ok":false,"error":"rate_limited","retry_ms":0}]}`, 200, false},
		{"GET", "/api/stats", "application/problem+json", `{"type":"x","title":"t","status":500,"error":"odd","request_id":"r"}`, 500, false},
		{"GET", "/api/stats", jsonType, `{"type":"x","title":"t","status":500,"error":"internal_error","request_id":"r"}`, 500, false},
	}
	for _, tt := range tests {
		r := httptest.NewRequest(tt.method, tt.path, nil)
		answer := &http.Response{StatusCode: tt.status, Header: http.Header{"Content-Type": {tt.contentType}}, Body: io.NopCloser(strings.NewReader(tt.body))}
		if ok, errs := v.ValidateHttpResponse(r, answer); ok != tt.pass {
			t.Errorf("%s %s %s: passes %v, want %v: %v", tt.method, tt.path, tt.body, ok, tt.pass, errs)
		}
	}
}
