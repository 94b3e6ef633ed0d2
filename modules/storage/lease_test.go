package storage

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Commands that may take as long as operations wait would leave a store that hangs
// unnoticed, and a lock would run out during one of its renewals.
func TestATimeoutThatIsTooLong(t *testing.T) {
	setKeys(t)
	for options, want := range map[string]string{
		`"timeout":"1s","wait":"1s"`:                      "timeout 1s is not shorter than wait 1s",
		`"timeout":null,"wait":"500ms"`:                   "timeout 1s is not shorter than wait 500ms",
		`"timeout":"10s","wait":null`:                     "timeout 10s is not shorter than wait 10s",
		`"timeout":"16s","wait":"1m"`:                     "timeout 16s is longer than half of lock_lease 30s",
		`"timeout":"501ms","lock_lease":"1s"`:             "timeout 501ms is longer than half of lock_lease 1s",
		`"timeout":"999ms","wait":"1s"`:                   "",
		`"timeout":null,"wait":null`:                      "",
		`"timeout":"250ms","lock_lease":"500ms"`:          "lock_lease is not between",
		`"timeout":"15s","wait":"1m"`:                     "",
		`"timeout":"500ms","wait":"1s","lock_lease":"1s"`: "",
	} {
		_, err := provision(t, "127.0.0.1:1", options)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", options, err, want)
		}
	}
}

// A clock that is set back, or a copy that was restored, leaves a dead owner's lock
// a lease that no gateway gave it.
func TestALeaseThatNobodyGaveIsCutToTheLongest(t *testing.T) {
	for name, spoil := range map[string][]string{
		"without an end":         {"PERSIST", "{caddy}:lock:l"},
		"after a clock was set":  {"PEXPIRE", "{caddy}:lock:l", "3600000"},
		"longer than Go's times": {"PEXPIRE", "{caddy}:lock:l", "9000000000000000"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newServer(t)
			dead, s := open(t, r.Addr, `"lock_lease":"10m"`), open(t, r.Addr)
			lock(t, dead, "l")
			r.Command(t, spoil...)
			if ok, err := s.TryLock(t.Context(), "l"); ok || err != nil {
				t.Errorf("a second owner: %v, %v", ok, err)
			}
			soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if err := s.Lock(soon, "l"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			if left, err := strconv.ParseInt(r.Command(t, "PTTL", "{caddy}:lock:l"), 10, 64); err != nil || left <= 0 || left > longestLease.Milliseconds() {
				t.Errorf("the lock stays for %d ms, %v", left, err)
			}
			if err := dead.RenewLockLease(t.Context(), "l", 0); err != nil {
				t.Errorf("an owner that lives: %v", err)
			}
			unlock(t, dead, "l")
			free(t, r.Addr, "l")
		})
	}
}
