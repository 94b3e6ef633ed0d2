package alb

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// counters count fetches of keys by the server they are from.
type counters struct {
	*prometheus.CounterVec

	mu    sync.Mutex
	users map[string]int // Keys of a server; two, where another way to it replaces one
}

var fetches = &counters{users: make(map[string]int), CounterVec: prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: "sallyport",
	Subsystem: "assertion_keys",
	Name:      "fetches_total",
	Help:      "Fetches of keys with which balancers sign what they say about users, by where the keys are and how it ended: fetched, missing (there is no such key) or failed.",
}, []string{"source", "result"})}

// Collectors are the metrics of all keys.
var Collectors = []prometheus.Collector{fetches.CounterVec}

func (c *counters) begin(source string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users[source]++
	for _, result := range []string{"fetched", "missing", "failed"} {
		c.WithLabelValues(source, result)
	}
}

func (c *counters) count(source string, missing bool, err error) {
	result := "fetched"
	switch {
	case err != nil:
		result = "failed"
	case missing:
		result = "missing"
	}
	c.WithLabelValues(source, result).Inc()
}

func (c *counters) end(source string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users[source]--; c.users[source] == 0 {
		delete(c.users, source)
		c.DeletePartialMatch(prometheus.Labels{"source": source})
	}
}
