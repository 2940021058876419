package e2e

import (
	"fmt"
	"io"
	"net"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
)

// link is the network between a browser and the hub: it can be cut, and it can
// hold everything back while both ends believe that it is there.
type link struct {
	URL string

	listener net.Listener
	target   string
	running  sync.WaitGroup
	ended    chan struct{} // closed at the end of the test

	mu    sync.Mutex
	made  int           // connections so far
	lost  int           // of these, the first that pass nothing any more
	there chan struct{} // closed while bytes pass to the hub
	back  chan struct{} // closed while bytes pass to the browser
	down  bool          // connections are refused
	conns map[net.Conn]struct{}
}

// newLink makes a working link to the panel's port of p.
func newLink(t *testing.T, p *process) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{
		URL: "http://" + listener.Addr().String(), listener: listener, target: p.HTTP,
		there: make(chan struct{}), back: make(chan struct{}), conns: make(map[net.Conn]struct{}),
		ended: make(chan struct{}),
	}
	close(l.there)
	close(l.back)
	l.running.Go(l.accept)
	t.Cleanup(func() {
		listener.Close()
		l.Cut()
		l.Resume()
		close(l.ended)
		l.running.Wait()
	})
	return l
}

func (l *link) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.running.Go(func() { l.pass(near) })
	}
}

// pass copies both ways until one end closes or the link is cut.
func (l *link) pass(near net.Conn) {
	if !l.hold(near) {
		return
	}
	defer l.drop(near)
	far, err := net.Dial("tcp", l.target)
	if err != nil || !l.hold(far) {
		return
	}
	defer l.drop(far)
	l.mu.Lock()
	l.made++
	number := l.made
	l.mu.Unlock()
	var both sync.WaitGroup
	carry := func(to, from net.Conn, open *chan struct{}) {
		_, _ = io.Copy(gate{to, l, number, open}, from) // ends when either end closes
		near.Close()
		far.Close()
	}
	both.Go(func() { carry(far, near, &l.there) })
	both.Go(func() { carry(near, far, &l.back) })
	both.Wait()
}

func (l *link) hold(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		c.Close()
		return false
	}
	l.conns[c] = struct{}{}
	return true
}

func (l *link) drop(c net.Conn) {
	c.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// gate writes when the link lets bytes pass.
type gate struct {
	net.Conn
	link   *link
	number int
	open   *chan struct{} // under the link's lock
}

func (g gate) Write(p []byte) (int, error) {
	for {
		open := g.current()
		<-open
		if open == g.current() { // not lost while it waited
			return g.Conn.Write(p)
		}
	}
}

// current is closed while bytes pass here.
func (g gate) current() chan struct{} {
	g.link.mu.Lock()
	defer g.link.mu.Unlock()
	if g.number <= g.link.lost {
		return g.link.ended
	}
	return *g.open
}

// Cut ends all connections and refuses new ones.
func (l *link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	for c := range l.conns {
		c.Close()
	}
}

// Stall holds every byte back, both ways; connections stay and can be made.
func (l *link) Stall() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.there, l.back = make(chan struct{}), make(chan struct{})
}

// Lose makes the connections that are there pass nothing for ever, and lets
// new ones pass everything: what a router does that was started again.
func (l *link) Lose() {
	l.mu.Lock()
	l.lost = l.made
	l.mu.Unlock()
	l.Resume()
}

// Mute holds back what the hub says; what it is told arrives.
func (l *link) Mute() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.back = make(chan struct{})
}

// Resume lets everything pass again, what was held back too.
func (l *link) Resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
	for _, open := range []chan struct{}{l.there, l.back} {
		select {
		case <-open:
		default:
			close(open)
		}
	}
}

// watch opens the events page through url, with n events stored, live.
func watch(t *testing.T, p *process, url string, n int) *tab {
	t.Helper()
	sendMany(p, n, calm)
	b := browse(t, url+"/events")
	b.Mark()
	b.Becomes("live", settled)
	b.Shows("rows", stored(p, min(n, 100)), settled)
	return b
}

// catchUpTime is how long a page may take to catch up, once that is possible: 2 s
// are promised on a quiet machine; here other tests run beside it.
const catchUpTime = 6 * time.Second

// back waits until the page is live again, the same page, with these rows.
func (b *tab) back(want []row) {
	b.t.Helper()
	began := time.Now()
	b.Shows("rows", want, catchUpTime)
	b.t.Logf("caught up within %v", time.Since(began).Round(time.Millisecond))
	b.Becomes("live", catchUpTime)
	b.Until(`document.getElementById('offline').hidden`, settled)
	b.Untouched()
}

// Cut, then there again: within 2 s nothing is missing, nothing double.
func TestBrowser_CutAndCaughtUp(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	l := newLink(t, p)
	b := watch(t, p, l.URL, 30)
	dashboard := browse(t, l.URL+"/")
	dashboard.Becomes("live", settled)
	for _, missed := range []int{1, 57, 250} { // the last is more than a table holds
		l.Cut()
		b.Becomes("stale", 5*time.Second)
		sendMany(p, missed, calm)
		l.Resume()
		b.back(stored(p, 100))
		b.Fresh(5 * time.Second)
		dashboard.Shows("rows", stored(p, 5), settled)
		dashboard.Fresh(5 * time.Second)
	}
	dashboard.Is(`document.querySelector('#kpis [data-tint=violet] .kpi-num').textContent`, "338")
	b.Untouched()
}

// Nothing is as deceptive as a connection that is open and silent.
func TestBrowser_StalledConnectionIsNotLive(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	l := newLink(t, p)
	b := watch(t, p, l.URL, 10)
	l.Stall()
	began := time.Now()
	sendMany(p, 7, calm)
	b.Becomes("stale", 7*time.Second)
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("it was shown as live for %v of silence", took)
	}
	b.Until(`Number(document.querySelector('#conn [data-when=stale]').textContent.match(/\d+/)) >= 4`, time.Second)
	if n := len(b.Rows("rows")); n != 10 {
		t.Errorf("%d rows came through a stalled link", n)
	}
	b.Becomes("offline", 12*time.Second)
	if took := time.Since(began); took > 12*time.Second+500*time.Millisecond {
		t.Errorf("it took %v to be offline", took)
	}
	b.Until(`!document.getElementById('offline').hidden && document.getElementById('favicon').href.includes('offline')`, settled)
	if text := b.Text("#offline"); !regexp.MustCompile(`lost at \d\d:\d\d:\d\d.* \d+ s old.*in \d+ s`).MatchString(text) {
		t.Errorf("the banner says %q", text)
	}
	l.Lose()
	b.Click("#offline [data-act=retry-now]")
	b.back(stored(p, 100))
	_, text := p.get("/events") // the browser's own connections are lost
	b.Is(difference+fmt.Sprintf("(%q)", text), "")
	b.Until(`!document.getElementById('favicon').href.includes('offline')`, settled)
}

// Restarted in order under an open page, and at once under load.
func TestBrowser_HubRestarts(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(p *process){
		"SIGTERM": func(p *process) { p.Stop(10 * time.Second) },
		"SIGKILL": func(p *process) {
			d := dialDevice(p.t, p)
			for range 200 {
				d.Send(calm())
			}
			p.Kill()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			p := startHub(t, options{dir: dir, like: fixedAddrs(t)})
			b := watch(t, p, p.URL(""), 20)
			end(p)
			b.Becomes("stale", 5*time.Second)
			p = startHub(t, options{dir: dir, like: p})
			began := time.Now()
			sendMany(p, 15, calm)
			b.Fresh(10 * time.Second)
			b.Becomes("live", catchUpTime)
			if took := time.Since(began); took > catchUpTime {
				t.Errorf("it took %v to catch up", took)
			}
			sendMany(p, 1, calm)
			b.back(stored(p, 100))
			b.Fresh(5 * time.Second)
		})
	}
}

// A hub that hangs is not live; when it goes on, so does the page.
func TestBrowser_HubHangs(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	b := watch(t, p, p.URL(""), 10)
	d := dialDevice(t, p)
	p.Signal(syscall.SIGSTOP)
	t.Cleanup(func() { p.Signal(syscall.SIGCONT) }) // so that it can be ended
	d.Send(calm(), alarm(), calm())                 // wait in its socket
	b.Becomes("stale", 7*time.Second)
	p.Signal(syscall.SIGCONT)
	for range 3 {
		d.Answer()
	}
	b.back(stored(p, 100))
	b.Fresh(5 * time.Second)
}

// A tab that was put to sleep knows on waking that it is behind, and catches
// up; one that is hidden takes no rows.
func TestBrowser_TabSleeps(t *testing.T) {
	t.Parallel()
	p := startHub(t, options{})
	l := newLink(t, p)
	b := watch(t, p, l.URL, 10)
	b.Hide(true)
	b.Is(`document.getElementById('conn').dataset.state`, "paused")
	sendMany(p, 30, calm)
	b.Until(`document.querySelector('#pill button')?.textContent.includes('30')`, settled)
	if n := len(b.Rows("rows")); n != 10 {
		t.Errorf("%d rows in a hidden tab", n)
	}
	call(b, page.SetWebLifecycleState, page.SetWebLifecycleStateParams{State: page.SetWebLifecycleStateStateFrozen})
	l.Cut()
	sendMany(p, 40, alarm)
	l.Resume()
	call(b, page.SetWebLifecycleState, page.SetWebLifecycleStateParams{State: page.SetWebLifecycleStateStateActive})
	b.Hide(false)
	b.back(stored(p, 100))
	b.Fresh(5 * time.Second)
	b.Is(`document.getElementById('pill').textContent.trim()`, "")
}
