package event

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/lease"
)

// The outputs.
const (
	Off    = "off"
	Stdout = "stdout"
	File   = "file"
)

// Config says where events go. The zero Config is off.
type Config struct {
	// Output is off, stdout or file. Default: off.
	Output string `json:"output,omitempty"`

	// Path is the file, which is appended to. It is made if it is not there, for
	// its owner alone, and again when it was renamed or removed, so that any log
	// rotation will do. Required for file.
	Path string `json:"path,omitempty"`
}

// Check returns an error for an output that there is not.
func (c Config) Check() error {
	switch c.Output {
	case "", Off, Stdout:
		if c.Path != "" {
			return errors.New("events: path is for the output file")
		}
	case File:
		if c.Path == "" {
			return errors.New("events: the output file needs a path")
		}
	default:
		return fmt.Errorf("events: output %q is not %s, %s or %s", c.Output, Stdout, File, Off)
	}
	return nil
}

// sinks are the open ones. Configurations with the same output share one, so that
// a reload loses nothing and writes nothing twice.
var sinks = lease.NewPool[*Sink]()

// Open returns a lease on the sink of c, or nil where events are off.
func (c Config) Open() (*lease.Lease[*Sink], error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	switch c.Output {
	case Stdout:
		return sinks.Take(Config{Output: Stdout}, func() (*Sink, error) { return newSink(onlyWriter{os.Stdout}), nil })
	case File:
		path, err := filepath.Abs(c.Path)
		if err != nil {
			return nil, fmt.Errorf("events: %w", err)
		}
		return sinks.Take(Config{File, path}, func() (*Sink, error) {
			f, err := openFile(path)
			if err != nil {
				return nil, fmt.Errorf("events: %w", err)
			}
			return newSink(f), nil
		})
	}
	return nil, nil
}

// onlyWriter cannot be closed.
type onlyWriter struct{ io.Writer }

// lookAfter is how often the file is looked for under its name.
const lookAfter = time.Second

// file appends to whatever has its name.
type file struct {
	path   string
	f      *os.File
	looked time.Time
}

func openFile(path string) (*file, error) {
	// Without O_NONBLOCK, opening a pipe that nobody reads would never end.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	return &file{path: path, f: f, looked: time.Now()}, nil
}

// Write implements io.Writer. A file that was renamed is written to until its name
// is there again, or can be made.
func (o *file) Write(p []byte) (int, error) {
	if now := time.Now(); now.Sub(o.looked) >= lookAfter {
		o.looked = now
		o.follow()
	}
	return o.f.Write(p)
}

// Close implements io.Closer.
func (o *file) Close() error { return o.f.Close() }

// follow opens the file again if another one, or none, has its name by now.
func (o *file) follow() {
	named, err := os.Stat(o.path)
	if err == nil {
		if open, err := o.f.Stat(); err != nil || os.SameFile(named, open) {
			return
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return
	}
	next, err := openFile(o.path)
	if err != nil {
		return
	}
	_ = o.f.Close()
	o.f = next.f
}
