package handlers

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"alerthub/access"
	"alerthub/models"
)

const goodPassword = "correct horse battery"

// closedHub is a hub with an admin, an operator and a viewer.
func closedHub(t *testing.T, svc Service) (*httptest.Server, Options) {
	t.Helper()
	o := testOptions(t, svc)
	for _, role := range models.Roles() {
		if _, err := o.Access.AddUser(t.Context(), string(role), goodPassword, role); err != nil {
			t.Fatal(err)
		}
	}
	return serveOptions(t, o), o
}

// visit makes a request as a browser does, without following where it is led.
func visit(t *testing.T, server *httptest.Server, method, target string, form url.Values, headers ...string) *http.Response {
	t.Helper()
	client := *server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL+target, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

// signIn returns the cookie of a session.
func signIn(t *testing.T, server *httptest.Server, name string) string {
	t.Helper()
	answer := visit(t, server, "POST", "/login", url.Values{"name": {name}, "password": {goodPassword}})
	cookies := answer.Cookies()
	if answer.StatusCode != http.StatusSeeOther || len(cookies) != 1 {
		t.Fatalf("sign in as %s: %d %v", name, answer.StatusCode, cookies)
	}
	return cookies[0].Name + "=" + cookies[0].Value
}

// Nothing is reached but by the table of who may what.
func TestRoutes_AreAllInTheTable(t *testing.T) {
	h := newHandler(testOptions(t, &fakeService{}))
	e := h.newEcho()
	h.mount(e, h.routes())
	table := Permissions()
	for _, r := range e.Routes() {
		if permit, ok := table[r.Method+" "+r.Path]; !ok || !slices.Contains(models.Permissions(), permit) {
			t.Errorf("%s %s asks for %q", r.Method, r.Path, permit)
		}
	}
	if len(table) != len(e.Routes()) || len(table) != len(h.routes()) {
		t.Errorf("%d routes, %d in the table, %d lines", len(e.Routes()), len(table), len(h.routes()))
	}
}

// Who is not known is led to the form, and then to where they wanted to go.
func TestSignIn_LeadsBack(t *testing.T) {
	server, _ := closedHub(t, &fakeService{})
	for _, c := range []struct{ method, target, current, want string }{
		{"GET", "/events?q=ups&sev=error", "", "/login?next=%2Fevents%3Fq%3Dups%26sev%3Derror"},
		{"POST", "/events/ack", "", "/login?next=%2F"},
		{"POST", "/events/ack", server.URL + "/events?q=a", "/login?next=%2Fevents%3Fq%3Da"},
		{"POST", "/events/ack", "https://evil.example/x", "/login?next=%2F"},
	} {
		headers := []string{"HX-Request", "true", "HX-Current-URL", c.current}
		if c.current == "" {
			headers = nil
		}
		answer := visit(t, server, c.method, c.target, nil, headers...)
		got, status := answer.Header.Get("Location"), http.StatusSeeOther
		if c.current != "" {
			got, status = answer.Header.Get("HX-Redirect"), http.StatusUnauthorized
		}
		if got != c.want || answer.StatusCode != status {
			t.Errorf("%s %s: %d, %q, want %q", c.method, c.target, answer.StatusCode, got, c.want)
		}
	}
	for next, want := range map[string]string{
		"/events?q=ups": "/events?q=ups", "": "/", "//evil.example": "/", "https://evil.example/": "/", `/\evil.example`: "/", "/\t/evil.example": "/",
	} {
		answer := visit(t, server, "POST", "/login", url.Values{"name": {"viewer"}, "password": {goodPassword}, "next": {next}})
		if got := answer.Header.Get("Location"); got != want {
			t.Errorf("after a sign-in with next %q: %q, want %q", next, got, want)
		}
	}
	answer, text := send(t, server, "GET", "/api/events", "", "Accept", "text/html")
	if answer.StatusCode != http.StatusUnauthorized || answer.Header.Get("WWW-Authenticate") != "Bearer" || !strings.Contains(text, `"error":"unauthorized"`) {
		t.Errorf("a program is told %d %v %s", answer.StatusCode, answer.Header, text)
	}
}

func TestSignIn_RefusesWithTheSameWords(t *testing.T) {
	server, _ := closedHub(t, &fakeService{})
	var pages []string
	for _, name := range []string{"viewer", "nobody"} {
		answer, text := send(t, server, "POST", "/login", url.Values{"name": {name}, "password": {"wrong " + goodPassword}}.Encode(),
			"Content-Type", "application/x-www-form-urlencoded", "Accept", "text/html")
		if answer.StatusCode != http.StatusUnauthorized || len(answer.Cookies()) > 0 {
			t.Errorf("%s: %d %v", name, answer.StatusCode, answer.Cookies())
		}
		pages = append(pages, strings.ReplaceAll(text, name, "NAME"))
	}
	if pages[0] != pages[1] || !strings.Contains(pages[0], "User or password not recognised.") {
		t.Errorf("the pages differ:\n%s\n%s", pages[0], pages[1])
	}
	for range 3 {
		visit(t, server, "POST", "/login", url.Values{"name": {"viewer"}, "password": {"wrong"}})
	}
	answer := visit(t, server, "POST", "/login", url.Values{"name": {"viewer"}, "password": {goodPassword}}, "X-Forwarded-For", "203.0.113.9")
	if answer.StatusCode != http.StatusTooManyRequests || answer.Header.Get("Retry-After") == "" {
		t.Errorf("after many: %d, Retry-After %q", answer.StatusCode, answer.Header.Get("Retry-After"))
	}
}

// A token that is worth nothing is not better than none, and worse where
// nothing is needed: the sender should hear of it.
func TestIdentify_Tokens(t *testing.T) {
	open := serve(t, &fakeService{})
	for _, header := range []string{"Bearer nah_wrong", "Bearer", "Basic YTpi", "bearer  x"} {
		for target, want := range map[string]int{"/api/stats": http.StatusUnauthorized, "/healthz": http.StatusOK} {
			if answer, text := send(t, open, "GET", target, "", "Authorization", header); answer.StatusCode != want {
				t.Errorf("%q on %s: %d %s", header, target, answer.StatusCode, text)
			}
		}
	}
	server, o := closedHub(t, &fakeService{})
	secret, _, err := o.Keys.MakeKey(t.Context(), models.KeyDraft{Name: "r", Scopes: []models.Scope{models.ScopeRead}})
	if err != nil {
		t.Fatal(err)
	}
	if answer, text := send(t, server, "GET", "/api/stats", "", "Authorization", "Bearer "+secret); answer.StatusCode != http.StatusOK {
		t.Errorf("a key that reads: %d %s", answer.StatusCode, text)
	}
	if answer, text := send(t, server, "GET", "/api/users", "", "Authorization", "Bearer "+secret); answer.StatusCode != http.StatusForbidden {
		t.Errorf("a key that reads, of people: %d %s", answer.StatusCode, text)
	}
	// A browser's cookie does not help a wrong token, nor does the other name of the cookie.
	cookie := signIn(t, server, "admin")
	if answer, _ := send(t, server, "GET", "/api/stats", "", "Cookie", cookie); answer.StatusCode != http.StatusOK {
		t.Errorf("a session: %d", answer.StatusCode)
	}
	for _, headers := range [][]string{{"Cookie", cookie, "Authorization", "Bearer x"}, {"Cookie", "__Host-" + cookie}, {"Cookie", cookie + "x"}} {
		if answer, _ := send(t, server, "GET", "/api/stats", "", headers...); answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("%q: %d", headers, answer.StatusCode)
		}
	}
}

// Who is signed in acknowledges by their own name, whatever they type.
func TestAcknowledge_BySignedIn(t *testing.T) {
	svc := &fakeService{}
	svc.register(models.Draft{Source: "a", Severity: models.SeverityError, Message: "m", Channel: models.ChannelTCP})
	server, _ := closedHub(t, svc)
	cookie := signIn(t, server, "operator")
	answer := visit(t, server, "POST", "/events/ack", url.Values{"id": {"1"}, "by": {"somebody else"}}, "Cookie", cookie)
	if answer.StatusCode != http.StatusSeeOther || len(svc.acks) != 1 || svc.acks[0].By != "operator" {
		t.Errorf("%d, %+v", answer.StatusCode, svc.acks)
	}
	if answer := visit(t, server, "POST", "/events/ack", url.Values{"id": {"1"}}, "Cookie", signIn(t, server, "viewer")); answer.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer: %d", answer.StatusCode)
	}
	if answer, text := send(t, server, "POST", "/api/events/1/ack", `{"by":"x"}`, "Content-Type", jsonType, "Cookie", cookie); answer.StatusCode != http.StatusOK || svc.acks[len(svc.acks)-1].By != "operator" {
		t.Errorf("over REST: %d %s, %+v", answer.StatusCode, text, svc.acks)
	}
}

func TestSignIn_OpenHubAsksNobody(t *testing.T) {
	open := serve(t, &fakeService{})
	for target, want := range map[string]string{"/login?next=/events": "/events", "/setup?token=x": "/"} {
		if answer := visit(t, open, "GET", target, nil); answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != want {
			t.Errorf("%s: %d %q", target, answer.StatusCode, answer.Header.Get("Location"))
		}
	}
	if answer := visit(t, open, "GET", "/access/people", nil); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("people of an open hub: %d", answer.StatusCode)
	}
}

// What somebody types about themselves and others is refused in words, and done.
func TestPeople_Forms(t *testing.T) {
	server, o := closedHub(t, &fakeService{})
	admin := signIn(t, server, "admin")
	for _, c := range []struct {
		target string
		form   url.Values
		status int
		words  string
	}{
		{"/access/people", url.Values{"name": {""}, "role": {"viewer"}, "password": {goodPassword}}, 422, "name-error"},
		{"/access/people", url.Values{"name": {"ADMIN"}, "role": {"viewer"}, "password": {goodPassword}}, 422, "name-error"},
		{"/access/people", url.Values{"name": {"eve"}, "role": {"boss"}, "password": {goodPassword}}, 422, "role-error"},
		{"/access/people", url.Values{"name": {"eve"}, "role": {"viewer"}, "password": {"short"}}, 422, "password-error"},
		{"/access/people", url.Values{"name": {"eve"}, "role": {"viewer"}, "password": {goodPassword}}, 303, ""},
		{"/access/people/3/role", url.Values{"role": {"viewer"}}, 422, "role-error"},
		{"/access/people/3/disable", nil, 422, "Nobody"},
		{"/access/people/1/role", url.Values{"role": {"operator"}}, 303, ""},
		{"/access/people/1/disable", nil, 303, ""},
		{"/access/people/2/password", url.Values{"password": {"short"}}, 422, "password-error"},
		{"/access/people/2/password", url.Values{"password": {"another good one"}}, 303, ""},
		{"/access/people/99/disable", nil, 404, ""},
		{"/access/people/3/password", url.Values{"password": {"another good one"}}, 422, "in your account"},
		{"/access/people/3/reset", nil, 422, `<a href="/account">`},
		{"/account/password", url.Values{"current": {goodPassword}, "password": {"another good one"}, "repeat": {"another"}}, 422, "new-again-error"},
		{"/account/password", url.Values{"current": {"wrong"}, "password": {"another good one"}, "repeat": {"another good one"}}, 422, "current-error"},
		{"/account/totp", url.Values{"current": {"wrong"}}, 422, "totp-error"},
		{"/account/totp/confirm", url.Values{"code": {"000000"}}, 303, ""},
		{"/account/sessions/end", url.Values{"id": {"999"}}, 404, ""},
		{"/access/keys", url.Values{"name": {"k"}, "expires": {"30d"}}, 422, "Choose"},
		{"/access/keys", url.Values{"name": {"k"}, "scope": {"ingest"}, "expires": {"soon"}}, 422, "expires-error"},
		{"/access/keys", url.Values{"name": {"k"}, "scope": {"ingest"}, "expires": {"30d"}, "sources": {"sw-*, ups-?"}}, 200, models.KeyPrefix},
		{"/access/keys", url.Values{"name": {"K"}, "scope": {"ingest"}, "expires": {"30d"}}, 422, "name-error"},
		{"/access/keys/1/revoke", nil, 303, ""},
	} {
		answer, text := send(t, server, "POST", c.target, c.form.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Accept", "text/html", "Cookie", admin)
		status := answer.StatusCode
		if answer.Request.Method == http.MethodGet { // it followed
			status = http.StatusSeeOther
		}
		if status != c.status || !strings.Contains(text, c.words) {
			t.Errorf("%s %v: %d, want %d with %q", c.target, c.form, status, c.status, c.words)
		}
	}
	for body, status := range map[string]int{`{"password":"another good one"}`: 400, `{"two_factor":false,"role":"viewer"}`: 400, `{"role":"admin"}`: 200} {
		if answer, text := send(t, server, "PATCH", "/api/users/3", body, "Content-Type", jsonType, "Cookie", admin); answer.StatusCode != status || status == 400 && !strings.Contains(text, `"field":"self"`) {
			t.Errorf("of oneself, %s: %d %s", body, answer.StatusCode, text)
		}
	}
	users := o.Access.Users()
	if len(users) != 4 || users[0].Role != models.RoleOperator || users[0].DisabledAt.IsZero() || users[3].Name != "eve" {
		t.Errorf("%+v", users)
	}
	if keys := o.Keys.Keys(); len(keys) != 1 || keys[0].RevokedAt.IsZero() || len(keys[0].Sources) != 2 || keys[0].CreatedBy != "admin" {
		t.Errorf("%+v", keys)
	}
}

// The first account is made by the link that the hub has printed, and by
// nothing else.
func TestSetup(t *testing.T) {
	o := testOptions(t, &fakeService{})
	who, err := access.New(t.Context(), &memoryAccess{keys: make(map[string]models.Key)}, access.Config{SetupOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	o.Access, o.Now = who, nil
	server := serveOptions(t, o)
	token := who.OfferSetup()
	if answer := visit(t, server, "GET", "/", nil); answer.Header.Get("Location") != "/login?next=%2F" {
		t.Errorf("before: %d %v", answer.StatusCode, answer.Header)
	}
	form := func(token, password, repeat string) url.Values {
		return url.Values{"token": {token}, "name": {"ana"}, "password": {password}, "repeat": {repeat}}
	}
	for _, wrong := range []struct {
		form   url.Values
		status int
	}{
		{form("x", goodPassword, goodPassword), 401}, {form("", goodPassword, goodPassword), 401},
		{form(token, goodPassword, "another"), 422}, {form(token, "password", "password"), 422},
	} {
		if answer := visit(t, server, "POST", "/setup", wrong.form); answer.StatusCode != wrong.status || who.HasUsers() {
			t.Errorf("%v: %d, want %d", wrong.form, answer.StatusCode, wrong.status)
		}
	}
	answer := visit(t, server, "POST", "/setup", form(token, goodPassword, goodPassword))
	if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != "/" || len(answer.Cookies()) != 1 {
		t.Fatalf("%d %v", answer.StatusCode, answer.Header)
	}
	if got := visit(t, server, "GET", "/access/people", nil, "Cookie", answer.Cookies()[0].Name+"="+answer.Cookies()[0].Value); got.StatusCode != http.StatusOK {
		t.Errorf("signed in as an admin: %d", got.StatusCode)
	}
	if again := visit(t, server, "POST", "/setup", form(token, goodPassword, goodPassword)); again.StatusCode != http.StatusUnauthorized {
		t.Errorf("a second time: %d", again.StatusCode)
	}
}
