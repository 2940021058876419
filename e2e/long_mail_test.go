//go:build long

package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// TestLongMailKills kills a hub a hundred times while critical events come in
// and are told alone and in digests. Afterwards every event has a mail that
// tells of it, a mail that came twice is the same to the byte and no kill has
// repeated more than one, and nothing stays claimed.
func TestLongMailKills(t *testing.T) {
	const kills = 100
	rnd := newRand(t)
	server := newMailServer(t, false)
	server.data = func(receivedMail) error {
		time.Sleep(200 * time.Millisecond) // a slow server is killed at more often
		return nil
	}
	server.Start()
	start := options{dir: t.TempDir(), env: server.Settings("", login...), like: fixedAddrs(t), args: routesFile(t, `
contacts:
  noc: {email: noc@example.net, limits: {per_hour: 0, gather: 1s}}
routes:
  - {severity: error, contacts: noc}
`)}
	p := startHub(t, start)
	var acked []int64
	for kill := range kills {
		d := dialDevice(t, p)
		for i := range 20 {
			source := rnd.IntN(8)
			a := d.Ask(fmt.Sprintf(`{"source":"ups-%d","severity":"critical","message":"kill %d, event %d"}`, source, kill, i))
			if !a.OK {
				t.Fatalf("%+v", a)
			}
			acked = append(acked, a.EventID)
			time.Sleep(time.Duration(rnd.Int64N(int64(50 * time.Millisecond)))) // the pace of the stream
		}
		time.Sleep(time.Duration(rnd.Int64N(int64(600 * time.Millisecond)))) // anywhere in what is told then
		p.Signal(syscall.SIGKILL)
		<-p.exit
		p = startHub(t, start)
	}
	eventually(t, 60*time.Second, func() error {
		if s := p.stats(); s.Email["pending"] > 0 {
			return fmt.Errorf("stats %v", s.Email)
		}
		return nil
	})
	carriers := map[int64]string{}
	digested := 0
	for _, id := range acked {
		rows := p.emails(id)
		if len(rows) != 1 {
			t.Fatalf("event %d has %d rows", id, len(rows))
		}
		switch row := rows[0]; row.Status {
		case "sent":
			carriers[row.ID] = row.Status
		case "digested":
			digested++
			carriers[row.MailID] += ""
		default:
			t.Errorf("event %d ends as %+v", id, row)
		}
	}
	for id, status := range carriers {
		if status != "sent" {
			t.Errorf("a digest that tells of events is that of alert %d, which was not sent", id)
		}
	}
	copies, text := map[string]int{}, map[string]string{}
	for _, m := range server.Mails() {
		if copies[m.MessageID]++; text[m.MessageID] != "" && text[m.MessageID] != string(m.Raw) {
			t.Errorf("two mails are %s and not the same", m.MessageID)
		}
		text[m.MessageID] = string(m.Raw)
	}
	repeats := len(server.Mails()) - len(copies)
	if repeats == 0 || repeats > kills {
		t.Errorf("%d repeats after %d kills", repeats, kills)
	}
	if len(copies) != len(carriers) {
		t.Errorf("%d different mails for %d rows that carry one", len(copies), len(carriers))
	}
	t.Logf("%d kills, %d events, %d mails, %d events in digests, %d repeats under their Message-ID", kills, len(acked), len(copies), digested, repeats)
	p.Stop(10 * time.Second)
	checkIntegrity(t, openDatabase(t, start.dir))
}
