package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"alerthub/models"
)

// attack is what a page can have a browser send to a hub: it tells what came
// of each. Forms and beacons tell nothing; what they did must be looked for.
const attack = `(async () => {
	const hub = %q, feed = %q, forms = %t, out = {};
	const ask = (what, path, init) => fetch(hub + path, {credentials: 'include', ...init}).then(r => { out[what] = r.type + ' ' + r.status }, () => { out[what] = 'refused' });
	const form = new URLSearchParams({source: 'evil', severity: 'info', message: 'm', name: 'evil', password: 'an evil long word', role: 'admin', others: '1'});
	await ask('read', '/api/events');
	await ask('text', '/api/events', {method: 'POST', mode: 'no-cors', headers: {'Content-Type': 'text/plain'}, body: '{"source":"evil"}'});
	await ask('json', '/api/events', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{"source":"evil"}'});
	await ask('unseen', '/events', {method: 'POST', mode: 'no-cors', body: form});
	await ask('person', '/access/people', {method: 'POST', mode: 'no-cors', body: form});
	await ask('patch', '/api/users/1', {method: 'PATCH', headers: {'Content-Type': 'application/json'}, body: '{"role":"admin"}'});
	const socket = (what, url) => new Promise(done => {
		const s = new WebSocket(url);
		s.onopen = () => { out[what] = 'open'; s.close(); done() };
		s.onerror = () => { out[what] = 'refused'; done() };
	});
	await socket('panel', hub.replace('http', 'ws') + '/ws?view=events');
	await socket('events', hub.replace('http', 'ws') + '/ws/events');
	await socket('feed', 'ws://' + feed + '/');
	if (forms) {
		navigator.sendBeacon(hub + '/logout', form);
		for (const path of ['/events', '//events', '/access/people', '/account/sessions/end', '/logout', '/setup', '/seed', '/events/ack-all']) {
			const frame = document.createElement('iframe'), f = document.createElement('form');
			frame.name = path; f.method = 'post'; f.target = path; f.action = hub + path;
			for (const [name, value] of form) f.append(Object.assign(document.createElement('input'), {name, value}));
			const loaded = new Promise(done => { frame.onload = () => { if (f.sent) done() } });
			document.body.append(frame, f);
			f.sent = true; f.submit();
			await loaded;
		}
	}
	return Object.entries(out).map(o => o.join(': ')).sort().join(', ');
})()`

// TestBrowser_ForeignPagesDoNothing has somebody who is signed in open pages of
// two other origins: on another port, to which cookies of the same site go, and
// under another name.
func TestBrowser_ForeignPagesDoNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	addUser(t, dir, "ana", models.RoleAdmin)
	p := startHub(t, options{dir: dir})
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			w.WriteHeader(http.StatusNoContent) // an icon
			return
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>evil</title><body>")
	}))
	defer evil.Close()

	b := browse(t, p.URL("/login"))
	eval[bool](b, fmt.Sprintf(`document.querySelector('#name').value = 'ana', document.querySelector('#password').value = %q, document.querySelector('main form').requestSubmit(), true`, password))
	b.Until(`location.pathname === '/' && document.readyState === 'complete'`, settled)

	const nothing = "events: refused, feed: refused, json: refused, panel: refused, patch: refused, person: refused, read: refused, text: refused, unseen: refused"
	for _, origin := range []string{evil.URL, strings.Replace(evil.URL, "127.0.0.1", "localhost", 1)} {
		b.Go(origin)
		if got := eval[string](b, fmt.Sprintf(attack, p.URL(""), p.Feed, true)); got != nothing {
			t.Errorf("from %s: %s", origin, got)
		}
		b.Excuse("CORS policy")
		b.Excuse("status of 40")
		b.Excuse("frame-ancestors")
	}
	users := func() string { return command(t, "user", "list", "--data-dir", dir) }
	if list := users(); strings.Contains(list, "evil") {
		t.Errorf("a foreign page has changed who there is:\n%s", list)
	}
	b.Go(p.URL("/access/people")) // still signed in
	b.At("/access/people")
	total := func() int { return eval[int](b, `fetch('/api/stats').then(r => r.json()).then(s => s.total_events)`) }
	if n := total(); n != 0 {
		t.Errorf("foreign pages have had %d events stored", n)
	}

	// From the hub's own page all of that is taken: what was wrong is the origin.
	const all = "events: open, feed: refused, json: basic 201, panel: open, patch: basic 200, person: basic 200, read: basic 200, text: basic 415, unseen: basic 200"
	if got := eval[string](b, fmt.Sprintf(strings.ReplaceAll(attack, "mode: 'no-cors', ", ""), p.URL(""), p.Feed, false)); got != all {
		t.Errorf("from the hub's own page: %s", got)
	}
	b.Excuse("connect-src") // the panel's pages have no business at the feed's own port
	b.Excuse("status of 415")
	if list, n := users(), total(); !strings.Contains(list, "evil") || n != 2 {
		t.Errorf("%d events, users:\n%s", n, list)
	}
}
