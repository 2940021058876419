package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"
)

// browser starts the one Chromium of all tests, when the first of them needs
// it; TestMain closes it. Each test opens its own tab in a profile of its own.
var browser = sync.OnceValues(func() (context.Context, error) {
	allocator, _ := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1440, 900),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("lang", "en-US"),
	)...)
	ctx, _ := chromedp.NewContext(allocator)
	if err := chromedp.Do(ctx); err != nil {
		return nil, fmt.Errorf("start Chromium: %w (to install it: make chromium)", err)
	}
	browserStarted = ctx
	return ctx, nil
})

// browserStarted is the browser that TestMain has to close, if there is one.
var browserStarted context.Context

func closeBrowser() {
	if browserStarted == nil {
		return
	}
	ctx, cancel := context.WithTimeout(browserStarted, 10*time.Second)
	defer cancel()
	if err := chromedp.Cancel(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "close Chromium:", err)
	}
}

// tab is a page in a browser, and what the browser had to say about it.
type tab struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	requests []string // "METHOD URL", in order; websockets too, as "SOCKET URL"
	dialogs  []string
	problems []string // exceptions, errors of the console, violations of the policy
	lost     []string // connections that the browser could not make or lost
}

// openTab opens an empty tab that speaks English and sees a wide window. It
// closes with the test, which fails on every problem that the browser tells,
// lost connections aside.
func openTab(t testing.TB) *tab {
	t.Helper()
	parent, err := browser()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(parent, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	call(b, audits.Enable, cdp.Empty{})
	call(b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	b.In("UTC") // as the hubs
	b.Sees(1440, 900, "light")
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, p := range append(b.problems, b.dialogs...) {
			t.Errorf("in the browser: %s", p)
		}
	})
	return b
}

// browse opens url in a tab.
func browse(t testing.TB, url string) *tab {
	t.Helper()
	b := openTab(t)
	b.Go(url)
	return b
}

// hear notes what the browser tells.
func (b *tab) hear(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, ev.Request.Method+" "+ev.Request.URL)
	case *network.EventWebSocketCreated:
		b.requests = append(b.requests, "SOCKET "+ev.URL)
	case *page.EventJavascriptDialogOpening:
		b.dialogs = append(b.dialogs, "dialog: "+ev.Message)
		go func() { // what waits here must not be what has to answer
			_, _ = chromedp.Call(b.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{}) // fails when the tab is gone
		}()
	case *runtime.EventExceptionThrown:
		b.problems = append(b.problems, "exception: "+ev.ExceptionDetails.Text+" at "+ev.ExceptionDetails.URL)
	case *runtime.EventConsoleAPICalled:
		if ev.Type == runtime.ConsoleAPICalledTypeError || ev.Type == runtime.ConsoleAPICalledTypeWarning {
			b.problems = append(b.problems, fmt.Sprintf("console %s: %s", ev.Type, ev.Args[0].Value))
		}
	case *log.EventEntryAdded:
		text := fmt.Sprintf("log of %s: %s %s", ev.Entry.Source, ev.Entry.Text, ev.Entry.URL)
		switch {
		case ev.Entry.Level != log.EntryLevelError && ev.Entry.Level != log.EntryLevelWarning:
		case strings.Contains(text, "net::ERR_") || strings.Contains(text, "WebSocket"):
			b.lost = append(b.lost, text)
		default:
			b.problems = append(b.problems, text)
		}
	case *audits.EventIssueAdded:
		if d := ev.Issue.Details.ContentSecurityPolicyIssueDetails; d != nil {
			b.problems = append(b.problems, fmt.Sprintf("violation of %s: %s", d.ViolatedDirective, d.BlockedURL))
		}
	}
}

// Forget drops what was noted so far.
func (b *tab) Forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests, b.lost = nil, nil
}

// Requests are those since the tab was opened, or since Forget.
func (b *tab) Requests() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.requests...)
}

// Lost are the connections that broke since the tab was opened, or since Forget.
func (b *tab) Lost() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.lost...)
}

// Excuse takes expected problems back: those that contain text.
func (b *tab) Excuse(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var left []string
	for _, p := range b.problems {
		if !strings.Contains(p, text) {
			left = append(left, p)
		}
	}
	b.problems = left
}

// patience is how long the browser may take for one command.
const patience = 30 * time.Second

// settled is how long a page may take to show what was asked of it, where no
// promise says how long that is: a busy machine must not fail a test.
const settled = 20 * time.Second

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("in the browser: %v", err)
	}
}

func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	r, err := chromedp.Call(ctx, command, params)
	if err != nil {
		b.t.Fatalf("in the browser: %s: %v", command.Method, err)
	}
	return r
}

// eval returns the value of a JavaScript expression; a promise's once it is
// fulfilled.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := tryEval[T](b, expression)
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// tryEval is eval for pages that may be going away just then.
func tryEval[T any](b *tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		if len(expression) > 500 {
			expression = expression[:500] + "..."
		}
		return v, fmt.Errorf("in the browser: %s: %w", expression, err)
	}
	return v, nil
}

// Go loads url.
func (b *tab) Go(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
}

// Sees sets the window's size in CSS pixels and the system's theme, light or
// dark. Nothing moves: motion is reduced.
func (b *tab) Sees(width, height int64, theme string) {
	b.t.Helper()
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 700,
	})
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// In sets the zone of the browser's clock.
func (b *tab) In(zone string) {
	b.t.Helper()
	call(b, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: zone})
}

// painted waits until all that was changed is on the screen.
func (b *tab) painted() {
	b.t.Helper()
	eval[bool](b, `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
}

// Until waits until the expression is true of a page that is there as a whole.
func (b *tab) Until(expression string, patience time.Duration) {
	b.t.Helper()
	eventually(b.t, patience, func() error {
		so, err := tryEval[bool](b, "document.readyState !== 'loading' && ("+expression+")")
		if err == nil && !so {
			err = errors.New("not so: " + expression)
		}
		return err
	})
}

// Text is the text of the first element that matches the selector, with single spaces.
func (b *tab) Text(selector string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`(document.querySelector(%q)?.textContent ?? 'no '+%q).replace(/\s+/g, ' ').trim()`, selector, selector))
}

// Count is how many elements match the selector.
func (b *tab) Count(selector string) int {
	b.t.Helper()
	return eval[int](b, fmt.Sprintf(`document.querySelectorAll(%q).length`, selector))
}

// Click clicks with the mouse. An element that a frame replaces between the
// look for it and the click is looked for again.
func (b *tab) Click(selector string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	eventually(b.t, patience, func() error {
		err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS(selector)))
		if err != nil && !strings.Contains(err.Error(), "Could not find node") {
			b.t.Fatalf("in the browser: click %s: %v", selector, err)
		}
		return err
	})
}

// Type presses keys, wherever the focus is. A page that prevents a key's
// default gets no character from it, as from a keyboard.
func (b *tab) Type(keys string, modifiers ...chromedp.Modifier) {
	b.t.Helper()
	for _, key := range keys {
		var down, up *input.DispatchKeyEventParams
		for _, event := range kb.Encode(key) {
			switch event.Type {
			case kb.KeyDown:
				down = event
			case kb.KeyChar:
				down.Type, down.Text, down.UnmodifiedText = input.DispatchKeyEventTypeKeyDown, event.Text, event.UnmodifiedText
			case kb.KeyUp:
				up = event
			}
		}
		for _, m := range modifiers {
			down.Modifiers |= int64(m)
			up.Modifiers |= int64(m)
		}
		call(b, input.DispatchKeyEvent, *down)
		call(b, input.DispatchKeyEvent, *up)
	}
}

// Becomes waits until the page tells this state of its connection, and
// returns how long that took.
func (b *tab) Becomes(state string, patience time.Duration) time.Duration {
	b.t.Helper()
	began := time.Now()
	b.Until(fmt.Sprintf(`document.getElementById('conn')?.dataset.state === %q`, state), patience)
	return time.Since(began)
}

// Mark marks the page, and Untouched tells whether it is still the same one: a
// reload loses the mark.
func (b *tab) Mark() { eval[bool](b, `window.marked = true`) }

// Untouched fails the test if the page was loaded again since Mark.
func (b *tab) Untouched() {
	b.t.Helper()
	if !eval[bool](b, `window.marked === true`) {
		b.t.Error("the page was loaded again")
	}
}

// row is a row of a live table: an event or email by its id, or a gap, by how
// many it says are left out. The rows that name a day are none.
type row struct{ ID, Gap int64 }

// Rows are the rows of the table body with this id.
func (b *tab) Rows(table string) []row {
	b.t.Helper()
	rows, err := b.tryRows(table)
	if err != nil {
		b.t.Fatal(err)
	}
	return rows
}

func (b *tab) tryRows(table string) ([]row, error) {
	return tryEval[[]row](b, fmt.Sprintf(`[...document.getElementById(%q).rows].filter(r => !r.matches('.day')).map(r =>
		r.id ? { ID: Number(r.id.replace(/\D+/, '')), Gap: 0 } : { ID: 0, Gap: Number(r.textContent.match(/\d[\d,]*/)[0].replace(',', '')) })`, table))
}

// Shows waits until the table is exactly this.
func (b *tab) Shows(table string, want []row, patience time.Duration) {
	b.t.Helper()
	eventually(b.t, patience, func() error {
		got, err := b.tryRows(table) // fails while another page is on its way
		if err == nil && !cmp.Equal(want, got) {
			err = fmt.Errorf("#%s (-want +got):\n%s", table, cmp.Diff(want, got))
		}
		return err
	})
}

// stored are the newest n events that the API tells, as rows.
func stored(p *process, n int) []row {
	p.t.Helper()
	var rows []row
	for _, e := range p.list(fmt.Sprintf("?limit=%d", n)).Events {
		rows = append(rows, row{ID: e.ID})
	}
	return rows
}

// sendMany stores n events over one TCP connection, one for each call of line,
// and waits for every answer.
func sendMany(p *process, n int, line func() string) {
	p.t.Helper()
	d := dialDevice(p.t, p)
	defer d.conn.Close()
	lines := make([]string, n)
	for i := range lines {
		lines[i] = line()
	}
	go func() { _, _ = d.conn.Write([]byte(strings.Join(lines, "\n") + "\n")) }() // the answers tell whether it went through
	for range n {
		if a := d.Answer(); !a.OK {
			p.t.Fatalf("an event was refused: %+v", a)
		}
	}
}

// lines counts what calm and alarm have made: equal events would share a row.
var lines atomic.Int64

// calm is an event that nobody needs to look at.
func calm() string {
	return fmt.Sprintf(`{"source":"core-sw-1","severity":"info","message":"Link is up, change %d"}`, lines.Add(1))
}

// alarm is an event that somebody has to, of a source of its own: further ones
// of a source are told later, in a digest.
func alarm() string {
	n := lines.Add(1)
	return fmt.Sprintf(`{"source":"core-sw-%d","severity":"critical","message":"Link is down, change %[1]d"}`, n)
}

// event is an event's line in the protocol.
func event(source, severity, message string) string {
	line, err := json.Marshal(map[string]string{"source": source, "severity": severity, "message": message})
	if err != nil {
		panic(err) // strings alone
	}
	return string(line)
}

// difference compares the table of the open page with a fresh render of it,
// ages and marks aside: "" when there is none.
const difference = `(async (text) => {
	const rows = (page) => [...page.getElementById('rows').rows].map(r => {
		const row = r.cloneNode(true);
		row.removeAttribute('aria-current');
		row.classList.remove('is-new');
		for (const age of row.querySelectorAll('.age')) age.textContent = '';
		return row.outerHTML.replace(/\s+/g, ' ');
	});
	const want = rows(new DOMParser().parseFromString(text, 'text/html')), got = rows(document);
	const at = want.findIndex((row, i) => row !== got[i]);
	if (at < 0 && want.length === got.length) return '';
	return got.length + ' rows, fresh ' + want.length + '; row ' + at + ': ' + got[at] + ' / ' + want[at];
})`

// Fresh waits until the table equals a fresh render of the page.
func (b *tab) Fresh(patience time.Duration) {
	b.t.Helper()
	eventually(b.t, patience, func() error {
		different, err := tryEval[string](b, `fetch(location.href).then(answer => answer.text()).then(`+difference+`)`)
		if err == nil && different != "" {
			err = errors.New(different)
		}
		return err
	})
	if doubles := eval[[]string](b, doubled); len(doubles) > 0 {
		b.t.Errorf("the ids %q are there twice", doubles)
	}
}

// doubled are the ids that more than one element has.
const doubled = `[...document.querySelectorAll('[id]')].map(e => e.id).filter((id, i, all) => all.indexOf(id) !== i)`

// Is waits until the expression has this value.
func (b *tab) Is(expression, want string) {
	b.t.Helper()
	eventually(b.t, settled, func() error {
		got, err := tryEval[string](b, "Promise.resolve("+expression+").then(String)")
		if err == nil && got != want {
			err = fmt.Errorf("%s is %q, want %q", expression, got, want)
		}
		return err
	})
}

// At waits until the page at this path and query is there.
func (b *tab) At(address string) {
	b.t.Helper()
	b.Is(`document.readyState === 'complete' && location.pathname + location.search`, address)
}

// Hide tells the page that it is hidden, or that it is seen again.
func (b *tab) Hide(hidden bool) {
	b.t.Helper()
	eval[bool](b, fmt.Sprintf(`(() => {
		Object.defineProperty(document, 'hidden', { value: %t, configurable: true });
		Object.defineProperty(document, 'visibilityState', { value: document.hidden ? 'hidden' : 'visible', configurable: true });
		document.dispatchEvent(new Event('visibilitychange'));
		return true })()`, hidden))
}
