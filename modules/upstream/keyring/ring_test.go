package keyring

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
	"github.com/sallyport-gateway/sallyport/modules/upstream/assertion"
)

// memory is a storage that gateways share, and that can be away.
type memory struct {
	mu     sync.Mutex
	value  []byte
	away   error
	stores int
	lock   chan struct{}
}

func newMemory() *memory { return &memory{lock: make(chan struct{}, 1)} }

func (m *memory) set(away error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = away
}

func (m *memory) Load(context.Context, string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away != nil {
		return nil, m.away
	}
	if m.value == nil {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(m.value), nil
}

func (m *memory) Store(_ context.Context, _ string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.lock) == 0 {
		return errors.New("stored without the lock")
	}
	if m.away != nil {
		return m.away
	}
	m.value = slices.Clone(value)
	m.stores++
	return nil
}

func (m *memory) Lock(ctx context.Context, _ string) error {
	select {
	case m.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *memory) Unlock(context.Context, string) error {
	<-m.lock
	return nil
}

var errAway = errors.New("the storage is away")

// gateway is a ring with what it reported.
type gateway struct {
	*Ring
	mu     sync.Mutex
	events []Event
}

func newGateway(t *testing.T, s Storage) *gateway {
	g := new(gateway)
	g.Ring = New(func(e Event) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.events = append(g.events, e)
	})
	t.Cleanup(func() { _ = g.Close() })
	if s != nil {
		g.Attach(s)
	}
	return g
}

func (g *gateway) turns() (turns []bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, e := range g.events {
		if e.Turned {
			turns = append(turns, e.Err != nil)
		}
	}
	return turns
}

// signs makes an assertion.
func (g *gateway) signs(t *testing.T) string {
	t.Helper()
	key, _ := g.Signer(time.Now())
	if key == nil {
		t.Fatal("there is no key")
	}
	token, err := assertion.NewMaker("i", "a", assertion.MaxTTL).Make(key, assertion.Target{Method: "GET", Path: "/"}, "", (*principal.Principal)(nil), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// verifies judges a token with the key set that jwks holds.
func verifies(t *testing.T, jwks []byte, token string) bool {
	t.Helper()
	set, err := jwt.ParseJWKS(jwks)
	if err != nil {
		t.Fatal(err)
	}
	v := assertion.Verifier{Issuer: "i", Audience: "a", Keys: set}
	_, err = v.Verify(t.Context(), token, assertion.Target{Method: "GET", Path: "/"}, time.Now())
	return err == nil
}

func TestGatewaysOfOneStorageSignWithOneKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemory()
		a, b := newGateway(t, storage), newGateway(t, storage)
		synctest.Wait()
		if storage.stores != 1 {
			t.Errorf("%d keys were made", storage.stores)
		}
		if !verifies(t, b.JWKS(), a.signs(t)) || !verifies(t, a.JWKS(), b.signs(t)) {
			t.Error("one does not know the key of the other")
		}
	})
}

// TestEveryAssertionVerifiesOverRotations: three days of two gateways, and of
// verifiers that ask either of them and keep what they get for as long as they may.
func TestEveryAssertionVerifiesOverRotations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemory()
		gateways := []*gateway{newGateway(t, storage), newGateway(t, storage)}
		synctest.Wait()
		type verifier struct {
			jwks []byte
			at   time.Time
		}
		verifiers := make([]verifier, 4)
		signers := make(map[string]bool)
		for step := range 3 * 24 * 60 * 2 {
			time.Sleep(30 * time.Second)
			for i := range verifiers {
				v := &verifiers[i]
				if time.Since(v.at) >= TTL { // at other times each
					v.jwks, v.at = gateways[(step+i)%2].JWKS(), time.Now().Add(time.Duration(i)*70*time.Second)
				}
				for _, g := range gateways {
					// By the id of the key: half a million signatures take long.
					if key, _ := g.Signer(time.Now()); !strings.Contains(string(v.jwks), key.ID()) {
						t.Fatalf("step %d: verifier %d does not know the key", step, i)
					}
				}
			}
			key, _ := gateways[0].Signer(time.Now())
			signers[key.ID()] = true
		}
		if len(signers) < 3 || len(signers) > 4 {
			t.Errorf("%d keys in three days", len(signers))
		}
		if n := strings.Count(string(gateways[0].JWKS()), `"kid"`); n > 2 {
			t.Errorf("%d keys are still published", n)
		}
	})
}

// A gateway began with a wrong clock, and made the next key ten years ahead.
func TestKeysRotateAlsoBesideOneOfAWrongClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemory()
		first, err := newEntry(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		far, err := newEntry(time.Now().AddDate(10, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		if storage.value, err = encode([]entry{first, far}); err != nil {
			t.Fatal(err)
		}
		a := newGateway(t, storage)
		signers := make(map[string]bool)
		for range 3 * 24 {
			time.Sleep(time.Hour)
			key, _ := a.Signer(time.Now())
			signers[key.ID()] = true
		}
		if len(signers) < 3 || signers[far.key.ID()] || storage.stores > 6 {
			t.Errorf("%d keys in three days, the far one: %v, stored %d times", len(signers), signers[far.key.ID()], storage.stores)
		}
	})
}

func TestAKeyIsPublishedLongBeforeAndAfterItSigns(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	first, err := newEntry(start)
	if err != nil {
		t.Fatal(err)
	}
	entries := []entry{first}
	if _, _, toMake := due(entries, start.Add(rotation-lead-time.Second)); toMake {
		t.Error("the next key is made too early")
	}
	_, from, toMake := due(entries, start.Add(rotation-lead))
	if !toMake || !from.Equal(start.Add(rotation)) {
		t.Errorf("the next key: %v at %v", toMake, from)
	}
	// Nobody was there for a week: the next one still comes with notice.
	late := start.Add(7 * rotation)
	if _, from, _ = due(entries, late); from.Sub(late) < TTL+poll {
		t.Errorf("used %v after it was made", from.Sub(late))
	}
	second, err := newEntry(start.Add(rotation))
	if err != nil {
		t.Fatal(err)
	}
	entries = append(entries, second)
	if signing(entries, second.from.Add(-time.Second)) != 0 || signing(entries, second.from) != 1 {
		t.Error("the second key signs at another time than its own")
	}
	for after, want := range map[time.Duration]int{0: 0, assertion.MaxTTL + TTL + poll: 0, keep - 1: 0, keep: 1} {
		if expired, _, _ := due(entries, second.from.Add(after)); expired != want {
			t.Errorf("%v after: %d expired, want %d", after, expired, want)
		}
	}
	if signing(entries, start.Add(-time.Minute)) != 0 {
		t.Error("a gateway with a slow clock has no key")
	}
}

func TestWhileTheStorageIsAwayTheKnownKeysSign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemory()
		g := newGateway(t, storage)
		synctest.Wait()
		before, _ := g.Signer(time.Now())
		storage.set(errAway)
		time.Sleep(2 * rotation)
		after, since := g.Signer(time.Now())
		if after != before {
			t.Error("another key signs")
		}
		if age := time.Since(since); age < 2*rotation {
			t.Errorf("the key is %v old", age)
		}
		if g.Ready() != nil {
			t.Error("it is no longer ready")
		}
		storage.set(nil)
		time.Sleep(maxRetry)
		if strings.Count(string(g.JWKS()), `"kid"`) != 2 {
			t.Error("the key that is overdue was not made")
		}
		if turns := g.turns(); !slices.Equal(turns, []bool{true, false}) {
			t.Errorf("turns %v", turns)
		}
	})
}

func TestWithoutAStorageThereIsNoKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemory()
		storage.set(errAway)
		g := newGateway(t, storage)
		time.Sleep(10 * time.Minute)
		if key, _ := g.Signer(time.Now()); key != nil || g.JWKS() != nil || g.Ready() == nil {
			t.Error("there is a key")
		}
		select {
		case <-g.Tried():
		default:
			t.Error("it has not tried")
		}
		storage.set(nil)
		time.Sleep(maxRetry)
		select {
		case <-g.Available():
		default:
			t.Error("it did not recover")
		}
		g.signs(t)
	})
}

func TestADamagedValueReplacesNothingAndIsNotReplaced(t *testing.T) {
	p384 := `{"keys":[{"private":"MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGb","from":"2026-01-01T00:00:00Z"}]}`
	for _, damaged := range []string{"", "{", "{}", `{"keys":[]}`, `{"keys":[{"private":"AAAA","from":"2026-01-01T00:00:00Z"}]}`, p384} {
		if _, err := parse([]byte(damaged)); !errors.Is(err, errDamaged) {
			t.Errorf("%q: %v", damaged, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		storage := newMemory()
		g := newGateway(t, storage)
		synctest.Wait()
		before, _ := g.Signer(time.Now())
		storage.mu.Lock()
		storage.value = []byte("{")
		storage.mu.Unlock()
		time.Sleep(2 * rotation)
		synctest.Wait()
		if after, _ := g.Signer(time.Now()); after != before {
			t.Error("the known key is gone")
		}
		if string(storage.value) != "{" {
			t.Error("the value was replaced")
		}
	})
}

func TestDeletingTheValueReplacesEveryKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemory()
		a, b := newGateway(t, storage), newGateway(t, storage)
		synctest.Wait()
		leaked := a.signs(t)
		storage.mu.Lock()
		storage.value = nil
		storage.mu.Unlock()
		time.Sleep(poll)
		synctest.Wait()
		if verifies(t, a.JWKS(), leaked) || verifies(t, b.JWKS(), leaked) {
			t.Error("the old key is still published")
		}
		if !verifies(t, b.JWKS(), a.signs(t)) {
			t.Error("the new key is not shared")
		}
	})
}

func TestALockThatIsHeldDoesNotHoldUpKnownKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemory()
		a := newGateway(t, storage)
		synctest.Wait()
		time.Sleep(rotation)
		_ = a.Close()
		storage.lock <- struct{}{} // by a gateway that hangs
		storage.mu.Lock()
		var s stored
		if err := json.Unmarshal(storage.value, &s); err != nil {
			t.Fatal(err)
		}
		s.Keys = s.Keys[:1]
		s.Keys[0].From = time.Now().Add(-2 * rotation) // the next one is overdue
		storage.value, _ = json.Marshal(s)
		storage.mu.Unlock()
		b := newGateway(t, storage)
		time.Sleep(time.Second)
		b.signs(t)
		<-storage.lock
	})
}

func TestAnotherStorageIsUsedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := newMemory(), newMemory()
		other := newGateway(t, two)
		g := newGateway(t, one)
		synctest.Wait()
		g.Attach(two)
		synctest.Wait()
		if !verifies(t, other.JWKS(), g.signs(t)) {
			t.Error("it still signs with the key of the first storage")
		}
	})
}

func TestARingThatWasNeverAttachedCloses(t *testing.T) {
	g := newGateway(t, nil)
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	g.Attach(newMemory()) // too late: it starts nothing
	if g.JWKS() != nil {
		t.Error("it has keys")
	}
}

func TestThePublishedSetHasNoPrivateKey(t *testing.T) {
	e, err := newEntry(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var jwks struct{ Keys []map[string]string }
	if err := json.Unmarshal(newSet([]entry{e}).jwks, &jwks); err != nil {
		t.Fatal(err)
	}
	for member := range jwks.Keys[0] {
		if !slices.Contains([]string{"kty", "crv", "use", "alg", "kid", "x", "y"}, member) {
			t.Errorf("it has %s", member)
		}
	}
}

func FuzzParse(f *testing.F) {
	e, err := newEntry(time.Unix(1_800_000_000, 0).UTC())
	if err != nil {
		f.Fatal(err)
	}
	good, _ := encode([]entry{e, e})
	f.Add(good)
	f.Add([]byte(`{"keys":[{"private":"AAAA"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := parse(data)
		if err != nil {
			return
		}
		again, err := encode(entries)
		if err != nil {
			return // a year that JSON has no form for
		}
		same, err := parse(again)
		if err != nil || len(same) != len(entries) || !newSet(same).same(newSet(entries)) {
			t.Fatalf("%s was read back otherwise: %v", again, err)
		}
	})
}
