package edge

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
)

// slowClients counts what was cut. server is a configured address; what is
// header (with the TLS handshake), body or connections.
var slowClients = prometheus.NewCounterVec(prometheus.CounterOpts{
	Namespace: metric.Namespace,
	Name:      "slow_clients_total",
	Help: "Connections and requests cut by server and what was too slow or too many: header (with the TLS handshake), body, " +
		"connections (of one client in use at a time).",
}, []string{"server", "what"})

var collectors = []prometheus.Collector{slowClients}

// serverMetrics are the counters of one server.
type serverMetrics struct {
	slowHeader, slowBody, crowded prometheus.Counter
}

func metricsOf(server string) serverMetrics {
	return serverMetrics{
		slowHeader: slowClients.WithLabelValues(server, "header"),
		slowBody:   slowClients.WithLabelValues(server, "body"),
		crowded:    slowClients.WithLabelValues(server, "connections"),
	}
}
