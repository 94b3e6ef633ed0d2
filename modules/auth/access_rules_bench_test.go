package auth_test

import (
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// BenchmarkAccessRules is to be compared with its floor: the same site with rules
// about another path.
func BenchmarkAccessRules(b *testing.B) {
	const rule = `
		rule orders {
			path /orders/*
			require scope orders
		}
	`
	for _, bench := range []struct {
		name, rules string
		status      int
	}{
		{"floor", rule + "otherwise allow", 200},
		{"dry_run, about other requests", rule + "rule x {\npath /x\ndeny\ndry_run\n}\notherwise allow", 200},
		{"dry_run, against it", rule + "rule x {\npath /\ndeny\ndry_run\n}\notherwise allow", 200},
		{"refused", rule + "otherwise deny", 403},
	} {
		b.Run(bench.name, func(b *testing.B) {
			gatetest.Benchmark(b, "route {\naccess_rules {\n"+bench.rules+"\n}\nrespond ok\n}", bench.status, address)
		})
	}
}
