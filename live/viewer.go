package live

import (
	"encoding/json"
	"time"

	"github.com/olahol/melody"

	"alerthub/query"
)

// viewer is one open page. What follows session belongs to the frame loop once
// the viewer has joined.
type viewer struct {
	panel    *panel
	audience audience
	query    query.Query
	at       time.Time // what it shows is at least from then
	back     bool      // it was connected before
	session  *melody.Session

	since  int64 // the newest event that the page shows while it joins or is paused; -1 when it did not say
	paused bool
	stale  time.Time // since when what it shows may be wrong and is to be drawn anew; zero when it is right
	missed int64     // events that matched since the pause
	worst  [4]int64  // the same by severity, of those that are known
	told   int64     // missed, as the page knows it
}

// op is what a page asked for.
type op struct {
	viewer *viewer
	pause  bool
	last   int64 // the newest event that it shows then; -1 when it did not say
}

func (v *viewer) connected(s *melody.Session) {
	v.session = s
	select {
	case v.panel.joins <- v:
	case <-v.panel.stopped:
		_ = s.CloseWithMsg(restartMessage())
	}
}

func (v *viewer) disconnected() {
	select {
	case v.panel.leaves <- v:
	case <-v.panel.stopped:
	}
}

// message takes {"op":"pause","last":5} and {"op":"resume"}; anything else is
// ignored.
func (v *viewer) message(text []byte) {
	asked := struct {
		Op   string `json:"op"`
		Last int64  `json:"last"`
	}{Last: -1}
	if json.Unmarshal(text, &asked) != nil || asked.Op != "pause" && asked.Op != "resume" {
		return
	}
	select {
	case v.panel.ops <- op{v, asked.Op == "pause", asked.Last}:
	case <-v.panel.stopped:
	}
}

func (v *viewer) sent(int) {}

// write hands messages to the page. A page too slow to take them is cut, and
// catches up when it comes back.
func (v *viewer) write(messages ...[]byte) {
	for _, m := range messages {
		_ = v.session.Write(m) // fails on a closed session only, whose end is on its way
		v.panel.frames.Add(1)
	}
}

// retryLater ends the page's socket because what it needs cannot be read now.
// The page then says that it is not live, which is true.
func (v *viewer) retryLater() {
	_ = v.session.CloseWithMsg(melody.FormatCloseMessage(melody.CloseTryAgainLater, "try again"))
}

// pause begins without rows beyond id.
func (v *viewer) pause(id int64, stale time.Time) {
	v.paused, v.since, v.stale = true, id, stale
	v.missed, v.worst, v.told = 0, [4]int64{}, 0
}
