package jwks

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func describe(name, help string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName("sallyport", "jwks", name), help, []string{"source"}, nil)
}

var (
	lastFetched   = describe("fetched_timestamp_seconds", "When a key set was last fetched whole, in Unix time, by its URL; 0 if it never was.")
	staleAt       = describe("stale_timestamp_seconds", "When the keys of a URL are too old to be used unless they are fetched, in Unix time; 0 if they never were.")
	keysInForce   = describe("keys", "Keys in force, by the URL of their set; 0 if there are none or they are too old.")
	failedFetches = describe("failures_total", "Fetches of a key set that failed, by its URL.")
	tokenFetches  = describe("token_fetches_total", "Fetches of a key set that a token caused which its keys did not verify, by its URL.")
)

// Collectors are the metrics of all sources. They begin with a source and end with
// it: then nobody asks for its keys any more.
var Collectors = []prometheus.Collector{collector{}}

// collector asks the open sources. Two of one URL, with other options, are one
// series: the worse of them.
type collector struct{}

// Describe implements prometheus.Collector.
func (collector) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{lastFetched, staleAt, keysInForce, failedFetches, tokenFetches} {
		out <- desc
	}
}

// Collect implements prometheus.Collector.
func (collector) Collect(out chan<- prometheus.Metric) {
	type sample struct{ fetched, stale, keys, failures, caused float64 }
	var samples = make(map[string]*sample)
	for _, state := range States(time.Now()) {
		if state.Kind == "file" {
			continue
		}
		now := sample{unix(state.FetchedAt), unix(state.StaleAt), float64(len(state.Keys)), float64(state.Failures), float64(state.TokenFetches)}
		s := samples[state.Source]
		if s == nil {
			samples[state.Source] = &now
			continue
		}
		s.fetched, s.stale, s.keys = min(s.fetched, now.fetched), min(s.stale, now.stale), min(s.keys, now.keys)
		s.failures += now.failures
		s.caused += now.caused
	}
	for source, s := range samples {
		for desc, value := range map[*prometheus.Desc]float64{lastFetched: s.fetched, staleAt: s.stale, keysInForce: s.keys} {
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, source)
		}
		out <- prometheus.MustNewConstMetric(failedFetches, prometheus.CounterValue, s.failures, source)
		out <- prometheus.MustNewConstMetric(tokenFetches, prometheus.CounterValue, s.caused, source)
	}
}

func unix(t *time.Time) float64 {
	if t == nil {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
