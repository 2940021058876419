package mailer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
)

// try is one mail that a fake server was asked to take.
type try struct {
	at time.Time
	to string
}

// fakeSender answers as told, without a socket.
type fakeSender struct {
	mu     sync.Mutex
	answer func(ctx context.Context, m message) (string, error)
	tries  []try
	closed int
}

func (s *fakeSender) send(ctx context.Context, m message) (string, error) {
	s.mu.Lock()
	s.tries = append(s.tries, try{time.Now(), m.to})
	answer := s.answer
	s.mu.Unlock()
	if answer == nil {
		return "250 queued", nil
	}
	return answer(ctx, m)
}

func (s *fakeSender) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
}

// says makes the sender fail with f from now on; nil lets it succeed.
func (s *fakeSender) says(f *fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = nil
	if f != nil {
		s.answer = func(context.Context, message) (string, error) { return "", f }
	}
}

func (s *fakeSender) tried() []try {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tries)
}

var (
	refused = &fault{server: true, words: "AUTH: 535 5.7.8 bad credentials"}
	later   = &fault{words: "RCPT: 451 4.7.1 greylisted"}
	never   = &fault{permanent: true, words: "RCPT: 550 5.1.1 no such user"}
)

// bench is a worker over a fake server and an outbox in memory.
func bench(t *testing.T, cfg Config) (*Worker, *memory, *fakeSender) {
	t.Helper()
	cfg.From, cfg.Logger = "hub@example.net", logger(t)
	if cfg.Rand == nil {
		cfg.Rand = func() float64 { return 0 }
	}
	o, s := newMemory(), &fakeSender{}
	w := New(o, cfg)
	w.sender = s
	return w, o, s
}

func TestRun_SendsWhatIsDueInOrderAndSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o, s := bench(t, Config{})
		for id := range int64(3) {
			o.add(id+1, fmt.Sprintf("r%d@example.net", id+1), time.Now())
		}
		start(t, w)
		synctest.Wait()
		for id := range int64(3) {
			a := o.row(t, id+1)
			if a.Status != models.EmailSent || a.Detail != "250 queued" || a.Attempts != 1 {
				t.Errorf("alert %+v", a)
			}
			if to := s.tried()[id].to; to != a.Recipient {
				t.Errorf("try %d went to %s", id, to)
			}
		}
		if w.SentOK() != 3 || w.SentFail() != 0 || w.Paused() != "" || s.closed == 0 {
			t.Errorf("ok %d, fail %d, paused %q, closed %d", w.SentOK(), w.SentFail(), w.Paused(), s.closed)
		}

		// A wake delivers at once; without one, the next look does.
		o.add(4, "r4@example.net", time.Now())
		begin := time.Now()
		w.Wake()
		w.Wake()
		synctest.Wait()
		if o.row(t, 4).Status != models.EmailSent || time.Since(begin) != 0 {
			t.Errorf("after the wake: %+v", o.row(t, 4))
		}
		o.add(5, "r5@example.net", time.Now())
		time.Sleep(maxSleep)
		synctest.Wait()
		if o.row(t, 5).Status != models.EmailSent {
			t.Errorf("without a wake: %+v", o.row(t, 5))
		}
	})
}

func TestRun_RetriesOneMessageWithoutHoldingOthersBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o, s := bench(t, Config{})
		s.answer = func(_ context.Context, m message) (string, error) {
			if m.to == "grey@example.net" {
				return "", later
			}
			return "250 queued", nil
		}
		begin := time.Now()
		o.add(1, "grey@example.net", begin)
		o.add(2, "ops@example.net", begin)
		start(t, w)
		synctest.Wait()
		if a := o.row(t, 1); a.Status != models.EmailPending || a.Detail != later.words || a.Attempts != 1 || !a.NextAttemptAt.Equal(begin.Add(10*time.Second).UTC()) {
			t.Errorf("greylisted: %+v", a)
		}
		if a := o.row(t, 2); a.Status != models.EmailSent {
			t.Errorf("other: %+v", a)
		}
		if w.Paused() != "" {
			t.Errorf("paused: %q", w.Paused())
		}
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		a := o.row(t, 1)
		if a.Status != models.EmailFailed || a.Detail != "gave up after 24h0m0s: "+later.words || w.SentFail() != 1 {
			t.Errorf("in the end: %+v", a)
		}
		var waits []time.Duration
		last := begin
		for _, try := range s.tried() {
			if try.to == "grey@example.net" && try.at != last {
				waits = append(waits, try.at.Sub(last))
				last = try.at
			}
		}
		want := []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 320 * time.Second, 640 * time.Second, 15 * time.Minute}
		if diff := cmp.Diff(want, waits[:len(want)]); diff != "" {
			t.Errorf("waits (-want +got):\n%s", diff)
		}
		if last.Sub(begin) != 24*time.Hour || a.Attempts != len(waits)+1 {
			t.Errorf("last try after %v, %d attempts, %d tries", last.Sub(begin), a.Attempts, len(waits)+1)
		}
	})
}

func TestRun_FailsARefusedMessageAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o, s := bench(t, Config{})
		s.says(never)
		o.add(1, "gone@example.net", time.Now())
		o.add(2, "not an address", time.Now())
		start(t, w)
		time.Sleep(time.Hour)
		if a := o.row(t, 1); a.Status != models.EmailFailed || a.Detail != never.words || a.Attempts != 1 {
			t.Errorf("refused: %+v", a)
		}
		if a := o.row(t, 2); a.Status != models.EmailFailed || !strings.Contains(a.Detail, "recipient address") {
			t.Errorf("bad address: %+v", a)
		}
		if len(s.tried()) != 1 || w.SentFail() != 2 {
			t.Errorf("%d tries, %d failed", len(s.tried()), w.SentFail())
		}
	})
}

func TestRun_PausesAllForTheServerAndResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o, s := bench(t, Config{})
		s.says(refused)
		begin := time.Now()
		for id := range int64(5) {
			o.add(id+1, "ops@example.net", begin)
		}
		start(t, w)
		synctest.Wait()
		for id := range int64(5) {
			a := o.row(t, id+1)
			if a.Status != models.EmailPending || a.Detail != refused.words || !a.NextAttemptAt.Equal(begin.Add(5*time.Second)) {
				t.Errorf("row of a paused server: %+v", a)
			}
		}
		if w.Paused() != refused.words {
			t.Errorf("paused: %q", w.Paused())
		}
		// What is born during the pause is told too, and hastens nothing.
		time.Sleep(time.Second)
		o.add(6, "ops@example.net", time.Now())
		w.Wake()
		synctest.Wait()
		if a := o.row(t, 6); a.Detail != refused.words || a.Attempts != 0 || len(s.tried()) != 1 {
			t.Errorf("born in the pause: %+v, %d tries", a, len(s.tried()))
		}
		time.Sleep(time.Hour)
		var waits []time.Duration
		tries := s.tried()
		for i := range tries[1:] {
			waits = append(waits, tries[i+1].at.Sub(tries[i].at))
		}
		want := []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 5 * time.Minute, 5 * time.Minute}
		if diff := cmp.Diff(want, waits[:len(want)]); diff != "" {
			t.Errorf("waits (-want +got):\n%s", diff)
		}
		if len(tries) > 20 {
			t.Errorf("%d logins in an hour", len(tries))
		}
		s.says(nil)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		for id := range int64(6) {
			if a := o.row(t, id+1); a.Status != models.EmailSent {
				t.Errorf("after the pause: %+v", a)
			}
		}
		if w.Paused() != "" || w.SentOK() != 6 {
			t.Errorf("paused %q, sent %d", w.Paused(), w.SentOK())
		}
		// The next outage starts with a short pause again.
		s.says(refused)
		o.add(7, "ops@example.net", time.Now())
		w.Wake()
		synctest.Wait()
		if a := o.row(t, 7); time.Until(a.NextAttemptAt) != 5*time.Second {
			t.Errorf("next outage: %+v", a)
		}
	})
}

func TestRun_AMessagesFaultEndsAServersPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o, s := bench(t, Config{})
		s.says(refused)
		o.add(1, "ops@example.net", time.Now())
		start(t, w)
		synctest.Wait()
		s.says(later)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if w.Paused() != "" || o.row(t, 1).Detail != later.words {
			t.Errorf("paused %q, row %+v", w.Paused(), o.row(t, 1))
		}
	})
}

func TestRun_GivesUpOnEachRowAtItsOwnAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o, s := bench(t, Config{MaxAge: 3 * time.Hour})
		s.says(refused)
		const rows = marksPerPause + 50 // more than one pause tells
		begin := time.Now()
		for id := range int64(rows) {
			o.add(id+1, "ops@example.net", begin.Add(time.Duration(id)*time.Second))
		}
		start(t, w)
		time.Sleep(150 * time.Minute)
		synctest.Wait()
		for id := range int64(rows) {
			if a := o.row(t, id+1); a.Status != models.EmailPending || a.Detail != refused.words {
				t.Fatalf("after 150 min: %+v", a)
			}
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		for id := range int64(rows) {
			a := o.row(t, id+1)
			age := a.UpdatedAt.Sub(a.CreatedAt)
			if a.Status != models.EmailFailed || !strings.HasPrefix(a.Detail, "gave up after 3h") || !strings.HasSuffix(a.Detail, refused.words) ||
				age < 3*time.Hour || age > 3*time.Hour+5*time.Minute {
				t.Fatalf("after 210 min: %+v at age %v", a, age)
			}
		}
		if w.SentFail() != rows || w.SentOK() != 0 {
			t.Errorf("ok %d, fail %d", w.SentOK(), w.SentFail())
		}
	})
}

func TestRun_ABadSenderAddressPausesAndFailsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o, s := bench(t, Config{})
		w.cfg.From = "nobody"
		o.add(1, "ops@example.net", time.Now())
		start(t, w)
		time.Sleep(time.Hour)
		if a := o.row(t, 1); a.Status != models.EmailPending || len(s.tried()) != 0 || !strings.Contains(w.Paused(), "sender address") {
			t.Errorf("row %+v, paused %q", a, w.Paused())
		}
	})
}

func TestRun_ShutdownLeavesTheCutRowAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o, s := bench(t, Config{})
		s.answer = func(ctx context.Context, _ message) (string, error) {
			<-ctx.Done()
			return "", fmt.Errorf("DATA: %w", ctx.Err())
		}
		o.add(1, "ops@example.net", time.Now())
		before := o.row(t, 1)
		stop := start(t, w)
		synctest.Wait()
		begin := time.Now()
		stop()
		if diff := cmp.Diff(before, o.row(t, 1)); diff != "" || len(s.tried()) != 1 {
			t.Errorf("%d tries, row (-before +after):\n%s", len(s.tried()), diff)
		}
		if time.Since(begin) != 0 {
			t.Errorf("stopping took %v", time.Since(begin))
		}
	})
}

func TestRun_ShutdownRecordsWhatWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o, s := bench(t, Config{})
		s.answer = func(ctx context.Context, _ message) (string, error) {
			<-ctx.Done()
			return "250 queued", nil // the server was faster
		}
		o.add(1, "ops@example.net", time.Now())
		stop := start(t, w)
		synctest.Wait()
		stop()
		if a := o.row(t, 1); a.Status != models.EmailSent || w.SentOK() != 1 {
			t.Errorf("row %+v", a)
		}
	})
}

func TestRun_ATryEndsAtItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o, s := bench(t, Config{})
		var limit time.Duration
		s.answer = func(ctx context.Context, _ message) (string, error) {
			begin := time.Now()
			<-ctx.Done()
			limit = time.Since(begin)
			return "", newFault(ctx, true, "DATA", 30*time.Second, ctx.Err())
		}
		o.add(1, "ops@example.net", time.Now())
		start(t, w)
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if a := o.row(t, 1); limit != 30*time.Second || a.Status != models.EmailPending || a.Detail != "DATA: no answer within 30s" || a.Attempts != 1 {
			t.Errorf("limit %v, row %+v", limit, a)
		}
	})
}

func TestRun_AsksAFailingOutboxNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o, s := bench(t, Config{})
		o.set(func(o *memory) { o.failNext = errors.New("disk on fire: /secret/path") })
		o.add(1, "ops@example.net", time.Now())
		start(t, w)
		for range 60 {
			time.Sleep(time.Second)
			w.Wake() // does not make it spin
		}
		synctest.Wait()
		if o.asked > 20 || len(s.tried()) != 0 || w.Paused() != outboxReason {
			t.Errorf("asked %d times, tried %d, paused %q", o.asked, len(s.tried()), w.Paused())
		}
		o.set(func(o *memory) { o.failNext = nil })
		time.Sleep(outboxRetryMax)
		synctest.Wait()
		if a := o.row(t, 1); a.Status != models.EmailSent || w.Paused() != "" {
			t.Errorf("row %+v, paused %q", a, w.Paused())
		}
	})
}

func TestRun_DoesNotSendAgainWhatItCouldNotRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o, s := bench(t, Config{})
		o.set(func(o *memory) { o.failFinish = models.ErrUnavailable })
		o.add(1, "ops@example.net", time.Now())
		o.add(2, "ops@example.net", time.Now())
		start(t, w)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := len(s.tried()); n != 1 || w.SentOK() != 0 || w.Paused() != outboxReason {
			t.Errorf("%d tries, %d counted, paused %q", n, w.SentOK(), w.Paused())
		}
		o.set(func(o *memory) { o.failFinish = nil })
		time.Sleep(outboxRetryMax)
		synctest.Wait()
		if n := len(s.tried()); n != 2 || w.SentOK() != 2 || len(o.history[1]) != 1 {
			t.Errorf("%d tries, %d counted, history %v", n, w.SentOK(), o.history[1])
		}
	})
}

func TestRun_TellsThatAnOutcomeIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o, _ := bench(t, Config{})
		o.set(func(o *memory) { o.failFinish = models.ErrUnavailable })
		o.add(1, "ops@example.net", time.Now())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, models.ErrUnavailable) || !strings.Contains(err.Error(), "alert 1 as sent") {
			t.Errorf("error %v", err)
		}
	})
}

func TestRun_ForgetsARowThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, o, s := bench(t, Config{})
		s.answer = func(_ context.Context, m message) (string, error) {
			o.set(func(o *memory) {
				o.rows = slices.DeleteFunc(o.rows, func(r models.DueAlert) bool { return r.Alert.ID == 1 })
			})
			return "250 queued", nil
		}
		o.add(1, "ops@example.net", time.Now())
		o.add(2, "ops@example.net", time.Now())
		start(t, w)
		synctest.Wait()
		if a := o.row(t, 2); a.Status != models.EmailSent || len(s.tried()) != 2 {
			t.Errorf("row %+v, %d tries", a, len(s.tried()))
		}
	})
}

// The life of many rows under a server that does anything at random.
func TestRun_EveryRowHasExactlyOneOutcomeWithItsReason(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// One source for the life's course, one for the worker's goroutine.
				random, course := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2))
				w, o, s := bench(t, Config{Rand: random.Float64, MaxAge: time.Hour})
				accepted := map[string]int{}
				s.answer = func(ctx context.Context, m message) (string, error) {
					switch n := random.IntN(10); {
					case n < 3:
						return "", later
					case n < 5:
						return "", refused
					case n < 6:
						return "", never
					case n < 7:
						<-ctx.Done()
						return "", newFault(ctx, random.IntN(2) == 0, "DATA", 30*time.Second, ctx.Err())
					}
					accepted[m.to]++
					return "250 queued", nil
				}
				const rows = 100
				stop := start(t, w)
				for id := range int64(rows) {
					o.add(id+1, fmt.Sprintf("r%d@example.net", id+1), time.Now())
					w.Wake()
					time.Sleep(time.Duration(course.IntN(30)) * time.Second)
					switch course.IntN(8) {
					case 0: // a restart
						stop()
						next := New(o, w.cfg)
						next.sender, w = s, next
						stop = start(t, w)
					case 1: // an outbox that fails for a while
						o.set(func(o *memory) { o.failFinish, o.failNext = models.ErrUnavailable, models.ErrUnavailable })
						time.Sleep(time.Duration(course.IntN(60)) * time.Second)
						o.set(func(o *memory) { o.failFinish, o.failNext = nil, nil })
						time.Sleep(outboxRetryMax) // a stop before would lose an outcome, and say so
					}
				}
				time.Sleep(3 * time.Hour)
				stop()
				counts := map[models.EmailStatus]int{}
				for id := range int64(rows) {
					a := o.row(t, id+1)
					counts[a.Status]++
					ends := 0
					for _, u := range o.history[a.ID] {
						if u.Detail == "" || (u.Status == models.EmailPending) == u.NextAttemptAt.IsZero() {
							t.Errorf("update %+v", u)
						}
						if u.Status != models.EmailPending {
							ends++
						}
					}
					sent := a.Status == models.EmailSent
					if ends != 1 || sent != (accepted[a.Recipient] == 1) || accepted[a.Recipient] > 1 || a.Status == models.EmailPending {
						t.Errorf("row %+v has %d ends and was accepted %d times", a, ends, accepted[a.Recipient])
					}
				}
				t.Logf("seed %d: %v, %d tries", seed, counts, len(s.tried()))
				if counts[models.EmailSent] == 0 || counts[models.EmailFailed] == 0 {
					t.Errorf("the server was not random: %v", counts)
				}
			})
		})
	}
}

func TestBackoff_DoublesToItsCapAndIsCutByUpToHalf(t *testing.T) {
	for _, r := range []float64{0, 0.5, 0.999} {
		w := New(newMemory(), Config{Rand: func() float64 { return r }})
		for n := 1; n <= 1000; n++ {
			full := 15 * time.Minute
			if n < 7 {
				full = 10 * time.Second << (n - 1)
			} else if n == 7 {
				full = 640 * time.Second
			}
			got := w.backoff(10*time.Second, 15*time.Minute, n)
			if got > full || got < full/2 || r == 0 && got != full {
				t.Fatalf("wait %d at %v is %v, full %v", n, r, got, full)
			}
		}
	}
}
