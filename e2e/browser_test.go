package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
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

// Until waits until the expression is true.
func (b *tab) Until(expression string, patience time.Duration) {
	b.t.Helper()
	eventually(b.t, patience, func() error {
		so, err := tryEval[bool](b, expression)
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

// Click clicks with the mouse.
func (b *tab) Click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

// Type presses keys, wherever the focus is.
func (b *tab) Type(keys string, modifiers ...chromedp.Modifier) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys, chromedp.KeyModifiers(modifiers...)))
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
// many it says are left out.
type row struct{ ID, Gap int64 }

// Rows are the rows of the table body with this id.
func (b *tab) Rows(table string) []row {
	b.t.Helper()
	return eval[[]row](b, fmt.Sprintf(`[...document.getElementById(%q).rows].map(r =>
		r.id ? { ID: Number(r.id.slice(3)), Gap: 0 } : { ID: 0, Gap: Number(r.textContent.replace(/\D/g, '')) })`, table))
}

// Shows waits until the table is exactly this.
func (b *tab) Shows(table string, want []row, patience time.Duration) {
	b.t.Helper()
	var got []row
	deadline := time.Now().Add(patience)
	for {
		if got = b.Rows(table); cmp.Equal(want, got) {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("#%s after %v (-want +got):\n%s", table, patience, cmp.Diff(want, got))
		}
		time.Sleep(20 * time.Millisecond) // a poll with a deadline
	}
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

// sendMany stores n events over one TCP connection and waits for every answer.
func sendMany(p *process, n int, line string) {
	p.t.Helper()
	d := dialDevice(p.t, p)
	defer d.conn.Close()
	lines := make([]string, n)
	for i := range lines {
		lines[i] = line
	}
	go func() { _, _ = d.conn.Write([]byte(strings.Join(lines, "\n") + "\n")) }() // the answers tell whether it went through
	for range n {
		if a := d.Answer(); !a.OK {
			p.t.Fatalf("an event was refused: %+v", a)
		}
	}
}
