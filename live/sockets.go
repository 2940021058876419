package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"github.com/olahol/melody"

	"alerthub/models"
)

// Timing of all sockets: a peer that answers no ping for pongWait is cut.
const (
	pongWait   = 40 * time.Second
	pingPeriod = 30 * time.Second

	maxMessage = 4 << 10 // bytes of one message from a client
)

// errForeignOrigin: a page of another site asked for a socket.
var errForeignOrigin = errors.New("foreign origin")

// client is what a group of sockets does with one of them. connected and
// disconnected are called once each, message and sent in any number between;
// sent runs beside the others.
type client interface {
	connected(s *melody.Session)
	message(text []byte)
	sent(size int)
	disconnected()
}

// Where a session keeps its client, and the function that says whether that
// may still read.
const (
	clientKey = "client"
	mayKey    = "may"
)

// expelEvery is how often it is looked whether everybody may still read.
const expelEvery = 2 * time.Second

// sockets is one melody with its traps closed: a bound on sessions, an origin
// check before the upgrade, callbacks that survive a panic, slow clients that
// are cut hard, and a Close that leaves nobody behind.
type sockets struct {
	melody *melody.Melody
	origin func(*http.Request) bool
	max    int
	polite time.Duration
	logger *slog.Logger

	cut atomic.Int64 // clients cut because they took nothing, or were silent, for too long

	mu      sync.Mutex // guards what follows
	closing bool
	serving sync.WaitGroup // one for each request in serve; Add only while holding mu and not closing
	count   int
	open    map[*melody.Session]bool // true: was told to go
}

func newSockets(buffer, limit int, origin func(*http.Request) bool, cfg Config) *sockets {
	k := &sockets{
		melody: melody.New(),
		origin: origin,
		max:    limit,
		polite: cfg.PoliteClose,
		logger: cfg.Logger,
		open:   make(map[*melody.Session]bool),
	}
	m := k.melody
	m.Upgrader.CheckOrigin = origin // melody's own default lets every site in
	m.Config.MaxMessageSize, m.Config.MessageBufferSize = maxMessage, buffer
	m.Config.WriteWait, m.Config.PongWait, m.Config.PingPeriod = cfg.WriteWait, pongWait, pingPeriod

	m.HandleError(func(s *melody.Session, err error) {
		// This may run below melody's lock and inside a write to s: touch
		// nothing of melody here. s.Close() would write to the full buffer
		// again and recurse until the stack ends.
		var timeout net.Error
		if errors.Is(err, melody.ErrMessageBufferFull) || errors.As(err, &timeout) && timeout.Timeout() {
			k.cutOff(s)
		}
	})
	m.HandleConnect(func(s *melody.Session) {
		defer k.guard(s, "connect")
		k.mu.Lock()
		k.open[s] = false
		closing := k.closing
		k.mu.Unlock()
		if closing { // the upgrade was under way when melody said goodbye to all
			_ = s.CloseWithMsg(restartMessage())
			return
		}
		if !mayRead(s) {
			_ = s.CloseWithMsg(signedOutMessage())
			return
		}
		clientOf(s).connected(s)
	})
	m.HandleDisconnect(func(s *melody.Session) {
		defer k.guard(s, "disconnect")
		k.mu.Lock()
		delete(k.open, s)
		k.mu.Unlock()
		clientOf(s).disconnected()
	})
	m.HandleMessage(func(s *melody.Session, text []byte) {
		defer k.guard(s, "message")
		clientOf(s).message(text)
	})
	m.HandleSentMessage(func(s *melody.Session, frame []byte) {
		defer k.guard(s, "sent")
		clientOf(s).sent(len(frame))
	})
	return k
}

func clientOf(s *melody.Session) client {
	c, _ := s.Get(clientKey)
	return c.(client)
}

// guard keeps a panic in a callback from leaving a session that nobody serves
// (melody defers nothing) or from ending the process.
func (k *sockets) guard(s *melody.Session, where string) {
	if v := recover(); v != nil {
		k.logger.Error("panic in a socket's callback", "callback", where, "panic", fmt.Sprint(v))
		hardClose(s)
	}
}

// cutOff ends a client that is too slow, and counts it once.
func (k *sockets) cutOff(s *melody.Session) {
	k.mu.Lock()
	_, known := k.open[s]
	delete(k.open, s)
	k.mu.Unlock()
	if known {
		k.cut.Add(1)
		hardClose(s)
	}
}

// hardClose ends s without its queue: what to do when the queue is the
// trouble. It never blocks; the read pump then ends the session.
func hardClose(s *melody.Session) {
	conn := s.WebsocketConnection().NetConn()
	go conn.Close() // a TLS connection's Close may wait to write its alert
}

func restartMessage() []byte {
	return melody.FormatCloseMessage(melody.CloseServiceRestart, "restart")
}

// signedOutMessage ends the socket of who may not read, or not any more; pages
// then have their readers sign in.
func signedOutMessage() []byte {
	return melody.FormatCloseMessage(melody.ClosePolicyViolation, "signed out")
}

func mayRead(s *melody.Session) bool {
	may, _ := s.Get(mayKey)
	return may.(func() bool)()
}

// expel ends the sockets of those who may not read any more: in order, and
// those that were told before and are still there without it.
func (k *sockets) expel() {
	k.mu.Lock()
	open := maps.Clone(k.open)
	k.mu.Unlock()
	for s, told := range open {
		switch {
		case mayRead(s):
		case told:
			hardClose(s)
		default:
			k.mu.Lock()
			if _, known := k.open[s]; known {
				k.open[s] = true
			}
			k.mu.Unlock()
			_ = s.CloseWithMsg(signedOutMessage())
		}
	}
}

// serve answers r: with an upgrade and the life of c, or with 403, 426 or 503
// and an error that says why. It returns when the socket has ended and c was
// told; that is soon after may has said that whoever asked may not read.
func (k *sockets) serve(w http.ResponseWriter, r *http.Request, c client, may func() bool) error {
	if !websocket.IsWebSocketUpgrade(r) {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		http.Error(w, "this address speaks websocket", http.StatusUpgradeRequired)
		return errors.New("not a websocket request")
	}
	if !k.origin(r) {
		http.Error(w, "requests from other sites are refused", http.StatusForbidden)
		return fmt.Errorf("%w %q", errForeignOrigin, r.Header.Get("Origin"))
	}
	if err := k.admit(); err != nil {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "no room for another socket now", http.StatusServiceUnavailable)
		return err
	}
	defer k.leave()
	if err := k.melody.HandleRequestWithKeys(w, r, map[string]any{clientKey: c, mayKey: may}); err != nil {
		if errors.Is(err, melody.ErrClosed) {
			http.Error(w, "shutting down", http.StatusServiceUnavailable)
		}
		return fmt.Errorf("upgrade: %w", err)
	}
	return nil
}

func (k *sockets) admit() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.closing:
		return models.ErrClosed
	case k.count >= k.max:
		return models.ErrBusy
	}
	k.count++
	k.serving.Add(1)
	return nil
}

func (k *sockets) leave() {
	k.mu.Lock()
	k.count--
	k.mu.Unlock()
	k.serving.Done()
}

// now is how many sockets are open.
func (k *sockets) now() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.open)
}

// close says "service restart" to everybody, waits until they have left or
// the polite part of ctx is over, then cuts the rest and waits for that. It
// may be called any number of times, concurrently.
func (k *sockets) close(ctx context.Context) error {
	k.mu.Lock()
	first := !k.closing
	k.closing = true
	k.mu.Unlock()
	if first {
		// A session with a full buffer loses the goodbye: hence the hard part below.
		_ = k.melody.CloseWithMsg(restartMessage())
	}
	left := make(chan struct{})
	go func() {
		k.serving.Wait()
		close(left)
	}()
	polite := time.NewTimer(k.polite)
	defer polite.Stop()
	select {
	case <-left:
		return nil
	case <-polite.C:
	case <-ctx.Done():
	}
	k.mu.Lock()
	for s := range k.open {
		hardClose(s)
	}
	k.mu.Unlock()
	// A cut socket's pumps end by themselves, whatever its peer does.
	hard := time.NewTimer(time.Second)
	defer hard.Stop()
	select {
	case <-left:
		return nil
	case <-hard.C:
		return fmt.Errorf("close sockets: %d still open", k.now())
	}
}
