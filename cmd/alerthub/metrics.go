package main

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics is what /metrics shows. Rooms count for themselves and know no
// metrics library; this file reads their counters when it is asked.
type metrics struct {
	registry *prometheus.Registry
	commits  prometheus.Histogram
	batches  prometheus.Histogram
}

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
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// observe registers what the rooms count.
func (m *metrics) observe(a *App) {
	m.registry.MustRegister(roomCollector{a})
}

// sample is one value of a room, of a fixed name and perhaps one label.
type sample struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	value  float64
	labels []string
}

// roomCollector reads all rooms at once for each scrape.
type roomCollector struct{ app *App }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("alerthub_"+name, help, labels, nil)
}

// Describe says nothing: the collector is unchecked, its names are constant.
func (roomCollector) Describe(chan<- *prometheus.Desc) {}

// Collect reads the rooms' counters.
func (c roomCollector) Collect(out chan<- prometheus.Metric) {
	for _, s := range c.app.samples() {
		out <- prometheus.MustNewConstMetric(s.desc, s.kind, s.value, s.labels...)
	}
}
