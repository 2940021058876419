package e2e

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/google/go-cmp/cmp"
)

// hostile is what a device, or somebody who can write to its log, may send.
// All of it is text.
var hostile = []string{
	`<script>pwned=1</script>`,
	`</script><script src=/static/x.js></script>`,
	`<img src=x onerror="pwned=1">`,
	`<svg/onload=pwned=1><animate onbegin=pwned=1 attributeName=x>`,
	`"><img src=x onerror=pwned=1>`,
	`' onmouseover='pwned=1' autofocus onfocus='pwned=1`,
	`</td></tr></tbody></table><h1 id=rows>gone</h1>`,
	`</textarea><iframe srcdoc="<script>parent.pwned=1</script>"></iframe>`,
	`</title></style></noscript><body onload=pwned=1>`,
	`<div hx-get="/audit" hx-trigger="load" hx-target="body">x</div>`,
	`<a hx-post="/events" hx-trigger="every 1s" data-hx-get="/">x</a>`,
	`<tbody hx-swap-oob="innerHTML:#rows"></tbody>`,
	`<div id="notices" hx-swap-oob="true">all is well</div>`,
	`<i id="beat" data-last-id="999999">x</i>`,
	`<template><tr id="e1" hx-swap-oob="delete"></tr></template>`,
	`<meta http-equiv="refresh" content="0;url=//evil.example.net/">`,
	`<base href="//evil.example.net/"><link rel=stylesheet href=//evil.example.net/x.css>`,
	`<form action=//evil.example.net/><button>Sign in</button></form>`,
	`javascript:pwned=1`,
	`{{constructor.constructor('pwned=1')()}} ${pwned=1} #{7*7} <%= 7*7 %>`,
	`&lt;script&gt;pwned=1&lt;/script&gt; &amp;amp; &#60;b&#62;`,
	`<!--[if IE]><script>pwned=1</script><![endif]--><![CDATA[<b>]]>`,
	`<math><mtext><mglyph><style><img src=x onerror=pwned=1>`,
	"\u202Egnp.exe\u202C \u2066abc\u2069 שלום عالم",
	"a\u0300\u0301\u0302\u0303\u0304\u0305 \U0001F468\u200D\U0001F469\u200D\U0001F467 \uFFFE\u200B",
	"line one\nline two\ttab \u2028 end",
	`=cmd|' /C calc'!A0`,
	`@SUM(1+1)*cmd|' /C calc'!A0`,
	"+1\r\nSet-Cookie: pwned=1\r\n\r\n<b>",
	"\x00\x07\x1b[31mred\x7f",
	`-- x"}]}; {"type":"event"`,
	`<` + strings.Repeat("b", 70) + `>`,
}

// foreign counts what no page of the panel has: elements and attributes that
// only markup inside a text could have made.
const foreign = `[
	...document.querySelectorAll('img, iframe, object, embed, math, style, base, video, audio, animate, article, h1 ~ h1, b, frameset'),
	...[...document.querySelectorAll('template')].filter(e => !/^toast-(success|info|warning|error)$/.test(e.id)),
	...[...document.querySelectorAll('script, link')].filter(e => !(e.getAttribute('src') ?? e.getAttribute('href')).startsWith('/static/')),
	...[...document.querySelectorAll('form')].filter(e => !new URL(e.getAttribute('action') ?? '', location.href).href.startsWith(location.origin + '/') || e.method === 'dialog' && !e.closest('dialog')),
	...[...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a =>
		/^on|^srcdoc$|^style$/.test(a.name) || a.name === 'autofocus' && !e.closest('#dlg-confirm') ||
		/^(data-)?hx-/.test(a.name) && !e.matches('#create-form, #ack, #unack, #import, [ws-connect]') && a.name !== 'hx-swap-oob')),
	...document.querySelectorAll('#rows ~ #rows, meta[http-equiv]'),
].map(e => e.outerHTML.slice(0, 200))`

// harmless checks the page that is open.
func (b *tab) harmless(where string) {
	b.t.Helper()
	if found := eval[[]string](b, foreign); len(found) > 0 {
		b.t.Errorf("%s has foreign elements: %q", where, found)
	}
	if eval[bool](b, `'pwned' in window`) {
		b.t.Errorf("%s ran foreign script", where)
	}
	if doubles := eval[[]string](b, doubled); len(doubles) > 0 {
		b.t.Errorf("%s has the ids %q twice", where, doubles)
	}
}

// texts are the sources and messages of the rows, by id of the event.
func (b *tab) texts() map[string][2]string {
	b.t.Helper()
	return eval[map[string][2]string](b, `Object.fromEntries([...document.querySelectorAll('tr.ev')].map(r =>
		[r.id.slice(1), [r.querySelector('.c-src').textContent, r.querySelector('.c-msg a').firstChild.textContent.replace(/ $/, '')]]))`)
}

// received is what becomes of a hostile text: source and message.
func received(text string) [2]string {
	control := func(keep string) func(rune) rune {
		return func(r rune) rune {
			if (r < ' ' || r == 0x7f) && !strings.ContainsRune(keep, r) {
				return '\uFFFD'
			}
			return r
		}
	}
	source := []rune(strings.Map(control(""), text)) // a name is one line
	return [2]string{string(source[:min(80, len(source))]), strings.Map(control("\n\t"), strings.ReplaceAll(text, "\r\n", "\n"))}
}

func TestBrowser_WhatDevicesSendStaysText(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	list, dashboard, alerts := openTab(t), browse(t, p.URL("/")), browse(t, p.URL("/alerts"))
	call(list, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `
		window.notified = [];
		window.Notification = class { constructor(text) { window.notified.push(text); } };
		Notification.permission = 'granted';
		Notification.requestPermission = async () => 'granted';`})
	list.Go(p.URL("/events"))
	list.Click("#sound")
	open := map[string]*tab{"the events": list, "the dashboard": dashboard, "the emails": alerts}
	for _, b := range open {
		b.Becomes("live", settled)
		b.Mark()
		b.Forget()
	}
	d := dialDevice(t, p)
	want := make(map[string][2]string)
	for i, text := range hostile {
		line, err := json.Marshal(map[string]string{"source": text, "message": text, "severity": "critical", "extra": text})
		if err != nil {
			t.Fatal(err)
		}
		a := d.Ask(string(line))
		if !a.OK {
			t.Fatalf("%s is refused: %+v", text, a)
		}
		var e storedEvent
		p.getJSON(fmt.Sprintf("/api/events/%d", a.EventID), &e)
		want[fmt.Sprint(a.EventID)] = received(text)
		if got := [2]string{e.Source, e.Message}; got != received(text) {
			t.Errorf("stored (-want +got):\n%s", cmp.Diff(received(text), got))
		}
		if i%10 == 9 { // no more at once than a frame draws
			list.Until(fmt.Sprintf(`document.getElementById('e%d') !== null`, a.EventID), settled)
		}
	}
	n := len(hostile)
	eventually(t, 10*time.Second, func() error {
		if diff := cmp.Diff(want, list.texts()); diff != "" {
			return fmt.Errorf("the rows (-want +got):\n%s", diff)
		}
		return nil
	})
	dashboard.Shows("rows", stored(p, 5), settled)
	alerts.Until(fmt.Sprintf(`document.querySelectorAll('#alert-rows .rec').length === %d`, n), settled)
	list.Until(fmt.Sprintf(`document.title.startsWith('(%d) ')`, n), settled)
	// A notification holds nothing but one event's source and message.
	texts := make(map[string]bool)
	for _, w := range want {
		texts[w[0]+": "+w[1]] = true
	}
	notified := eval[[]string](list, `window.notified`)
	for _, text := range notified {
		if !texts[text] {
			t.Errorf("a notification says %q", text)
		}
	}
	if len(notified) == 0 {
		t.Error("nothing was notified")
	}
	if said := list.Text("#say-now"); said == "" {
		t.Error("nothing was read out")
	}
	for where, b := range open {
		b.harmless(where + ", live")
		b.Untouched()
		if r := slices.DeleteFunc(b.Requests(), isIcon); len(r) > 0 {
			t.Errorf("%s asked for %q", where, r)
		}
		b.Becomes("live", settled) // still
	}
	list.Fresh(5 * time.Second)

	// In the drawer, over the live list, each as its own page.
	for id, texts := range want {
		eval[bool](list, fmt.Sprintf(`document.querySelector('#e%s .c-msg a').click(), true`, id))
		list.Until(fmt.Sprintf(`document.getElementById('drawer')?.dataset.id === '%s'`, id), settled)
		list.harmless("the drawer of " + texts[1])
		shown := eval[[2]string](list, `[document.querySelector('#drawer .facts .mono').textContent, document.getElementById('drawer-h').textContent]`)
		if shown != texts {
			t.Errorf("the drawer (-want +got):\n%s", cmp.Diff(texts, shown))
		}
		var e storedEvent
		p.getJSON("/api/events/"+id, &e)
		if got := eval[string](list, `document.querySelector('#drawer pre code').textContent`); e.RawPayload == nil || got != *e.RawPayload {
			t.Errorf("the payload is shown as %s", got)
		}
	}
	list.Untouched()
	for _, path := range []string{"/events", "/", "/alerts", "/audit", "/create", "/events?before=20", "/events/3", "/?wall=1"} {
		list.Go(p.URL(in([]string{"en", "es"}[len(path)%2], path)))
		list.harmless(path)
		if rows := list.texts(); path == "/events" && !cmp.Equal(want, rows) {
			t.Errorf("the rows, loaded (-want +got):\n%s", cmp.Diff(want, rows))
		}
	}
	for i, e := range p.list("?limit=100").Events { // a source is also a filter, and the choices of one
		if i%4 > 0 {
			continue
		}
		list.Go(p.URL("/events?" + url.Values{"src": {e.Source}, "q": {e.Message}}.Encode()))
		list.harmless("the filter by " + e.Source)
	}
	exported(t, p, want)
}

// exported checks that hostile texts come out of every export as they are, and
// that no spreadsheet takes one for a formula.
func exported(t *testing.T, p *process, want map[string][2]string) {
	t.Helper()
	var whole listing
	p.getJSON("/export.json", &whole)
	_, text := p.get("/export.ndjson")
	var lines []storedEvent
	for line := range strings.Lines(text) {
		var e storedEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("a line of the export: %v in %s", err, line)
		}
		if e.Source != "" {
			lines = append(lines, e)
		}
	}
	for format, events := range map[string][]storedEvent{"JSON": whole.Events, "NDJSON": lines} {
		got := make(map[string][2]string)
		for _, e := range events {
			got[fmt.Sprint(e.ID)] = [2]string{e.Source, e.Message}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the export as %s (-want +got):\n%s", format, diff)
		}
	}
	_, text = p.get("/export.csv")
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(records) != len(want)+1 {
		t.Fatalf("the export as CSV has %d records: %v", len(records), err)
	}
	for _, record := range records {
		for _, field := range record {
			if field != "" && strings.ContainsAny(field[:1], "=+-@\t\r") {
				t.Errorf("a spreadsheet calculates %q", field)
			}
		}
	}
}

// What a person types, and what a link makes the panel repeat, is text too.
func TestBrowser_WhatIsRepeatedStaysText(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	b := browse(t, p.URL("/create"))
	for _, text := range hostile {
		const send = `(() => {
			const f = document.getElementById('create-form');
			f.querySelector('#source').value = %s; f.querySelector('#message').value = %[1]s;
			f.requestSubmit(); return true })()`
		long, err := json.Marshal(text + strings.Repeat(" x", 160)) // too long: it comes back
		if err != nil {
			t.Fatal(err)
		}
		eval[bool](b, `window.before = document.getElementById('create-form'), true`)
		eval[bool](b, fmt.Sprintf(send, long))
		b.Until(`document.getElementById('create-form') !== window.before && document.querySelector('#message-error') !== null`, settled)
		b.harmless("the form with " + text)
		back, err := json.Marshal(strings.NewReplacer("\r\n", "\n", "\x00", "\uFFFD").Replace(text + strings.Repeat(" x", 160))) // what a text area holds
		if err != nil {
			t.Fatal(err)
		}
		if !eval[bool](b, fmt.Sprintf(`document.getElementById('message').value === %s`, back)) {
			t.Errorf("%s came back as %s", long, eval[string](b, `document.getElementById('message').value`))
		}
	}
	b.Excuse("422")
	const evil = `%22%3E%3Cscript%3Epwned=1%3C/script%3E%3Cimg%20src=x%20onerror=pwned=1%3E`
	for _, path := range []string{"/events?before=" + evil, "/events/" + evil, "/" + evil, "/?lang=" + evil, "/alerts?x=" + evil + "&lang=es", "/create?source=" + evil,
		"/events?q=" + evil + "&src=" + evil + "&sev=" + evil, "/alerts?st=" + evil, "/audit?range=" + evil, "/events/ack-all?q=" + evil + "&upto=9"} {
		b.Go(p.URL(path))
		b.harmless(path)
		b.Excuse("status of 40") // of the page itself
	}
}
