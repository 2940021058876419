package notify_test

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"alerthub/models"
	"alerthub/routes"
)

// plan is a case: contacts, routes and events, of which each named contact has
// one address.
type plan struct {
	contacts map[string]models.Contact
	routes   []planRoute
	events   []planEvent
}

type planRoute struct {
	severity models.Severity // at least; "" for any
	source   string          // a glob; "" for any
	contacts []string
	goOn     bool
}

type planEvent struct {
	at       time.Duration
	source   string
	severity models.Severity
}

func (p plan) file() string {
	var b strings.Builder
	b.WriteString("contacts:\n")
	for _, name := range slices.Sorted(maps.Keys(p.contacts)) {
		c := p.contacts[name]
		fmt.Fprintf(&b, "  %s:\n    email: %s@example.net\n    limits: {per_hour: %d, gather: %v, interval: %v", name, name, c.Limits.PerHour, c.Limits.Gather, c.Limits.Interval)
		if c.Limits.PerHour > 0 {
			fmt.Fprintf(&b, ", reserve: %d", c.Limits.Reserve)
		}
		b.WriteString("}\n")
		if q := c.Quiet; q != nil {
			fmt.Fprintf(&b, "    quiet_hours: {zone: UTC, from: %q, to: %q, exempt: %q}\n", wall(q.From), wall(q.To), q.Exempt)
		}
	}
	b.WriteString("routes:\n")
	for _, r := range p.routes {
		fmt.Fprintf(&b, "  - {contacts: [%s], continue: %v", strings.Join(r.contacts, ", "), r.goOn)
		if r.severity != "" {
			fmt.Fprintf(&b, ", severity: %s", r.severity)
		}
		if r.source != "" {
			fmt.Fprintf(&b, ", sources: %q", r.source)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

func wall(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d", d/time.Hour, d%time.Hour/time.Minute)
}

func drawPlan(rt *rapid.T) plan {
	p := plan{contacts: map[string]models.Contact{}}
	minutes := func(from, to int, label string) time.Duration {
		return time.Duration(rapid.IntRange(from, to).Draw(rt, label)) * time.Minute
	}
	names := []string{"noc", "duty", "boss"}[:rapid.IntRange(1, 3).Draw(rt, "contacts")]
	for _, name := range names {
		l := models.Limits{PerHour: rapid.IntRange(0, 6).Draw(rt, "per hour"), Gather: minutes(0, 12, "gather"), Interval: minutes(1, 15, "interval")}
		// Nothing becomes due in the moment in which an event comes.
		if l.Interval += 300 * time.Millisecond; l.Gather > 0 {
			l.Gather += 500 * time.Millisecond
		}
		l.Reserve = rapid.IntRange(0, l.PerHour).Draw(rt, "reserve")
		c := models.Contact{Name: name, Limits: l}
		if rapid.IntRange(0, 2).Draw(rt, "quiet") == 0 {
			from := minutes(0, 23*60, "from")
			q := models.QuietHours{From: from, To: (from + minutes(1, 600, "long")) % (24 * time.Hour), Zone: time.UTC}
			q.Exempt = rapid.SampledFrom([][]models.Severity{{}, {models.SeverityCritical}, {models.SeverityError}}).Draw(rt, "exempt")
			c.Quiet = &q
		}
		p.contacts[name] = c
	}
	for range rapid.IntRange(1, 3).Draw(rt, "routes") {
		p.routes = append(p.routes, planRoute{
			severity: rapid.SampledFrom([]models.Severity{"", models.SeverityWarning, models.SeverityError, models.SeverityCritical}).Draw(rt, "severity"),
			source:   rapid.SampledFrom([]string{"", "a*", "?1", "b2"}).Draw(rt, "source"),
			contacts: rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, len(names), rapid.ID).Draw(rt, "names"),
			goOn:     rapid.Bool().Draw(rt, "continue"),
		})
	}
	at := 2 * time.Second // quiet hours end at full minutes
	for range rapid.IntRange(1, 35).Draw(rt, "events") {
		at += time.Duration(rapid.SampledFrom([]int{10, 20, 60, 300, 900}).Draw(rt, "later"))*time.Second + time.Millisecond // never an hour apart
		p.events = append(p.events, planEvent{
			at, rapid.SampledFrom([]string{"a1", "a2", "b1", "b2", "c9"}).Draw(rt, "of"), rapid.SampledFrom(models.Severities()).Draw(rt, "how bad"),
		})
	}
	return p
}

// named is whom the routes name, read from the top.
func (p plan) named(e planEvent) []string {
	var names []string
	for _, r := range p.routes {
		matches, _ := path.Match(r.source, e.source)
		if r.source != "" && !matches || r.severity != "" && e.severity.Rank() < r.severity.Rank() {
			continue
		}
		for _, name := range r.contacts {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		if !r.goOn {
			break
		}
	}
	return names
}

// message is what one contact is told at once: of which events, by number.
type message struct {
	at     time.Duration
	reason string // "alone", "reserve" or a digest's
	events []int
}

// reference is what a contact is told, found the slow and obvious way: at each
// moment at which something may happen, by rules that look at all that was
// told so far. begin is when the clock showed 0.
func (p plan) reference(c models.Contact, begin time.Time) []message {
	var told []message
	var waiting, held []int
	due, end := map[int]time.Duration{}, map[int]time.Duration{} // of what waits, of what is held
	urgent := map[int]time.Duration{}
	quiet := func(at time.Duration, s models.Severity) (time.Duration, bool) {
		until, is := c.Quiet.Until(begin.Add(at), s)
		return until.Sub(begin), is
	}
	lastOf := func(source string, now time.Duration) (time.Duration, bool) {
		for _, m := range slices.Backward(told) {
			for _, e := range m.events {
				if p.events[e].source == source && now-m.at < time.Hour {
					return m.at, true
				}
			}
		}
		return 0, false
	}
	inTheHour := func(now time.Duration, want func(reason string) bool) (n int) {
		for _, m := range told {
			if now-m.at < time.Hour && want(m.reason) {
				n++
			}
		}
		return n
	}
	normal := func(reason string) bool { return reason != "reserve" && reason != "limit" }
	room := func(now time.Duration) bool {
		return c.Limits.PerHour == 0 || inTheHour(now, normal) < c.Limits.PerHour-c.Limits.Reserve
	}
	pastLimit := func(now time.Duration) time.Duration {
		next := time.Duration(-1 << 62)
		for _, m := range told {
			if now-m.at < time.Hour {
				next = m.at + c.Limits.Interval
			}
		}
		for _, m := range told {
			if now-m.at < time.Hour && normal(m.reason) {
				next = min(next, m.at+time.Hour)
				break
			}
		}
		return next
	}
	next := 0
	heldOnce := map[int]bool{}
	for {
		now := time.Duration(1 << 62)
		if next < len(p.events) {
			now = p.events[next].at
		}
		for _, e := range waiting {
			if now = min(now, due[e]); urgent[e] > 0 {
				now = min(now, urgent[e])
			}
		}
		for _, e := range held {
			now = min(now, end[e])
		}
		if now == 1<<62 {
			return told
		}
		for ; next < len(p.events) && p.events[next].at == now; next++ {
			e := p.events[next]
			if !slices.Contains(p.named(e), c.Name) {
				continue
			}
			if until, is := quiet(now, e.severity); is {
				held, end[next], heldOnce[next] = append(held, next), until, true
				continue
			}
			at, known := lastOf(e.source, now)
			lone := e.severity == models.SeverityCritical && !known
			switch {
			case known && now < at+c.Limits.Gather:
				waiting, due[next] = append(waiting, next), at+c.Limits.Gather
			case room(now):
				told = append(told, message{now, "alone", []int{next}})
			case lone && inTheHour(now, func(reason string) bool { return reason == "reserve" }) < c.Limits.Reserve:
				told = append(told, message{now, "reserve", []int{next}})
			case lone:
				waiting, due[next], urgent[next] = append(waiting, next), now+45*time.Second, now+45*time.Second
			default:
				waiting, due[next] = append(waiting, next), pastLimit(now)
			}
		}
		// What was held joins as a whole when the first of it may be told.
		if slices.ContainsFunc(held, func(e int) bool { return end[e] <= now }) {
			for _, e := range held {
				waiting, due[e] = append(waiting, e), end[e]
			}
			held = nil
		}
		isUrgent := slices.ContainsFunc(waiting, func(e int) bool { at, is := urgent[e]; return is && at <= now })
		isDue := slices.ContainsFunc(waiting, func(e int) bool { return due[e] <= now })
		if !isUrgent && !isDue {
			continue
		}
		reason := "gathered"
		switch {
		case room(now) && slices.ContainsFunc(waiting, func(e int) bool { return heldOnce[e] }):
			reason = "quiet"
		case room(now):
		case isUrgent || pastLimit(now) <= now:
			reason = "limit"
		default:
			for _, e := range waiting {
				due[e] = pastLimit(now)
			}
			continue
		}
		m := message{at: now, reason: reason}
		for _, e := range waiting {
			if until, is := quiet(now, p.events[e].severity); is {
				held, end[e], heldOnce[e] = append(held, e), until, true
				delete(urgent, e)
			} else {
				m.events = append(m.events, e)
			}
		}
		waiting = nil
		if slices.Sort(m.events); len(m.events) > 0 {
			told = append(told, m)
		}
	}
}

// Whatever the routes, the contacts and the events: each pair of an event and
// a contact that is told of it ends in exactly one way, told when and with what
// the reference says.
func TestProperty_EveryPairEndsAsTheRulesSay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPlan(rt)
		rules, mistakes := routes.Parse([]byte(p.file()), routes.Env{})
		if len(mistakes) > 0 {
			rt.Fatalf("%v in\n%s", mistakes, p.file())
		}
		var problem string
		bubble(t, func(t *testing.T, b *bench) { problem = p.run(t, b, rules) })
		if problem != "" {
			rt.Fatalf("%s\n%s", p.file(), problem)
		}
	})
}

// run plays the events to a service and compares; it returns what differs.
func (p plan) run(t *testing.T, b *bench, rules *routes.Rules) string {
	b.cfg.Contact, b.cfg.Routes = rules.Contact, b.cfg.Routes[:1]
	escalation := rules.Escalation(func(string) (models.EmailStatus, string) { return models.EmailPending, "" })
	b.start()
	begin := time.Now()
	for _, e := range p.events {
		pass(e.at - time.Since(begin))
		d := models.Draft{Source: e.source, Severity: e.severity, Message: "m", Channel: models.ChannelTCP}
		if _, err := b.InsertBatch(t.Context(), []models.Record{{Draft: d, ReceivedAt: time.Now().UTC(), Alerts: escalation(d)}}); err != nil {
			t.Fatal(err)
		}
		b.service.Wake()
		pass(0)
	}
	for range 40 { // hours at most: nothing is held back for longer
		if !strings.Contains(b.counts(), "pending") {
			break
		}
		pass(time.Hour)
	}
	rows, err := b.EmailAlerts(t.Context(), models.EmailFilter{Limit: models.MaxLimit})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]message{}
	digests := map[int64]*message{}
	for _, y := range b.server.tried() {
		m := message{at: y.at.Sub(begin), reason: "alone"}
		if y.Digest != nil {
			m.reason = string(y.Digest.Reason)
		}
		list := append(got[y.Contact.Name], m)
		got[y.Contact.Name] = list
		digests[y.Alert.ID] = nil
	}
	for name := range p.contacts {
		var carriers []int64
		for _, y := range b.server.tried() {
			if y.Contact.Name == name {
				carriers = append(carriers, y.Alert.ID)
			}
		}
		for i := range got[name] {
			digests[carriers[i]] = &got[name][i]
		}
	}
	for _, a := range slices.Backward(rows) {
		e := p.events[a.EventID-1]
		names := p.named(e)
		if a.Contact == "" {
			if len(names) > 0 || !e.severity.Escalates() || a.Status != models.EmailSkipped || a.Detail != routes.NoRoute {
				return fmt.Sprintf("event %d is told nobody: %+v", a.EventID-1, a)
			}
			continue
		}
		if a.Status != models.EmailSent && a.Status != models.EmailDigested || (a.Status == models.EmailSent) != (a.MailID == a.ID) || a.Detail == "" || !slices.Contains(names, a.Contact) {
			return fmt.Sprintf("event %d ends as %+v, named are %q", a.EventID-1, a, names)
		}
		m := digests[a.MailID]
		if m == nil {
			return fmt.Sprintf("event %d is told by a message that nobody got: %+v", a.EventID-1, a)
		}
		m.events = append(m.events, int(a.EventID-1))
	}
	for name, c := range p.contacts {
		want := p.reference(c, begin.UTC())
		for i := range want {
			if len(want[i].events) == 1 {
				want[i].reason = "alone" // what is about one event does not say why
			}
		}
		if diff := cmp.Diff(want, got[name], cmp.AllowUnexported(message{}), cmp.Comparer(func(a, b time.Duration) bool { return (a - b).Abs() < 100*time.Millisecond })); diff != "" {
			return fmt.Sprintf("%s of %v is told (-want +got):\n%s", name, p.events, diff)
		}
	}
	return ""
}
