package redact

import (
	"compress/gzip"
	"errors"
	"io"
	"iter"
	"sync"
)

const (
	// maxCodings is how many layers of compression are taken off.
	maxCodings = 2

	// Compressed text of APIs shrinks 5 to 50 times. What shrinks 250 times
	// after the first megabyte was made for that. What is compressed shrinks no
	// more.
	bombStart  = 1 << 20
	bombRatio  = 250
	layerRatio = 4
)

var (
	errCoding  = errors.New("the content coding cannot be decoded")
	errBomb    = errors.New("the content decodes to too much")
	errStopped = errors.New("stopped")
)

// decoder takes gzip off a body that is pushed to it. The readers of the
// standard library pull, so they run in a coroutine, which gives way when the
// input ends.
type decoder struct {
	out    io.Writer
	layers int
	in     []byte
	eof    bool
	began  bool
	err    error
	read   int64
	wrote  int64
	// layered is how much came out of the layers in front of the last.
	layered int64

	resume func() (struct{}, bool)
	stop   func()
	wait   func(struct{}) bool
}

func newDecoder(layers int, out io.Writer) *decoder {
	d := &decoder{out: out, layers: layers}
	d.resume, d.stop = iter.Pull(d.run)
	return d
}

// write decodes a part, as far as it is decided by it.
func (d *decoder) write(p []byte) error {
	if d.err != nil {
		return d.err
	}
	d.began = true
	d.read += int64(len(p))
	d.in = p
	d.resume()
	d.in = nil
	return d.err
}

// close takes the end of the input. A body without a byte is none, whatever its
// coding.
func (d *decoder) close() error {
	if d.err != nil || !d.began {
		return d.err
	}
	d.eof = true
	d.resume()
	return d.err
}

func (d *decoder) release() { d.stop() }

var (
	gzipReaders sync.Pool // *gzip.Reader
	decodeBufs  = sync.Pool{New: func() any { return new([8 << 10]byte) }}
)

// run is the coroutine.
func (d *decoder) run(yield func(struct{}) bool) {
	d.wait = yield
	var source io.Reader = (*input)(d)
	for layer := range d.layers {
		z, _ := gzipReaders.Get().(*gzip.Reader)
		var err error
		if z == nil {
			z, err = gzip.NewReader(source)
		} else {
			err = z.Reset(source)
		}
		if z != nil {
			defer gzipReaders.Put(z)
		}
		if err != nil {
			d.fail(err)
			return
		}
		if source = z; layer+1 < d.layers {
			source = &layered{z, d}
		}
	}
	buf := decodeBufs.Get().(*[8 << 10]byte)
	defer decodeBufs.Put(buf)
	for {
		n, err := source.Read(buf[:])
		if d.wrote += int64(n); d.wrote > bombStart+bombRatio*d.read {
			d.err = errBomb
			return
		}
		if n > 0 {
			if _, err := d.out.Write(buf[:n]); err != nil {
				d.err = err
				return
			}
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			d.fail(err)
			return
		}
	}
}

func (d *decoder) fail(err error) {
	switch {
	case errors.Is(err, errBomb):
		d.err = errBomb
	case !errors.Is(err, errStopped):
		d.err = errCoding
	}
}

// layered counts what comes out of a layer that is not the last: a bomb may
// decode to nothing there.
type layered struct {
	io.Reader
	d *decoder
}

func (l *layered) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if l.d.layered += int64(n); l.d.layered > bombStart/4+layerRatio*l.d.read {
		return 0, errBomb
	}
	return n, err
}

// input is the reader of what is pushed. It has ReadByte so that nothing reads
// ahead of what it needs.
type input decoder

func (in *input) more() error {
	for len(in.in) == 0 {
		if in.eof {
			return io.EOF
		}
		if !in.wait(struct{}{}) {
			return errStopped
		}
	}
	return nil
}

func (in *input) Read(p []byte) (int, error) {
	if err := in.more(); err != nil {
		return 0, err
	}
	n := copy(p, in.in)
	in.in = in.in[n:]
	return n, nil
}

func (in *input) ReadByte() (byte, error) {
	if err := in.more(); err != nil {
		return 0, err
	}
	c := in.in[0]
	in.in = in.in[1:]
	return c, nil
}
