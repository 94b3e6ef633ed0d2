package ratelimiter

import (
	"encoding/binary"
	"hash/maphash"
	"sync/atomic"
	"testing"
	"time"

	xrate "golang.org/x/time/rate"

	"github.com/sallyport-gateway/sallyport/modules/internal/rate"
)

func mustLimit(tb testing.TB, r string, burst, keys int) *limit {
	tb.Helper()
	parsed, err := rate.Parse(r)
	if err != nil {
		tb.Fatal(err)
	}
	l, err := newLimit(parsed, burst, keys)
	if err != nil {
		tb.Fatal(err)
	}
	return &l
}

// hashOf is the hash of a numbered key.
func hashOf(n uint64) uint64 {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	return maphash.Bytes(seed, b[:])
}

func BenchmarkDecideAdmitted(b *testing.B) {
	b.ReportAllocs()
	t, l := newTable(), mustLimit(b, "1000000/s", maxBurst, 100_000)
	for b.Loop() {
		cs := [1]charge{{table: t, limit: l, hash: hashOf(1)}}
		decide(monotonic, cs[:])
	}
}

func BenchmarkDecideRefused(b *testing.B) {
	b.ReportAllocs()
	t, l := newTable(), mustLimit(b, "1/365d", 1, 100_000)
	for b.Loop() {
		cs := [1]charge{{table: t, limit: l, hash: hashOf(1)}}
		decide(monotonic, cs[:])
	}
}

// The keys fit: 60,000 active keys in a table for 100,000.
func BenchmarkDecideManyKeys(b *testing.B) {
	b.ReportAllocs()
	t, l := newTable(), mustLimit(b, "100000/d", 100_000, 100_000)
	var n uint64
	for b.Loop() {
		n++
		cs := [1]charge{{table: t, limit: l, hash: hashOf(n % 60_000)}}
		decide(monotonic, cs[:])
	}
}

// A flood of new keys that stay in use for a day, into a table that is full.
func BenchmarkDecideFlood(b *testing.B) {
	b.ReportAllocs()
	t, l := newTable(), mustLimit(b, "1/d", 10, 100_000)
	var n uint64
	for b.Loop() {
		n++
		cs := [1]charge{{table: t, limit: l, hash: hashOf(n)}}
		decide(monotonic, cs[:])
	}
}

func BenchmarkDecideTwoZones(b *testing.B) {
	b.ReportAllocs()
	t1, t2, l := newTable(), newTable(), mustLimit(b, "1000000/s", maxBurst, 100_000)
	for b.Loop() {
		h := hashOf(1)
		cs := [2]charge{{table: t1, limit: l, hash: h}, {table: t2, limit: l, hash: h}}
		decide(monotonic, cs[:])
	}
}

func BenchmarkDecideParallelKeys(b *testing.B) {
	b.ReportAllocs()
	t, l := newTable(), mustLimit(b, "1000000/s", maxBurst, 100_000)
	var worker atomic.Uint64
	b.RunParallel(func(pb *testing.PB) {
		n := worker.Add(1) << 32
		for pb.Next() {
			n++
			cs := [1]charge{{table: t, limit: l, hash: hashOf(n % 10_000)}}
			decide(monotonic, cs[:])
		}
	})
}

func BenchmarkDecideParallelOneKey(b *testing.B) {
	b.ReportAllocs()
	t, l := newTable(), mustLimit(b, "1000000/s", maxBurst, 100_000)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			cs := [1]charge{{table: t, limit: l, hash: hashOf(1)}}
			decide(monotonic, cs[:])
		}
	})
}

// The floors: one limiter without keys, and the clock alone.

func BenchmarkFloorXTimeRate(b *testing.B) {
	b.ReportAllocs()
	l := xrate.NewLimiter(1_000_000, maxBurst)
	for b.Loop() {
		l.Allow()
	}
}

func BenchmarkFloorXTimeRateRefused(b *testing.B) {
	b.ReportAllocs()
	l := xrate.NewLimiter(xrate.Every(rate.MaxPeriod), 1)
	for b.Loop() {
		l.Allow()
	}
}

func BenchmarkFloorXTimeRateParallel(b *testing.B) {
	b.ReportAllocs()
	l := xrate.NewLimiter(1_000_000, maxBurst)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.Allow()
		}
	})
}

func BenchmarkFloorClock(b *testing.B) {
	var sink time.Duration
	for b.Loop() {
		sink += time.Since(started)
	}
	_ = sink
}
