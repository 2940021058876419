package watch

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"alerthub/models"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBroken = errors.New("open /secret/path: broken")

// world is a hub in memory, its door, and what is around it. Its faults are
// set by test and read under mu.
type world struct {
	t    *testing.T
	cfg  Config
	w    *Watch
	stop func()

	mu       sync.Mutex
	log      strings.Builder
	events   []models.Event
	keys     map[string]int64
	alerts   []models.EmailAlert
	born     models.EmailStatus // of every alert; "" is pending
	detail   string
	canaries []models.Canary // oldest first
	health   models.Health
	pings    []time.Time
	pong     func() (*http.Response, error)

	answer      func(line string) string // of the door, in place of the real one; "" closes
	hold        chan struct{}            // the door answers once it is closed
	dialFails   error
	unknown     bool // the door does not take the token
	probeFails  error
	saveFails   error
	readFails   error // Event, EventsByID and EmailAlerts
	registerErr error
}

// bubble runs a test in a world whose watch is not started.
func bubble(t *testing.T, test func(t *testing.T, b *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &world{t: t, keys: map[string]int64{}}
		mail := func(contact, to string) models.Contact {
			return models.Contact{Name: contact, Emails: []string{to}}
		}
		noc, onCall := mail("noc", "noc@example.net"), mail("on-call", "oncall@example.net")
		noc.IfFailing, noc.Webhooks = "on-call", []models.Webhook{{Name: "slack"}}
		onCall.IfFailing, onCall.Webhooks = "noc", []models.Webhook{{Name: "ntfy"}}
		b.cfg = Config{
			Contacts: []models.Contact{noc, onCall, mail("facilities", "facilities@example.net")},
			Alerts: func(c models.Contact) (list []models.NewAlert) {
				for _, a := range c.Addresses() {
					list = append(list, models.NewAlert{Contact: a.Contact, Channel: a.Channel, Recipient: a.Recipient, Status: models.EmailPending})
				}
				return list
			},
			Canary: Canary{
				Contact: "noc", Dial: b.dial, Token: "own",
				Alerts: []models.NewAlert{{Contact: "noc", Channel: models.DeliveryEmail, Recipient: "noc@example.net", Status: models.EmailPending}},
			},
			Logger: slog.New(slog.NewTextHandler(io.MultiWriter(t.Output(), b), nil)),
		}
		b.pong = func() (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
		}
		defer func() {
			if b.stop != nil {
				b.stop()
			}
		}()
		test(t, b)
	})
}

// start starts a watch, as new.
func (b *world) start() {
	b.w = New(b, b, b.cfg)
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.t.Context()))
	done := make(chan error, 1)
	go func() { done <- b.w.Run(ctx) }()
	b.stop = func() {
		b.stop = nil
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("Run: %v", err)
		}
	}
	synctest.Wait()
}

// restart stops the watch and starts another one.
func (b *world) restart() {
	b.stop()
	b.start()
}

// Write takes the log.
func (b *world) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.Write(p)
}

func (b *world) logged() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.String()
}

// set changes the world.
func (b *world) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

// pass lets time pass.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// report stores an event of a device with a mail to a contact.
func (b *world) report(source string, to models.Address, status models.EmailStatus, detail string) models.EmailAlert {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.insert(models.Draft{Source: source, Severity: models.SeverityCritical, Message: "down", Peer: "192.0.2.1"},
		[]models.NewAlert{{Contact: to.Contact, Channel: to.Channel, Recipient: to.Recipient}})
	a := &b.alerts[len(b.alerts)-1]
	a.Status, a.Detail = status, detail
	return *a
}

// insert stores an event. The caller holds mu.
func (b *world) insert(d models.Draft, alerts []models.NewAlert) models.Event {
	e := models.Event{
		ID: int64(len(b.events) + 1), CreatedAt: time.Now().UTC(), Source: d.Source, Severity: d.Severity,
		Message: d.Message, Channel: d.Channel, RawPayload: d.RawPayload, Peer: d.Peer,
	}
	b.events = append(b.events, e)
	for _, a := range alerts {
		b.alerts = append(b.alerts, models.EmailAlert{
			ID: int64(len(b.alerts) + 1), EventID: e.ID, CreatedAt: e.CreatedAt, UpdatedAt: e.CreatedAt, Contact: a.Contact, Channel: a.Channel,
			Recipient: a.Recipient, Status: cmp.Or(b.born, models.EmailPending), Detail: b.detail,
		})
	}
	return e
}

// finish ends what is pending.
func (b *world) finish(status models.EmailStatus, detail string) {
	b.set(func() {
		for i := range b.alerts {
			if a := &b.alerts[i]; a.Status == models.EmailPending {
				a.Status, a.Detail, a.UpdatedAt = status, detail, time.Now().UTC()
			}
		}
	})
}

// told are the hub's own events, as text: the message and the addresses.
func (b *world) told() (list []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		if e.Source != models.SourceHub || e.Peer != "" {
			continue
		}
		text := e.Message + " ->"
		for _, a := range b.alerts {
			if a.EventID == e.ID {
				text += " " + a.Contact + "/" + a.Recipient
			}
		}
		list = append(list, text)
	}
	return list
}

func (b *world) allEvents() []models.Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.events)
}

func (b *world) allAlerts() []models.EmailAlert {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.alerts)
}

func (b *world) allPings() []time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.pings)
}

// dial opens the door of the world.
func (b *world) dial(context.Context) (net.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dialFails != nil {
		return nil, b.dialFails
	}
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		lines := bufio.NewReader(theirs)
		token, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		if welcome := b.greet(token); welcome != "" {
			_, _ = io.WriteString(theirs, welcome+"\n")
		}
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		if answer := b.serve(line); answer != "" {
			_, _ = io.WriteString(theirs, answer+"\n")
		}
	}()
	return ours, nil
}

// greet answers the first line as the door does.
func (b *world) greet(token string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.unknown || token != `{"token":"own"}`+"\n" {
		return `{"ok":false,"error":"unauthorized"}`
	}
	return `{"ok":true}`
}

// serve answers a line as the door does.
func (b *world) serve(line string) string {
	if b.hold != nil {
		<-b.hold
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answer != nil {
		return b.answer(line)
	}
	var in struct{ Source, Severity, Message, Key string }
	if err := json.Unmarshal([]byte(line), &in); err != nil {
		return `{"ok":false,"error":"invalid_json"}`
	}
	d, err := models.NewDraft(models.Input{Source: in.Source, Severity: in.Severity, Message: in.Message, Key: in.Key, Channel: models.ChannelTCP, RawPayload: line, Peer: "127.0.0.1"})
	if err != nil || d.Severity != models.SeverityCritical {
		b.t.Errorf("the canary is %+v, %v", d, err)
	}
	e := b.insert(d, b.w.Escalate(d, func(models.Draft) []models.NewAlert {
		return []models.NewAlert{{Contact: "everybody", Recipient: "all@example.net"}}
	}))
	return fmt.Sprintf(`{"ok":true,"event_id":%d}`, e.ID)
}

func (b *world) RegisterFor(_ context.Context, d models.Draft, alerts []models.NewAlert) (models.Receipt, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.registerErr != nil {
		return models.Receipt{}, b.registerErr
	}
	if id := b.keys[d.Key]; id > 0 {
		return models.Receipt{Event: models.Event{ID: id}, Duplicate: true}, nil
	}
	if d.Severity != models.SeverityCritical || d.Channel != models.ChannelHTTP || d.Key == "" {
		b.t.Errorf("registered %+v", d)
	}
	e := b.insert(d, alerts)
	b.keys[d.Key] = e.ID
	return models.Receipt{Event: e}, nil
}

func (b *world) Acknowledge(_ context.Context, ids []int64, ack models.Ack) ([]models.Event, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		b.events[id-1].AckedBy = ack.By
	}
	return nil, nil
}

func (b *world) Event(_ context.Context, id int64) (models.Event, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.readFails != nil {
		return models.Event{}, b.readFails
	}
	if id < 1 || id > int64(len(b.events)) {
		return models.Event{}, models.ErrNotFound
	}
	return b.events[id-1], nil
}

func (b *world) Events(_ context.Context, f models.EventFilter) (page models.EventPage, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range slices.Backward(b.events) {
		if e.Source == f.Source && !e.CreatedAt.Before(f.From) {
			page.Events = append(page.Events, e)
		}
	}
	return page, b.readFails
}

func (b *world) EventsByID(_ context.Context, ids []int64) (list []models.Event, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		list = append(list, b.events[id-1])
	}
	return list, b.readFails
}

func (b *world) EmailAlerts(_ context.Context, f models.EmailFilter) (list []models.EmailAlert, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range slices.Backward(b.alerts) {
		if (len(f.EventIDs) == 0 || slices.Contains(f.EventIDs, a.EventID)) && (f.Status == "" || f.Status == a.Status) &&
			(f.Channel == "" || f.Channel == a.Channel) && (f.Contact == "" || f.Contact == a.Contact) && (f.Before == 0 || a.ID < f.Before) {
			list = append(list, a)
		}
	}
	return list[:min(len(list), f.Limit)], b.readFails
}

func (b *world) Health() models.Health {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.health
}

func (b *world) SaveCanary(_ context.Context, c models.Canary) (models.Canary, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.saveFails != nil {
		return c, b.saveFails
	}
	if c.ID == 0 {
		c.ID = int64(len(b.canaries) + 1)
		b.canaries = append(b.canaries, c)
	}
	b.canaries[c.ID-1] = c
	return c, nil
}

func (b *world) Canaries(context.Context) ([]models.Canary, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := slices.Clone(b.canaries)
	slices.Reverse(list)
	return list, b.readFails
}

func (b *world) Probe(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.probeFails
}

// RoundTrip answers a ping.
func (b *world) RoundTrip(r *http.Request) (*http.Response, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Method != http.MethodGet {
		b.t.Errorf("pinged by %s", r.Method)
	}
	b.pings = append(b.pings, time.Now())
	return b.pong()
}
