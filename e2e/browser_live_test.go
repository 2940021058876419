package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// Whatever a device sends is on the open pages a moment later, by itself.
func TestBrowser_RowsAppearByThemselves(t *testing.T) {
	t.Parallel()
	mail := newMailServer(t, false)
	deliver := make(chan struct{})
	mail.Set(func(m *mailServer) {
		m.data = func(receivedMail) error {
			<-deliver
			return nil
		}
	})
	mail.Start()
	p := startHub(t, options{env: mail.Settings("noc@example.net")})
	dashboard, events, alerts, audit := browse(t, p.URL("/")), browse(t, p.URL("/events")), browse(t, p.URL("/alerts")), browse(t, p.URL("/audit"))
	for _, b := range []*tab{dashboard, events, alerts, audit} {
		b.Mark()
		b.Becomes("live", settled)
		b.Forget()
	}
	d := dialDevice(t, p)
	for i := range 3 {
		d.Ask(calm())
		d.Ask(alarm())
		want := stored(p, 2*i+2)
		dashboard.Shows("rows", want[:min(5, len(want))], settled)
		events.Shows("rows", want, settled)
	}
	alerts.Shows("alert-rows", []row{{ID: 3}, {ID: 2}, {ID: 1}}, settled)
	alerts.Until(`document.querySelectorAll('#alert-rows .mail[data-st=pending]').length === 3`, settled)
	dashboard.Until(`document.querySelectorAll('#mails .mail[data-st=pending]').length === 3`, settled)
	close(deliver)
	alerts.Until(`document.querySelectorAll('#alert-rows .mail[data-st=sent]').length === 3`, settled)
	dashboard.Until(`document.querySelectorAll('#mails .mail[data-st=sent]').length === 3`, settled)
	events.Until(`document.querySelectorAll('#rows .mail[data-st=sent]').length === 3`, settled)
	alerts.Shows("alert-rows", []row{{ID: 3}, {ID: 2}, {ID: 1}}, settled) // each where it stood
	if got, want := events.Text("#e6"), "Critical"; got[:len(want)] != want {
		t.Errorf("the row is %q", got)
	}
	dashboard.Until(`document.querySelector('#kpis [data-tint=violet] .kpi-num').textContent === '6'`, settled)
	dashboard.Until(`document.querySelector('#kpis [data-tint=red] .kpi-num').textContent === '3'`, settled)
	dashboard.Until(`document.querySelector('#kpis [data-tint=green] .kpi-num').textContent === '3'`, settled)
	alerts.Until(`document.querySelector('#alert-figures dd').textContent === '3'`, settled)
	audit.Until(`document.querySelector('[aria-labelledby=by-channel] .num').textContent === '6'`, settled)
	for _, b := range []*tab{dashboard, events, alerts, audit} {
		b.Untouched()
		if r := slices.DeleteFunc(b.Requests(), isIcon); len(r) > 0 {
			t.Errorf("the page asked for %q", r)
		}
	}
}

// isIcon tells whether a request is for the icon of a tab with news.
func isIcon(request string) bool { return strings.Contains(request, "/static/img/favicon") }

// A burst is more than a page can draw. Until it is over the page counts what
// it does not draw and stays small; then it shows what is stored.
func TestBrowser_BurstIsCountedAndBounded(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{args: []string{"--limit-source=0"}})
	sendMany(p, 120, calm)
	list, narrow, dashboard := browse(t, p.URL("/events")), browse(t, p.URL("/events?sev=critical")), browse(t, p.URL("/"))
	for _, b := range []*tab{list, narrow, dashboard} {
		b.Mark()
		b.Becomes("live", settled)
	}
	list.Shows("rows", stored(p, 100), settled)
	eval[bool](list, `window.most = 0, window.gaps = 0, setInterval(() => {
		window.most = Math.max(window.most, document.querySelectorAll('*').length);
		window.gaps = Math.max(window.gaps, document.querySelectorAll('.gap-row').length); }, 10), true`)
	const burst = 20_000
	sent := 0
	sendMany(p, burst, func() string {
		if sent++; sent%1000 == 0 {
			return alarm()
		}
		return calm()
	})
	list.Shows("rows", stored(p, 100), settled)
	for _, b := range []*tab{list, narrow, dashboard} {
		b.Fresh(10 * time.Second)
		b.Untouched()
		b.Becomes("live", settled)
	}
	if n := eval[int](list, `window.most`); n > 2500 || n < 500 {
		t.Errorf("the page grew to %d elements, %d of them in %d rows", n, list.Count("#rows *"), list.Count("#rows tr"))
	}
	if n := eval[int](list, `window.gaps`); n == 0 {
		t.Error("nothing was left out: this was no burst")
	}
	dashboard.Is(`document.querySelector('#kpis [data-tint=violet] .kpi-num').textContent`, "20,120")
	if n := len(narrow.Rows("rows")); n != burst/1000 {
		t.Errorf("%d criticals are shown", n)
	}
	// Afterwards it goes on row by row.
	sendMany(p, 1, alarm)
	for _, b := range []*tab{list, narrow, dashboard} {
		b.Fresh(5 * time.Second)
	}
}

// Repeats share a row, live as on a fresh page, and an acknowledgement of it
// is one of all of them.
func TestBrowser_RepeatsShareARow(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	b := browse(t, p.URL("/events"))
	b.Becomes("live", settled)
	d := dialDevice(t, p)
	flap := event("sw-7", "error", "Port 12 flaps")
	for range 3 {
		d.Ask(flap)
		d.Ask(calm())
	}
	b.Fresh(5 * time.Second)
	repeats := `document.querySelectorAll('#rows tr[data-sev=error]').length + ' rows of ' + [...document.querySelectorAll('#rows tr[data-sev=error]')].reduce((n, r) => n + Number(r.dataset.n), 0)`
	if got := eval[string](b, repeats); got != "1 rows of 3" && got != "2 rows of 3" { // a minute may have ended
		t.Errorf("it shows %s", got)
	}
}
