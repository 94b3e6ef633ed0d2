package edge

import (
	"net/netip"
	"sync"
	"testing"
)

func TestCrowd(t *testing.T) {
	tests := []struct {
		name          string
		limit         int
		first, second string
		admitted      bool
	}{
		{"a client over its limit is turned away", 1, "192.0.2.1", "192.0.2.1", false},
		{"its neighbour is not", 1, "192.0.2.1", "192.0.2.2", true},
		{"the mapped form is the same client", 1, "192.0.2.1", "::ffff:192.0.2.1", false},
		{"a /64 of IPv6 is one client", 1, "2001:db8::1", "2001:db8:0:0:ffff::2", false},
		{"the next /64 is another", 1, "2001:db8::1", "2001:db8:0:1::1", true},
		{"a zone is no client of its own", 1, "fe80::1%eth0", "fe80::1%eth1", false},
		{"within the limit", 2, "192.0.2.1", "192.0.2.1", true},
		{"no limit", 0, "192.0.2.1", "192.0.2.1", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Crowd{Limit: tt.limit}
			if !c.Enter(netip.MustParseAddr(tt.first)) {
				t.Fatal("the first is turned away")
			}
			if got := c.Enter(netip.MustParseAddr(tt.second)); got != tt.admitted {
				t.Errorf("admitted: %v, want %v", got, tt.admitted)
			}
		})
	}
}

func TestCrowdForgetsWhoLeft(t *testing.T) {
	c := Crowd{Limit: 2}
	client := netip.MustParseAddr("192.0.2.1")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				if c.Enter(client) {
					c.Leave(client)
				}
			}
		})
	}
	all.Wait()
	for i := range c.shards {
		if n := len(c.shards[i].open); n != 0 {
			t.Errorf("%d clients are remembered", n)
		}
	}
	for _, want := range []bool{true, true, false} {
		if got := c.Enter(client); got != want {
			t.Errorf("admitted: %v, want %v", got, want)
		}
	}
}

func BenchmarkCrowd(b *testing.B) {
	c := Crowd{Limit: 1000}
	client := netip.MustParseAddr("2001:db8::1")
	b.ReportAllocs()
	for b.Loop() {
		c.Enter(client)
		c.Leave(client)
	}
}
