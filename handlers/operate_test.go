package handlers

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
)

// outbox is a service with five alerts: 1 was told by the message of 2, which
// has failed, as 1 has; 3 is pending for noc, 4 was sent by webhook, 5 waits.
func outbox() *fakeService {
	svc := seeded()
	svc.pending = 12
	svc.alerts = []models.EmailAlert{
		{ID: 1, EventID: 1, MailID: 2, Status: models.EmailFailed, Channel: models.DeliveryEmail, Recipient: "noc@example.net", Contact: "noc"},
		{ID: 2, EventID: 2, MailID: 2, Status: models.EmailFailed, Detail: "550 no <user>", Channel: models.DeliveryEmail, Recipient: "noc@example.net", Contact: "noc"},
		{ID: 3, EventID: 3, Status: models.EmailPending, Channel: models.DeliveryEmail, Recipient: "noc@example.net", Contact: "noc"},
		{ID: 4, EventID: 4, MailID: 4, Status: models.EmailSent, Channel: models.DeliveryWebhook, Recipient: "chat", Contact: "duty & co"},
		{ID: 5, EventID: 4, Status: models.EmailPending, Detail: "held back in the quiet hours", NextAttemptAt: received.Add(time.Hour), Channel: models.DeliveryEmail, Recipient: "b@example.net"},
	}
	for i := range svc.alerts {
		svc.alerts[i].CreatedAt, svc.alerts[i].UpdatedAt = received, received
	}
	svc.stats.Email = map[models.EmailStatus]int64{models.EmailFailed: 2, models.EmailPending: 2}
	svc.stats.Webhook = map[models.EmailStatus]int64{models.EmailSent: 1}
	return svc
}

func TestAlerts_AreFiltered(t *testing.T) {
	svc := outbox()
	server := serve(t, svc)
	for address, want := range map[string]struct {
		filter models.EmailFilter
		ids    string
		socket string
	}{
		"/alerts":                       {models.EmailFilter{}, "al-5 al-4 al-3 al-2 al-1", "/ws?lang=en&view=alerts"},
		"/alerts?contact=noc&st=failed": {models.EmailFilter{Contact: "noc", Status: models.EmailFailed}, "al-2 al-1", "/ws?contact=noc&lang=en&st=failed&view=alerts"},
		"/alerts?ch=webhook":            {models.EmailFilter{Channel: models.DeliveryWebhook}, "al-4", "/ws?ch=webhook&lang=en&view=alerts"},
		"/alerts?mail=2":                {models.EmailFilter{MailID: 2}, "al-2 al-1", "/ws?lang=en&mail=2&view=alerts"},
		"/alerts?before=3&contact=noc":  {models.EmailFilter{Contact: "noc", Before: 3}, "al-2 al-1", "/ws?before=3&contact=noc&lang=en&view=alerts"},
	} {
		answer, _, doc := page(t, server, "GET", address, "")
		want.filter.Limit = 101
		if diff := cmp.Diff(want.filter, svc.filterE); diff != "" {
			t.Errorf("%s: filter (-want +got):\n%s", address, diff)
		}
		var ids []string
		for _, tr := range find(find(doc, "tbody", "id", "alert-rows")[0], "tr", "", "") {
			ids = append(ids, attribute(tr, "id"))
		}
		var socket string
		for _, div := range find(doc, "div", "hx-ext", "ws") {
			socket = attribute(div, "ws-connect")
		}
		if answer.StatusCode != 200 || strings.Join(ids, " ") != want.ids || socket != want.socket {
			t.Errorf("%s: %d, rows %v, socket %q", address, answer.StatusCode, ids, socket)
		}
	}
	for _, address := range []string{"/alerts?st=odd", "/alerts?ch=tcp", "/alerts?mail=x", "/alerts?contact=" + strings.Repeat("x", 400)} {
		if answer, _ := send(t, server, "GET", address, ""); answer.StatusCode != 400 {
			t.Errorf("%s: %d", address, answer.StatusCode)
		}
	}
}

// What is filtered by stays in every other link; counts are told where they are known.
func TestAlerts_FiltersAreCombined(t *testing.T) {
	options := testOptions(t, outbox())
	options.Info.Contacts = []string{"noc", "night"}
	server := serveOptions(t, options)
	_, text, doc := page(t, server, "GET", "/alerts?contact=duty+%26+co&ch=webhook", "")
	for _, href := range []string{
		"/alerts?ch=webhook&contact=duty+%26+co&st=failed", "/alerts?contact=duty+%26+co", "/alerts?ch=email&contact=duty+%26+co",
		"/alerts/cancel?contact=duty+%26+co",
	} {
		if len(find(doc, "a", "href", href)) == 0 {
			t.Errorf("no link to %s", href)
		}
	}
	var names []string
	for _, o := range find(find(doc, "select", "name", "contact")[0], "option", "", "") {
		names = append(names, attribute(o, "value"))
	}
	if diff := cmp.Diff([]string{"", "noc", "night", "duty & co"}, names); diff != "" {
		t.Errorf("contacts (-want +got):\n%s", diff)
	}
	if strings.Count(text, " selected>") != 1 || strings.Contains(text, `class="muted num"`) {
		t.Error("the chosen contact is not, or counts are told that are another list's")
	}
	for address, all := range map[string]string{"/alerts": "5", "/alerts?ch=email": "4", "/alerts?ch=webhook": "1"} {
		_, text, _ := page(t, server, "GET", address, "")
		if !strings.Contains(text, `All <span class="muted num" id="st-all">`+all+`</span>`) {
			t.Errorf("%s does not tell of %s", address, all)
		}
	}
	bare := outbox()
	bare.stats.Webhook = nil
	_, text, _ = page(t, serve(t, bare), "GET", "/alerts", "")
	if strings.Contains(text, "ch=webhook") || strings.Contains(text, "<select") {
		t.Error("there is a choice of one")
	}
}

func TestAlert_IsOpened(t *testing.T) {
	svc := outbox()
	server := serve(t, svc)
	for id, words := range map[string][]string{
		"1": {"#1", "In the message of alert", `href="/alerts/2"`, `formaction="/alerts/1/retry"`, "The whole digest"},
		"2": {"550 no &lt;user&gt;", "451 later", "Next attempt at", "Its message also tells of 1 event", `href="/alerts/1"`, `formaction="/alerts/2/retry"`},
		"3": {"Pending", `href="/alerts/cancel?contact=noc"`, `href="/alerts/cancel?source=`},
		"4": {"Webhook", "chat", `href="/alerts?contact=duty+%26+co"`},
		"5": {"held back in the quiet hours", "Waits until"},
	} {
		answer, text, doc := page(t, server, "GET", "/alerts/"+id, "")
		if answer.StatusCode != 200 || len(find(doc, "tr", "aria-current", "true")) != 1 {
			t.Fatalf("alert %s: %d", id, answer.StatusCode)
		}
		aside := text[strings.Index(text, "<aside"):strings.Index(text, "</aside>")]
		for _, word := range words {
			if !strings.Contains(aside, word) {
				t.Errorf("alert %s does not tell %q", id, word)
			}
		}
		if id != "3" && id != "5" && strings.Contains(aside, "/alerts/cancel") || id != "1" && id != "2" && strings.Contains(aside, "/retry") {
			t.Errorf("alert %s offers what cannot be done", id)
		}
	}
	if page(t, server, "GET", "/alerts/1", ""); svc.asked != 2 {
		t.Errorf("the tries of %d are told, not those of the message", svc.asked)
	}
	for _, id := range []string{"0", "99", "x"} {
		if answer, _ := send(t, server, "GET", "/alerts/"+id, ""); answer.StatusCode != 404 {
			t.Errorf("alert %s: %d", id, answer.StatusCode)
		}
	}
}

// The list beside an alert is the one that it was opened from, and stays so.
func TestAlert_KeepsItsList(t *testing.T) {
	server := serve(t, outbox())
	for name, tt := range map[string]struct{ address, referer string }{
		"its own address": {"/alerts/2?contact=noc&x=1", ""},
		"the page before": {"/alerts/2", server.URL + "/alerts?contact=noc&before=9"},
		"not another's":   {"/alerts/2?contact=noc", server.URL + "/alerts?contact=night"},
	} {
		_, text, doc := page(t, server, "GET", tt.address, "", "Referer", tt.referer)
		if len(find(doc, "a", "id", "alert-close")) != 1 || attribute(find(doc, "a", "id", "alert-close")[0], "href") != "/alerts?contact=noc" ||
			!strings.Contains(text, `hx-get="/alerts/2?contact=noc&amp;seen=`) || !strings.Contains(text, `/ws?contact=noc`) {
			t.Errorf("%s: another list", name)
		}
	}
	_, _, doc := page(t, server, "GET", "/alerts/2", "", "Referer", "http://elsewhere.example/alerts?contact=noc")
	if got := attribute(find(doc, "a", "id", "alert-close")[0], "href"); got != "/alerts" {
		t.Errorf("a foreign page decides: %s", got)
	}
}

// An open page asks again and again, and is answered when there is news.
func TestAlert_IsAnsweredWhenItHasChanged(t *testing.T) {
	svc := outbox()
	server := serve(t, svc)
	_, _, doc := page(t, server, "GET", "/alerts/2", "")
	news := attribute(find(doc, "aside", "id", "alert")[0], "hx-get")
	ask := func() (int, string) {
		answer, text := send(t, server, "GET", news, "", fragment, "true", headerTarget, "alert")
		return answer.StatusCode, text
	}
	if status, text := ask(); status != 204 || text != "" {
		t.Errorf("without news: %d %s", status, text)
	}
	svc.alerts[1].UpdatedAt = received.Add(time.Second)
	if status, text := ask(); status != 200 || !strings.HasPrefix(text, "<aside") || !strings.HasSuffix(strings.TrimSpace(text), "</aside>") {
		t.Errorf("with news: %d %s", status, text)
	}
	svc.fail = models.ErrUnavailable // every two seconds: no toast
	if status, text := ask(); status != 204 || text != "" {
		t.Errorf("when it cannot be read: %d %s", status, text)
	}
	svc.fail = nil
	if answer, text := send(t, server, "GET", news, ""); answer.StatusCode != 200 || !strings.Contains(text, "<html") {
		t.Errorf("as a page: %d", answer.StatusCode)
	}
}

func TestRetry(t *testing.T) {
	svc := outbox()
	server := serve(t, svc)
	follow(server)
	// Who wants it is asked first, and then it is done.
	answer, _, doc := page(t, server, "POST", "/alerts/2/retry", "", "Referer", server.URL+"/alerts?st=failed")
	form := find(find(doc, "main", "", "")[0], "form", "", "")[0]
	next := attribute(find(form, "input", "name", "next")[0], "value")
	if answer.StatusCode != 200 || attribute(form, "action") != "/alerts/2/retry" || next != "/alerts?st=failed" || len(svc.acks) > 0 {
		t.Fatalf("%d, asked at %s for %s", answer.StatusCode, attribute(form, "action"), next)
	}
	if current := find(doc, "a", "aria-current", "page"); attribute(current[0], "href") != "/alerts" {
		t.Error("the question is not on the tab of alerts")
	}
	answer, _, _ = page(t, server, "POST", "/alerts/2/retry", url.Values{"by": {"Ana Ruíz"}, "next": {next}}.Encode())
	if answer.StatusCode != 303 || answer.Header.Get("Location") != "/alerts?st=failed" || svc.alerts[1].Status != models.EmailPending {
		t.Fatalf("%d to %q: %s", answer.StatusCode, answer.Header.Get("Location"), svc.alerts[1].Status)
	}
	if got := svc.acks[0]; got.By != "Ana Ruíz" || got.Peer != "127.0.0.1" {
		t.Errorf("by %+v", got)
	}
	told := func(answer *http.Response) string {
		for _, c := range answer.Cookies() {
			if c.Name == "done" {
				_, text, _ := page(t, server, "GET", "/alerts", "", "Cookie", "done="+c.Value)
				return text
			}
		}
		return ""
	}
	if !strings.Contains(told(answer), "Alert #2 is tried again") {
		t.Error("it is not told")
	}
	// Somebody was faster: no error, but told.
	answer, _, _ = page(t, server, "POST", "/alerts/2/retry", "", "Cookie", "name=Ana")
	if answer.StatusCode != 303 || answer.Header.Get("Location") != "/alerts/2" || !strings.Contains(told(answer), "Alert #2 has not failed") {
		t.Errorf("again: %d to %q", answer.StatusCode, answer.Header.Get("Location"))
	}
	for _, from := range []string{"/alerts/2/retry", "/alerts/cancel?contact=noc"} {
		answer, _, _ = page(t, server, "POST", "/alerts/2/retry", "", "Cookie", "name=Ana", "Referer", server.URL+from)
		if got := answer.Header.Get("Location"); got != "/alerts/2" {
			t.Errorf("from %s it leads to %s, which is no page to go to", from, got)
		}
	}
	if answer, _, _ := page(t, server, "POST", "/alerts/99/retry", "", "Cookie", "name=Ana"); answer.StatusCode != 404 {
		t.Errorf("unknown: %d", answer.StatusCode)
	}
	if answer, _ := send(t, server, "POST", "/alerts/1/retry", "", "Cookie", "name=Ana", "Origin", "http://elsewhere.example"); answer.StatusCode != 403 {
		t.Errorf("from elsewhere: %d", answer.StatusCode)
	}
}

func TestCancel(t *testing.T) {
	svc := outbox()
	server := serve(t, svc)
	follow(server)
	sel := models.Cancellation{Contact: "noc", Source: "sw-1"}
	body := "contact=noc&source=sw-1"
	ask := func(method, address, body string) {
		t.Helper()
		answer, text, doc := page(t, server, method, address, body)
		form := find(doc, "form", "action", "/alerts/cancel")
		if answer.StatusCode != 200 || len(form) != 1 || svc.sel != sel || svc.limit != countedPending+1 || len(svc.acks) > 0 {
			t.Fatalf("%s %s: %d, %d forms about %+v", method, address, answer.StatusCode, len(form), svc.sel)
		}
		for name, want := range map[string]string{"contact": "noc", "source": "sw-1"} {
			if got := find(form[0], "input", "name", name); len(got) != 1 || attribute(got[0], "value") != want {
				t.Errorf("%s is not carried on", name)
			}
		}
		if !strings.Contains(text, "12 pending alerts will be cancelled.") || len(find(form[0], "button", "name", "confirmed")) != 1 || len(find(form[0], "input", "name", "by")) != 1 {
			t.Errorf("%s %s does not ask", method, address)
		}
	}
	ask("GET", "/alerts/cancel?"+body, "")
	ask("POST", "/alerts/cancel", body)
	ask("POST", "/alerts/cancel", body+"&confirmed=0&by=Ana")

	answer, _, doc := page(t, server, "POST", "/alerts/cancel", body+"&confirmed=1")
	next := find(find(doc, "main", "", "")[0], "input", "name", "next")
	if answer.StatusCode != 200 || len(svc.acks) > 0 || len(next) != 1 || attribute(next[0], "value") != "/alerts/cancel?contact=noc&source=sw-1" {
		t.Errorf("without a name: %d, %d cancelled", answer.StatusCode, len(svc.acks))
	}
	answer, _, _ = page(t, server, "POST", "/alerts/cancel", body+"&confirmed=1&by=Ana")
	if answer.StatusCode != 303 || answer.Header.Get("Location") != "/alerts?contact=noc" || len(svc.acks) != 1 || svc.acks[0].By != "Ana" || svc.acks[0].Peer != "127.0.0.1" || svc.sel != sel {
		t.Errorf("%d to %q, by %+v of %+v", answer.StatusCode, answer.Header.Get("Location"), svc.acks, svc.sel)
	}
	answer, text, _ := page(t, server, "GET", "/alerts/cancel?contact=noc", "")
	if answer.StatusCode != 200 || !strings.Contains(text, "Nothing is pending here.") || strings.Contains(text, `name="confirmed"`) {
		t.Error("it asks about nothing")
	}
	svc.pending = 1 << 40
	if _, text, _ := page(t, server, "GET", "/alerts/cancel?source=a", ""); !strings.Contains(text, "More than 10,000 pending alerts") {
		t.Error("it counts without end")
	}
	// Everything at once cannot be meant.
	for _, body := range []string{"", "confirmed=1&by=Ana", "contact=&source=&confirmed=1&by=Ana"} {
		if answer, _, _ := page(t, server, "POST", "/alerts/cancel", body); answer.StatusCode != 400 || len(svc.acks) != 1 {
			t.Errorf("%q: %d", body, answer.StatusCode)
		}
	}
	if answer, _ := send(t, server, "GET", "/alerts/cancel", ""); answer.StatusCode != 400 {
		t.Errorf("a question about everything: %d", answer.StatusCode)
	}
	// A link must not cancel anything.
	if page(t, server, "GET", "/alerts/cancel?confirmed=1&by=Ana&contact=noc", ""); len(svc.acks) != 1 {
		t.Error("a link has cancelled")
	}
}

// What was cancelled before the storage failed is recorded, and told.
func TestCancel_HalfWay(t *testing.T) {
	for name, test := range map[string]func(t *testing.T, server *httptest.Server){
		"panel": func(t *testing.T, server *httptest.Server) {
			answer, _, _ := page(t, server, "POST", "/alerts/cancel", "contact=noc&confirmed=1&by=Ana", "HX-Request", "true")
			if toast := answer.Header.Get("HX-Trigger"); answer.StatusCode != 204 || !strings.Contains(toast, `"tone":"error","text":"12 alerts cancelled, then`) {
				t.Errorf("%d, toast %s", answer.StatusCode, toast)
			}
		},
		"without JavaScript": func(t *testing.T, server *httptest.Server) {
			follow(server)
			answer, _, _ := page(t, server, "POST", "/alerts/cancel", "contact=noc&confirmed=1&by=Ana")
			if told := strings.Join(answer.Header["Set-Cookie"], "\n"); answer.StatusCode != 303 || !strings.Contains(told, "cancelled-part") {
				t.Errorf("%d, %s", answer.StatusCode, told)
			}
		},
		"REST": func(t *testing.T, server *httptest.Server) {
			answer, text := send(t, server, "POST", "/api/alerts/cancel", `{"contact":"noc","by":"Ana"}`)
			if p := decodeAs[problem](t, text); answer.StatusCode != 503 || p.Word != "storage_unavailable" || p.Cancelled != 12 || !strings.Contains(p.Detail, "cancelled before that: 12") {
				t.Errorf("%d %s", answer.StatusCode, text)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			svc, audit := outbox(), &fakeAudit{}
			svc.fail = models.ErrUnavailable
			test(t, serveAudit(t, svc, audit))
			if lines := audit.told(); len(lines) != 1 || !strings.HasSuffix(lines[0], ": alerts 12: contact=noc") {
				t.Errorf("recorded: %q", lines)
			}
		})
	}
}

func TestDone_TellsWhatWasCancelled(t *testing.T) {
	server := serve(t, outbox())
	for value, want := range map[string]string{
		"what=cancelled&count=2&id=0&undo=": "2 alertas canceladas", "what=cancelled&count=0&id=0&undo=": "Ya no había nada pendiente",
		"what=cancelled-part&count=2&id=0&undo=": "2 alertas canceladas; después el hub no pudo guardar más",
		"what=retried&count=0&id=7&undo=":        "La alerta #7 no ha fallado",
	} {
		_, text, _ := page(t, server, "GET", "/alerts", "", "Cookie", "done="+value, "Accept-Language", "es")
		if !strings.Contains(text, want) {
			t.Errorf("%s does not tell %q", value, want)
		}
	}
}

func TestAPI_Alerts(t *testing.T) {
	svc := outbox()
	server := serve(t, svc)
	type row struct {
		ID     int64
		Status string
	}
	type list struct {
		Alerts []row
		Next   *int64 `json:"next_before"`
	}
	_, text := send(t, server, "GET", "/api/alerts?limit=2&status=failed&channel=email&contact=noc&event=2&before=9", "")
	if diff := cmp.Diff(models.EmailFilter{Before: 9, Limit: 2, Status: "failed", Channel: "email", Contact: "noc", EventIDs: []int64{2}}, svc.filterE); diff != "" {
		t.Errorf("filter (-want +got):\n%s", diff)
	}
	if got := decodeAs[list](t, text); len(got.Alerts) != 1 || got.Alerts[0] != (row{2, "failed"}) || got.Next != nil {
		t.Errorf("%s", text)
	}
	_, text = send(t, server, "GET", "/api/alerts?limit=2", "")
	if got := decodeAs[list](t, text); len(got.Alerts) != 2 || got.Next == nil || *got.Next != 4 {
		t.Errorf("%s", text)
	}
	_, text = send(t, server, "GET", "/api/alerts/1", "")
	got := decodeAs[struct {
		row
		Tries []struct {
			At, Status string
			Detail     string
			Next       *string `json:"next_attempt_at"`
		}
	}](t, text)
	if got.ID != 1 || svc.asked != 2 || len(got.Tries) != 2 || got.Tries[0].Detail != "451 later" || got.Tries[0].Next == nil || got.Tries[1].Next != nil || got.Tries[1].Status != "failed" {
		t.Errorf("%s, the tries of %d", text, svc.asked)
	}
	_, text = send(t, server, "POST", "/api/alerts/2/retry", `{"by":"cron"}`)
	if got := decodeAs[row](t, text); got != (row{2, "pending"}) || svc.acks[0].By != "cron" || svc.acks[0].Peer != "127.0.0.1" {
		t.Errorf("%s by %+v", text, svc.acks)
	}
	answer, text := send(t, server, "POST", "/api/alerts/2/retry", `{"by":"cron"}`)
	if got := decodeAs[problem](t, text); answer.StatusCode != 409 || got.Word != "not_failed" {
		t.Errorf("%d %s", answer.StatusCode, text)
	}
	_, text = send(t, server, "POST", "/api/alerts/cancel", `{"contact":"noc","by":"cron"}`)
	if text != `{"cancelled":12}` || svc.sel != (models.Cancellation{Contact: "noc"}) || svc.acks[2].By != "cron" || svc.acks[2].Peer != "127.0.0.1" {
		t.Errorf("%s of %+v by %+v", text, svc.sel, svc.acks)
	}
	for body, field := range map[string]string{`{"by":"cron"}`: "contact", `{"contact":"noc"}`: "by", `{"source":1,"by":"x"}`: "source", `{`: ""} {
		answer, text := send(t, server, "POST", "/api/alerts/cancel", body)
		if got := decodeAs[problem](t, text); answer.StatusCode != 400 || got.Field != field {
			t.Errorf("%s: %d %s", body, answer.StatusCode, text)
		}
	}
	for _, path := range []string{"/api/alerts/cancel", "/api/alerts/2/retry"} {
		if answer, _ := send(t, server, "POST", path, `{"contact":"noc","by":"x"}`, "Sec-Fetch-Site", "cross-site"); answer.StatusCode != 403 {
			t.Errorf("%s from elsewhere: %d", path, answer.StatusCode)
		}
	}
}
