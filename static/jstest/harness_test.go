// Package jstest tests the panel's scripts in Chromium, on the pages as views
// renders them, against a server that says and withholds what a test wants.
package jstest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/a-h/templ"
	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"alerthub/i18n"
	"alerthub/models"
	"alerthub/static"
	"alerthub/views"
)

const patience = 60 * time.Second // the machine may be busy

func TestMain(m *testing.M) {
	code := m.Run()
	if browserStarted != nil {
		ctx, cancel := context.WithTimeout(browserStarted, patience)
		if err := chromedp.Cancel(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "close Chromium:", err)
		}
		cancel()
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// browser starts the one Chromium of all tests.
var browser = sync.OnceValues(func() (context.Context, error) {
	allocator, _ := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1440, 900), chromedp.Flag("lang", "en-US"))...)
	ctx, _ := chromedp.NewContext(allocator)
	if err := chromedp.Do(ctx); err != nil {
		return nil, fmt.Errorf("start Chromium (apt-get install chromium): %w", err)
	}
	browserStarted = ctx
	return ctx, nil
})

var browserStarted context.Context

// hub is the server's side of the pages.
type hub struct {
	*httptest.Server
	t *testing.T

	mu      sync.Mutex
	rows    []views.Row
	last    int64 // what beats say
	rate    float64
	day     string
	table   string // rows that every message begins with
	extra   string
	mute    bool // nothing is sent, and sockets that are made stay silent
	hang    bool // handshakes are not answered
	sockets []*websocket.Conn
	dialled []url.Values // of every handshake
	heard   []string     // messages from pages
	asked   []request
	answer  func(w http.ResponseWriter, r *http.Request) bool // answers first, if it wants to
	release chan struct{}
}

type request struct {
	Method, Path, Target string
	Form                 url.Values
}

// newHub serves pages that show these rows.
func newHub(t *testing.T, rows ...views.Row) *hub {
	t.Helper()
	h := &hub{t: t, rows: rows, rate: 2.5, day: time.Now().UTC().Format(time.DateOnly), release: make(chan struct{})}
	for _, r := range rows {
		h.last = max(h.last, r.Event.ID)
	}
	h.Server = httptest.NewServer(h)
	ticker, ended := time.NewTicker(time.Second), make(chan struct{})
	var beats sync.WaitGroup
	beats.Go(func() {
		for {
			select {
			case <-ended:
				return
			case <-ticker.C:
				h.Say()
			}
		}
	})
	t.Cleanup(func() {
		ticker.Stop()
		close(ended)
		beats.Wait()
		close(h.release)
		h.mu.Lock()
		for _, s := range h.sockets {
			s.Close()
		}
		h.mu.Unlock()
		h.Close()
	})
	return h
}

func (h *hub) set(change func(*hub)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(h)
}

// Say sends a frame of these parts, a table body first, and a beat.
func (h *hub) Say(parts ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mute {
		return
	}
	frame := strings.Join(parts, "") + h.beat()
	for _, s := range h.sockets {
		_ = s.WriteMessage(websocket.TextMessage, []byte(frame)) // fails on one that a test has ended
	}
}

func (h *hub) beat() string {
	return h.table + fmt.Sprintf(`<i id="beat" hx-swap-oob="true" data-last-id="%[1]d" data-at="%[2]s" data-as-of="%[2]s" data-rate="%[3]g" data-day="%[4]s" data-build="1" hidden></i>`, h.last, models.FormatTime(time.Now()), h.rate, h.day) + h.extra
}

func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if name, ok := strings.CutPrefix(r.URL.Path, static.Prefix); ok && name != "" {
		static.Handler().ServeHTTP(w, r)
		return
	}
	if r.URL.Path == "/ws" {
		h.serveSocket(w, r)
		return
	}
	_ = r.ParseForm()
	h.mu.Lock()
	h.asked = append(h.asked, request{r.Method, r.URL.Path, r.Header.Get("HX-Target"), r.Form})
	answer := h.answer
	h.mu.Unlock()
	if answer != nil && answer(w, r) {
		return
	}
	h.servePage(w, r)
}

func (h *hub) serveSocket(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.dialled = append(h.dialled, r.URL.Query())
	hang := h.hang
	h.mu.Unlock()
	if hang {
		select {
		case <-h.release:
		case <-r.Context().Done():
		}
		return
	}
	socket, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer socket.Close()
	h.mu.Lock()
	h.sockets = append(h.sockets, socket)
	if !h.mute {
		_ = socket.WriteMessage(websocket.TextMessage, []byte(h.beat()))
	}
	h.mu.Unlock()
	for {
		_, message, err := socket.ReadMessage()
		if err != nil {
			return
		}
		h.set(func(h *hub) { h.heard = append(h.heard, string(message)) })
	}
}

// servePage renders what the product's handlers do.
func (h *hub) servePage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	component := h.pageOf(r)
	if component == nil {
		http.NotFound(w, r)
		return
	}
	templ.Handler(component).ServeHTTP(w, r.WithContext(i18n.WithLang(r.Context(), i18n.English)))
}

// Until polls.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if so() {
			return
		}
	}
	t.Fatalf("not in %v: %s", patience, what)
}

// Dialled is what pages asked of /ws, in order.
func (h *hub) Dialled() []url.Values {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]url.Values(nil), h.dialled...)
}

// Heard are the messages of pages so far, as one line.
func (h *hub) Heard() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.heard, "")
}

// Asked are the requests for this method and path.
func (h *hub) Asked(method, path string) []request {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []request
	for _, r := range h.asked {
		if r.Method == method && r.Path == path {
			found = append(found, r)
		}
	}
	return found
}

// End closes every socket with this code; 1006 cuts them.
func (h *hub) End(code int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.sockets {
		if code != websocket.CloseAbnormalClosure {
			_ = s.WriteControl(websocket.CloseMessage, closeMessage(code), time.Now().Add(time.Second))
		}
		s.Close()
	}
	h.sockets = nil
}

func closeMessage(code int) []byte {
	if code == websocket.CloseNoStatusReceived {
		return nil
	}
	return websocket.FormatCloseMessage(code, "")
}

// tab is a page in a browser.
type tab struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	problems []string // exceptions, errors of the console, violations of the policy
	expects  []string // problems that the test makes
}

// open opens a page. Scripts, if any, run before those of the page.
func (h *hub) open(path string, scripts ...string) *tab {
	h.t.Helper()
	parent, err := browser()
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(parent, chromedp.WithNewBrowserContext())
	h.t.Cleanup(cancel)
	b := &tab{t: h.t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		h.t.Fatal(err)
	}
	call(b, audits.Enable, cdp.Empty{})
	call(b, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	for _, s := range scripts {
		call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: s})
	}
	b.do(chromedp.Navigate(h.URL + path))
	eval[bool](b, `window.same = true`)
	h.t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, p := range b.problems {
			h.t.Errorf("in the browser: %s", p)
		}
	})
	return b
}

// live opens a page and waits until it is live.
func (h *hub) live(path string, scripts ...string) *tab {
	h.t.Helper()
	b := h.open(path, scripts...)
	b.Becomes("live")
	return b
}

// Expects lets problems pass that hold this text.
func (b *tab) Expects(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expects = append(b.expects, text)
}

func (b *tab) hear(ev any) {
	text := ""
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		text = "exception: " + ev.ExceptionDetails.Text
		if e := ev.ExceptionDetails.Exception; e != nil {
			text += " " + e.Description
		}
	case *runtime.EventConsoleAPICalled:
		if ev.Type == runtime.ConsoleAPICalledTypeError || ev.Type == runtime.ConsoleAPICalledTypeWarning {
			text = fmt.Sprintf("console %s: %s", ev.Type, ev.Args[0].Value)
		}
	case *log.EventEntryAdded:
		if ev.Entry.Level == log.EntryLevelError && !strings.Contains(ev.Entry.Text, "WebSocket") {
			text = fmt.Sprintf("log of %s: %s %s", ev.Entry.Source, ev.Entry.Text, ev.Entry.URL)
		}
	case *audits.EventIssueAdded:
		if d := ev.Issue.Details.ContentSecurityPolicyIssueDetails; d != nil {
			text = fmt.Sprintf("violation of %s: %s", d.ViolatedDirective, d.BlockedURL)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.expects {
		if strings.Contains(text, e) {
			return
		}
	}
	if text != "" {
		b.problems = append(b.problems, text)
	}
}

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

func tryEval[T any](b *tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		return v, fmt.Errorf("in the browser: %s: %w", expression, err)
	}
	return v, nil
}

// eval is the value of a JavaScript expression.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := tryEval[T](b, expression)
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// Within waits until the expression is true, and returns how long that took.
func (b *tab) Within(limit time.Duration, expression string) time.Duration {
	b.t.Helper()
	began := time.Now()
	for {
		so, err := tryEval[bool](b, expression)
		if err == nil && so {
			return time.Since(began)
		}
		if time.Since(began) > limit {
			b.t.Fatal(errors.Join(fmt.Errorf("not in %v: %s", limit, expression), err))
		}
		time.Sleep(20 * time.Millisecond) // a poll with a deadline
	}
}

// Until waits until the expression is true.
func (b *tab) Until(expression string) time.Duration {
	b.t.Helper()
	return b.Within(patience, expression)
}

// Stays fails if the expression becomes false while this is watched.
func (b *tab) Stays(d time.Duration, expression string) {
	b.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if !eval[bool](b, expression) {
			b.t.Fatalf("no longer so: %s", expression)
		}
	}
}

// Becomes waits for this state of the connection.
func (b *tab) Becomes(state string) time.Duration {
	b.t.Helper()
	return b.Within(patience, fmt.Sprintf(`document.getElementById('conn')?.dataset.state === %q`, state))
}

// Same fails if the page was loaded again.
func (b *tab) Same() {
	b.t.Helper()
	if !eval[bool](b, `window.same === true`) {
		b.t.Error("the page was loaded again")
	}
}

func (b *tab) Click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

func (b *tab) Type(keys string, modifiers ...chromedp.Modifier) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys, chromedp.KeyModifiers(modifiers...)))
}

// Text is the text of the first element that matches, with single spaces.
func (b *tab) Text(selector string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`(document.querySelector(%q)?.textContent ?? 'nothing').replace(/\s+/g, ' ').trim()`, selector))
}
