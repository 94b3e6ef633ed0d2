package revocation

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/strictjson"
	"github.com/sallyport-gateway/sallyport/modules/internal/wholefile"
)

const (
	// fileInterval is how often the file is looked at: one stat.
	fileInterval = time.Second
	// settle is how old a file's modification time must be before an unchanged one
	// proves unchanged content: file systems keep it only so precisely.
	settle = 3 * time.Second
	// maxFile bounds what a mistaken path can make us read.
	maxFile = 256 << 20
	// maxErrors is how many errors of one file are told.
	maxErrors = 20
)

// Event is a change worth a line in a log.
type Event struct {
	// Source is the file's path or the store's name.
	Source string
	// Records is how many are in force.
	Records int
	// Err is why what the source says now is not in force; nil if it is.
	Err error
}

// File is the list of a file, of which it follows the changes. Make it with OpenFile,
// and Close it. It is safe for concurrent use.
type File struct {
	path    string
	observe func(Event)
	current atomic.Pointer[table]
	meter   *meter

	// Of the goroutine that follows the file, and of OpenFile before.
	info    os.FileInfo // of the last reading; nil if it failed
	bad     error       // what is wrong with what was read
	settled bool        // info is old enough to be trusted
	sum     [sha256.Size]byte
	told    string

	once       sync.Once
	stop, done chan struct{}
}

// OpenFile reads the file at path, or refuses it with all its errors, and follows its
// changes until Close. A file that is missing, half written or wrong later never
// replaces what was read before. observe is called on the file's goroutine, once for
// each reason or reading, and must not call Close.
func OpenFile(path string, observe func(Event)) (*File, error) {
	f := &File{path: path, observe: observe, stop: make(chan struct{}), done: make(chan struct{})}
	if _, err := f.load(time.Now()); err != nil {
		return nil, err
	}
	f.meter = newMeter("file "+path, f.table)
	f.meter.refreshed(time.Now(), nil)
	go f.follow()
	return f, nil
}

// Close ends the file's goroutine and waits for it. It may be called again.
func (f *File) Close() error {
	f.once.Do(func() { close(f.stop) })
	<-f.done
	f.meter.close()
	return nil
}

func (f *File) table() *table { return f.current.Load() }

func (f *File) refuses(facts *jwt.TokenFacts, now time.Time) bool {
	return f.current.Load().refuses(facts, now)
}

// follow rereads the file when it changes. It polls, as notifications miss what is
// behind links and on network file systems.
func (f *File) follow() {
	defer close(f.done)
	ticker := time.NewTicker(fileInterval)
	defer ticker.Stop()
	for {
		select {
		case <-f.stop:
			return
		case now := <-ticker.C:
			if !f.changed() {
				f.meter.refreshed(now, f.bad)
				continue
			}
			changed, err := f.load(now)
			f.meter.refreshed(now, err)
			f.tell(changed, err)
		}
	}
}

// tell reports what is new.
func (f *File) tell(changed bool, err error) {
	reason := ""
	if err != nil {
		reason = err.Error()
	}
	if f.observe != nil && (changed || reason != f.told) {
		f.observe(Event{f.path, f.current.Load().len(), err})
	}
	f.told = reason
}

// changed reports whether the file may differ from what was read last.
func (f *File) changed() bool {
	info, err := os.Stat(f.path)
	return err != nil || f.info == nil || !f.settled || !os.SameFile(info, f.info) ||
		!info.ModTime().Equal(f.info.ModTime()) || info.Size() != f.info.Size()
}

// load reads the file and puts it in force if it is good and another than before.
func (f *File) load(now time.Time) (changed bool, err error) {
	data, info, err := wholefile.Read(f.path, maxFile)
	f.info, f.bad = nil, nil
	if err != nil {
		return false, fmt.Errorf("revocations in %s: %w", f.path, err)
	}
	f.info, f.settled = info, now.Sub(info.ModTime()) > settle
	sum := sha256.Sum256(data)
	if sum != f.sum || f.current.Load() == nil {
		t, err := parseTable(data)
		if err != nil {
			f.bad = fmt.Errorf("revocations in %s: %w", f.path, err)
			return false, f.bad
		}
		f.current.Store(t)
		f.sum, changed = sum, true
	}
	return changed, nil
}

// parseTable reads the whole file, or refuses it.
func parseTable(data []byte) (*table, error) {
	records, err := parse(data)
	if err != nil {
		return nil, err
	}
	t := new(table)
	for i := range records {
		at := records[i].id()
		t.set(at, t.get(at).or(records[i].term()), true)
	}
	return t, nil
}

// parse reads {"revocations": […]} strictly. Errors show nothing of a record.
func parse(data []byte) ([]Record, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, errors.New("the file is empty: a list without revocations is {\"revocations\": []}")
	}
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	var raw []json.RawMessage
	if err := strictjson.Object(data, map[string]any{"revocations": &raw}, "revocations"); err != nil {
		return nil, err
	}
	records := make([]Record, len(raw))
	var errs []error
	for i := range raw {
		if len(errs) == maxErrors {
			errs = append(errs, errors.New("more errors are not shown"))
			break
		}
		r := &records[i]
		err := strictjson.Object(raw[i], map[string]any{
			"issuer": filled(&r.Issuer), "jti": filled(&r.JTI), "sub": filled(&r.Sub), "sid": filled(&r.SID),
			"issued_before": &r.IssuedBefore, "until": &r.Until, "reason": filled(&r.Reason),
		}, "issuer")
		if err == nil {
			err = r.Check()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("revocations[%d]: %w", i, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return records, nil
}

// filled refuses an empty name, which would make another record of this one.
func filled(s *string) *strictjson.NotEmpty { return (*strictjson.NotEmpty)(s) }
