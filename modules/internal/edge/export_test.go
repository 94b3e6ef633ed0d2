package edge

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Slow is how much was cut on the server with this address, for what was slow.
func Slow(url, what string) (sum float64) {
	_, port, _ := strings.Cut(strings.TrimPrefix(url, "http://"), ":")
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(slowClients)
	families, err := registry.Gather()
	if err != nil {
		panic(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if strings.HasSuffix(m.GetLabel()[0].GetValue(), ":"+port) && m.GetLabel()[1].GetValue() == what {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
