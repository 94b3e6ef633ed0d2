package jwks

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/wholefile"
)

const (
	// maxFile is the largest key file that is read.
	maxFile = 1 << 20
	// fileInterval is how often a key file is looked at: a withdrawn key is out of
	// force this long after it was taken out of the file.
	fileInterval = time.Second
)

// File keeps the keys of a file: PEM or a JWK set. It is a jwt.KeySource, safe for
// concurrent use. Make it with OpenFile, and Close it.
type File struct {
	path       string
	algorithms []string
	observe    func(Event)
	current    atomic.Pointer[jwt.KeySet]
	failing    atomic.Pointer[string] // why the last attempt failed

	once sync.Once
	stop chan struct{}
	done chan struct{}
}

// OpenFile reads the key file at path and follows its changes until Close. A file
// that cannot be read, or has no key for any of the algorithms, is refused. observe is
// called on the file's goroutine and must not call Close.
func OpenFile(path string, algorithms []string, observe func(Event)) (*File, error) {
	f := &File{path: path, algorithms: algorithms, observe: observe, stop: make(chan struct{}), done: make(chan struct{})}
	if _, err := f.load(); err != nil {
		return nil, err
	}
	live.add(f)
	go f.follow()
	return f, nil
}

// Close ends the file's goroutine and waits for it. It may be called again.
func (f *File) Close() error {
	f.once.Do(func() { close(f.stop) })
	<-f.done
	live.remove(f)
	return nil
}

// Keys implements jwt.KeySource. It never fails.
func (f *File) Keys(time.Time) (*jwt.KeySet, error) { return f.current.Load(), nil }

// Missed implements jwt.KeySource. The file is looked at often enough.
func (f *File) Missed(context.Context, *jwt.KeySet) (*jwt.KeySet, error) { return nil, nil }

// follow reads the file again and again. It compares the content: modification
// times are too coarse, and a link may lead to another file at any time.
func (f *File) follow() {
	defer close(f.done)
	ticker := time.NewTicker(fileInterval)
	defer ticker.Stop()
	failing := ""
	for {
		select {
		case <-f.stop:
			return
		case <-ticker.C:
		}
		changed, err := f.load()
		reason := ""
		if err != nil {
			reason = err.Error()
			f.failing.Store(&reason)
		} else {
			f.failing.Store(nil)
		}
		if f.observe != nil && (changed || reason != failing) {
			f.observe(Event{Source: f.path, Keys: f.current.Load(), Err: err})
		}
		failing = reason
	}
}

// load reads the file and puts its keys in force if they are good and others than
// before.
func (f *File) load() (changed bool, err error) {
	data, _, err := wholefile.Read(f.path, maxFile)
	if err != nil {
		return false, fmt.Errorf("key file %s: %w", f.path, err)
	}
	if f.current.Load().IsFrom(data) {
		return false, nil
	}
	keys, err := jwt.ParseKeys(data)
	if err != nil {
		return false, fmt.Errorf("key file %s: %w", f.path, err)
	}
	if !keys.Serves(f.algorithms) {
		return false, fmt.Errorf("key file %s: no key fits the algorithms %s", f.path, strings.Join(f.algorithms, ", "))
	}
	f.current.Store(keys)
	return true, nil
}

// Interface guards
var _ jwt.KeySource = (*File)(nil)
