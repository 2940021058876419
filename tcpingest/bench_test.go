package tcpingest

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"

	"alerthub/models"
)

// noService stores nothing and answers at once.
type noService struct{}

func (noService) Submit(_ context.Context, drafts []models.Draft) (func(context.Context) ([]models.Receipt, error), error) {
	receipts := make([]models.Receipt, len(drafts))
	for i := range receipts {
		receipts[i].Event.ID = int64(i + 1)
	}
	return func(context.Context) ([]models.Receipt, error) { return receipts, nil }, nil
}

var benchLine = []byte(`{"source":"core-rtr-mad-01","severity":"warning","message":"Interface Gi0/0/1 changed state to down"}` + "\n")

// BenchmarkLines is what this door costs by itself: b.N lines through loopback
// sockets, the client's half of the work included.
func BenchmarkLines(b *testing.B) {
	for _, bench := range []struct {
		name        string
		connections int
		inFlight    int
	}{
		{"1 connection one at a time", 1, 1},
		{"1 connection pipelined", 1, 256},
		{"16 connections pipelined", 16, 256},
	} {
		b.Run(bench.name, func(b *testing.B) {
			_, addr := start(b, noService{}, Config{})
			conns := make([]net.Conn, bench.connections)
			for i := range conns {
				nc, err := net.Dial("tcp", addr)
				if err != nil {
					b.Fatal(err)
				}
				defer nc.Close()
				conns[i] = nc
			}
			b.ReportAllocs()
			b.ResetTimer()
			var done sync.WaitGroup
			for i, nc := range conns {
				lines := b.N / len(conns)
				if i == 0 {
					lines += b.N % len(conns)
				}
				done.Go(func() { pump(b, nc, lines, bench.inFlight) })
			}
			done.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}

// pump sends lines, half of those in flight at a time, and reads the answers.
func pump(b *testing.B, nc net.Conn, lines, inFlight int) {
	burst := max(inFlight/2, 1)
	data := bytes.Repeat(benchLine, burst)
	credit := make(chan struct{}, 2)
	for range min(inFlight, 2) {
		credit <- struct{}{}
	}
	go func() {
		for sent := 0; sent < lines; sent += burst {
			<-credit
			if _, err := nc.Write(data[:min(burst, lines-sent)*len(benchLine)]); err != nil {
				b.Error(err)
			}
		}
	}()
	answers := bufio.NewReaderSize(nc, 32<<10)
	for got := 1; got <= lines; got++ {
		if _, err := answers.ReadSlice('\n'); err != nil {
			if err != io.EOF {
				b.Error(err)
			}
			return
		}
		if got%burst == 0 {
			credit <- struct{}{}
		}
	}
}
