package logtext

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/sallyport-gateway/sallyport/modules/redact/detect"
)

// Config says what is secret beside what always is.
type Config struct {
	// Headers are names of HTTP headers. In text, all of the line is masked.
	Headers []string
	// Query are names of parameters in URLs, forms and cookies.
	Query []string
	// Keys are names of JSON members and of pairs in text.
	Keys []string
	// Detectors are some of what Optional names.
	Detectors []string
}

// Optional returns the detectors that a configuration may add. The others are
// always looked for. An email address is no credential, and is often the user's
// id, which is what an access log is read for.
func Optional() []string { return []string{detect.Email} }

// detectors returns the detectors that the configuration asks for.
func (c Config) detectors() (*detect.Set, error) {
	var errs []error
	names := []string{detect.Card, detect.CloudKeys, detect.JWT}
	for i, name := range c.Detectors {
		if !slices.Contains(Optional(), name) {
			errs = append(errs, fmt.Errorf("detect[%d]: %q is not one of %v", i, name, Optional()))
			continue
		}
		names = append(names, name)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return detect.Compile(names...)
}

// Cleaner masks the secrets of log entries. It is safe for concurrent use.
type Cleaner struct {
	names     *nameSet
	detectors *detect.Set
	scans     sync.Pool
}

// New compiles a configuration. The error names every bad name in it.
func New(c Config) (*Cleaner, error) {
	names, errNames := newNameSet(c.Headers, c.Query, c.Keys)
	detectors, errDetect := c.detectors()
	if err := errors.Join(errNames, errDetect); err != nil {
		return nil, err
	}
	cl := &Cleaner{names: names, detectors: detectors}
	cl.scans.New = func() any { return &scan{Cleaner: cl} }
	return cl, nil
}

// maxKept is the largest buffer that waits for the next entry.
const maxKept = 64 << 10

// Clean writes the entry to dst with its secrets masked. It reports false, and
// writes nothing, if it has none. Errors of dst are not looked at: it is a
// buffer in memory.
func (c *Cleaner) Clean(dst io.Writer, entry []byte) (changed bool) {
	s := c.scans.Get().(*scan)
	s.entry, s.edits = entry, s.edits[:0]
	s.scanEntry()
	from := 0
	for _, e := range s.edits {
		_, _ = dst.Write(entry[from:e.start])
		_, _ = dst.Write(replacements[e.form])
		from = e.end
	}
	if changed = len(s.edits) > 0; changed {
		_, _ = dst.Write(entry[from:])
	}
	s.entry = nil
	if cap(s.unquoted.text) <= maxKept && cap(s.peeled[0].text) <= maxKept && cap(s.peeled[1].text) <= maxKept &&
		cap(s.edits) <= maxKept/8 && cap(s.stack) <= maxKept {
		c.scans.Put(s)
	}
	return changed
}

var replacements = [...][]byte{
	formMask:   []byte(mask),
	formString: []byte(`"` + mask + `"`),
	formZero:   []byte("0"),
}
