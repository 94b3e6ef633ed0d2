package apikey

import (
	"crypto/sha256"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/wholefile"
)

const (
	// interval is how often the file is looked at: one stat. A revocation is in
	// force this long after it was written, at the latest.
	interval = time.Second
	// settle is how old a file's modification time must be before an unchanged
	// one proves unchanged content: file systems keep it only so precisely.
	settle = 3 * time.Second
)

// State is what is in force and whether that is what the file says.
type State struct {
	// Keys is how many keys are in force, revoked and expired ones included.
	Keys int
	// Loaded is when they were read.
	Loaded time.Time
	// Err is why the file as it is now is not in force; nil if it is. It names
	// the file and its errors and contains no secret and no hash.
	Err error
}

// watcher is what the store knows about its file. Only the goroutine that
// follows the file (and Open, before it starts) writes to it.
type watcher struct {
	mu    sync.Mutex // guards state
	state State

	info    os.FileInfo // of the last reading; nil if it failed
	settled bool        // info is old enough to be trusted
	sum     [sha256.Size]byte
	verdict error // on the content with sum
}

// State returns what is in force. It reads no file.
func (s *Store) State() State {
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	return s.watch.state
}

// follow rereads the file when it changes. It polls: a notification per
// directory would miss files behind symbolic links (as Kubernetes mounts them)
// and on network file systems.
func (s *Store) follow() {
	defer close(s.done)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case now := <-ticker.C:
			if s.changed() {
				s.load(now)
			}
		}
	}
}

// changed reports whether the file may differ from what was read last.
func (s *Store) changed() bool {
	w := &s.watch
	info, err := os.Stat(s.path)
	return err != nil || w.info == nil || !w.settled || !os.SameFile(info, w.info) ||
		!info.ModTime().Equal(w.info.ModTime()) || info.Size() != w.info.Size()
}

// load reads the file and puts it in force if it is good. It returns why not.
func (s *Store) load(now time.Time) error {
	w := &s.watch
	data, info, err := wholefile.Read(s.path, maxFile)
	w.info = info
	if err != nil {
		return s.report(nil, now, fmt.Errorf("key file %s: %w", s.path, err))
	}
	w.settled = now.Sub(info.ModTime()) > settle
	sum := sha256.Sum256(data)
	if sum == w.sum && s.current.Load() != nil {
		return s.report(nil, now, w.verdict)
	}
	t, err := parseTable(data)
	if err != nil {
		err = fmt.Errorf("key file %s: %w", s.path, err)
	}
	w.sum, w.verdict = sum, err
	return s.report(t, now, err)
}

// report puts t in force, if there is one, and tells what is new.
func (s *Store) report(t *table, now time.Time, err error) error {
	w := &s.watch
	before := s.current.Load()
	first := before == nil
	if t != nil {
		uses.take(s.path, t)
	}
	w.mu.Lock()
	told := t == nil && errorText(w.state.Err) == errorText(err)
	w.state.Err = err
	if t != nil {
		s.current.Store(t)
		w.state.Keys, w.state.Loaded = len(t.entries), now
	}
	state := w.state
	w.mu.Unlock()
	if t != nil {
		uses.drop(s.path, before)
	}
	if s.onReload != nil && !told && !first {
		s.onReload(state)
	}
	return err
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
