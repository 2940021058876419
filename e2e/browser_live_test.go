package e2e

import (
	"cmp"
	"fmt"
	"testing"
	"time"
)

const (
	calm  = `{"source":"core-sw-1","severity":"info","message":"Link is up"}`
	alarm = `{"source":"core-sw-1","severity":"critical","message":"Link is down"}`
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
		b.Becomes("live", 10*time.Second)
		b.Forget()
	}
	d := dialDevice(t, p)
	for i := range 3 {
		d.Ask(calm)
		d.Ask(alarm)
		want := stored(p, 2*i+2)
		dashboard.Shows("rows", want, 5*time.Second)
		events.Shows("rows", want, 5*time.Second)
	}
	for _, b := range []*tab{dashboard, alerts} {
		b.Shows("alert-rows", []row{{ID: 3}, {ID: 2}, {ID: 1}}, 5*time.Second)
		b.Until(`document.querySelectorAll('#alert-rows .mail[data-st=pending]').length === 3`, time.Second)
	}
	close(deliver)
	for _, b := range []*tab{dashboard, alerts} {
		b.Until(`document.querySelectorAll('#alert-rows .mail[data-st=sent]').length === 3`, 10*time.Second)
	}
	alerts.Shows("alert-rows", []row{{ID: 3}, {ID: 2}, {ID: 1}}, time.Second) // each where it stood
	if got, want := events.Text("#ev-6"), "Critical"; got[:len(want)] != want {
		t.Errorf("the row is %q", got)
	}
	dashboard.Until(`document.querySelector('#counters [data-tint=violet] .kpi-num').textContent === '6'`, 5*time.Second)
	dashboard.Until(`document.querySelector('#counters [data-tint=red] .kpi-num').textContent === '3'`, 5*time.Second)
	dashboard.Until(`document.querySelector('#counters [data-tint=green] .kpi-num').textContent === '3'`, 5*time.Second)
	alerts.Until(`document.querySelector('#alert-figures dd').textContent === '3'`, 5*time.Second)
	audit.Until(`document.querySelector('[aria-labelledby=by-channel] .num').textContent === '6'`, 5*time.Second)
	for _, b := range []*tab{dashboard, events, alerts, audit} {
		b.Untouched()
		if r := b.Requests(); len(r) > 0 {
			t.Errorf("the page asked for %q", r)
		}
	}
}

// honest checks that a live table tells of every event: newest first, and
// between two rows a gap row that counts exactly those which are left out.
func honest(rows []row, newest int64) error {
	expected := newest
	for i, r := range rows {
		switch {
		case r.ID == 0 && r.Gap <= 0:
			return fmt.Errorf("row %d is a gap that counts nothing", i)
		case r.ID == 0:
			expected -= r.Gap
		case r.ID != expected:
			return fmt.Errorf("row %d is event %d, want %d (%v)", i, r.ID, expected, rows)
		default:
			expected--
		}
	}
	return nil
}

func events(rows []row) (n int) {
	for _, r := range rows {
		n += cmp.Compare(r.ID, 0)
	}
	return n
}

// A burst is more than a page can draw. What it does not draw it counts, and
// it stays small.
func TestBrowser_BurstIsCountedAndBounded(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	sendMany(p, 120, calm)
	list, dashboard := browse(t, p.URL("/events")), browse(t, p.URL("/"))
	for _, b := range []*tab{list, dashboard} {
		b.Mark()
		b.Becomes("live", 10*time.Second)
	}
	list.Shows("rows", stored(p, 100), time.Second)
	eval[bool](list, `window.most = 0, setInterval(() => {
		window.most = Math.max(window.most, document.querySelectorAll('*').length); }, 10), true`)
	const burst, total = 10_000, 10_120
	sendMany(p, burst, calm)
	for b, most := range map[*tab]int{list: 100, dashboard: 10} {
		eventually(t, 15*time.Second, func() error {
			rows := b.Rows("rows")
			if n := events(rows); n != most {
				return fmt.Errorf("%d events are drawn, want %d", n, most)
			}
			return honest(rows, total)
		})
		b.Untouched()
		b.Becomes("live", 5*time.Second)
	}
	dashboard.Until(`document.querySelector('#counters [data-tint=violet] .kpi-num').textContent === '10,120'`, 5*time.Second)
	if n := eval[int](list, `window.most`); n > 2500 || n < 500 {
		t.Errorf("the page grew to %d elements", n)
	}
	// Afterwards it goes on row by row, and after a reload it is all there.
	sendMany(p, 1, calm)
	eventually(t, 5*time.Second, func() error { return honest(list.Rows("rows"), total+1) })
	list.Go(p.URL("/events"))
	list.Shows("rows", stored(p, 100), time.Second)
}
