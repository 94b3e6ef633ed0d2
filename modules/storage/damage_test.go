package storage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/sallyport-gateway/sallyport/modules/internal/store/storetest"
)

const secretValue = "-----BEGIN PRIVATE KEY-----"

// rawGet and rawSet are what somebody with access to the store does.
func rawGet(t *testing.T, r *storetest.Server, name string) string {
	t.Helper()
	return strings.TrimPrefix(r.Command(t, "EVAL", "return redis.sha1hex(redis.call('HGET', KEYS[1], ARGV[1]))", "1", "{caddy}:values", name), "\n")
}

func raw(t *testing.T, r *storetest.Server, script string, args ...string) {
	t.Helper()
	r.Command(t, append([]string{"EVAL", script, "1", "{caddy}:values"}, args...)...)
}

func TestWhatWasNotStoredUnderTheNameIsNeverServed(t *testing.T) {
	r := newServer(t)
	a := open(t, r.Addr)
	otherKey := `"key":[{"id":"a","secret":"{env.` + keyB + `}"}]`
	unknownKey := `"key":[{"id":"b","secret":"{env.` + keyB + `}"}]`
	plain := `"key":null,"insecure_plaintext":true`
	tests := []struct {
		name    string
		options string // of the storage that reads
		damage  string // a script on {caddy}:values
		want    error
	}{
		{"a value under the name of another", "", `local h = redis.call('HGET', KEYS[1], 'other'); redis.call('HSET', KEYS[1], 'site/key', h)`, errTampered},
		{"a value of another prefix", `"prefix":"else"`, `redis.call('HSET', '{else}:values', 'site/key', redis.call('HGET', KEYS[1], 'site/key'))`, errTampered},
		{"a truncated value", "", cutTo("-1"), errTampered},
		{"a value cut to its header", "", cutTo("30"), errTruncated},
		{"a value cut to its mark", "", cutTo("2"), errTruncated},
		{"an empty value", "", cutTo("0"), errForeign},
		{"a value with a byte changed at its end", "", flip("#v"), errTampered},
		{"a value with its time changed", "", flip("16"), errTampered},
		{"a value of a newer version", "", flip("3"), errVersion},
		{"a value put there in the clear", "", `redis.call('HSET', KEYS[1], 'site/key', '` + secretValue + `')`, errForeign},
		{"an unencrypted envelope where keys are demanded", "", `redis.call('HSET', KEYS[1], 'site/key', 'sp\000\000' .. '12345678' .. 'value')`, errPlain},
		{"a value of another key of the same id", otherKey, "", errKeyWrong},
		{"a value of a key that is not there", unknownKey, "", errKeyUnknown},
		{"an encrypted value without keys", plain, "", errEncrypted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			put(t, a, "site/key", secretValue)
			put(t, a, "other", "another value")
			if tt.damage != "" {
				raw(t, r, tt.damage)
			}
			s := a
			if tt.options != "" {
				s = open(t, r.Addr, tt.options)
			}
			before := failures(t, "load", reasonOf(tt.want))
			value, err := s.Load(t.Context(), "site/key")
			if value != nil || !errors.Is(err, tt.want) || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), `"site/key"`) {
				t.Errorf("got %q, %v", value, err)
			}
			if _, err := s.Stat(t.Context(), "site/key"); !errors.Is(err, tt.want) {
				t.Errorf("Stat: %v", err)
			}
			if got := failures(t, "load", reasonOf(tt.want)); got != before+1 {
				t.Errorf("counted %v errors", got-before)
			}
		})
	}
}

// cutTo is a script that leaves the first bytes of site/key.
func cutTo(n string) string {
	if n == "0" {
		return `redis.call('HSET', KEYS[1], 'site/key', '')`
	}
	return `local v = redis.call('HGET', KEYS[1], 'site/key'); redis.call('HSET', KEYS[1], 'site/key', v:sub(1, ` + strings.Replace(n, "-1", "-2", 1) + `))`
}

// flip is a script that changes one byte of site/key.
func flip(at string) string {
	return `local v = redis.call('HGET', KEYS[1], 'site/key'); local i = ` + at +
		`; redis.call('HSET', KEYS[1], 'site/key', v:sub(1, i - 1) .. string.char((v:byte(i) + 128) % 256) .. v:sub(i + 1))`
}

func TestTheStoreSeesNoValue(t *testing.T) {
	r := newServer(t)
	s := open(t, r.Addr)
	put(t, s, "site/key", secretValue)
	first := rawGet(t, r, "site/key")
	put(t, s, "site/key", secretValue)
	if rawGet(t, r, "site/key") == first {
		t.Error("equal values are sealed equally")
	}
	for _, reply := range []string{"HVALS", "HGETALL"} {
		if strings.Contains(r.Command(t, reply, "{caddy}:values"), "PRIVATE") {
			t.Error("the value is in the store in the clear")
		}
	}
}

func TestKeysAreRotatedByID(t *testing.T) {
	r := newServer(t)
	both := func(first, second string) string {
		keys := map[string]string{"a": keyA, "b": keyB}
		return `"key":[{"id":"` + first + `","secret":"{env.` + keys[first] + `}"},{"id":"` + second + `","secret":"{env.` + keys[second] + `}"}]`
	}
	before, during := open(t, r.Addr), open(t, r.Addr, both("b", "a"))
	after := open(t, r.Addr, `"key":[{"id":"b","secret":"{env.`+keyB+`}"}]`)
	put(t, before, "old", "1")
	put(t, during, "new", "2")
	for name, want := range map[string]string{"old": "1", "new": "2"} {
		for _, s := range []*Storage{during, open(t, r.Addr, both("a", "b"))} {
			if got, err := s.Load(t.Context(), name); err != nil || string(got) != want {
				t.Errorf("%s: got %q, %v", name, got, err)
			}
		}
	}
	if _, err := before.Load(t.Context(), "new"); !errors.Is(err, errKeyUnknown) {
		t.Errorf("without the new key: %v", err)
	}
	if _, err := after.Load(t.Context(), "old"); !errors.Is(err, errKeyUnknown) {
		t.Errorf("without the old key: %v", err)
	}
	put(t, during, "old", "1")
	if got, err := after.Load(t.Context(), "old"); err != nil || string(got) != "1" {
		t.Errorf("stored again: %q, %v", got, err)
	}
}

func TestSecretsAreInNoErrorAndNoConfiguration(t *testing.T) {
	setKeys(t)
	t.Setenv("SALLYPORT_TEST_SHORT", "hunter2")
	for name, option := range map[string]string{
		"a literal key":                        `"key":[{"id":"a","secret":"hunter2"}]`,
		"a key too short":                      `"key":[{"id":"a","secret":"{env.SALLYPORT_TEST_SHORT}"}]`,
		"a key behind a placeholder":           `"key":[{"id":"a","secret":"{env.SALLYPORT_TEST_SHORT}hunter2"}]`,
		"a key as the id":                      `"key":[{"id":"hunter2/hunter2","secret":"{env.` + keyA + `}"}]`,
		"a literal password":                   `"password":"hunter2"`,
		"a literal password in an address":     `"address":["redis://:hunter2@127.0.0.1"]`,
		"a literal password with an at sign":   `"address":["redis://:x@hunter2@127.0.0.1"]`,
		"a literal password without a user":    `"address":["redis://hunter2@127.0.0.1"]`,
		"a literal password behind a port":     `"address":["redis://127.0.0.1:hunter2"]`,
		"a password without a file or slash":   `"password":"{http.request.uri.path.file.hunter2}"`,
		"a password in a query of the address": `"address":["redis://127.0.0.1?password=hunter2"]`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := provision(t, "127.0.0.1:1", option)
			if err == nil {
				t.Fatal("it is not refused")
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
	s := open(t, "redis://:{env.SALLYPORT_TEST_SHORT}@127.0.0.1:1")
	marshalled, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	_, loading := s.Load(t.Context(), "x")
	for _, text := range []string{string(marshalled), s.String(), loading.Error()} {
		if strings.Contains(text, "hunter2") || strings.Contains(text, "YWFh") {
			t.Errorf("a secret in %s", text)
		}
	}
}

func TestEveryWrongOptionIsNamed(t *testing.T) {
	_, err := provision(t, "127.0.0.1", `"prefix":"a b","lock_lease":"1ms","wait":"2h","timeout":"1h","username":"u",
		"ca":"/x","client_key":"/y","sentinel":{},
		"key":[{"id":"","secret":"x"},{"id":"k","secret":"{env.X}"},{"id":"k","secret":"{env.X}"}]`)
	for _, want := range []string{
		"prefix is not", "lock_lease is not between", "wait is not between", "timeout is not between", "username without a password",
		"client_certificate and client_key stand together", "sentinel stands instead of address", "the name of the master is missing",
		"key 1: the id is not", "key 1: write a secret as", `key 3: the id "k" is given twice`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("it lacks %q: %v", want, err)
		}
	}
	if _, err := provision(t, "127.0.0.1", `"key":null`); err == nil || !strings.Contains(err.Error(), "key is missing") {
		t.Errorf("without encryption: %v", err)
	}
}

func TestARejectedConfigurationTakesNothing(t *testing.T) {
	noLeaks(t)
	r := newServer(t)
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	s, err := provisionIn(ctx, r.Addr)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "a", "1")
	for range 2 {
		next, discard := caddy.NewContext(caddy.Context{Context: context.Background()})
		if _, err := provisionIn(next, r.Addr); err != nil {
			t.Fatal(err)
		}
		discard()
	}
	if _, err := provision(t, r.Addr, `"key":[{"id":"a","secret":"{env.SALLYPORT_TEST_UNSET}"}]`); err == nil {
		t.Error("an unset key is not refused")
	}
	if clients := r.Command(t, "CLIENT", "LIST"); strings.Count(clients, "name=sallyport") != 1 {
		t.Errorf("not one connection:\n%s", clients)
	}
	put(t, s, "a", "2")
}

func FuzzEnvelope(f *testing.F) {
	keys := make([]sealKey, 0, 2)
	for i, id := range []string{"a", "older"} {
		k, err := newSealKey(id, bytes.Repeat([]byte{byte(i)}, keySize))
		if err != nil {
			f.Fatal(err)
		}
		keys = append(keys, k)
	}
	encrypting, plain := &sealer{keys: keys}, new(sealer)
	modified := time.Unix(1700000000, 1)
	f.Add("name", []byte("value"), encrypting.seal("name", []byte("value"), modified))
	f.Add("name", []byte{}, plain.seal("name", []byte("value"), modified))
	f.Add("", []byte("sp"), []byte("sp\x01\xff"))
	f.Add("x", []byte("y"), []byte("sp\x01\x01a"+strings.Repeat("\x00", 44)))
	f.Fuzz(func(t *testing.T, name string, value, hostile []byte) {
		for _, s := range []*sealer{encrypting, plain, {keys: slices.Clone(keys[1:])}} {
			sealed := s.seal(name, value, modified)
			got, err := s.open(name, sealed)
			if err != nil || !bytes.Equal(got.value, value) || !got.modified.Equal(modified) {
				t.Fatalf("what was sealed does not open: %v", err)
			}
			if len(s.keys) == 0 {
				s.open(name, hostile)
				continue
			}
			if _, err := s.open(name+"x", sealed); err == nil {
				t.Fatal("it opens under another name")
			}
			if _, err := s.open(name, sealed[:len(sealed)-1]); err == nil {
				t.Fatal("it opens cut")
			}
			// Only what was sealed here opens: the seeds are bound to "name".
			if got, err := s.open(name, hostile); err == nil && (name != "name" || string(got.value) != "value") {
				t.Fatalf("%q opens to %q", hostile, got.value)
			}
		}
	})
}
