package apikey

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"hash"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	noon   = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	client = netip.MustParseAddr("192.0.2.7")
)

// openFile opens a store on content and closes it with the test.
func openFile(t testing.TB, content string, options ...Option) (*Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.json")
	writeFile(t, path, content)
	s, err := Open(path, testPepper, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, path
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestVerify(t *testing.T) {
	const (
		before = `"2026-06-01T11:59:59Z"`
		now    = `"2026-06-01T12:00:00Z"`
		after  = `"2026-06-01T12:00:01Z"`
	)
	good := assemble(testID, testSecret)
	wrong := assemble(testID, "1"+testSecret[1:])
	tests := []struct {
		name, entry, key string
		client           netip.Addr
		want             error
	}{
		{"the right key", entryJSON(), good, client, nil},
		{"the right key without a client address, where none is asked for", entryJSON(), good, netip.Addr{}, nil},
		{"a wrong secret", entryJSON(), wrong, client, ErrUnknown},
		{"the right secret under an unknown id", entryJSON(), assemble("other", testSecret), client, ErrUnknown},
		{"an unknown id and a wrong secret", entryJSON(), assemble("other", "1"+testSecret[1:]), client, ErrUnknown},
		{"a key with a wrong checksum", entryJSON(), good[:len(good)-1] + flip(good[len(good)-1]), client, ErrMalformed},
		{"an empty key", entryJSON(), "", client, ErrMalformed},
		{"a key longer than any", entryJSON(), good + good, client, ErrMalformed},
		{"the hash instead of the secret", entryJSON(), hashOf(testPepper, testSecret), client, ErrMalformed},

		{"a revoked key", entryJSON("status", `"revoked"`), good, client, ErrRevoked},
		{"a revoked key with a wrong secret tells nothing about the id", entryJSON("status", `"revoked"`), wrong, client, ErrUnknown},
		{"an expired key with a wrong secret tells nothing about the id", entryJSON("expires", before), wrong, client, ErrUnknown},
		{"from a wrong address with a wrong secret tells nothing about the id", entryJSON("allow", `["198.51.100.0/24"]`), wrong, client, ErrUnknown},
		{"a key that is revoked and expired", entryJSON("status", `"revoked"`, "expires", before), good, client, ErrRevoked},

		{"a second before it expires", entryJSON("expires", after), good, client, nil},
		{"at the moment it expires", entryJSON("expires", now), good, client, ErrExpired},
		{"a second after it expired", entryJSON("expires", before), good, client, ErrExpired},
		{"a second before it is good", entryJSON("not_before", after), good, client, ErrNotYetValid},
		{"at the moment it becomes good", entryJSON("not_before", now), good, client, nil},
		{"times in another zone are the same moments", entryJSON("expires", `"2026-06-01T14:00:00+02:00"`), good, client, ErrExpired},

		{"from an allowed prefix", entryJSON("allow", `["198.51.100.0/24","192.0.2.0/24"]`), good, client, nil},
		{"from an allowed address", entryJSON("allow", `["192.0.2.7"]`), good, client, nil},
		{"from the address next to it", entryJSON("allow", `["192.0.2.8"]`), good, client, ErrAddress},
		{"from outside every prefix", entryJSON("allow", `["198.51.100.0/24"]`), good, client, ErrAddress},
		{"from an unknown address, where one is asked for", entryJSON("allow", `["0.0.0.0/0","::/0"]`), good, netip.Addr{}, ErrAddress},
		{"the mapped form of an allowed address", entryJSON("allow", `["192.0.2.0/24"]`), good, netip.MustParseAddr("::ffff:192.0.2.7"), nil},
		{"the mapped form is no IPv6 address", entryJSON("allow", `["::/0"]`), good, netip.MustParseAddr("::ffff:192.0.2.7"), ErrAddress},
		{"from an allowed IPv6 prefix", entryJSON("allow", `["2001:db8::/32"]`), good, netip.MustParseAddr("2001:db8::1"), nil},
		{"expired and from a wrong address", entryJSON("expires", before, "allow", `["198.51.100.0/24"]`), good, client, ErrExpired},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := openFile(t, fileJSON(tt.entry, entryJSON("id", `"spare"`, "hash", `"`+hashOf(testPepper, "x")+`"`)))
			p, err := s.Verify(tt.key, tt.client, noon)
			if !errors.Is(err, tt.want) || (p == nil) != (tt.want != nil) {
				t.Errorf("Verify = %v, %v, want %v", p, err, tt.want)
			}
		})
	}
}

func TestNothingMayFollowTheLongestKey(t *testing.T) {
	longest := strings.Repeat("z", maxID)
	s, _ := openFile(t, fileJSON(entryJSON("id", `"`+longest+`"`)))
	key := assemble(longest, testSecret)
	if _, err := s.Verify(key, client, noon); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(key+"0", client, noon); err != ErrMalformed {
		t.Errorf("Verify = %v, want ErrMalformed", err)
	}
}

func TestVerifyNeedsTheRightPepper(t *testing.T) {
	_, path := openFile(t, fileJSON(entryJSON()))
	s, err := Open(path, []byte("another pepper of more than 16 bytes"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Verify(assemble(testID, testSecret), client, noon); err != ErrUnknown {
		t.Errorf("Verify = %v, want ErrUnknown", err)
	}
}

func TestOpenCopiesThePepper(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	writeFile(t, path, fileJSON(entryJSON()))
	pepper := append([]byte(nil), testPepper...)
	s, err := Open(path, pepper)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	clear(pepper)
	if _, err := s.Verify(assemble(testID, testSecret), client, noon); err != nil {
		t.Errorf("Verify = %v after the caller cleared its pepper", err)
	}
}

func TestVerifyReturnsTheWholePrincipal(t *testing.T) {
	s, _ := openFile(t, fileJSON(entryJSON("scopes", `["orders:read","orders:write"]`, "roles", `["buyer"]`, "tier", `"gold"`)))
	got, err := s.Verify(assemble(testID, testSecret), client, noon)
	if err != nil {
		t.Fatal(err)
	}
	want := &principal.Principal{
		ID: "acme", Method: "api_key", Scopes: []string{"orders:read", "orders:write"}, Roles: []string{"buyer"}, Tier: "gold",
		Claims: map[string]any{"key_id": "k7f3a"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("principal = %+v, want %+v", got, want)
	}
}

// countingMAC counts what Verify asks of the HMAC.
type countingMAC struct {
	hash.Hash
	calls map[string]int
}

func (c *countingMAC) Reset()                      { c.calls["reset"]++; c.Hash.Reset() }
func (c *countingMAC) Write(b []byte) (int, error) { c.calls["write"]++; return c.Hash.Write(b) }
func (c *countingMAC) Sum(b []byte) []byte         { c.calls["sum"]++; return c.Hash.Sum(b) }

func TestUnknownIDsAndWrongSecretsCostTheSame(t *testing.T) {
	revoked := entryJSON("id", `"gone"`, "hash", `"`+hashOf(testPepper, "x")+`"`, "status", `"revoked"`)
	whole := entryJSON("id", `"legacy"`, "form", `"whole"`, "hash", `"`+hashOfWhole(testPepper, sha256.Sum256([]byte(foreign)))+`"`)
	keys, err := parseTable([]byte(fileJSON(entryJSON(), revoked, whole)))
	if err != nil {
		t.Fatal(err)
	}
	uses.take("", keys)
	defer uses.drop("", keys)
	want := map[string]int{"reset": 1, "write": 1, "sum": 1}
	good := assemble(testID, testSecret)
	for _, tt := range []struct {
		key string
		err error
	}{
		{assemble(testID, "1"+testSecret[1:]), ErrUnknown},
		{assemble("other", "1"+testSecret[1:]), ErrUnknown},
		{assemble("gone", "1"+testSecret[1:]), ErrUnknown},
		{assemble("legacy", "1"+testSecret[1:]), ErrUnknown},
		{good, nil},
		{foreign, nil},
		{foreign[1:] + "!", ErrUnknown},
		{"legacy0123456789", ErrUnknown},
		{good[:len(good)-1] + "!", ErrUnknown},
	} {
		calls := make(map[string]int)
		var s Store
		s.current.Store(keys)
		s.scratch.New = func() any { return newScratch(&countingMAC{hmac.New(sha256.New, testPepper), calls}) }
		if _, err := s.Verify(tt.key, client, noon); err != tt.err {
			t.Fatalf("%s: Verify = %v, want %v", tt.key, err, tt.err)
		}
		if !reflect.DeepEqual(calls, want) {
			t.Errorf("%s: %v, want %v", tt.key, calls, want)
		}
	}
}

func TestTheStandInForUnknownIDsNeverMatches(t *testing.T) {
	s, _ := openFile(t, fileJSON(entryJSON()))
	// The one chance in 2^256, and what a mistake with an all-zero hash would be.
	s.current.Load().stranger.hash, _ = parseHash(hashOf(testPepper, testSecret))
	if p, err := s.Verify(assemble("other", testSecret), client, noon); p != nil || err != ErrUnknown {
		t.Errorf("Verify = %v, %v, want ErrUnknown", p, err)
	}
}

// What is in the map under a hash is compared again: the map is no check in
// constant time.
func TestAKeyMadeElsewhereIsComparedAsWell(t *testing.T) {
	hash := hashOfWhole(testPepper, sha256.Sum256([]byte(foreign)))
	s, _ := openFile(t, fileJSON(entryJSON("form", `"whole"`, "hash", `"`+hash+`"`)))
	if _, err := s.Verify(foreign, client, noon); err != nil {
		t.Fatal(err)
	}
	s.current.Load().entries[0].hash[31] ^= 1
	if p, err := s.Verify(foreign, client, noon); p != nil || err != ErrUnknown {
		t.Errorf("Verify = %v, %v, want ErrUnknown", p, err)
	}
}

func TestWithoutKeysMadeElsewhereOtherFormsAreMalformed(t *testing.T) {
	s, _ := openFile(t, fileJSON(entryJSON()))
	if p, err := s.Verify(foreign, client, noon); p != nil || err != ErrMalformed {
		t.Errorf("Verify = %v, %v, want ErrMalformed", p, err)
	}
}
