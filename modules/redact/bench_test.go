package redact

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// BenchmarkSmallBody runs requests through Caddy's handler chain, without a
// network: what redact adds to a response of about 1 KB is the difference to the
// floor, the same site behind a redact that never runs.
func BenchmarkSmallBody(b *testing.B) {
	var body strings.Builder
	body.WriteString(`{"items":[`)
	for i := range 8 {
		fmt.Fprintf(&body, `{"id":%d,"name":"A sturdy box of screws","price":12.50,"created_at":"2026-03-02T10:41:22Z","tags":["a","b"]},`, i)
	}
	body.WriteString(`null]}`)
	for _, bench := range []struct{ name, directive string }{
		{"redact", rules}, {"floor", strings.Replace(rules, "redact {", "redact /nowhere {", 1)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.SetBytes(int64(body.Len()))
			gatetest.Benchmark(b, fmt.Sprintf("%s\nheader Content-Type application/json\nrespond `%s`", bench.directive, body.String()), 200, from)
		})
	}
}
