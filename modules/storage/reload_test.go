package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// Configurations come and go while what began under each still goes on, as
// certmagic's jobs do: under the lock of the storage that it began with.
func TestLocksOverManyReloads(t *testing.T) {
	noLeaks(t)
	r := newServer(t)
	var jobs sync.WaitGroup
	var inside sync.Map
	var storages []*Storage
	var cancels []context.CancelFunc
	for generation := range 15 {
		ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
		s, err := provisionIn(ctx, r.Addr, `"wait":"20s"`)
		if err != nil {
			t.Fatal(err)
		}
		storages, cancels = append(storages, s), append(cancels, cancel)
		begun := make(chan struct{}, 3)
		for job := range 3 {
			jobs.Go(func() {
				name := fmt.Sprintf("l%d", job)
				lock(t, s, name)
				if before, taken := inside.LoadOrStore(name, generation); taken {
					t.Errorf("%d and %d have %s at once", before, generation, name)
				}
				begun <- struct{}{}
				put(t, s, fmt.Sprintf("d/%s/%d", name, generation), "v")
				inside.Delete(name)
				unlock(t, s, name)
				if err := s.Unlock(context.Background(), name); !errors.Is(err, errNotHeld) {
					t.Errorf("once more: %v", err)
				}
			})
		}
		if generation > 0 {
			go cancels[generation-1]()
		}
		for range 3 {
			<-begun
		}
	}
	jobs.Wait()
	holds(t, storages[14], "d/l2/7", "v")
	for i, s := range storages {
		cancels[i]()
		s.mu.Lock()
		if len(s.held) != 0 || len(s.gates) != 0 {
			t.Errorf("of generation %d are left %d locks and %d gates", i, len(s.held), len(s.gates))
		}
		s.mu.Unlock()
	}
	if left := keysOf(t, r, "{caddy}:lock:"); len(left) != 0 {
		t.Errorf("left in the store: %q", left)
	}
}
