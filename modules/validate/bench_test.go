package validate_test

import (
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// BenchmarkRequest compares a request that all rules of the head judge with one
// that the guard does not run for.
func BenchmarkRequest(b *testing.B) {
	for name, directives := range map[string]string{
		"judged":     "validate {\nmethods GET POST\nmax_uri 2KiB\nmax_headers 50\nquery page {\ntype integer\n}\nquery_unknown reject\njson\n}\nrespond ok",
		"not judged": "validate /never {\nmethods GET\n}\nrespond ok",
	} {
		b.Run(name, func(b *testing.B) { gatetest.Benchmark(b, directives, 200, client) })
	}
}
