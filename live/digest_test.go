package live

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
	"alerthub/query"
	"alerthub/views"
)

// batchOf is a commit of n events that change has had its way with.
func batchOf(n int, change func(e *models.Event)) []models.Receipt {
	s := &truth{}
	return s.insertEach(n, change)
}

func digestOf(batches ...[]models.Receipt) *digest {
	d := &digest{budget: matchesPerFrame, parcel: parcel{batches: batches}}
	for _, b := range batches {
		d.count += int64(len(b))
		d.upTo = b[len(b)-1].Event.ID
	}
	return d
}

// What is grave is drawn, however much else there is and whenever it came.
func TestDigest_GraveEventsFirst(t *testing.T) {
	d := digestOf(batchOf(5000, func(e *models.Event) {
		switch {
		case e.ID%1000 == 1:
			e.Severity = models.SeverityCritical
		case e.ID%500 == 2:
			e.Severity = models.SeverityError
		}
	}))
	sel := d.makeSelection(query.Query{}, nil)
	want := []int64{5000, 4999, 4998, 4997, 4996, 4502, 4002, 4001, 3502, 3002, 3001, 2502, 2002, 2001, 1502, 1002, 1001, 502, 2, 1}
	var got []int64
	for _, r := range sel.rows {
		got = append(got, r.Event.ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if g := sel.gap; g == nil || g.Count != 4980 || g.FromID != 3 || g.ToID != 4995 || g.AtMost {
		t.Errorf("gap %+v", g)
	}
	if diff := cmp.Diff([4]int64{0, 4985, 10, 5}, sel.severity); diff != "" {
		t.Errorf("severities (-want +got):\n%s", diff)
	}
}

// If criticals alone are too many, those that say the same are one row.
func TestDigest_RepeatsLeaveRoom(t *testing.T) {
	d := digestOf(batchOf(3000, func(e *models.Event) {
		e.CreatedAt, e.Severity = received, models.SeverityCritical
		e.Message = fmt.Sprint("port ", e.ID%10)
	}))
	sel := d.makeSelection(query.Query{}, nil)
	if len(sel.rows) != 10 || sel.gap == nil || sel.gap.Count != 3000-considered {
		t.Errorf("%d rows, gap %+v", len(sel.rows), sel.gap)
	}
}

// Only so many events are held against filters: the rest is told as at most so
// many, and a page without a filter never is.
func TestDigest_MatchingIsBounded(t *testing.T) {
	d := digestOf(batchOf(1000, func(*models.Event) {}))
	d.budget = 2500
	told := 0
	for i := range 5 {
		q := query.Query{}.WithText(fmt.Sprint("message ", i))
		c := newCrowd(audience{section: views.SectionEvents, filter: q.String()}, q, time.Now())
		for range 2 { // an audience of the same filter costs nothing
			sel := d.selectFor(c)
			if sel.unsure {
				if sel.count != 1000 || !sel.gap.AtMost || sel.gap.FromID != 1 || sel.gap.ToID != 1000 || len(sel.rows) > 0 {
					t.Errorf("beyond the bound: %+v", sel)
				}
				continue
			}
			told++
		}
	}
	if told != 4 {
		t.Errorf("%d selections were made, want 4", told)
	}
	if sel := d.selectFor(newCrowd(audience{section: views.SectionEvents}, query.Query{}, time.Now())); sel.unsure || sel.count != 1000 {
		t.Errorf("without a filter: %+v", sel)
	}
}

func TestDigest_LinksOfGaps(t *testing.T) {
	d := digestOf(batchOf(100, func(*models.Event) {}))
	q := query.Query{}.WithSource("sw-1").WithRange(models.Range1h)
	sel := d.makeSelection(q, query.Compile(q.Filter(received.Add(time.Minute))))
	// The filter that it links to selects just what is not drawn.
	values := sel.gap.Link[len("/events?"):]
	want := q.WithWindow(d.batches[0][0].Event.CreatedAt, d.batches[0][79].Event.CreatedAt.Add(time.Microsecond))
	if values != want.String() || sel.gap.Count != 80 {
		t.Errorf("gap %+v, want a link to %s", sel.gap, want.String())
	}
}

func TestChanges_AreBounded(t *testing.T) {
	now := received
	c := newChanges(func() time.Time { return now })
	c.events([]models.Event{{ID: 7}})
	if changed, alerts, lost := c.take(); len(changed)+len(alerts) > 0 || lost || c.acked() {
		t.Error("it keeps what nobody will draw")
	}
	if ids, known := c.since(received); !known || len(ids) != 1 {
		t.Errorf("changes since the start: %v, %v", ids, known)
	}
	c.listen(true)
	now = now.Add(time.Minute)
	c.events([]models.Event{{ID: 7}, {ID: 9}})
	c.alert(models.EmailAlert{ID: 1, EventID: 8})
	changed, alerts, lost := c.take()
	if len(changed) != 2 || changed[0].event.ID != 9 || len(alerts) != 1 || lost || !c.acked() || c.acked() {
		t.Errorf("took %v and %v", changed, alerts)
	}
	if ids, known := c.since(now); !known || cmp.Diff([]int64{7, 9, 8}, ids) != "" {
		t.Errorf("changes since then: %v, %v", ids, known)
	}
	c.events(make([]models.Event, 3))
	for id := range int64(changedAlerts + 2) {
		c.alert(models.EmailAlert{ID: id})
	}
	if changed, alerts, lost := c.take(); !lost || len(changed) > 0 || len(alerts) > 1 {
		t.Errorf("after too many: %d events, %d emails, lost %v", len(changed), len(alerts), lost)
	}
	if ids, known := c.since(now); !known || len(ids) != 4 {
		t.Errorf("the log knows %d changes, %v", len(ids), known)
	}
	c.everything()
	if _, known := c.since(now); known {
		t.Error("the log pretends to know what was not told")
	}
	if len(c.log) > logged {
		t.Errorf("%d changes logged", len(c.log))
	}
}

func TestMeter(t *testing.T) {
	var m meter
	at := received
	if r := m.rate(at, 5); r != 0 {
		t.Errorf("rate %f of nothing", r)
	}
	m.add(at, 0)
	for n := range int64(100) {
		at = at.Add(100 * time.Millisecond)
		m.add(at, (n+1)*4)
	}
	if r := m.rate(at, 400); r < 38 || r > 42 {
		t.Errorf("rate %.1f, want 40", r)
	}
	if r := m.rate(at.Add(10*time.Second), 400); r > 16 {
		t.Errorf("rate %.1f after a silence", r)
	}
	if len(m.samples) > 15 {
		t.Errorf("%d samples kept", len(m.samples))
	}
}
