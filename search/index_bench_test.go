//go:build bench

package search

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"alerthub/models"
)

// BenchmarkIndex is what one batch of events costs the index.
func BenchmarkIndex(b *testing.B) {
	f, err := openFile(b.Context(), b.TempDir()+"/"+FileName)
	if err != nil {
		b.Fatal(err)
	}
	defer f.close()
	r := rand.New(rand.NewPCG(1, 2))
	id := int64(0)
	for b.Loop() {
		b.StopTimer()
		events := make([]models.Event, batchSize)
		for i := range events {
			id++
			events[i] = models.Event{
				ID: id, CreatedAt: start.Add(time.Duration(id) * 260 * time.Millisecond), Channel: models.ChannelTCP,
				Source: fmt.Sprintf("access-sw-%04d", r.IntN(2000)), Severity: models.Severities()[r.IntN(4)],
				Message: fmt.Sprintf("Interface Gi%d/0/%d changed state to down, user%03d from 10.%d.%d.%d", r.IntN(4), r.IntN(48), r.IntN(500), r.IntN(256), r.IntN(256), r.IntN(256)),
				Peer:    fmt.Sprintf("192.168.%d.%d", r.IntN(8), r.IntN(256)),
			}
		}
		b.StartTimer()
		if err := f.index(b.Context(), events); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*batchSize/b.Elapsed().Seconds(), "events/s")
}
