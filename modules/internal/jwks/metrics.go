package jwks

import "github.com/prometheus/client_golang/prometheus"

var (
	lastFetched = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "sallyport",
		Subsystem: "jwks",
		Name:      "fetched_timestamp_seconds",
		Help:      "When a key set was last fetched whole, in Unix time, by its URL; 0 if it never was.",
	}, []string{"source"})
	failedFetches = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "sallyport",
		Subsystem: "jwks",
		Name:      "failures_total",
		Help:      "Fetches of a key set that failed, by its URL.",
	}, []string{"source"})
)

// Collectors are the metrics of all sources.
var Collectors = []prometheus.Collector{lastFetched, failedFetches}

// count begins the metrics of a source.
func (s *Source) count() {
	lastFetched.WithLabelValues(s.url).Set(0)
	failedFetches.WithLabelValues(s.url)
}

// counted takes note of how a fetch ended.
func (s *Source) counted(err error) {
	if err != nil {
		failedFetches.WithLabelValues(s.url).Inc()
		return
	}
	lastFetched.WithLabelValues(s.url).SetToCurrentTime()
}

// uncount ends the metrics of a source: nobody asks for its keys any more.
func (s *Source) uncount() {
	lastFetched.DeleteLabelValues(s.url)
	failedFetches.DeleteLabelValues(s.url)
}
