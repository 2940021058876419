package main

import (
	"context"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"alerthub/models"
	"alerthub/views"
)

// metrics is what /metrics shows. Rooms count for themselves and know no
// metrics library; this file reads their counters when it is asked.
type metrics struct {
	registry *prometheus.Registry
	commits  prometheus.Histogram
	batches  prometheus.Histogram

	mu     sync.Mutex
	recent []time.Duration // of the last commits, for their percentile
	next   int             // where the next one goes
}

// recentCommits is how many commits the percentile looks at.
const recentCommits = 1000

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "alerthub_commit_seconds", Help: "Time of one commit, fsync included.",
			Buckets: prometheus.ExponentialBuckets(0.00025, 2, 14),
		}),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "alerthub_commit_events", Help: "Events of one commit.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 8),
		}),
	}
	m.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), m.commits, m.batches)
	return m
}

// committed notes one commit; the hub's committer calls it.
func (m *metrics) committed(events int, took time.Duration) {
	m.commits.Observe(took.Seconds())
	m.batches.Observe(float64(events))
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.recent) < recentCommits {
		m.recent = append(m.recent, took)
		return
	}
	m.recent[m.next] = took
	m.next = (m.next + 1) % recentCommits
}

// p99 is what one in a hundred of the last commits took at least; 0 before the
// first.
func (m *metrics) p99() time.Duration {
	m.mu.Lock()
	recent := slices.Clone(m.recent)
	m.mu.Unlock()
	if len(recent) == 0 {
		return 0
	}
	slices.Sort(recent)
	return recent[(len(recent)*99-1)/100]
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// observe registers what the rooms count.
func (m *metrics) observe(a *App) { m.registry.MustRegister(roomCollector{a}) }

// roomCollector reads all rooms at once for each scrape.
type roomCollector struct{ app *App }

// Describe says nothing: the collector is unchecked, its names are constant.
func (roomCollector) Describe(chan<- *prometheus.Desc) {}

// Collect reads the rooms' counters.
func (c roomCollector) Collect(out chan<- prometheus.Metric) {
	emit := emitter(out)
	c.app.collectIngest(emit)
	c.app.collectStored(emit)
	c.app.collectLive(emit)
	c.app.collectIndex(emit)
	c.app.collectWatch(emit)
	c.app.collectCertificates(emit)
}

// emitter sends one value; labels alternate names and values.
type emitter chan<- prometheus.Metric

func (out emitter) gauge(name, help string, value float64, labels ...string) {
	out.send(prometheus.GaugeValue, name, help, value, labels)
}

func (out emitter) counter(name, help string, value float64, labels ...string) {
	out.send(prometheus.CounterValue, name, help, value, labels)
}

func (out emitter) send(kind prometheus.ValueType, name, help string, value float64, labels []string) {
	var names, values []string
	for pair := range slices.Chunk(labels, 2) {
		names, values = append(names, pair[0]), append(values, pair[1])
	}
	d := prometheus.NewDesc("alerthub_"+name, help, names, nil)
	out <- prometheus.MustNewConstMetric(d, kind, value, values...)
}

func (a *App) collectIngest(out emitter) {
	tcp := a.ingest.Stats()
	out.gauge("tcp_connections", "TCP ingest connections open now.", float64(tcp.Connections))
	out.counter("tcp_connections_total", "TCP ingest connections served.", float64(tcp.Accepted))
	out.counter("tcp_lines_total", "TCP ingest lines read.", float64(tcp.Lines))
	for word, n := range tcp.Refused {
		out.counter("tcp_refused_total", "TCP ingest lines and connections refused.", float64(n), "error", word)
	}
	for kind, n := range a.limits.Refused() {
		out.counter("rate_limited_total", "Events refused, over TCP and HTTP, because their sender reported too much.", float64(n), "limit", kind)
	}
	out.gauge("queue_events", "Events waiting for their commit.", float64(a.hub.Queued()))
}

func (a *App) collectStored(out emitter) {
	health := a.hub.Health()
	out.gauge("storage_ok", "1 while events can be stored.", oneIf(health.Storage == ""))
	out.gauge("email_delivering", "1 unless mail delivery is paused.", oneIf(health.Email == ""))
	a.collectDelivery(out, health.Pauses)
	// The counters are a few rows by primary key; a scrape without them still
	// tells the rest.
	stats, err := a.hub.Stats(context.Background())
	if err != nil {
		a.logger.Warn("metrics without stored counters", "error", err)
		return
	}
	for severity, n := range stats.Severity {
		out.counter("events_total", "Events stored.", float64(n), "severity", string(severity))
	}
	out.counter("ingest_events_total", "Events stored since start.", float64(stats.Process.TCPMessages), "channel", string(models.ChannelTCP))
	out.counter("ingest_events_total", "Events stored since start.", float64(stats.Process.HTTPMessages), "channel", string(models.ChannelHTTP))
	for status, n := range stats.Email {
		out.gauge("outbox_emails", "Emails in the outbox.", float64(n), "status", string(status))
	}
	for status, n := range stats.Webhook {
		out.gauge("outbox_webhooks", "Messages to webhooks in the outbox.", float64(n), "status", string(status))
	}
	out.counter("emails_finished_total", "Emails that ended since start.", float64(stats.Process.EmailSentOK), "outcome", string(models.EmailSent))
	out.counter("emails_finished_total", "Emails that ended since start.", float64(stats.Process.EmailSentFail), "outcome", string(models.EmailFailed))
}

func (a *App) collectDelivery(out emitter, pauses []models.Pause) {
	paused := map[string]int{}
	for _, p := range pauses {
		paused[p.Channel]++
	}
	for _, channel := range []string{models.DeliveryEmail, models.DeliveryWebhook} {
		out.gauge("delivery_paused", "Ways of delivery that deliver nothing now: 1 for all emails, each webhook for itself.", float64(paused[channel]), "channel", channel)
	}
	sent, failed := a.notify.Finished(models.DeliveryWebhook)
	out.counter("webhooks_finished_total", "Messages to webhooks that ended since start.", float64(sent), "outcome", string(models.EmailSent))
	out.counter("webhooks_finished_total", "Messages to webhooks that ended since start.", float64(failed), "outcome", string(models.EmailFailed))
}

func (a *App) collectLive(out emitter) {
	live := a.live.Counters()
	out.gauge("sockets", "Websockets open now.", float64(live.Panels), "kind", "panel")
	out.gauge("sockets", "Websockets open now.", float64(live.FeedClients), "kind", "feed")
	out.counter("sockets_cut_total", "Websockets cut because they were too slow.", float64(live.Cut))
	out.counter("socket_frames_total", "Websocket frames sent.", float64(live.PanelFrames), "kind", "panel")
	out.counter("socket_frames_total", "Websocket frames sent.", float64(live.FeedFrames), "kind", "feed")
	out.counter("feed_deliveries_total", "Events handed to feed clients.", float64(live.Deliveries))
}

func (a *App) collectIndex(out emitter) {
	index := a.index.State()
	out.gauge("index_behind_events", "Stored events that the search index lacks.", float64(index.Behind))
	out.gauge("index_ok", "1 while the search index makes progress.", oneIf(index.Fault == ""))
	attention, err := a.hub.Attention(context.Background(), 0)
	if err != nil {
		a.logger.Warn("metrics without acknowledgements", "error", err)
		return
	}
	out.gauge("unacknowledged_events", "Errors and criticals that nobody has acknowledged.", float64(attention.Critical), "severity", string(models.SeverityCritical))
	out.gauge("unacknowledged_events", "Errors and criticals that nobody has acknowledged.", float64(attention.Errors), "severity", string(models.SeverityError))
}

// ingestData is how the intake does, for the pages that show it.
func (a *App) ingestData() views.IngestData {
	tcp := a.ingest.Stats()
	d := views.IngestData{
		Connections: tcp.Connections, Panels: int64(a.live.Counters().Panels), P99: a.metrics.p99(),
		Limits: a.intakeLimits(),
		Stored: databaseBytes(a.settings.DataDir), Behind: a.index.State().Behind,
	}
	for _, n := range tcp.Refused {
		d.Refused += n
	}
	for _, n := range a.limits.Refused() {
		d.Limited += n
	}
	return d
}

// databaseBytes is the size of the databases in dir, with what waits beside
// them; what cannot be read does not count.
func databaseBytes(dir string) int64 {
	var sum int64
	files, _ := os.ReadDir(dir)
	for _, file := range files {
		if info, err := file.Info(); err == nil && strings.Contains(file.Name(), ".db") {
			sum += info.Size()
		}
	}
	return sum
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
