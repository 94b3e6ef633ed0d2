package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/sallyport-gateway/sallyport/modules/internal/lease"
	"github.com/sallyport-gateway/sallyport/modules/internal/metric"
)

const (
	memoryName = "memory"

	// mostClaims is how many claims are kept, at about 90 bytes each.
	mostClaims = 1_000_000
	// freedAtOnce is how many claims that are over one call frees: more than it adds,
	// and few enough that nobody waits for them.
	freedAtOnce = 4
	// keptRoom is for how many claims there is room when all are over.
	keptRoom = 1 << 12
	// fullPause is between two log lines that say that it is full.
	fullPause = time.Minute
)

var errFull = errors.New("it is full of claims that are not over")

// Memory is the store of one process. Claims that are not over are never freed: at
// mostClaims the next is an error, until one of them is over. Time is that of a
// clock that does not jump.
type Memory struct {
	most   int
	began  time.Time
	logger func() *zap.Logger
	count  outcomes
	ledger // of revocations

	mu     sync.Mutex
	claims map[digest]time.Duration // when each is over, since began
	ends   endings                  // the same, and claims that were made anew since
	warn   time.Duration            // no log line before
}

// MemoryLease is a share of the process's memory, to be released when it is not
// used any more.
type MemoryLease = lease.Lease[*Memory]

var memories = lease.NewPool[*Memory]()

// OpenMemory returns a share of the process's memory, one for all configurations.
func OpenMemory(ctx caddy.Context) (*MemoryLease, error) {
	if err := metric.Register(ctx, collectors...); err != nil {
		return nil, err
	}
	return memories.Take(memoryName, func() (*Memory, error) { return newMemory(mostClaims), nil })
}

func newMemory(most int) *Memory {
	return &Memory{
		most: most, began: time.Now(), count: outcomesOf(memoryName), claims: make(map[digest]time.Duration),
		ledger: ledger{most: MostRevocations},
		logger: func() *zap.Logger { return caddy.Log().Named("sallyport.store") },
	}
}

// Name implements Store.
func (*Memory) Name() string { return memoryName }

// Reachable implements Store.
func (*Memory) Reachable() error { return nil }

// Claim implements Store.
func (m *Memory) Claim(ctx context.Context, key string, ttl time.Duration) (first bool, err error) {
	if err := checkClaim(ctx, ttl); err != nil {
		return false, err
	}
	first, full, warn := m.claim(digestOf(key), ttl)
	if !full {
		m.count.ok.Inc()
		return first, nil
	}
	m.count.busy.Inc()
	if warn {
		m.logger().Error("the memory is full of claims; what needs one is refused", zap.Int("claims", m.most))
	}
	return false, &Error{Store: memoryName, Reason: ReasonBusy, Err: errFull}
}

func (m *Memory) claim(d digest, ttl time.Duration) (first, full, warn bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Since(m.began)
	m.free(now)
	if end, ok := m.claims[d]; ok && end > now {
		return false, false, false
	}
	if len(m.ends) >= m.most {
		if warn = now >= m.warn; warn {
			m.warn = now + fullPause
		}
		return false, true, warn
	}
	m.claims[d] = now + ttl
	m.ends.push(ending{now + ttl, d})
	return true, false, false
}

// free forgets some of the claims that are over.
func (m *Memory) free(now time.Duration) {
	for range freedAtOnce {
		if len(m.ends) == 0 || m.ends[0].at > now {
			break
		}
		// Its key may have been claimed again.
		if e := m.ends.pop(); m.claims[e.of] == e.at {
			delete(m.claims, e.of)
		}
	}
	if len(m.ends) == 0 && cap(m.ends) > keptRoom { // maps and slices do not shrink
		m.claims, m.ends = make(map[digest]time.Duration), nil
	}
}

// ending is when a claim is over.
type ending struct {
	at time.Duration
	of digest
}

// endings is a heap with the earliest in front. It is not container/heap's, which
// allocates for each element.
type endings []ending

func (e *endings) push(added ending) {
	h := append(*e, added)
	i := len(h) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if h[parent].at <= added.at {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = added
	*e = h
}

// pop takes the earliest out.
func (e *endings) pop() ending {
	h := *e
	earliest, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	*e = h
	if len(h) == 0 {
		return earliest
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1].at < h[child].at {
			child++
		}
		if last.at <= h[child].at {
			break
		}
		h[i] = h[child]
		i = child
	}
	h[i] = last
	return earliest
}

// Interface guards
var _ Store = (*Memory)(nil)
