package tcpingest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"alerthub/models"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeService stores in memory. Its switches are set before it is used.
type fakeService struct {
	full      chan struct{}                 // Submit blocks until it is closed; nil never blocks
	commit    func(group int) chan struct{} // the outcome of a group is known once this is closed; nil at once
	submitErr error                         // what Submit fails with
	waitErr   error                         // what wait fails with

	mu     sync.Mutex
	drafts []models.Draft
	groups []int // sizes
	keys   map[string]int
}

func (s *fakeService) Submit(ctx context.Context, drafts []models.Draft) (func(context.Context) ([]models.Receipt, error), error) {
	if s.full != nil {
		select {
		case <-s.full:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if s.submitErr != nil {
		return nil, s.submitErr
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	receipts := make([]models.Receipt, len(drafts))
	for i, d := range drafts {
		receipts[i] = s.receipt(d)
	}
	s.groups = append(s.groups, len(drafts))
	var committed chan struct{}
	if s.commit != nil {
		committed = s.commit(len(s.groups) - 1)
	}
	return func(ctx context.Context) ([]models.Receipt, error) {
		if committed != nil {
			select {
			case <-committed:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		if s.waitErr != nil {
			return nil, s.waitErr
		}
		return receipts, nil
	}, nil
}

// receipt stores d. It must be called with mu held.
func (s *fakeService) receipt(d models.Draft) models.Receipt {
	if s.keys == nil {
		s.keys = make(map[string]int)
	}
	if d.Key != "" {
		key := d.Source + "\x00" + d.Key
		if id, ok := s.keys[key]; ok {
			if s.drafts[id-1].Fingerprint != d.Fingerprint {
				return models.Receipt{Err: models.ErrKeyConflict}
			}
			return models.Receipt{Event: models.Event{ID: int64(id)}, Duplicate: true, Truncated: d.Truncated}
		}
		s.keys[key] = len(s.drafts) + 1
	}
	s.drafts = append(s.drafts, d)
	return models.Receipt{Event: models.Event{ID: int64(len(s.drafts))}, Truncated: d.Truncated}
}

func (s *fakeService) stored() []models.Draft {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]models.Draft(nil), s.drafts...)
}

// gate is a commit that all groups wait for.
func gate() (commit func(int) chan struct{}, open func()) {
	c := make(chan struct{})
	return func(int) chan struct{} { return c }, sync.OnceFunc(func() { close(c) })
}

// fakeAccess knows keys by their tokens and takes anonymous events, unless
// strict is set.
type fakeAccess struct {
	strict bool

	mu      sync.Mutex
	keys    map[string]models.Actor
	senders []models.AnonymousSender
}

func (f *fakeAccess) Anonymous(address string) models.Actor {
	return models.Actor{Kind: models.ActorNobody, Address: address, Ingest: !f.strict}
}

func (f *fakeAccess) Bearer(_ context.Context, token, address string) (models.Actor, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, ok := f.keys[token]
	if !ok {
		return models.Actor{}, models.ErrUnauthorized
	}
	a.Kind, a.Name, a.Address = models.ActorKey, token, address
	return a, nil
}

func (f *fakeAccess) Valid(a models.Actor) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.keys[a.Name]
	return ok || a.Kind != models.ActorKey
}

func (f *fakeAccess) AnonymousSent(address, source string, events int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.senders = append(f.senders, models.AnonymousSender{Address: address, LastSource: source, Events: int64(events)})
}

func (f *fakeAccess) revoke(token string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.keys, token)
}

// start serves svc on a loopback port until the test ends.
func start(t testing.TB, svc Service, cfg Config) (s *Server, addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, ln, svc, cfg), ln.Addr().String()
}

func startOn(t testing.TB, ln net.Listener, svc Service, cfg Config) *Server {
	t.Helper()
	if cfg.Access == nil {
		cfg.Access = &fakeAccess{}
	}
	s := New(svc, cfg)
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s
}

// client is a device: everything it does must end within ten seconds.
type client struct {
	t testing.TB
	*net.TCPConn
	answers *bufio.Reader
}

func dial(t testing.TB, addr string) *client {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(10 * time.Second))
	return &client{t, nc.(*net.TCPConn), bufio.NewReader(nc)}
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// expect reads one answer.
func (c *client) expect(want string) {
	c.t.Helper()
	got, err := c.answers.ReadString('\n')
	if err != nil {
		c.t.Fatalf("no answer, want %s: %v", want, err)
	}
	if got != want+"\n" {
		c.t.Fatalf("answer %swant   %s", got, want)
	}
}

// rest reads until the server closes the connection.
func (c *client) rest() string {
	c.t.Helper()
	got, err := io.ReadAll(c.answers)
	if err != nil {
		c.t.Fatalf("reading to the end: %v (after %q)", err, got)
	}
	return string(got)
}

// eventually polls for what another goroutine brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

var errStrange = errors.New("strange")
