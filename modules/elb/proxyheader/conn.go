package proxyheader

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Gate decides about connections whose header was read. Its methods are called
// for many connections at once.
type Gate interface {
	// Admit is called when a header was read. An error refuses the connection.
	Admit(a *Addr) error
	// Leave is called once for each connection that Admit let in, when it closes.
	Leave(a *Addr)
	// Settled is called at most once for each connection: with nil when it is
	// known that no second header follows, and otherwise with why it was closed. a
	// is nil where no header was read.
	Settled(a *Addr, peer net.Addr, why error)
}

// Conn is a connection behind its header. The header is read when the connection
// is first used, by the goroutine that uses it, so that making a Conn never
// waits. Until then nothing is written. When it is refused, the connection is
// closed, Read and Write return an error, and RemoteAddr is the peer's.
//
// It may be used as a net.Conn may: one reader at a time, everything else at any
// time.
type Conn struct {
	net.Conn
	rules Rules
	gate  Gate
	due   time.Time

	once    sync.Once
	addr    *Addr
	refused error

	// The reader's. unread is what came with the header, and what is held back
	// until it is certain that it does not begin a second one.
	buffer  *[MaxLength]byte
	unread  []byte
	single  bool
	another error

	mu       sync.Mutex
	waiting  bool      // for the header: due holds too
	deadline time.Time // that the reader was given
	closed   bool
	read     bool
	admitted bool
	settled  bool
}

// NewConn returns a connection whose header, as rules want it, has to have
// arrived by due.
func NewConn(conn net.Conn, rules Rules, due time.Time, gate Gate) *Conn {
	return &Conn{Conn: conn, rules: rules, gate: gate, due: due}
}

var buffers = sync.Pool{New: func() any { return new([MaxLength]byte) }}

// header reads the header, once, and returns why the connection is refused.
func (c *Conn) header() error {
	c.once.Do(func() {
		if err := c.enter(); err != nil {
			c.release()
			c.refused = c.refuse(err)
		}
	})
	return c.refused
}

func (c *Conn) enter() error {
	c.buffer = buffers.Get().(*[MaxLength]byte)
	c.wait(true)
	h, err := c.receive()
	c.wait(false)
	if err != nil {
		return err
	}
	addr := newAddr(h, c.Conn.RemoteAddr())
	if err := c.gate.Admit(addr); err != nil {
		return err
	}
	c.mu.Lock()
	c.addr, c.read, c.admitted = addr, true, !c.closed
	closed := c.closed
	c.mu.Unlock()
	if closed {
		c.gate.Leave(addr)
	}
	return nil
}

// receive reads until the header is complete. What comes behind it is unread.
func (c *Conn) receive() (Header, error) {
	for n := 0; ; {
		m, err := c.Conn.Read(c.buffer[n:])
		n += m
		length, refused := Length(c.buffer[:n], c.rules)
		switch {
		case refused != nil:
			return Header{}, refused
		case length > 0:
			c.unread = c.buffer[length:n]
			return Parse(c.buffer[:length], c.rules)
		case n == len(c.buffer):
			return Header{}, ErrOversized // as Length says; never read into nothing
		case errors.Is(err, os.ErrDeadlineExceeded):
			return Header{}, ErrTimeout
		case err != nil && n == 0:
			return Header{}, ErrProbe
		case err != nil:
			return Header{}, ErrMalformed
		}
	}
}

// refuse closes the connection and returns the error for its users. net/http and
// crypto/tls answer nothing to a failed read.
func (c *Conn) refuse(why error) error {
	c.settle(nil, why)
	_ = c.Close()
	return &net.OpError{Op: "read", Net: "tcp", Addr: c.Conn.RemoteAddr(), Err: why}
}

func (c *Conn) settle(a *Addr, why error) {
	c.mu.Lock()
	settled := c.settled
	c.settled = true
	c.mu.Unlock()
	if !settled {
		c.gate.Settled(a, c.Conn.RemoteAddr(), why)
	}
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if err := c.header(); err != nil {
		return 0, err
	}
	if !c.single {
		if err := c.lookBehind(); err != nil {
			return 0, err
		}
	}
	if c.buffer == nil {
		return c.Conn.Read(p)
	}
	if len(c.unread) == 0 {
		// It was all read, or the stream ended before a first byte.
		c.release()
		return c.Conn.Read(p)
	}
	n := copy(p, c.unread)
	if c.unread = c.unread[n:]; len(c.unread) == 0 {
		c.release()
	}
	return n, nil
}

func (c *Conn) release() {
	buffers.Put(c.buffer)
	c.buffer, c.unread = nil, nil
}

// lookBehind reads until the bytes behind the header are known not to begin
// another one. A balancer puts its header in front of whatever the client sends,
// also in front of a header that the client made up, which a second reader of
// headers in the chain would believe. An error of the connection is passed on,
// with what was read so far kept for the next time.
func (c *Conn) lookBehind() error {
	if c.another != nil {
		return c.another
	}
	for {
		is, may := Begins(c.unread)
		if is {
			c.another = c.refuse(ErrRepeated)
			return c.another
		}
		if !may {
			break
		}
		n := copy(c.buffer[:], c.unread)
		m, err := c.Conn.Read(c.buffer[n:])
		c.unread = c.buffer[:n+m]
		if err != nil && m == 0 {
			if err == io.EOF && n > 0 {
				break // the stream ends with these bytes, and says so again
			}
			return err
		}
	}
	c.single = true
	c.settle(c.addr, nil)
	return nil
}

// RemoteAddr returns the client's address, an *Addr, or the peer's where the
// connection is refused. It waits for the header.
func (c *Conn) RemoteAddr() net.Addr {
	if c.header() != nil {
		return c.Conn.RemoteAddr()
	}
	return c.addr
}

// Write implements net.Conn. It waits for the header.
func (c *Conn) Write(p []byte) (int, error) {
	if err := c.header(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// ReadFrom implements io.ReaderFrom, for what the connection beneath can do with
// files.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	if err := c.header(); err != nil {
		return 0, err
	}
	return io.Copy(c.Conn, r)
}

// CloseWrite shuts down the side that is written to.
func (c *Conn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}

// Close implements net.Conn.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.closed = true
	left, read := c.admitted, c.read
	c.admitted = false
	c.mu.Unlock()
	err := c.Conn.Close()
	if left {
		c.gate.Leave(c.addr)
	}
	if read {
		c.settle(c.addr, nil)
	}
	return err
}

// wait says whether the header is being waited for.
func (c *Conn) wait(waiting bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = waiting
	_ = c.setReadDeadline()
}

// SetReadDeadline implements net.Conn. It does not give the header more time.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return c.setReadDeadline()
}

func (c *Conn) setReadDeadline() error {
	t := c.deadline
	if c.waiting && (t.IsZero() || c.due.Before(t)) {
		t = c.due
	}
	return c.Conn.SetReadDeadline(t)
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.Conn.SetWriteDeadline(t), c.SetReadDeadline(t))
}
