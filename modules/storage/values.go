package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/valkey-io/valkey-go"

	"github.com/sallyport-gateway/sallyport/modules/internal/store"
)

// What a name is, as the scripts say.
const (
	kindNone      = "none"
	kindFile      = "file"
	kindDirectory = "directory"
)

var (
	errNotAFile = errors.New("a name is either a value's or the beginning of others")
	errAnswer   = errors.New("the store gave an answer that is none")
)

// Store implements certmagic.Storage. While a lock that was taken through s and
// not released is lost, it fails.
func (s *Storage) Store(ctx context.Context, key string, value []byte) error {
	name := clean(key)
	if name == "" {
		return counted("store", fmt.Errorf("storing %q: %w", key, errNotAFile))
	}
	envelope := s.sealer.seal(s.bound(name), value, time.Now())
	return counted("store", s.patiently(ctx, "storing "+strconv.Quote(key), func(ctx context.Context) error {
		return s.change(ctx, storeScript, name, string(envelope), s.leaseArg())
	}))
}

// Delete implements certmagic.Storage. It is fenced as Store is. The root cannot
// be deleted.
func (s *Storage) Delete(ctx context.Context, key string) error {
	name := clean(key)
	if name == "" {
		return counted("delete", fmt.Errorf("deleting %q: the whole storage is not deleted at once", key))
	}
	return counted("delete", s.patiently(ctx, "deleting "+strconv.Quote(key), func(ctx context.Context) error {
		return s.change(ctx, deleteScript, name, s.leaseArg())
	}))
}

// change runs a script that changes something unless a lock was lost, and answers
// what it did.
func (s *Storage) change(ctx context.Context, script *valkey.Lua, args ...string) error {
	for {
		held := s.locks()
		keys, fenced := []string{s.names.values, s.names.names, s.names.fences}, args
		for _, h := range held {
			if h.lost.Load() {
				return fmt.Errorf("%w: %s", errLockLost, h.name)
			}
			keys = append(keys, s.names.lock+h.name)
			fenced = append(fenced, h.token, h.name, h.fence)
		}
		m, err := s.client.Run(ctx, script, keys, fenced)
		if err != nil {
			return err
		}
		answer, err := m.AsStrSlice()
		if err != nil || len(answer) != 2 {
			return fmt.Errorf("%w: %v", errAnswer, err)
		}
		switch answer[0] {
		case "done":
			return nil
		case "lost":
			i := slices.IndexFunc(held, func(h *heldLock) bool { return h.name == answer[1] })
			if i < 0 || s.lose(held[i]) {
				return fmt.Errorf("%w: %s", errLockLost, answer[1])
			}
			// It was released in the meantime, by who took it.
		default:
			return fmt.Errorf("%w: %q is a %s", errNotAFile, answer[1], answer[0])
		}
	}
}

// Load implements certmagic.Storage.
func (s *Storage) Load(ctx context.Context, key string) ([]byte, error) {
	v, err := s.load(ctx, key)
	return v.value, counted("load", err)
}

// load reads and opens a value. A directory is errNotAFile.
func (s *Storage) load(ctx context.Context, key string) (v opened, err error) {
	name := clean(key)
	err = s.patiently(ctx, "loading "+strconv.Quote(key), func(ctx context.Context) error {
		m, err := s.client.Do(ctx, func(b valkey.Builder) valkey.Completed {
			return b.Hget().Key(s.names.values).Field(name).Build()
		})
		if errors.Is(err, store.ErrNil) {
			return s.absent(ctx, name)
		}
		if err != nil {
			return err
		}
		envelope, err := m.AsBytes()
		if err != nil {
			return err
		}
		v, err = s.sealer.open(s.bound(name), envelope)
		return err
	})
	return v, err
}

// absent says what name is, which is no value.
func (s *Storage) absent(ctx context.Context, name string) error {
	kind, err := s.kind(ctx, name)
	if err != nil {
		return err
	}
	if kind == kindDirectory {
		return fmt.Errorf("%w: it is a directory", errNotAFile)
	}
	return fs.ErrNotExist
}

func (s *Storage) kind(ctx context.Context, name string) (string, error) {
	m, err := s.client.Run(ctx, kindScript, []string{s.names.values, s.names.names}, []string{name})
	if err != nil {
		return "", err
	}
	return m.ToString()
}

// Exists implements certmagic.Storage. It is false also if the store cannot be
// asked.
func (s *Storage) Exists(ctx context.Context, key string) bool {
	kind := kindNone
	err := s.patiently(ctx, "looking for "+strconv.Quote(key), func(ctx context.Context) (err error) {
		kind, err = s.kind(ctx, clean(key))
		return err
	})
	return counted("exists", err) == nil && kind != kindNone
}

// List implements certmagic.Storage.
func (s *Storage) List(ctx context.Context, dir string, recursive bool) ([]string, error) {
	name := clean(dir)
	script := childrenScript
	if recursive {
		script = walkScript
	}
	var answer []string
	err := s.patiently(ctx, "listing "+strconv.Quote(dir), func(ctx context.Context) error {
		m, err := s.client.Run(ctx, script, []string{s.names.values, s.names.names}, []string{name})
		if err != nil {
			return err
		}
		if answer, err = m.AsStrSlice(); err != nil || len(answer) == 0 {
			return fmt.Errorf("%w: %v", errAnswer, err)
		}
		if answer[0] == kindNone {
			return fs.ErrNotExist
		}
		return nil
	})
	if err != nil {
		return nil, counted("list", err)
	}
	keys := answer[1:]
	if recursive {
		keys = withDirectories(name, keys)
	} else {
		slices.SortFunc(keys, compare)
	}
	for i, found := range keys {
		keys[i] = below(dir, name, found)
	}
	return keys, nil
}

// Stat implements certmagic.Storage. A value is opened, so that one that was
// changed has no size either.
func (s *Storage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	v, err := s.load(ctx, key)
	if errors.Is(err, errNotAFile) {
		return certmagic.KeyInfo{Key: key}, nil
	}
	if err != nil {
		return certmagic.KeyInfo{}, counted("stat", err)
	}
	return certmagic.KeyInfo{Key: key, Modified: v.modified, Size: int64(len(v.value)), IsTerminal: true}, nil
}

// bound is what an envelope is bound to. A prefix has no NUL in it.
func (s *Storage) bound(name string) string { return s.prefix() + "\x00" + name }

const (
	firstRetry   = 20 * time.Millisecond
	longestRetry = time.Second
)

// patiently calls do until it gets through to the store, for as long as the
// configuration says. what names the operation in the error.
func (s *Storage) patiently(ctx context.Context, what string, do func(context.Context) error) error {
	return patiently(ctx, s.wait, what, do)
}

func patiently(ctx context.Context, wait time.Duration, what string, do func(context.Context) error) error {
	begun := time.Now()
	for pause := firstRetry; ; pause = min(2*pause, longestRetry) {
		err := do(ctx)
		if err == nil {
			return nil
		}
		var away *store.Error
		if !errors.As(err, &away) || !away.Transient() {
			return fmt.Errorf("%s: %w", what, err)
		}
		nap := pause/2 + rand.N(pause)/2
		if left := wait - time.Since(begun); left < nap {
			return fmt.Errorf("%s: gave up after %s: %w", what, time.Since(begun).Round(time.Millisecond), err)
		}
		select {
		case <-time.After(nap):
		case <-ctx.Done():
			return fmt.Errorf("%s: %w (%w)", what, ctx.Err(), err)
		}
	}
}
