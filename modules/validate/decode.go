package validate

import (
	"bufio"
	"compress/gzip"
	"compress/zlib"
	"io"
	"sync"

	"github.com/sallyport-gateway/sallyport/modules/validate/jsonscan"
)

// The content codings that are decoded (RFC 9110 section 8.4.1). deflate is the
// zlib format, which some clients get wrong.
const (
	codingGzip      = "gzip"
	codingDeflate   = "deflate"
	acceptedCodings = "gzip, deflate"
)

const (
	// Compressed data of APIs shrinks 5 to 50 times. What shrinks 200 times after
	// the first 256 KiB was made for that.
	bombStart = 256 << 10
	bombRatio = 200
)

// inspection takes the decoded body.
type inspection struct {
	limit   int64
	scanner *jsonscan.Scanner // nil if the content does not matter
	keep    bool
	text    []byte
	size    int64
}

// Write implements io.Writer.
func (c *inspection) Write(p []byte) (int, error) {
	if c.size += int64(len(p)); c.size > c.limit {
		return 0, errTooLarge
	}
	if c.keep {
		c.text = append(c.text, p...)
	}
	if c.scanner == nil {
		return len(p), nil
	}
	return c.scanner.Write(p)
}

var (
	sources     = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4<<10) }}
	gzipReaders sync.Pool // *gzip.Reader
	zlibReaders sync.Pool // io.ReadCloser that is a zlib.Resetter
	decodeBufs  = sync.Pool{New: func() any { return new([8 << 10]byte) }}
)

// decode takes one coding off the body. A second gzip member, or anything else
// behind the first, is refused: some decoders stop there and some go on.
func decode(in *intake, coding string, to *inspection) error {
	source := sources.Get().(*bufio.Reader)
	source.Reset((*intakeReader)(in))
	defer func() {
		source.Reset(nil)
		sources.Put(source)
	}()
	if _, err := source.Peek(1); err == io.EOF {
		return nil // no body, whatever its coding
	}
	reader, release, err := open(source, coding)
	if err != nil {
		return in.reason(err)
	}
	defer release()
	buf := decodeBufs.Get().(*[8 << 10]byte)
	defer decodeBufs.Put(buf)
	for {
		n, err := reader.Read(buf[:])
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return err
			}
			if to.size > bombStart+bombRatio*int64(len(in.kept)) {
				return errRatio
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return in.reason(err)
		}
	}
	if _, err := source.ReadByte(); err != io.EOF {
		return in.reason(err)
	}
	return nil
}

// open begins to decode from source.
func open(source *bufio.Reader, coding string) (reader io.Reader, release func(), err error) {
	if coding == codingGzip {
		z, _ := gzipReaders.Get().(*gzip.Reader)
		if z == nil {
			z = new(gzip.Reader)
		}
		if err = z.Reset(source); err != nil {
			gzipReaders.Put(z)
			return nil, nil, err
		}
		z.Multistream(false)
		return z, func() { gzipReaders.Put(z) }, nil
	}
	z, _ := zlibReaders.Get().(io.ReadCloser)
	if z == nil {
		z, err = zlib.NewReader(source)
	} else {
		err = z.(zlib.Resetter).Reset(source, nil)
	}
	if err != nil {
		return nil, nil, err
	}
	return z, func() { zlibReaders.Put(z) }, nil
}

// reason is why decoding failed: what came in, if that is to blame.
func (in *intake) reason(error) error {
	switch {
	case int64(len(in.kept)) > in.limit:
		return errTooLarge
	case in.err != nil && in.err != io.EOF:
		return in.err
	}
	return errUndecodable
}

// intakeReader reads an intake as a stream.
type intakeReader intake

func (r *intakeReader) Read(p []byte) (int, error) {
	in := (*intake)(r)
	if in.err != nil {
		return 0, in.err
	}
	if int64(len(in.kept)) > in.limit {
		return 0, errTooLarge
	}
	n, err := in.from.Read(p)
	in.kept = append(in.kept, p[:n]...)
	in.err = err
	return n, err
}
