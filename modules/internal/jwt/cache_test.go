package jwt

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
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

func (r *rotating) Missed(context.Context, *KeySet) (*KeySet, error) {
	r.missed++
	return nil, nil
}

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
	first, err := v.Verify(t.Context(), token, testNow)
	if err != nil {
		t.Fatal(err)
	}
	second, err := v.Verify(t.Context(), token, testNow)
	if err != nil {
		t.Fatal(err)
	}
	if first != second {
		t.Error("the second result is another one")
	}
	if n := testing.AllocsPerRun(100, func() { v.Verify(t.Context(), token, testNow) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSeenTokenExpires(t *testing.T) {
	v := testVerifier(t)
	token := signed(claims(""))
	for after, want := range map[time.Duration]error{0: nil, 629 * time.Second: nil, 630 * time.Second: errExpired, -91 * time.Second: errFuture} {
		if _, err := v.Verify(t.Context(), token, testNow); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(t.Context(), token, testNow.Add(after)); err != want {
			t.Errorf("%s later: got %v, want %v", after, err, want)
		}
	}
}

func TestExpiredTokenIsNotVerifiedAgain(t *testing.T) {
	v := testVerifier(t)
	token := signed(claims(""))
	if _, err := v.Verify(t.Context(), token, testNow); err != nil {
		t.Fatal(err)
	}
	n := testing.AllocsPerRun(100, func() {
		if _, err := v.Verify(t.Context(), token, testNow.Add(time.Hour)); err != errExpired {
			t.Errorf("got %v", err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
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
	if source.missed != 10 {
		t.Errorf("the source was asked %d times for newer keys, want 10", source.missed)
	}
}

func TestOnlyTheWholeTokenIsFound(t *testing.T) {
	v := testVerifier(t)
	token := signed(claims(""))
	if _, err := v.Verify(t.Context(), token, testNow); err != nil {
		t.Fatal(err)
	}
	set := v.cache.set(token)
	other := signed(claims(`sub:"bob"`))
	// Put what was found for token where other is looked for, as if the hashes
	// of both were equal.
	for i := range set.ways {
		v.cache.set(other).ways[i].Store(set.ways[i].Load())
	}
	got, err := v.Verify(t.Context(), other, testNow)
	if err != nil || got.Principal.ID != "bob" {
		t.Errorf("got %v, %v", got, err)
	}
	if got, _ := v.Verify(t.Context(), token[:len(token)-1], testNow); got != nil {
		t.Error("a part of the token is accepted")
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache()
	i := &issuer{keys: &KeySet{}}
	for n := range 3 * cacheSets * cacheWays {
		until := testNow.Add(time.Hour + time.Duration(n)*time.Second)
		c.put(&entry{token: fmt.Sprint(n), issuer: i, keys: i.keys.(*KeySet), period: period{until: until}}, testNow)
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
		c.put(&entry{token: token, issuer: i, keys: i.keys.(*KeySet), period: period{until: testNow.Add(lives)}}, testNow)
	}
	tokens := tokensOfOneSet(c, cacheWays+2)
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

// filled is how many bytes the entries of a set take.
func (s *cacheSet) filled() (entries, bytes int) {
	for i := range s.ways {
		if e := s.ways[i].Load(); e != nil {
			entries++
			bytes += e.size
		}
	}
	return entries, bytes
}

func TestCacheIsBoundedInBytes(t *testing.T) {
	c := newCache()
	i := &issuer{keys: &KeySet{}}
	for n := range cacheSets * cacheWays {
		until := testNow.Add(time.Hour + time.Duration(n*7919%1000)*time.Second)
		c.put(&entry{token: fmt.Sprint(n), issuer: i, keys: i.keys.(*KeySet), size: n * 7907 % maxSetBytes, period: period{until: until}}, testNow)
	}
	total, entries := 0, 0
	for s := range c.sets {
		n, bytes := c.sets[s].filled()
		if bytes > maxSetBytes {
			t.Fatalf("a set has %d bytes", bytes)
		}
		total, entries = total+bytes, entries+n
	}
	if entries < cacheSets || total < cacheSets*maxSetBytes/2 {
		t.Errorf("%d entries of %d bytes together", entries, total)
	}
}

func TestEntryOfAllBytesTakesTheSet(t *testing.T) {
	c := newCache()
	i := &issuer{keys: &KeySet{}}
	put := func(token string, size int) {
		c.put(&entry{token: token, issuer: i, keys: i.keys.(*KeySet), size: size, period: period{until: testNow.Add(time.Hour)}}, testNow)
	}
	tokens := tokensOfOneSet(c, 3)
	put(tokens[0], 100)
	put(tokens[1], 100)
	most := maxSetBytes - (&entry{token: tokens[2]}).whole()
	put(tokens[2], most+1)
	if n, _ := c.set(tokens[0]).filled(); n != 2 || c.get(tokens[2], testNow) != nil {
		t.Error("an entry that is too great is not kept and takes nobody's place")
	}
	put(tokens[2], most)
	if n, bytes := c.set(tokens[0]).filled(); n != 1 || bytes != maxSetBytes || c.get(tokens[2], testNow) == nil {
		t.Errorf("%d entries with %d bytes", n, bytes)
	}
	put(tokens[0], 100)
	if n, _ := c.set(tokens[0]).filled(); n != 1 || c.get(tokens[0], testNow) == nil {
		t.Error("a small one takes the place of the great one")
	}
}

// tokensOfOneSet returns n tokens whose hashes choose the first set.
func tokensOfOneSet(c *cache, n int) []string {
	var tokens []string
	for k := 0; len(tokens) < n; k++ {
		if token := fmt.Sprint(k); c.set(token) == &c.sets[0] {
			tokens = append(tokens, token)
		}
	}
	return tokens
}

func TestEntriesThatAreNoLongerGoodMakeRoom(t *testing.T) {
	c := newCache()
	i := &issuer{keys: &KeySet{}}
	tokens := tokensOfOneSet(c, 3)
	put := func(token string, keys *KeySet, lives time.Duration) {
		c.put(&entry{token: token, issuer: i, keys: keys, period: period{until: testNow.Add(lives)}}, testNow)
	}
	put(tokens[0], &KeySet{}, time.Hour) // of keys that are withdrawn
	put(tokens[1], i.keys.(*KeySet), -time.Second)
	put(tokens[2], i.keys.(*KeySet), time.Hour)
	if n, _ := c.set(tokens[0]).filled(); n != 1 {
		t.Errorf("%d entries", n)
	}
}

// A token is a part of a header, which may be of 16 kB; a cookie more so.
func TestCacheKeepsNoMoreThanTheToken(t *testing.T) {
	v := testVerifier(t)
	const n = 200
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	counted := 0
	for k := range n {
		token := signed(claims(fmt.Sprintf("jti:%d", k)))
		header := strings.Repeat("x", 64<<10) + token
		if _, err := v.Verify(t.Context(), header[64<<10:], testNow); err != nil {
			t.Fatal(err)
		}
		// A bad signature is remembered, too.
		header = strings.Repeat("x", 64<<10) + token[:len(token)-20] + "AAAAAAAAAAAAAAAAAAAA"
		if _, err := v.Verify(t.Context(), header[64<<10:], testNow); err != errSignature {
			t.Fatal(err)
		}
		counted += v.cache.get(token, testNow).size + 1024
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if taken := int(after.HeapAlloc) - int(before.HeapAlloc); taken > 2*counted {
		t.Errorf("%d tokens take %d bytes", n, taken)
	}
	runtime.KeepAlive(v)
}

func TestConcurrentUse(t *testing.T) {
	source := &rotating{keys: keySet(t, jwkOf("rsa", &rsaKey.PublicKey))}
	v := rotatingVerifier(t, source)
	tokens := []string{signed(claims("")), signed(claims(`sub:"bob"`)), signed(claims("exp:1"))}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 200 {
				_, err := v.Verify(t.Context(), tokens[i%3], testNow)
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
