package e2e

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
	"github.com/pquerna/otp/totp"
)

// reaches presses Tab until the focus is on what the selector names, as who
// has no mouse does.
func (b *tab) reaches(selector string) {
	b.t.Helper()
	for range 120 {
		if eval[bool](b, fmt.Sprintf(`document.activeElement.matches(%q)`, selector)) {
			return
		}
		b.Type(kb.Tab)
	}
	b.t.Fatalf("Tab does not reach %s on %s", selector, eval[string](b, `location.pathname`))
}

// fills types into a field.
func (b *tab) fills(selector, text string) {
	b.t.Helper()
	b.reaches(selector)
	b.Type(text)
}

// presses presses Enter on something that leads to the page at path, with the
// query that it may have.
func (b *tab) presses(selector, path string) {
	b.t.Helper()
	b.reaches(selector)
	eval[bool](b, `window.before = true`)
	b.Type(kb.Enter)
	b.Until(fmt.Sprintf(`!window.before && location.pathname === %q && document.readyState === 'complete'`, path), settled)
}

// judges has axe-core look at the open page, in both themes and as a phone.
func (b *tab) judges() {
	b.t.Helper()
	b.axe()
	for _, l := range looks(0)[:2] {
		b.Sees(l.Width, 900, l.Theme)
		where := eval[string](b, `location.pathname + ' in ' + document.documentElement.lang`)
		b.accessible(fmt.Sprintf("%s, %d px, %s", where, l.Width, l.Theme))
		if wide := eval[int](b, `document.documentElement.scrollWidth`); wide > int(l.Width) {
			b.t.Errorf("%s is %d px wide in a window of %d", where, wide, l.Width)
		}
	}
	b.Sees(1440, 900, "light")
}

// speaks chooses the language of all pages from here on.
func (b *tab) speaks(p *process, page, lang string) {
	b.t.Helper()
	b.Go(p.URL(in(lang, page)))
	if got := eval[string](b, `document.documentElement.lang`); got != lang {
		b.t.Errorf("%s speaks %s", page, got)
	}
}

var setupLink = regexp.MustCompile(`/setup\?token=[A-Za-z0-9_-]+`)

const (
	anaPassword = "correct horse battery"
	benPassword = "staple tower window"
)

// From the first start of a hub to its second user, by keyboard alone: the
// link that it tells, the second factor, people, keys, and what somebody who
// may only read finds.
func TestBrowser_AccessByKeyboard(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := startHub(t, options{dir: dir, args: []string{"--setup"}})
	b := openTab(t)

	var link string
	if !p.log.WaitFor(settled, p.exit, func(line []byte) bool {
		link = setupLink.FindString(string(line))
		return link != ""
	}) {
		t.Fatalf("no link is told: %s", p.log.Tail(5))
	}

	b.speaks(p, link, "es")
	b.judges()
	b.fills("#name", "ana")
	b.fills("#password", anaPassword)
	b.fills("#password-again", "something else")
	b.presses(`main button[type="submit"]`, "/setup")
	b.Excuse("422")
	if got := b.Text(`[role="alert"]`); got != "Las dos contraseñas son distintas." {
		t.Errorf("two passwords: %q", got)
	}
	b.fills("#password", anaPassword)
	b.fills("#password-again", anaPassword)
	b.presses(`main button[type="submit"]`, "/")
	if who := b.Text("#user p"); who != "Sesión de ana (administración)" {
		t.Errorf("after the first account: %q", who)
	}

	// Her account: a second factor.
	b.reaches("#user > summary")
	b.Type(kb.Enter)
	b.presses(`#user a[href="/account"]`, "/account")
	b.judges()
	b.fills("#totp", "not this one")
	b.Type(kb.Enter)
	b.Until(`document.getElementById('totp-error') !== null`, settled)
	b.Excuse("422")
	b.fills("#totp", anaPassword)
	b.Type(kb.Enter)
	b.Until(`document.querySelector('img[src="/account/totp.png"]')?.naturalWidth > 0`, settled)
	b.judges()
	code, err := totp.GenerateCode(b.Text(".card-body .code code"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	b.fills("#code", code)
	b.Type(kb.Enter)
	b.Until(`document.querySelector('.done') !== null`, settled)
	b.judges()
	recovery := strings.Fields(eval[string](b, `document.querySelector('.card-body .code code').textContent`))
	if len(recovery) < 5 {
		t.Fatalf("the recovery codes are %q", recovery)
	}

	// She signs out, and in with a recovery code, in English.
	b.reaches("#user > summary")
	b.Type(kb.Enter)
	b.presses("#user button", "/login")
	b.speaks(p, "/login", "en")
	b.Go(p.URL("/access/keys"))
	if at := eval[string](b, `location.pathname + location.search`); at != "/login?next="+url.QueryEscape("/access/keys") {
		t.Errorf("who is not signed in comes to %s", at)
	}
	b.fills("#name", "ana")
	b.fills("#password", "wrong")
	b.presses(`main button[type="submit"]`, "/login")
	b.Excuse("401")
	if got := b.Text(`[role="alert"]`); got != "User or password not recognised." {
		t.Errorf("a wrong password: %q", got)
	}
	b.judges()
	b.fills("#password", anaPassword)
	b.presses(`main button[type="submit"]`, "/login/code")
	b.judges()
	b.fills("#code", recovery[0])
	b.presses(`main button[type="submit"]`, "/access/keys")

	// A key is shown once, and revoked after a question.
	b.fills("#name", "ups of hall 3")
	b.fills("#sources", "ups-*")
	b.presses(`form[action="/access/keys"][method="post"] button`, "/access/keys")
	secret := b.Text(".card-body .code code")
	b.judges()
	if b.Go(p.URL("/access/keys")); strings.Contains(eval[string](b, `document.documentElement.outerHTML`), secret) {
		t.Error("the key is shown twice")
	}
	b.presses(`a[href="/access/keys/1/revoke"]`, "/access/keys/1/revoke")
	b.judges()
	b.presses(`main button[type="submit"]`, "/access/keys")
	if b.Count(`a[href="/access/keys/1/revoke"]`) != 0 {
		t.Error("the key can be revoked again")
	}
	b.fills("#anonymous", "none")
	b.presses(`form[method="get"] button`, "/access/keys")
	b.judges()

	// Somebody who may only read.
	b.presses(`nav a[href="/access/people"]`, "/access/people")
	b.judges()
	b.fills("#name", "ben")
	b.fills("#password", benPassword)
	b.presses(`main button[type="submit"]`, "/access/people")
	b.presses(`a.btn[href="/access/people/2"]`, "/access/people/2")
	b.judges()
	b.presses(`a[href="/access/people/2/disable"]`, "/access/people/2/disable")
	b.judges()
	b.Go(p.URL("/audit"))
	b.judges()
	if said := b.Text("#activity"); !strings.Contains(said, "Added a person · user ben") || strings.Contains(said, secret) || strings.Contains(said, recovery[0]) {
		t.Errorf("the log says %s", said)
	}
	b.reaches("#user > summary")
	b.Type(kb.Enter)
	b.presses("#user button", "/login")
	sendMany(p, 1, alarm)
	b.fills("#name", "ben")
	b.fills("#password", benPassword)
	b.presses(`main button[type="submit"]`, "/")
	for _, page := range []string{"/", "/events", "/events/1", "/alerts", "/audit"} {
		b.Go(p.URL(page))
		for _, selector := range []string{`[form="ack"]`, `[form="retry"]`, `a[href="/create"]`, "#ack-all", "#activity", `a[href^="/access"]`} {
			if eval[bool](b, fmt.Sprintf(`[...document.querySelectorAll(%q)].some(e => e.checkVisibility())`, selector)) {
				t.Errorf("%s offers %s to somebody who may only read", page, selector)
			}
		}
	}
	b.judges()
	// An open page is left within five seconds, and leads back.
	b.Go(p.URL("/events?q=link"))
	b.Becomes("live", settled)
	command(t, "user", "disable", "--data-dir", dir, "ben")
	b.Until(`location.pathname === '/login' && document.querySelector('[name=next]').value === '/events?q=link'`, 6*time.Second)
}
