package webhook

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"alerthub/models"
)

func TestMain(m *testing.M) {
	// net/http looks at the environment once: see TestSend_UsesNoProxy.
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		os.Setenv(name, "http://127.0.0.1:1")
	}
	os.Unsetenv("NO_PROXY")
	os.Unsetenv("no_proxy")
	goleak.VerifyTestMain(m)
}

// born is when the tests' events happened.
var born = time.Date(2026, 11, 23, 18, 26, 0, 123456000, time.UTC)

// loopback lets senders reach the tests' servers.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// sender makes a Sender for servers on this machine.
func sender(t testing.TB, change func(c *Config)) *Sender {
	t.Helper()
	cfg := Config{
		PublicURL: "https://panel.example.net/", Allow: loopback, Version: "1.2.3",
		AttemptTimeout: 10 * time.Second, Now: func() time.Time { return born.Add(time.Minute) },
	}
	if change != nil {
		change(&cfg)
	}
	s := New(cfg)
	t.Cleanup(s.Close)
	return s
}

func event(source, message string) models.Event {
	return models.Event{
		ID: 42, CreatedAt: born, Source: source, Severity: models.SeverityCritical, Message: message, Channel: models.ChannelTCP,
		RawPayload: "raw", Peer: "192.0.2.7",
	}
}

// single is a notice about one event.
func single(source, message string) models.Notice {
	e := event(source, message)
	return models.Notice{
		Alert:   models.EmailAlert{ID: 7, EventID: e.ID, CreatedAt: born, Channel: models.DeliveryWebhook, Recipient: "x"},
		Event:   e,
		Contact: models.Contact{Name: "noc", Language: "en"},
	}
}

// digest is a notice about n sources that did the same.
func digest(n int, source, message string) models.Notice {
	d := &models.Digest{Reason: models.DigestLimit, From: born.Add(-time.Hour), To: born}
	for i := range n {
		d.Severity[2] += 1200
		d.Severity[3]++
		if len(d.Sources) < models.MaxDigestSources {
			d.Sources = append(d.Sources, models.SourceCount{Source: source, Severity: [4]int64{0, 0, 1200, 1}})
		} else {
			d.OtherSources++
		}
		if len(d.Newest) < models.MaxDigestNewest {
			e := event(source, message)
			e.ID -= int64(i)
			e.CreatedAt = e.CreatedAt.Add(-time.Duration(i) * time.Minute)
			d.Newest = append(d.Newest, e)
		}
	}
	notice := single(source, message)
	notice.Digest = d
	return notice
}

// target is a web server that keeps what it is sent.
type target struct {
	*httptest.Server
	mu       sync.Mutex
	requests []received
}

type received struct {
	method, path string
	header       http.Header
	body         []byte
}

// listen starts a target; answer may be nil.
func listen(t testing.TB, answer http.HandlerFunc) *target {
	t.Helper()
	s := &target{}
	s.Server = httptest.NewServer(s.handler(answer))
	t.Cleanup(s.Close)
	return s
}

func (s *target) handler(answer http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.requests = append(s.requests, received{r.Method, r.URL.String(), r.Header.Clone(), body})
		s.mu.Unlock()
		if answer != nil {
			answer(w, r)
		}
	})
}

func (s *target) seen() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.requests...)
}

// hook is a webhook of a kind at a server, as Check wants it.
func hook(kind, url string) models.Webhook {
	w := models.Webhook{Name: kind, Kind: kind, URL: url}
	switch kind {
	case "generic":
		w.URL += "/hooks/a1b2c3?key=q1w2e3"
		w.Secret, w.Token = "s3cret-word", "t0ken-word"
	case "slack":
		w.URL += "/services/T0001/B0001/x1y2z3"
	case "teams":
		w.URL += "/workflows/f00d/triggers/manual/paths/invoke?api-version=1&sig=s1gnature"
	case "discord":
		w.URL += "/api/webhooks/1234/d1sc0rd"
	case "ntfy":
		w.URL += "/t0pic-noc"
		w.Token = "tk_t0ken"
	case "gotify":
		w.URL += "/push"
		w.Token = "A-t0ken"
	case "pagerduty":
		w.URL += "/v2/enqueue"
		w.Token = "r0uting-key"
	}
	return w
}

// asFault is the fault that err must be.
func asFault(t testing.TB, err error) *models.Fault {
	t.Helper()
	var f *models.Fault
	if !errors.As(err, &f) {
		t.Fatalf("error %v (%T), want a fault", err, err)
	}
	return f
}

// post sends n by kind to a new target and returns what arrived.
func post(t testing.TB, kind string, n models.Notice) received {
	t.Helper()
	s := listen(t, nil)
	words, err := sender(t, nil).Send(context.Background(), hook(kind, s.URL), n)
	if err != nil || words != "200 OK" {
		t.Fatalf("words %q, error %v", words, err)
	}
	all := s.seen()
	if len(all) != 1 {
		t.Fatalf("%d requests", len(all))
	}
	return all[0]
}
