package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/sallyport-gateway/sallyport/modules/internal/store/storetest"
)

func openMemory(t testing.TB) *MemoryLease {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	l, err := OpenMemory(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Release() })
	return l
}

// openRedis is a gateway's store, whose commands have time enough on a busy
// machine. Gateways of different numbers have clients of their own.
func openRedis(t testing.TB, r *storetest.Server, prefix string, gateway int) *Redis {
	t.Helper()
	return NewRedis(open(t, Config{Address: []string{r.Addr}, Timeout: caddy.Duration(20*time.Second + time.Duration(gateway))}).Value(), prefix)
}

func TestTheContractOfStores(t *testing.T) {
	r := storetest.Start(t)
	n := 0
	stores := map[string]func(t *testing.T) (one, other Store){
		"memory": func(t *testing.T) (one, other Store) { return openMemory(t).Value(), openMemory(t).Value() },
		"redis": func(t *testing.T) (one, other Store) {
			n++
			prefix := "p" + strconv.Itoa(n)
			return openRedis(t, r, prefix, 1), openRedis(t, r, prefix, 2)
		},
	}
	tests := []struct {
		name string
		try  func(t *testing.T, one, other Store)
	}{
		{"only the first claim of a key is first, wherever it is made", func(t *testing.T, one, other Store) {
			claims(t, one, "a", time.Hour, "first")
			claims(t, one, "a", time.Hour, "again")
			claims(t, other, "a", time.Hour, "again")
			claims(t, other, "b", time.Hour, "first")
			claims(t, one, "b", time.Hour, "again")
		}},
		{"keys of any length and any bytes are told apart", func(t *testing.T, one, other Store) {
			long := strings.Repeat("k", 1<<16)
			keys := []string{"", " ", "\x00", "\x00\x00", "a", "A", "a ", "a\r\n", "é", "e\u0301", "\xff", "{a}", "a:b", "a:", long, long + "k"}
			for _, key := range keys {
				claims(t, one, key, time.Hour, "first")
			}
			for _, key := range keys {
				claims(t, other, key, time.Hour, "again")
			}
		}},
		{"a claim ends with its time, and can be made again once", func(t *testing.T, one, other Store) {
			for _, ttl := range []time.Duration{1, time.Microsecond, 1500 * time.Microsecond, 30 * time.Millisecond} {
				key := ttl.String()
				claims(t, one, key, ttl, "first")
				until(t, "the claim is over", func() bool {
					first, err := other.Claim(t.Context(), key, time.Hour)
					return first && err == nil
				})
				claims(t, one, key, time.Hour, "again")
			}
		}},
		{"a claim lasts for at least its time", func(t *testing.T, one, other Store) {
			const ttl = 200 * time.Millisecond
			began := time.Now()
			claims(t, one, "a", ttl, "first")
			until(t, "the claim is over", func() bool {
				first, err := other.Claim(t.Context(), "a", ttl)
				return first && err == nil
			})
			if lasted := time.Since(began); lasted < ttl {
				t.Errorf("it lasted for %s", lasted)
			}
		}},
		{"a claim that is not first prolongs nothing", func(t *testing.T, one, other Store) {
			claims(t, one, "a", 100*time.Millisecond, "first")
			until(t, "the claim is over", func() bool {
				first, err := other.Claim(t.Context(), "a", LongestClaim)
				return first && err == nil
			})
		}},
		{"a claim of no time, or of too much, is an error and not made", func(t *testing.T, one, other Store) {
			for _, ttl := range []time.Duration{0, -1, -time.Hour, LongestClaim + 1, 1<<63 - 1} {
				if first, err := one.Claim(t.Context(), "a", ttl); first || err == nil {
					t.Errorf("%s: %t, %v", ttl, first, err)
				}
			}
			claims(t, other, "a", LongestClaim, "first")
		}},
		{"a claim of a caller that gave up is an error and not made", func(t *testing.T, one, other Store) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if first, err := one.Claim(ctx, "a", time.Hour); first || !errors.Is(err, context.Canceled) {
				t.Errorf("got %t, %v", first, err)
			}
			claims(t, other, "a", time.Hour, "first")
		}},
		{"of many at the same time exactly one is first", func(t *testing.T, one, other Store) {
			const keys, each = 50, 40
			var first [keys]atomic.Int64
			var callers sync.WaitGroup
			begin := make(chan struct{})
			for i := range each {
				s := []Store{one, other}[i%2]
				callers.Go(func() {
					<-begin
					for k := range keys {
						k = (k + i) % keys
						won, err := s.Claim(t.Context(), fmt.Sprint("key ", k), time.Hour)
						if err != nil {
							t.Error(err)
						}
						if won {
							first[k].Add(1)
						}
					}
				})
			}
			close(begin)
			callers.Wait()
			for k := range keys {
				if n := first[k].Load(); n != 1 {
					t.Errorf("key %d was claimed first %d times", k, n)
				}
			}
		}},
		{"it is reachable once it was used, and has a name", func(t *testing.T, one, _ Store) {
			claims(t, one, "a", time.Hour, "first")
			if err := one.Reachable(); err != nil || one.Name() == "" {
				t.Errorf("got %v, %q", err, one.Name())
			}
		}},
	}
	for name, open := range stores {
		for _, tt := range tests {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				one, other := open(t)
				tt.try(t, one, other)
			})
		}
	}
}
