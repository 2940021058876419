package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

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
	`<template><tr id="ev-1" hx-swap-oob="delete"></tr></template>`,
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
	`<` + strings.Repeat("b", 70) + `>`,
}

// foreign counts what no page of the panel has: elements and attributes that
// only markup inside a text could have made.
const foreign = `[
	...document.querySelectorAll('img, iframe, object, embed, math, style, base, template, video, audio, animate, article, h1 ~ h1, b, frameset'),
	...[...document.querySelectorAll('script, link')].filter(e => !(e.getAttribute('src') ?? e.getAttribute('href')).startsWith('/static/')),
	...[...document.querySelectorAll('form')].filter(e => e.id !== 'create-form'),
	...[...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a =>
		/^on|^srcdoc$|^style$|^autofocus$/.test(a.name) ||
		/^(data-)?hx-/.test(a.name) && e.id !== 'create-form' && !(a.name === 'hx-ext' && e.hasAttribute('ws-connect')))),
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
	if doubles := eval[[]string](b, `[...document.querySelectorAll('[id]')].map(e => e.id).filter((id, i, all) => all.indexOf(id) !== i)`); len(doubles) > 0 {
		b.t.Errorf("%s has the ids %q twice", where, doubles)
	}
}

// texts are the sources and messages of the rows, by id of the event.
func (b *tab) texts() map[string][2]string {
	b.t.Helper()
	return eval[map[string][2]string](b, `Object.fromEntries([...document.querySelectorAll('tr.ev')].map(r =>
		[r.id, [r.querySelector('.c-src').textContent, r.querySelector('.c-msg').textContent]]))`)
}

func TestBrowser_WhatDevicesSendStaysText(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	list, dashboard, alerts := browse(t, p.URL("/events")), browse(t, p.URL("/")), browse(t, p.URL("/alerts"))
	open := map[string]*tab{"the events": list, "the dashboard": dashboard, "the emails": alerts}
	for _, b := range open {
		b.Becomes("live", 10*time.Second)
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
		source := []rune(strings.NewReplacer("\n", "\uFFFD", "\t", "\uFFFD").Replace(text)) // a name is one line
		want[fmt.Sprintf("ev-%d", a.EventID)] = [2]string{string(source[:min(80, len(source))]), text}
		if i%10 == 9 { // no more at once than a frame draws
			list.Until(fmt.Sprintf(`document.getElementById('ev-%d') !== null`, a.EventID), 10*time.Second)
		}
	}
	n := len(hostile)
	eventually(t, 10*time.Second, func() error {
		if diff := cmp.Diff(want, list.texts()); diff != "" {
			return fmt.Errorf("the rows (-want +got):\n%s", diff)
		}
		return honest(dashboard.Rows("rows"), int64(n))
	})
	alerts.Until(fmt.Sprintf(`document.querySelectorAll('#alert-rows .rec').length === %d`, n), 5*time.Second)
	for where, b := range open {
		b.harmless(where + ", live")
		b.Untouched()
		if r := b.Requests(); len(r) > 0 {
			t.Errorf("%s asked for %q", where, r)
		}
		b.Becomes("live", time.Second) // still
	}

	for _, lang := range []string{"en", "es"} {
		for _, path := range []string{"/events", "/", "/alerts", "/audit", "/create", "/events?before=20"} {
			list.Go(p.URL(path + "?&"[strings.Count(path, "?"):][:1] + "lang=" + lang))
			list.harmless(path)
			if rows := list.texts(); path == "/events" && !cmp.Equal(want, rows) {
				t.Errorf("the rows, loaded (-want +got):\n%s", cmp.Diff(want, rows))
			}
		}
	}
	for id, texts := range want {
		list.Go(p.URL("/events/" + id[3:]))
		list.harmless("the page of " + texts[1])
		shown := eval[[2]string](list, `[document.querySelector('.facts .mono').textContent, document.getElementById('message').textContent]`)
		if shown != texts {
			t.Errorf("the page of an event (-want +got):\n%s", cmp.Diff(texts, shown))
		}
		var e storedEvent
		p.getJSON("/api/events/"+id[3:], &e)
		if got := list.Text("pre.code"); e.RawPayload == nil || got != strings.Join(strings.Fields(*e.RawPayload), " ") {
			t.Errorf("the payload is shown as %s", got)
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
		b.Until(`document.getElementById('create-form') !== window.before && document.querySelector('#message-error') !== null`, 5*time.Second)
		b.harmless("the form with " + text)
		if !eval[bool](b, fmt.Sprintf(`document.getElementById('message').value === %s`, long)) {
			t.Errorf("%s came back as %s", long, eval[string](b, `document.getElementById('message').value`))
		}
	}
	b.Excuse("422")
	const evil = `%22%3E%3Cscript%3Epwned=1%3C/script%3E%3Cimg%20src=x%20onerror=pwned=1%3E`
	for _, path := range []string{"/events?before=" + evil, "/events/" + evil, "/" + evil, "/?lang=" + evil, "/alerts?x=" + evil + "&lang=es", "/create?source=" + evil} {
		b.Go(p.URL(path))
		b.harmless(path)
		b.Excuse("status of 40") // of the page itself
	}
}
