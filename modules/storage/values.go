package storage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	mathrand "math/rand/v2"
	"slices"
	"strconv"
	"sync/atomic"
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
	errTooLarge = fmt.Errorf("a name has at most %d bytes, and a value %d", longestName, largestValue)
)

// What is stored can be read again: the client cuts its connection, which others
// use, at replies above 64 MiB.
const (
	longestName  = 4096
	largestValue = 32 << 20
)

// Store implements certmagic.Storage. While a lock that was taken through s and
// not released is lost, it fails.
func (s *Storage) Store(ctx context.Context, key string, value []byte) error {
	name := clean(key)
	if name == "" {
		return counted("store", fmt.Errorf("storing %q: %w", key, errNotAFile))
	}
	if len(name) > longestName || len(value) > largestValue {
		return counted("store", fmt.Errorf("storing %.200q: %w", key, errTooLarge))
	}
	call := nextCall()
	envelope := s.sealer.seal(s.bound(name), value, time.Now())
	return counted("store", s.patiently(ctx, s.wait, "storing "+strconv.Quote(key), func(ctx context.Context) error {
		return s.change(ctx, storeScript, call, name, string(envelope))
	}))
}

// Delete implements certmagic.Storage. It is fenced as Store is. The root cannot
// be deleted.
func (s *Storage) Delete(ctx context.Context, key string) error {
	name := clean(key)
	if name == "" {
		return counted("delete", fmt.Errorf("deleting %q: the whole storage is not deleted at once", key))
	}
	call := nextCall()
	return counted("delete", s.patiently(ctx, s.wait, "deleting "+strconv.Quote(key), func(ctx context.Context) error {
		return s.change(ctx, deleteScript, call, name, "")
	}))
}

// How calls that change values are put in order.
var (
	// writer names this process, over reloads.
	writer       = rand.Text()
	processBegun = time.Now()
	lastCall     atomic.Int64
)

const (
	// lateness is how late an attempt may arrive and be recognised. TCP gives up
	// after about a quarter of an hour.
	lateness = 20 * time.Minute
	// remembered is for how long calls are: attempts are made for as long as the
	// longest wait of any configuration that this process has had, and arrive later.
	remembered = longestWait + lateness
)

// nextCall numbers a call, for all its attempts: microseconds of a clock that is
// never set, unless two begin at once.
func nextCall() int64 {
	for {
		last := lastCall.Load()
		next := max(last+1, time.Since(processBegun).Microseconds())
		if lastCall.CompareAndSwap(last, next) {
			return next
		}
	}
}

// change makes one attempt of a call to change something. It does nothing if a
// lock was lost.
func (s *Storage) change(ctx context.Context, script *valkey.Lua, call int64, name, envelope string) error {
	args := []string{
		name, milliseconds(s.lease), strconv.FormatInt(call, 10),
		strconv.FormatInt(call-remembered.Microseconds(), 10), milliseconds(remembered), envelope,
	}
	for {
		held := s.locks()
		keys, fenced := []string{s.names.values, s.names.names, s.names.writer}, slices.Clone(args)
		for _, h := range held {
			if h.lost.Load() {
				return fmt.Errorf("%w: %q", errLockLost, h.name)
			}
			keys = append(keys, s.names.lock+h.name, s.names.fence+h.name)
			fenced = append(fenced, h.token, h.name, h.fence)
		}
		m, err := s.client.Run(ctx, script, keys, fenced)
		if err != nil {
			return err
		}
		answer, err := m.AsStrSlice()
		if err != nil || len(answer) != 2 {
			return errAnswer
		}
		switch answer[0] {
		case "done":
			return nil
		case "lost":
			i := slices.IndexFunc(held, func(h *heldLock) bool { return h.name == answer[1] })
			if i < 0 {
				return errAnswer
			}
			if s.lose(held[i]) {
				return fmt.Errorf("%w: %q", errLockLost, held[i].name)
			}
			// It was released in the meantime, by who took it.
		case kindFile, kindDirectory:
			return fmt.Errorf("%w: %.200q is a %s", errNotAFile, answer[1], answer[0])
		default:
			return errAnswer
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
	err = s.patiently(ctx, s.wait, "loading "+strconv.Quote(key), func(ctx context.Context) error {
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
	switch kind, err := m.ToString(); {
	case err != nil:
		return "", err
	case kind != kindNone && kind != kindFile && kind != kindDirectory:
		return "", errAnswer
	default:
		return kind, nil
	}
}

// Exists implements certmagic.Storage. It is false also if the store cannot be
// asked.
func (s *Storage) Exists(ctx context.Context, key string) bool {
	kind := kindNone
	err := s.patiently(ctx, s.wait, "looking for "+strconv.Quote(key), func(ctx context.Context) (err error) {
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
	err := s.patiently(ctx, s.wait, "listing "+strconv.Quote(dir), func(ctx context.Context) error {
		m, err := s.client.Run(ctx, script, []string{s.names.values, s.names.names}, []string{name})
		if err != nil {
			return err
		}
		if answer, err = m.AsStrSlice(); err != nil || len(answer) == 0 {
			return errAnswer
		}
		switch answer[0] {
		case kindNone:
			return fs.ErrNotExist
		case kindFile, kindDirectory:
			return nil
		}
		return errAnswer
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

// patiently calls do until it gets through to the store, for as long as wait says.
// what names the operation in the error.
func (s *Storage) patiently(asked context.Context, wait time.Duration, what string, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(asked, wait)
	defer cancel()
	begun := time.Now()
	var away *store.Error // why the last attempt that was not cut short failed
	for pause := firstRetry; ; pause = min(2*pause, longestRetry) {
		err := do(ctx)
		if err == nil {
			return nil
		}
		cut := errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil && asked.Err() == nil
		if cut && away == nil {
			away = &store.Error{Store: s.client.Name(), Reason: store.ReasonTimeout, Err: err}
		}
		if !cut && (!errors.As(err, &away) || !away.Transient()) {
			return fmt.Errorf("%s: %w", what, err)
		}
		nap := pause/2 + mathrand.N(pause)/2
		if cut || wait-time.Since(begun) < nap {
			return fmt.Errorf("%s: gave up after %s: %w", what, time.Since(begun).Round(time.Millisecond), away)
		}
		select {
		case <-time.After(nap):
		case <-asked.Done():
			return fmt.Errorf("%s: %w (%w)", what, asked.Err(), err)
		}
	}
}
