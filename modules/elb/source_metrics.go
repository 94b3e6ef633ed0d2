package elb

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
)

var origins = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: metric.Namespace,
	Subsystem: "elb",
	Name:      "requests_total",
	Help: "Requests to a server behind an HTTP balancer by server and origin: established (the balancer names the client), unknown " +
		"(it names none that can be relied on), past_balancer (the peer is not the balancer), foreign (the balancer's, but another " +
		"customer's), local (a health check of a TCP balancer in front).",
}, []string{"server", "origin"})

// requestCounts are the counters of one server. The zero value counts nothing.
type requestCounts struct {
	established, unknown, pastBalancer, foreign, local prometheus.Counter
}

func newRequestCounts(server string) requestCounts {
	return requestCounts{
		established:  origins.WithLabelValues(server, "established"),
		unknown:      origins.WithLabelValues(server, "unknown"),
		pastBalancer: origins.WithLabelValues(server, "past_balancer"),
		foreign:      origins.WithLabelValues(server, "foreign"),
		local:        origins.WithLabelValues(server, "local"),
	}
}

// count adds one to a counter, if there is one.
func count(c prometheus.Counter) {
	if c != nil {
		c.Inc()
	}
}
