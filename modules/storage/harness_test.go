package storage

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"github.com/sallyport-gateway/sallyport/modules/internal/store/storetest"
)

const (
	patience = 30 * time.Second
	keyA     = "SALLYPORT_TEST_KEY_A"
	keyB     = "SALLYPORT_TEST_KEY_B"
)

// setKeys puts two keys into the environment.
func setKeys(t testing.TB) {
	t.Helper()
	t.Setenv(keyA, base64.StdEncoding.EncodeToString([]byte(strings.Repeat("a", keySize))))
	t.Setenv(keyB, strings.Repeat("62", keySize))
}

// open provisions a storage as Caddy does. options are JSON members more or other
// than an address and key a.
func open(t testing.TB, address string, options ...string) *Storage {
	t.Helper()
	s, err := provision(t, address, options...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func provision(t testing.TB, address string, options ...string) (*Storage, error) {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	return provisionIn(ctx, address, options...)
}

func provisionIn(ctx caddy.Context, address string, options ...string) (*Storage, error) {
	config := map[string]any{
		"address": []string{address},
		"key":     []map[string]string{{"id": "a", "secret": "{env." + keyA + "}"}},
		"wait":    "300ms",
		"timeout": "250ms",
	}
	for _, o := range options {
		if err := json.Unmarshal([]byte("{"+o+"}"), &config); err != nil {
			return nil, err
		}
	}
	for name, value := range config {
		if value == nil {
			delete(config, name)
		}
	}
	raw, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	module, err := ctx.LoadModuleByID("caddy.storage.redis", raw)
	if err != nil {
		return nil, err
	}
	return module.(*Storage), nil
}

// noLeaks checks, when everything of the test has ended, that no goroutine is left.
func noLeaks(t testing.TB) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		// A lock of which nobody knows whether it was taken is asked about for a lease.
		var err error
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
			if err = goleak.Find(before, goleak.IgnoreAnyFunction("os/exec.(*Cmd).watchCtx")); err == nil {
				return
			}
		}
		t.Error(err)
	})
}

// until waits for something that has to happen.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never happened: %s", what)
		}
	}
}

// newServer starts a server and sets the keys.
func newServer(t testing.TB) *storetest.Server {
	t.Helper()
	setKeys(t)
	return storetest.Start(t)
}

// failures is how often an operation failed for a reason.
func failures(t testing.TB, operation, reason string) float64 {
	t.Helper()
	var m dto.Metric
	if err := storageErrors.WithLabelValues(operation, reason).Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

// keysOf returns the server's keys that begin with a text.
func keysOf(t testing.TB, r *storetest.Server, begin string) []string {
	t.Helper()
	found := strings.Split(r.Command(t, "KEYS", begin+"*"), "\n")
	return slices.DeleteFunc(found, func(key string) bool { return key == "" })
}

// holds checks a value.
func holds(t testing.TB, s *Storage, name, want string) {
	t.Helper()
	if got, err := s.Load(t.Context(), name); err != nil || string(got) != want {
		t.Errorf("%s is %q, %v; want %q", name, got, err, want)
	}
}

// free checks that nobody has a lock.
func free(t testing.TB, address, name string) {
	t.Helper()
	s := open(t, address)
	if ok, err := s.TryLock(t.Context(), name); !ok {
		t.Errorf("the lock %s is not free: %v", name, err)
		return
	}
	if err := s.Unlock(t.Context(), name); err != nil {
		t.Error(err)
	}
}
