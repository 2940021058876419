//go:build bench

package e2e

import (
	"strings"
	"testing"
	"time"
)

// imports measures what senders feel of an import of history beside them.
func (b *bench) imports(t *testing.T) {
	const rate, duration = 1000, 3 * time.Second
	p := startHub(t, options{env: outboxOn()})
	load := tcpLoad{connections: 4, window: 1 << 10, chunk: 1, rate: rate, duration: duration}
	file := bulkFile(150_000)
	var alone50, alone99, beside50, beside99 sample
	for range rounds {
		alone := load.must(t, p.TCP).took
		page := p.upload(file)
		p.begin(page)
		beside := load.must(t, p.TCP).took
		if _, body := p.get(page); strings.Contains(body, "150,000 events imported.") {
			t.Fatal("the import was over before the load: it says nothing")
		}
		p.awaitImport(page, "150,000 events imported.", 5*time.Minute)
		alone50.add(alone.percentile(0.50))
		alone99.add(alone.percentile(0.99))
		beside50.add(beside.percentile(0.50))
		beside99.add(beside.percentile(0.99))
	}
	const group, against = "TCP, 1,000 events/s, beside an import", "the same without the import"
	b.against(group, "ack p50", "ms", beside50, against, alone50)
	b.against(group, "ack p99", "ms", beside99, against, alone99)
	b.atMost("import", "1,000 events/s beside an import: ack p99", beside99.median(), 25, "ms")
}
