package jwt

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

// rotating is a KeySource whose keys the test exchanges.
type rotating struct {
	mu     sync.Mutex
	keys   *KeySet
	missed int
}

func (r *rotating) Keys(time.Time) (*KeySet, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys == nil {
		return nil, errors.New("none")
	}
	return r.keys, nil
}

func (r *rotating) Missed() { r.missed++ }

func rotatingVerifier(t testing.TB, source *rotating) *Verifier {
	t.Helper()
	v, err := NewVerifier(Issuer{Name: testIssuer, Audiences: []string{testAudience}, Algorithms: []string{"RS256", "ES256"}, Keys: source, Leeway: DefaultLeeway})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSeenTokenIsNotVerifiedAgain(t *testing.T) {
	v := testVerifier(t)
	token := signed(claims(""))
	first, err := v.Verify(token, testNow)
	if err != nil {
		t.Fatal(err)
	}
	second, err := v.Verify(token, testNow)
	if err != nil {
		t.Fatal(err)
	}
	if first != second {
		t.Error("the second result is another one")
	}
	if n := testing.AllocsPerRun(100, func() { v.Verify(token, testNow) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSeenTokenExpires(t *testing.T) {
	v := testVerifier(t)
	token := signed(claims(""))
	for after, want := range map[time.Duration]error{0: nil, 629 * time.Second: nil, 630 * time.Second: errExpired, -91 * time.Second: errFuture} {
		if _, err := v.Verify(token, testNow); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(token, testNow.Add(after)); err != want {
			t.Errorf("%s later: got %v, want %v", after, err, want)
		}
	}
}

// Cases J2 and J3.
func TestSeenTokenGoesWithItsKey(t *testing.T) {
	oldKey, newKey := jwkOf("rsa", &rsaKey.PublicKey), jwkOf("ec", &ecKey.PublicKey)
	source := &rotating{keys: keySet(t, oldKey)}
	v := rotatingVerifier(t, source)
	oldToken, newToken := signed(claims("")), sign("ES256", ecKey, `{"alg":"ES256","kid":"ec"}`, claims(""))

	steps := []struct {
		name     string
		keys     *KeySet
		old, new string
	}{
		{"before the rotation", source.keys, "", errKey.Detail},
		{"both keys are published", keySet(t, oldKey, newKey), "", ""},
		{"the old key is withdrawn", keySet(t, newKey), errKey.Detail, ""},
		{"the old key's id has new key material", keySet(t, newKey, jwkOf("rsa", &otherRSA.PublicKey)), errSignature.Detail, ""},
		{"the keys are too old to be used", nil, errNoKeys.Detail, errNoKeys.Detail},
	}
	for _, step := range steps {
		source.keys = step.keys
		for range 2 {
			if got := judge(v, oldToken); got != step.old {
				t.Errorf("%s: old token: got %q, want %q", step.name, got, step.old)
			}
			if got := judge(v, newToken); got != step.new {
				t.Errorf("%s: new token: got %q, want %q", step.name, got, step.new)
			}
		}
	}
	if source.missed != 6 {
		t.Errorf("the source was told %d times of a key it does not have, want 6", source.missed)
	}
}

func TestOnlyTheWholeTokenIsFound(t *testing.T) {
	v := testVerifier(t)
	token := signed(claims(""))
	if _, err := v.Verify(token, testNow); err != nil {
		t.Fatal(err)
	}
	set := v.cache.set(token)
	other := signed(claims(`sub:"bob"`))
	// Put what was found for token where other is looked for, as if the hashes
	// of both were equal.
	for i := range set.ways {
		v.cache.set(other).ways[i].Store(set.ways[i].Load())
	}
	got, err := v.Verify(other, testNow)
	if err != nil || got.Principal.ID != "bob" {
		t.Errorf("got %v, %v", got, err)
	}
	if got, _ := v.Verify(token[:len(token)-1], testNow); got != nil {
		t.Error("a part of the token is accepted")
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache()
	i := &issuer{keys: &KeySet{}}
	for n := range 3 * cacheSets * cacheWays {
		until := testNow.Add(time.Hour + time.Duration(n)*time.Second)
		c.put(&entry{token: fmt.Sprint(n), issuer: i, keys: i.keys.(*KeySet), result: new(Token), period: period{until: until}}, testNow)
	}
	n := 0
	for s := range c.sets {
		for w := range c.sets[s].ways {
			if c.sets[s].ways[w].Load() != nil {
				n++
			}
		}
	}
	if n > cacheSets*cacheWays || n < cacheSets*cacheWays*9/10 {
		t.Errorf("%d entries", n)
	}
}

func TestFullSetGivesUpWhatExpiresFirst(t *testing.T) {
	c := newCache()
	i := &issuer{keys: &KeySet{}}
	put := func(token string, lives time.Duration) {
		c.put(&entry{token: token, issuer: i, keys: i.keys.(*KeySet), result: new(Token), period: period{until: testNow.Add(lives)}}, testNow)
	}
	// Tokens whose hashes choose one set.
	var tokens []string
	for n := 0; len(tokens) < cacheWays+2; n++ {
		if token := fmt.Sprint(n); c.set(token) == &c.sets[0] {
			tokens = append(tokens, token)
		}
	}
	for n, token := range tokens[:cacheWays] {
		put(token, time.Duration(4+n*(7-2*n))*time.Minute) // 4, 9, 10, 7
	}
	put(tokens[cacheWays], time.Hour)
	put(tokens[cacheWays], 2*time.Hour) // again: replaces itself
	put(tokens[cacheWays+1], time.Hour)
	for n, want := range []bool{false, true, true, false, true, true} {
		if got := c.get(tokens[n], testNow) != nil; got != want {
			t.Errorf("token %d is kept: %v, want %v", n, got, want)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	source := &rotating{keys: keySet(t, jwkOf("rsa", &rsaKey.PublicKey))}
	v := rotatingVerifier(t, source)
	tokens := []string{signed(claims("")), signed(claims(`sub:"bob"`)), signed(claims("exp:1"))}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 200 {
				_, err := v.Verify(tokens[i%3], testNow)
				if (err != nil) != (i%3 == 2) {
					t.Errorf("token %d: %v", i%3, err)
				}
				if g == 0 && i%20 == 0 {
					source.mu.Lock()
					source.keys = keySet(t, jwkOf("rsa", &rsaKey.PublicKey))
					source.mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
}
