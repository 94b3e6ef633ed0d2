package ratelimiter

import (
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/gatetest"
)

// Through Caddy's whole handler chain, without a network. Compare with the floor:
// the same site without these directives.

func BenchmarkServeFloor(b *testing.B) {
	benchmarkServe(b, 200, "")
}

// A guard that never runs: what the canonical check in front of it costs.
func BenchmarkServeCanonicalOnly(b *testing.B) {
	benchmarkServe(b, 200, strings.Replace(serveLimiter, "rate_limiter", "rate_limiter /nowhere", 1))
}

func BenchmarkServeAdmitted(b *testing.B) {
	benchmarkServe(b, 200, serveLimiter)
}

func BenchmarkServeTwoGuards(b *testing.B) {
	benchmarkServe(b, 200, serveLimiter+strings.NewReplacer("rate_limiter", "quota", "serve", "serve.quota", "client_ip", "principal").Replace(serveLimiter))
}

func BenchmarkServeRefused(b *testing.B) {
	benchmarkServe(b, 429, strings.NewReplacer("1000000/s", "1/365d", "burst 1000000000", "burst 1", "serve", "serve.refused").Replace(serveLimiter))
}

const serveLimiter = `rate_limiter {
		zone serve {
			key client_ip
			rate 1000000/s
			burst 1000000000
		}
	}
`

func benchmarkServe(b *testing.B, want int, directives string) {
	gatetest.Benchmark(b, directives+"\n\trespond ok", want, client)
}
