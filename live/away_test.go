package live

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/models"
)

// What changed while a page was away, or before it could be told, is there when
// it has come back.
func TestPanel_ChangesAroundAnAbsence(t *testing.T) {
	const stored = 2000
	noise := func(r *rig, seconds int) { // a burst of what the page's filter leaves out
		for range 10 * seconds {
			r.commitEach(5, func(*models.Event) {})
			time.Sleep(time.Second / 10)
		}
	}
	ackMany := func(r *rig) { r.ack("ada", newestIDs(stored, changedEvents+1)...) }
	tests := map[string]struct {
		before, away func(*rig, *testing.T, *reader)
	}{
		"acknowledged, its frame is not due yet": {
			before: func(r *rig, _ *testing.T, _ *reader) {
				time.Sleep(beatEvery - time.Since(time.Now().Truncate(beatEvery)) - calmGap/2)
				r.commitEach(1, critical)
				synctest.Wait()
				r.ack("ada", stored)
				time.Sleep(calmGap/2 + calmGap/4) // a beat comes first
			},
		},
		"more than is kept, while a burst goes on": {
			before: func(r *rig, _ *testing.T, _ *reader) { ackMany(r); noise(r, 10) },
		},
		"more than is kept, while it is paused": {
			before: func(r *rig, t *testing.T, p *reader) { p.pause(t); ackMany(r); time.Sleep(10 * time.Second) },
		},
		"more than is kept, while it is away": {
			away: func(r *rig, _ *testing.T, _ *reader) { ackMany(r) },
		},
		"imported into the middle": {
			before: func(r *rig, _ *testing.T, _ *reader) { // as if it had not been there
				r.truth.set(func(s *truth) { s.events = slices.Delete(s.events, stored-10, stored-9) })
				r.EventsImported(stored)
				time.Sleep(10 * time.Second)
			},
			away: func(r *rig, _ *testing.T, _ *reader) {
				r.truth.set(func(s *truth) {
					e := s.events[stored-11]
					e.ID, e.Message = stored-9, "imported"
					s.events = slices.Insert(s.events, stored-10, e)
				})
				r.EventsImported(stored)
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := bubbleRig(t, Config{}, 0)
				r.commitEach(stored, critical)
				time.Sleep(time.Minute)
				p := r.connect(t, r.eventsPage("sev=critical"))
				if tt.before != nil {
					tt.before(r, t, p)
				}
				p.take(t)
				p.conn.Close()
				time.Sleep(time.Second)
				if tt.away != nil {
					tt.away(r, t, p)
				}
				p = r.connect(t, p.page)
				p.resume(t)
				time.Sleep(10 * time.Second)
				p.take(t)
				if diff := cmp.Diff(r.fresh(p.params, p.lastID), p.rows, cmp.AllowUnexported(row{})); diff != "" {
					t.Errorf("rows (-want +got):\n%.2000s", diff)
				}
			})
		})
	}
}

// A paused page that comes back is told how many events of its filter it has
// missed: ids without an event are not counted.
func TestPanel_PausedAbsenceIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := bubbleRig(t, Config{}, 0)
		r.commitEach(10, critical)
		p := r.connect(t, r.eventsPage("sev=critical"))
		p.pause(t)
		p.conn.Close()
		synctest.Wait()
		r.commitEach(600, func(e *models.Event) {
			if e.ID%3 == 0 {
				critical(e)
			}
		})
		r.truth.set(func(s *truth) {
			s.events = slices.DeleteFunc(s.events, func(e models.Event) bool { return e.ID > 300 && e.ID <= 600 })
		})
		p = r.connect(t, p.page)
		time.Sleep(2 * time.Second)
		p.take(t)
		if words := text(p.parts["pill"]); !strings.Contains(words, "100 ") {
			t.Errorf("the pill says %q, want 100", words)
		}
	})
}
