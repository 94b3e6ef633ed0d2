package revocation

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Collectors are the metrics of all sources.
var Collectors = []prometheus.Collector{meters, failures}

var (
	meters = &meterList{
		records: prometheus.NewDesc("sallyport_revocations", "Revocations in force, by where they are from and what they name.", []string{"source", "kind"}, nil),
		fresh: prometheus.NewDesc("sallyport_revocations_refreshed_timestamp_seconds",
			"When revocations were last known to be what their source has, in Unix time; 0 if they never were.", []string{"source"}, nil),
	}
	failures = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "sallyport",
		Subsystem: "revocations",
		Name:      "failures_total",
		Help:      "Times that the revocations of a source could not be read.",
	}, []string{"source"})
)

// meter is the metrics of one source.
type meter struct {
	source   string
	table    func() *table
	failures prometheus.Counter

	mu    sync.Mutex
	fresh time.Time
}

// meterList shows the meters that are open. Of two for one source, which there are
// while one configuration replaces another, it shows the newer.
type meterList struct {
	records, fresh *prometheus.Desc

	mu   sync.Mutex
	open []*meter
}

func newMeter(source string, table func() *table) *meter {
	m := &meter{source: source, table: table, failures: failures.WithLabelValues(source)}
	meters.mu.Lock()
	defer meters.mu.Unlock()
	meters.open = append(meters.open, m)
	return m
}

func (m *meter) close() {
	meters.mu.Lock()
	defer meters.mu.Unlock()
	meters.open = slices.DeleteFunc(meters.open, func(other *meter) bool { return other == m })
}

// refreshed takes note of how a reading at now ended.
func (m *meter) refreshed(now time.Time, err error) {
	if err != nil {
		m.failures.Inc()
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fresh = now
}

// Describe implements prometheus.Collector.
func (l *meterList) Describe(ch chan<- *prometheus.Desc) {
	ch <- l.records
	ch <- l.fresh
}

// Collect implements prometheus.Collector.
func (l *meterList) Collect(ch chan<- prometheus.Metric) {
	l.mu.Lock()
	newest := make(map[string]*meter)
	for _, m := range l.open {
		newest[m.source] = m
	}
	l.mu.Unlock()
	for source, m := range newest {
		m.mu.Lock()
		fresh := 0.0
		if !m.fresh.IsZero() {
			fresh = float64(m.fresh.UnixMilli()) / 1000
		}
		m.mu.Unlock()
		ch <- prometheus.MustNewConstMetric(l.fresh, prometheus.GaugeValue, fresh, source)
		t := m.table()
		for kind, word := range kinds {
			n := 0.0
			if t != nil {
				n = float64(t.count[kind].Load())
			}
			ch <- prometheus.MustNewConstMetric(l.records, prometheus.GaugeValue, n, source, word)
		}
	}
}
