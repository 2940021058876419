package jstest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"alerthub/views"
)

// shape tells what the table shows, from its top: days, rows with what they
// repeat, gaps.
const shape = `[...document.getElementById('rows').rows].map((r) => r.id.startsWith('day-') ? r.id
	: r.id.startsWith('e') ? r.id + (r.dataset.n > 1 ? '×' + r.dataset.n : '') + (r.querySelector('.rep:not([hidden])')?.textContent ?? '')
	: 'gap ' + r.dataset.from + '-' + r.dataset.to)`

// again is a row that repeats another one, which it is grouped with.
func again(id, like int64, n int) views.Row {
	r := ev(id)
	r.Event.Message, r.N = ev(like).Event.Message, n
	return r
}

func onDay(id int64, d int) views.Row {
	r := ev(id)
	r.Event.CreatedAt = r.Event.CreatedAt.AddDate(0, 0, d)
	return r
}

func TestMerge(t *testing.T) {
	gap := &views.Gap{Count: 9, FromID: 11, ToID: 19, From: day, To: day, Link: "/events"}
	for name, c := range map[string]struct {
		have  []views.Row
		frame string
		want  []string
	}{
		"new rows go on top, below their day": {
			evs(3, 2), rows(5, evs(5, 4)...), []string{"day-2026-02-24", "e5", "e4", "e3", "e2"},
		},
		"into a table that was empty": {
			nil, rows(5, evs(5, 4)...), []string{"day-2026-02-24", "e5", "e4"},
		},
		"a new day stands above, the old one stays": {
			evs(3, 2), rows(5, onDay(5, 1), ev(4)), []string{"day-2026-02-25", "e5", "day-2026-02-24", "e4", "e3", "e2"},
		},
		"rows of a new day and then more of it": {
			[]views.Row{onDay(5, 1), ev(4)}, rows(6, onDay(6, 1)), []string{"day-2026-02-25", "e6", "e5", "day-2026-02-24", "e4"},
		},
		"one between goes where its id belongs": {
			[]views.Row{onDay(9, 1), ev(3), ev(2)}, rows(9, ev(5)), []string{"day-2026-02-25", "e9", "day-2026-02-24", "e5", "e3", "e2"},
		},
		"one between that is of the day above": {
			[]views.Row{onDay(9, 1), ev(3)}, rows(9, onDay(5, 1)), []string{"day-2026-02-25", "e9", "e5", "day-2026-02-24", "e3"},
		},
		"one older than all stays out": {
			evs(9, 8), rows(9, ev(5)), []string{"day-2026-02-24", "e9", "e8"},
		},
		"one that is shown changes in its place and keeps its count": {
			[]views.Row{ev(9), again(8, 8, 3), ev(7)}, rows(9, ev(8)), []string{"day-2026-02-24", "e9", "e8×3×3", "e7"},
		},
		"an update brings no second day": {
			[]views.Row{onDay(9, 1), ev(8)}, rows(9, ev(8)), []string{"day-2026-02-25", "e9", "day-2026-02-24", "e8"},
		},
		"a repeat takes the older one over, counts add up": {
			[]views.Row{ev(9), again(8, 8, 3), ev(7)}, rows(12, again(12, 8, 2)), []string{"day-2026-02-24", "e12×5×5", "e9", "e7"},
		},
		"two repeats in turn": {
			[]views.Row{ev(8)}, rows(10, again(9, 8, 1)) + "", []string{"day-2026-02-24", "e9×2×2"},
		},
		"one that a newer row counts already stays out": {
			[]views.Row{again(9, 9, 3), ev(5)}, rows(9, again(8, 9, 1)), []string{"day-2026-02-24", "e9×3×3", "e5"},
		},
		"a gap stands between the rows that it parts": {
			evs(10, 9), html(views.RowsFrame(evs(21, 20), 21, gap)), []string{"day-2026-02-24", "e21", "e20", "gap 11-19", "e10", "e9"},
		},
		"the last row of a day takes it along": {
			[]views.Row{onDay(9, 1), ev(3), ev(2)}, `<tbody hx-swap-oob="afterbegin:#rows" data-last-id="9"><tr id="e9" data-gone></tr></tbody>`, []string{"day-2026-02-24", "e3", "e2"},
		},
		"all replaces": {
			evs(9, 2), html(views.AllFrame(evs(21, 20), 21)), []string{"day-2026-02-24", "e21", "e20"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t, c.have...)
			b := h.live("/events")
			h.Say(c.frame)
			b.sees(c.want)
			h.Say(c.frame) // a frame that comes again changes nothing
			h.Say(`<i id="news" hx-swap-oob="true" data-crit="" data-text="" hidden data-after></i>`)
			b.Until(`document.querySelector('#news[data-after]') !== null`)
			b.sees(c.want)
		})
	}
}

func (b *tab) sees(want []string) {
	b.t.Helper()
	var got []string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if got = eval[[]string](b, shape); cmp.Equal(want, got) {
			return
		}
	}
	b.t.Fatalf("rows (-want +got):\n%s", cmp.Diff(want, got))
}

// What a gap leaves out is counted there, and is not drawn as well.
func TestMerge_rowsWithinAGapStayOut(t *testing.T) {
	t.Parallel()
	h := newHub(t, ev(10))
	b := h.live("/events")
	h.Say(html(views.RowsFrame([]views.Row{ev(20)}, 20, &views.Gap{Count: 9, FromID: 11, ToID: 19, From: day, To: day, Link: "/events"})))
	want := []string{"day-2026-02-24", "e20", "gap 11-19", "e10"}
	b.sees(want)
	h.Say(rows(21, ev(21), ev(15)))
	b.sees([]string{"day-2026-02-24", "e21", "e20", "gap 11-19", "e10"})
}

// Days and gaps are not counted, and go with their last row; the way to what
// is cut appears.
func TestMerge_keepsTheNewestRows(t *testing.T) {
	t.Parallel()
	have := append(evs(100, 2), onDay(1, -1))
	h := newHub(t, have...)
	b := h.live("/events")
	if n := eval[int](b, `document.querySelectorAll('#rows > .ev').length`); n != 100 {
		t.Fatalf("%d rows to begin with", n)
	}
	h.set(func(h *hub) { h.last = 103 })
	h.Say(rows(103, evs(103, 101)...))
	want := []string{"day-2026-02-24"}
	for id := 103; id > 3; id-- {
		want = append(want, fmt.Sprintf("e%d", id))
	}
	b.sees(want)
	b.Until(`!document.querySelector('.tbl-foot').hidden && document.getElementById('older').search === '?before=4'`)
	if last := eval[string](b, `document.getElementById('rows').dataset.lastId`); last != "103" {
		t.Errorf("data-last-id is %s", last)
	}
}

// While rows come faster than anyone reads, half of them are enough to draw;
// but only of a table that is drawn anew afterwards, since it has a gap.
func TestMerge_keepsFewerInAFlood(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(100, 1)...)
	b := h.live("/events")
	h.set(func(h *hub) { h.rate = 5000 })
	h.Say() // tells the rate
	b.Until(`document.documentElement.dataset.rate === 'high'`)
	want := []string{"day-2026-02-24"}
	for id := 101; id > 1; id-- {
		want = append(want, fmt.Sprintf("e%d", id))
	}
	h.set(func(h *hub) { h.last = 101 })
	h.Say(rows(101, ev(101)))
	b.sees(want)
	gap := &views.Gap{Count: 9, FromID: 102, ToID: 110, From: day, To: day, Link: "/events"}
	h.set(func(h *hub) { h.last = 111 })
	h.Say(html(views.RowsFrame([]views.Row{ev(111)}, 111, gap)))
	want = slices.Insert(want[:50], 1, "e111", "gap 102-110")
	b.sees(want)
}

// A row that is marked or has the focus stays so when it changes, and when
// another takes it over.
func TestMerge_focusAndMarkStay(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(9, 7)...)
	b := h.live("/events")
	eval[bool](b, `document.querySelector('#e8').setAttribute('aria-current', 'true'); document.querySelector('#e8 .c-msg a').focus(); document.getElementById('e9').mine = true`)
	changed := ev(8)
	changed.Event.AckedAt, changed.Event.AckedBy = time.Now(), "ana"
	h.Say(rows(9, changed))
	b.Until(`document.querySelector('#e8[data-acked][aria-current] .c-msg a') === document.activeElement`)
	if !eval[bool](b, `document.getElementById('e9').mine === true`) {
		t.Error("another row was replaced")
	}
}

// A frame that equals what is shown touches nothing.
func TestMerge_allThatIsEqual(t *testing.T) {
	t.Parallel()
	h := newHub(t, evs(9, 7)...)
	b := h.live("/events")
	eval[bool](b, `document.querySelector('#e8').setAttribute('aria-current', 'true'); document.getElementById('e8').mine = true`)
	h.Say(html(views.AllFrame(evs(9, 7), 9)))
	h.Say(`<i id="news" hx-swap-oob="true" data-crit="" data-text="" hidden data-after></i>`)
	b.Until(`document.querySelector('#news[data-after]') !== null`)
	if !eval[bool](b, `document.getElementById('e8').mine === true`) {
		t.Error("rows that are equal were replaced")
	}
}
