package telemetry

import (
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// BenchmarkRequest is a request through Caddy's handlers: compare with and without.
func BenchmarkRequest(b *testing.B) {
	for _, tt := range []struct{ name, directives string }{
		{"without", "\trespond ok"},
		{"with", "\ttelemetry\n\trespond ok"},
		{"without, access log", "\tlog {\n\t\toutput discard\n\t}\n\trespond ok"},
		{"with, access log", "\tlog {\n\t\toutput discard\n\t}\n\ttelemetry\n\trespond ok"},
	} {
		b.Run(tt.name, func(b *testing.B) { gatetest.Benchmark(b, tt.directives, 200, "192.0.2.1") })
	}
}

// BenchmarkTake is what one measurement costs its meter.
func BenchmarkTake(b *testing.B) {
	m, measured := newSiteMeter("bench.example"), measurement()
	b.ReportAllocs()
	for b.Loop() {
		m.Take(measured)
	}
}
