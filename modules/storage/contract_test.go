package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/sallyport-gateway/sallyport/modules/internal/store/storetest"
)

// storages are what the contract is tried on: certmagic's own, and ours on a
// server, with TLS and a password, and without encryption.
func storages(t *testing.T) map[string]func(t *testing.T) certmagic.Storage {
	setKeys(t)
	t.Setenv("SALLYPORT_TEST_PASSWORD", "correct horse")
	plain, secure := storetest.Start(t), storetest.StartTLS(t, "correct horse")
	n := 0
	fresh := func() string { n++; return fmt.Sprintf(`"prefix":"p%d"`, n) }
	return map[string]func(t *testing.T) certmagic.Storage{
		"file system": func(t *testing.T) certmagic.Storage { return &certmagic.FileStorage{Path: t.TempDir()} },
		"redis":       func(t *testing.T) certmagic.Storage { return open(t, plain.Addr, fresh()) },
		"redis unencrypted": func(t *testing.T) certmagic.Storage {
			return open(t, plain.Addr, fresh(), `"key":null,"insecure_plaintext":true`)
		},
		"redis with TLS": func(t *testing.T) certmagic.Storage {
			return open(t, "rediss://:{env.SALLYPORT_TEST_PASSWORD}@"+secure.Addr, fresh(), fmt.Sprintf(
				`"ca":%q,"client_certificate":%q,"client_key":%q,"timeout":"5s","wait":"10s"`,
				secure.Dir+"/ca.pem", secure.Dir+"/client.pem", secure.Dir+"/client.key"))
		},
	}
}

func TestTheContractOfStorage(t *testing.T) {
	tests := []struct {
		name string
		try  func(t *testing.T, ctx context.Context, s certmagic.Storage)
	}{
		{"what is stored is loaded", func(t *testing.T, ctx context.Context, s certmagic.Storage) {
			for _, value := range []string{"first", "", "second, and longer", "\x00\xff"} {
				put(t, s, "a/b", value)
				if got, err := s.Load(ctx, "a/b"); err != nil || string(got) != value {
					t.Errorf("got %q, %v", got, err)
				}
			}
		}},
		{"an absent value is fs.ErrNotExist in Load, Stat and List, and no error in Delete", func(t *testing.T, ctx context.Context, s certmagic.Storage) {
			put(t, s, "a/b", "v")
			for _, name := range []string{"none", "a/none", "none/b", "a/bb", "b", "a/b2/c"} {
				_, loading := s.Load(ctx, name)
				_, stating := s.Stat(ctx, name)
				_, listing := s.List(ctx, name, true)
				_, children := s.List(ctx, name, false)
				for _, err := range []error{loading, stating, listing, children} {
					if !errors.Is(err, fs.ErrNotExist) {
						t.Errorf("%s: %v", name, err)
					}
				}
				if err := s.Delete(ctx, name); err != nil {
					t.Errorf("deleting %s: %v", name, err)
				}
				if s.Exists(ctx, name) {
					t.Errorf("%s exists", name)
				}
			}
			exists(t, s, "a/b", "a")
		}},
		{"a prefix counts by components", func(t *testing.T, ctx context.Context, s certmagic.Storage) {
			put(t, s, "ab/c", "v")
			put(t, s, "a-b", "v")
			put(t, s, "a0", "v")
			absent(t, s, "a")
			if err := s.Delete(ctx, "a"); err != nil {
				t.Error(err)
			}
			exists(t, s, "ab/c", "ab", "a-b", "a0")
		}},
		{"Stat tells values from directories", func(t *testing.T, ctx context.Context, s certmagic.Storage) {
			before := time.Now().Add(-2 * time.Second)
			put(t, s, "dir/sub/file", "12345")
			info, err := s.Stat(ctx, "dir/sub/file")
			if err != nil || info.Key != "dir/sub/file" || info.Size != 5 || !info.IsTerminal ||
				info.Modified.Before(before) || info.Modified.After(time.Now().Add(2*time.Second)) {
				t.Errorf("got %+v, %v", info, err)
			}
			for _, name := range []string{"dir", "dir/sub"} {
				if info, err := s.Stat(ctx, name); err != nil || info.Key != name || info.IsTerminal {
					t.Errorf("%s: got %+v, %v", name, info, err)
				}
			}
		}},
		{"List gives what is directly below, or with the directories all that is below", func(t *testing.T, ctx context.Context, s certmagic.Storage) {
			for _, name := range []string{"c/a/x.crt", "c/a/x.key", "c/a-b/y", "c/a/deep/er/z", "c/file", "cc/other", "c!/other"} {
				put(t, s, name, "v")
			}
			lists(t, s, "c", false, "c/a", "c/a-b", "c/file")
			lists(t, s, "c", true, "c/a", "c/a/deep", "c/a/deep/er", "c/a/deep/er/z", "c/a/x.crt", "c/a/x.key", "c/a-b", "c/a-b/y", "c/file")
			lists(t, s, "c/a", false, "c/a/deep", "c/a/x.crt", "c/a/x.key")
			lists(t, s, "c/file", false)
			lists(t, s, "c/file", true)
			lists(t, s, "", false, "c", "c!", "cc")
			lists(t, s, "", true, "c", "c/a", "c/a/deep", "c/a/deep/er", "c/a/deep/er/z", "c/a/x.crt", "c/a/x.key", "c/a-b", "c/a-b/y",
				"c/file", "c!", "c!/other", "cc", "cc/other")
		}},
		{"the root is an empty directory in the beginning", func(t *testing.T, ctx context.Context, s certmagic.Storage) {
			lists(t, s, "", true)
			lists(t, s, "", false)
			if info, err := s.Stat(ctx, ""); err != nil || info.IsTerminal {
				t.Errorf("got %+v, %v", info, err)
			}
		}},
		{"deleting a directory deletes what is below, and nothing else", func(t *testing.T, ctx context.Context, s certmagic.Storage) {
			for _, name := range []string{"d/a", "d/b/c", "d/b/d", "dd/a", "d-/a", "d0"} {
				put(t, s, name, "v")
			}
			if err := s.Delete(ctx, "d"); err != nil {
				t.Fatal(err)
			}
			absent(t, s, "d", "d/a", "d/b", "d/b/c")
			exists(t, s, "dd/a", "d-/a", "d0")
			put(t, s, "d", "now a value")
			exists(t, s, "d")
		}},
		{"a name is a value's or a directory's, not both", func(t *testing.T, ctx context.Context, s certmagic.Storage) {
			put(t, s, "f", "v")
			put(t, s, "d/f", "v")
			for _, name := range []string{"f/below", "f/far/below", "d", ""} {
				if err := s.Store(ctx, name, []byte("x")); err == nil {
					t.Errorf("storing %q is not refused", name)
				}
			}
			if got, err := s.Load(ctx, "d"); err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("loading a directory: %q, %v", got, err)
			}
			if got, err := s.Load(ctx, "f"); err != nil || string(got) != "v" {
				t.Errorf("got %q, %v", got, err)
			}
		}},
		{"names have one form", func(t *testing.T, ctx context.Context, s certmagic.Storage) {
			put(t, s, "a//b/./c/", "v")
			exists(t, s, "a/b/c", "a/b/c/", "a/x/../b/c")
			lists(t, s, "a/b/", false, "a/b/c")
		}},
		{"a list of many is complete", func(t *testing.T, ctx context.Context, s certmagic.Storage) {
			var flat, dirs []string
			for i := range 150 {
				flat = append(flat, fmt.Sprintf("m/flat/%03d", i))
				dirs = append(dirs, fmt.Sprintf("m/dirs/%03d", i))
				put(t, s, flat[i], "v")
				put(t, s, dirs[i]+"/a", "v")
				put(t, s, dirs[i]+"/b", "v")
			}
			lists(t, s, "m/flat", false, flat...)
			lists(t, s, "m/dirs", false, dirs...)
			if err := s.Delete(ctx, "m"); err != nil {
				t.Error(err)
			}
			absent(t, s, "m", "m/dirs/149/b")
		}},
		{"concurrent writers neither lose nor mix values", func(t *testing.T, ctx context.Context, s certmagic.Storage) {
			var writers sync.WaitGroup
			for w := range 8 {
				writers.Go(func() {
					for i := range 20 {
						if err := s.Store(ctx, "w/one", []byte(strings.Repeat(fmt.Sprint(w), 1000))); err != nil {
							t.Error(err)
						}
						if err := s.Store(ctx, fmt.Sprintf("w/%d/%d", w, i), []byte{byte(w)}); err != nil {
							t.Error(err)
						}
						if err := s.Delete(ctx, fmt.Sprintf("w/%d/%d", w, i-1)); err != nil {
							t.Error(err)
						}
						if got, err := s.Load(ctx, "w/one"); err != nil || len(got) != 1000 || strings.Count(string(got), string(got[:1])) != 1000 {
							t.Errorf("got %.10q, %v", got, err)
						}
					}
				})
			}
			writers.Wait()
			lists(t, s, "w", true, "w/0", "w/0/19", "w/1", "w/1/19", "w/2", "w/2/19", "w/3", "w/3/19", "w/4", "w/4/19",
				"w/5", "w/5/19", "w/6", "w/6/19", "w/7", "w/7/19", "w/one")
		}},
		{"a lock is exclusive, and free when it was unlocked", func(t *testing.T, ctx context.Context, s certmagic.Storage) {
			lock(t, s, "l")
			if ok, err := s.(certmagic.TryLocker).TryLock(ctx, "l"); ok || err != nil {
				t.Errorf("a second owner: %v, %v", ok, err)
			}
			if ok, err := s.(certmagic.TryLocker).TryLock(ctx, "other"); !ok || err != nil {
				t.Errorf("another lock: %v, %v", ok, err)
			}
			taken := make(chan error)
			go func() { taken <- s.Lock(ctx, "l") }()
			unlock(t, s, "l")
			if err := <-taken; err != nil {
				t.Error(err)
			}
			unlock(t, s, "l")
			unlock(t, s, "other")
		}},
		{"waiting for a lock ends with the context", func(t *testing.T, ctx context.Context, s certmagic.Storage) {
			lock(t, s, "l")
			waiting, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			defer cancel()
			if err := s.Lock(waiting, "l"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			unlock(t, s, "l")
			lock(t, s, "l")
			unlock(t, s, "l")
		}},
		{"unlocking what is not locked is an error", func(t *testing.T, ctx context.Context, s certmagic.Storage) {
			if err := s.Unlock(ctx, "l"); err == nil {
				t.Error("it is none")
			}
		}},
		{"many wait for one lock, one at a time has it", func(t *testing.T, ctx context.Context, s certmagic.Storage) {
			if _, slow := s.(*certmagic.FileStorage); slow {
				return // it asks once a second
			}
			var waiting sync.WaitGroup
			var owners, most, rounds int
			for range 6 {
				waiting.Go(func() {
					lock(t, s, "l")
					owners++
					most, rounds = max(most, owners), rounds+1
					owners--
					unlock(t, s, "l")
				})
			}
			waiting.Wait()
			if most != 1 || rounds != 6 {
				t.Errorf("%d at once, %d rounds", most, rounds)
			}
		}},
	}
	for kind, fresh := range storages(t) {
		t.Run(kind, func(t *testing.T) {
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) { tt.try(t, t.Context(), fresh(t)) })
			}
		})
	}
}

func put(t *testing.T, s certmagic.Storage, name, value string) {
	t.Helper()
	if err := s.Store(t.Context(), name, []byte(value)); err != nil {
		t.Errorf("storing %s: %v", name, err)
	}
}

func lock(t *testing.T, s certmagic.Storage, name string) {
	t.Helper()
	if err := s.Lock(t.Context(), name); err != nil {
		t.Errorf("locking %s: %v", name, err)
	}
}

func unlock(t *testing.T, s certmagic.Storage, name string) {
	t.Helper()
	if err := s.Unlock(t.Context(), name); err != nil {
		t.Errorf("unlocking %s: %v", name, err)
	}
}

func exists(t *testing.T, s certmagic.Storage, names ...string) {
	t.Helper()
	for _, name := range names {
		if !s.Exists(t.Context(), name) {
			t.Errorf("%s does not exist", name)
		}
	}
}

func absent(t *testing.T, s certmagic.Storage, names ...string) {
	t.Helper()
	for _, name := range names {
		if s.Exists(t.Context(), name) {
			t.Errorf("%s exists", name)
		}
	}
}

func lists(t *testing.T, s certmagic.Storage, dir string, recursive bool, want ...string) {
	t.Helper()
	got, err := s.List(t.Context(), dir, recursive)
	if _, files := s.(*certmagic.FileStorage); files && dir == "" {
		got = slices.DeleteFunc(got, func(name string) bool { return strings.HasPrefix(name, "locks") })
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("list of %q (%v): %q, %v; want %q", dir, recursive, got, err, want)
	}
}
