package jstest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func (b *tab) toast(tone, text string) {
	b.t.Helper()
	eval[bool](b, fmt.Sprintf(`document.body.dispatchEvent(new CustomEvent('toast', { bubbles: true, detail: { tone: %q, text: %q } }))`, tone, text))
}

// Good news goes by itself, but not while it is looked at; bad news stays.
// The newest three are seen and the rest counted; text is text.
func TestToasts(t *testing.T) {
	t.Parallel()
	b := newHub(t).open("/create")
	b.toast("error", `<img src=x onerror=alert(1)>`)
	if text := b.Text(".toast strong"); text != `<img src=x onerror=alert(1)>` {
		t.Errorf("it says %q", text)
	}
	b.toast("success", "Saved")
	at := eval[[]float64](b, `(() => { const r = document.querySelector('.toast').getBoundingClientRect(); return [r.x + 20, r.y + 10]; })()`)
	b.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, at[0], at[1]))
	b.Stays(7*time.Second, `document.querySelector('.toast[data-tone=success]') !== null`)
	b.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, 1, 1))
	b.Until(`document.querySelector('.toast[data-tone=success]') === null`)
	for _, text := range []string{"a", "b", "c", "d"} {
		b.toast("warning", text)
	}
	seen := `getComputedStyle(document.getElementById('toasts'), '::before').content + [...document.querySelectorAll('.toast')].filter((e) => e.checkVisibility()).map((e) => e.querySelector('strong').textContent)`
	if got := eval[string](b, seen); got != `"and 2 more"b,c,d` {
		t.Errorf("seen are %s", got)
	}
	b.Click(".toast:last-child [data-act=dismiss]")
	b.Until(seen + ` === '"and 1 more"a,b,c'`)
}

// What arrives is read out, but not every time: a summary in 15 s, a critical
// in 10 s.
func TestReadOut(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(9, 1)...)
	b := h.live("/events", `window.said = []; addEventListener('DOMContentLoaded', () => { for (const id of ['say', 'say-now']) {
		new MutationObserver((all) => { for (const m of all) said.push(id + ': ' + m.target.textContent); }).observe(document.getElementById(id), { childList: true }); } })`)
	for id := int64(10); id < 13; id++ {
		h.Say(rows(id, ev(id)), fmt.Sprintf(`<i id="news" hx-swap-oob="true" data-crit="%d" data-text="core: down %d" hidden></i>`, id, id))
		b.Until(fmt.Sprintf(`document.getElementById('e%d') !== null`, id))
	}
	if got := eval[string](b, `said.sort().join('; ')`); got != "say-now: core: down 10; say: New events: 1" {
		t.Errorf("read out: %s", got)
	}
	b.toast("success", "Done") // waits for its turn
	eval[bool](b, `(() => { const now = Date.now; Date.now = () => now() + 15e3; return true; })()`)
	b.Until(`said.includes('say: Done')`)
}

// The bell is off until it is pressed; then a critical sounds, at most once in
// half a minute, and is notified.
func TestBell(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(9, 1)...)
	b := h.live("/events", `window.rung = 0; window.stopped = 0; window.notes = [];
		AudioContext.prototype.createOscillator = () => { rung++; return { frequency: { setValueAtTime() {} }, connect: (g) => g, start() {}, stop(at) { if (at === undefined) stopped++; } }; };
		window.Notification = class { static permission = 'granted'; static requestPermission() { return Promise.resolve('granted'); } constructor(text, options) { notes.push(this); this.text = text; Object.assign(this, options); } }`)
	critical := func(id int) {
		h.Say(fmt.Sprintf(`<i id="news" hx-swap-oob="true" data-crit="%d" data-text="core: down" data-mine="%d" hidden></i><span id="n-crit" hx-swap-oob="true" data-n="%d"></span>`, id, id, id))
		b.Until(fmt.Sprintf(`document.querySelector('#news[data-mine="%d"]') !== null`, id))
	}
	critical(5)
	b.Click("#sound")
	b.Until(`document.getElementById('sound').getAttribute('aria-pressed') === 'true'`)
	if n := eval[int](b, `rung + notes.length`); n != 0 {
		t.Errorf("it sounded or notified %d times before it was pressed", n)
	}
	critical(6)
	critical(7)
	b.Until(`rung === 1 && notes.length === 2 && notes[0].tag === '6' && notes[0].text === 'core: down'`)
	h.Say(`<span id="n-crit" hx-swap-oob="true" data-n="6"></span>`)
	b.Until(`stopped === 1`)
	eval[bool](b, `notes[0].onclick(); true`)
	b.Until(`document.getElementById('drawer')?.dataset.id === '6'`)
	b.Click("#sound")
	critical(8)
	b.Stays(300*time.Millisecond, `rung === 1 && notes.length === 2`)
}

// A reader in another zone than the page's is told to the server, once.
func TestZone(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(9, 1)...)
	b := h.open("/events", `Intl.DateTimeFormat = () => ({ resolvedOptions: () => ({ timeZone: 'Asia/Tokyo' }) })`)
	b.Until(`document.cookie.includes('zone=Asia/Tokyo') && document.readyState === 'complete'`)
	eventually(t, "the page is loaded again", func() bool { return len(h.Asked("GET", "/events")) == 2 })
	b.Becomes("live")
	if n := len(h.Asked("GET", "/events")); n != 2 {
		t.Errorf("the page was loaded %d times", n)
	}
}

// The form shows what will be; a file is named before it is sent, or refused.
func TestCreate(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	b := h.open("/create")
	b.Click("#message")
	b.Type("Fire 🔥")
	b.Until(`document.querySelector('[data-preview=message]').textContent === 'Fire 🔥' && document.getElementById('message-count').value === '6 / 300'`)
	eval[bool](b, `document.querySelector('#create-form [value=critical]').click(); true`)
	b.Until(`[...document.querySelectorAll('[data-if]')].every((e) => e.hidden !== e.dataset.if.includes('critical'))`)

	file := func(n int) {
		path := filepath.Join(t.TempDir(), "events.json")
		if err := os.WriteFile(path, make([]byte, n), 0o600); err != nil {
			t.Fatal(err)
		}
		b.do(chromedp.SetUploadFiles(chromedp.CSS("#import-file"), []string{path}))
		eval[bool](b, `document.getElementById('import-file').form.requestSubmit(); true`)
	}
	file(101)
	b.Until(`document.querySelector('.toast[data-tone=error]') !== null`)
	file(100)
	b.Until(`document.getElementById('dlg-confirm').open && document.getElementById('dlg-confirm').textContent.includes('events.json')`)
	b.Type(kb.Escape)
	b.Until(`!document.getElementById('dlg-confirm').open`)
	if n := len(h.Asked("POST", "/import")); n != 0 {
		t.Errorf("%d files were sent", n)
	}
	// Who answers and asks again at once is heard: the closing that the browser
	// tells late is the first question's.
	file(100)
	b.Until(`document.getElementById('dlg-confirm').open`)
	eval[bool](b, `new Promise((resolve) => {
		const dialog = document.getElementById('dlg-confirm');
		dialog.addEventListener('close', () => setTimeout(resolve, 0, true), { once: true });
		dialog.close('cancel');
		document.getElementById('import-file').form.requestSubmit();
	})`)
	b.Expects("404") // the import is not served here
	b.Click("#dlg-confirm-ok")
	eventually(t, "the file is sent", func() bool { return len(h.Asked("POST", "/import")) == 1 })
}

// The scripts of a page without a socket, and copying.
func TestCopy(t *testing.T) {
	t.Parallel()
	b := newHub(t).open("/create", `window.copied = []; document.addEventListener('copy', () => copied.push(String(document.activeElement.value)))`)
	want := eval[string](b, `document.querySelector('pre code').textContent`)
	b.Click("pre [data-act=copy]")
	b.Until(fmt.Sprintf(`copied[0] === %q && document.querySelector('.toast') !== null`, want))
	b.Until(`document.querySelector('body > textarea') === null`)
}
