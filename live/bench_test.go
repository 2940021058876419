package live

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"alerthub/models"
	"alerthub/query"
	"alerthub/views"
)

// BenchmarkFrame is a frame for 20 audiences, each with a filter of its own, at
// 5,000 events a second and two frames a second: 2,500 events a frame.
func BenchmarkFrame(b *testing.B) {
	l := New(Config{Logger: slog.New(slog.DiscardHandler)})
	s := newStage(l.panel, &truth{})
	for i := range 20 {
		q := query.Query{}.WithText(fmt.Sprintf("link -x%d", i))
		c := newCrowd(audience{section: views.SectionEvents, zone: time.UTC, filter: q.String()}, q, time.Now())
		s.crowds[c.audience] = c
	}
	batch := batchOf(2500, func(e *models.Event) {
		e.Severity = models.Severities()[e.ID%4]
		e.Message = fmt.Sprint("interface GigabitEthernet0/", e.ID%48, " changed the state of its link to down, ", e.ID)
	})
	b.ReportAllocs()
	for b.Loop() {
		d := digestOf(batch)
		for _, c := range s.crowds {
			f := frame{}
			s.compose(b.Context(), &f, c, d)
			if f.rows == nil {
				b.Fatal("nothing matched")
			}
			s.render(&c.audience, f.rows)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/2500/20, "us/event/audience")
}

// BenchmarkEventsRecorded is what a commit of 500 events pays for the panel
// while pages are open and nobody takes what it hands over.
func BenchmarkEventsRecorded(b *testing.B) {
	box := newInbox()
	box.listen(true, func(int64) {})
	batch := batchOf(500, func(*models.Event) {})
	b.ReportAllocs()
	for b.Loop() {
		box.put(batch, 500)
	}
}
