package app

import (
	"bytes"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/zap"
)

// LoggerInForce is the default logger of the configuration in force.
func LoggerInForce() *zap.Logger { return inForce.logger.Load() }

// LoadUnderWay reports whether Caddy is loading a configuration.
func LoadUnderWay() bool {
	if loading.TryRLock() {
		loading.RUnlock()
		return false
	}
	return true
}

// Restoring reports whether the configuration in force waits to be loaded again.
func Restoring() bool { return inForce.restoring.Load() != nil }

// Unseal lets the process have other configurations again.
func Unseal() { sealed.Store(nil) }

// PoliciesShown are the digests that the metric has.
func PoliciesShown() (digests []string) {
	metrics := make(chan prometheus.Metric, 16)
	policyInfo.Collect(metrics)
	close(metrics)
	for m := range metrics {
		var read dto.Metric
		if m.Write(&read) == nil {
			digests = append(digests, read.GetLabel()[0].GetValue())
		}
	}
	return digests
}

// ConfigInForce is the configuration that runs.
func ConfigInForce() []byte {
	loading.RLock()
	defer loading.RUnlock()
	return bytes.Clone(configInForce)
}
