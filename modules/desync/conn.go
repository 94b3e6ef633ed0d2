package desync

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/sallyport-gateway/sallyport/modules/desync/framing"
)

// The verdicts.
const (
	forwarded = "forwarded"
	closed    = "closed"
	refused   = "refused"
	monitored = "monitored"
)

const (
	// poison makes net/http answer 400 and close, in its own turn: a handler may
	// still be writing the answer to the request before. It is no header line
	// wherever in a head it comes.
	poison = "\x00\r\n\r\n"

	// last makes a request the last one of its connection.
	last = "Connection: close\r\n"
)

// errFraming ends the reading of a body whose framing is broken. Its beginning is
// on its way already, so that the handler has to give up.
var errFraming = errors.New("the request's body is framed badly")

// conn judges what is read from a connection and passes on only what may pass.
//
// Reading changes the buffer it is given as little as possible: nothing is copied
// but where a request is to be the last one, and nothing is held back but a CR at
// the start of a line of a head, because what follows decides whether the head
// ends in front of it. Bodies and lines are passed on as they come: held back,
// they would keep net/http's timeouts from running.
type conn struct {
	net.Conn
	wrapper *Wrapper
	addr    addr

	// Other goroutines than the reader's use these two.
	hijacked atomic.Bool // everything passes
	upgrade  upgrade

	// What follows belongs to the reader, of which net/http has one at a time.
	scanner framing.Scanner
	queue   []byte  // judged, not yet read
	after   string  // what is read behind the queue
	failure error   // what is read behind that
	preface int     // bytes of HTTP/2's preface that came; undecided while >= 0
	pass    bool    // everything passes
	closing bool    // the current request is the last one
	held    bool    // a CR that came is held back
	small   [2]byte // for a held CR and a read of one byte
}

func newConn(inner net.Conn, w *Wrapper) *conn {
	c := &conn{Conn: inner, wrapper: w, scanner: framing.New(w.limit)}
	c.addr.conn = c
	return c
}

// Read implements net.Conn. Errors of the connection, timeouts too, leave the
// state as it is: net/http interrupts reads with a deadline.
func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return c.Conn.Read(p)
	}
	for {
		if n := copy(p, c.queue); n > 0 {
			c.queue = c.queue[n:]
			return n, nil
		}
		switch {
		case c.pass || c.hijacked.Load():
			if c.held {
				c.held = false
				p[0] = '\r'
				return 1, nil
			}
			return c.Conn.Read(p)
		case c.after != "":
			n := copy(p, c.after)
			c.after = c.after[n:]
			return n, nil
		case c.failure != nil:
			return 0, c.failure
		}
		n, err := c.receive(p)
		if n > 0 {
			return n, nil
		}
		if err != nil && len(c.queue) == 0 && c.after == "" && c.failure == nil {
			return 0, err
		}
	}
}

// receive reads once from the connection, and returns how many bytes at the
// beginning of p may be read now. What comes behind them it left in c.
func (c *conn) receive(p []byte) (int, error) {
	if c.preface >= 0 {
		return c.begin(p)
	}
	buf, from := p, 0
	if c.held {
		if len(p) == 1 {
			buf = c.small[:]
		}
		buf[0] = '\r'
		from = 1
	}
	n, err := c.Conn.Read(buf[from:])
	if n == 0 {
		return 0, err
	}
	c.held = false
	good := buf[:from+n]
	// Asked again: net/http reads while a request is served, and the protocol may
	// have been switched during that read.
	if !c.hijacked.Load() {
		good = c.judge(good, from)
	}
	if len(buf) > len(p) {
		c.queue = append(append([]byte(nil), good...), c.queue...)
		return 0, nil
	}
	return len(good), err
}

// begin is receive at the beginning of the connection, until it is known to be
// HTTP/2 or not. What HTTP/2 begins with is held back, because with headers
// behind it net/http would serve it as HTTP/1.
func (c *conn) begin(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n == 0 {
		return 0, err
	}
	had := c.preface
	for i := 0; i < n && c.preface < len(framing.Preface) && p[i] == framing.Preface[c.preface]; i++ {
		c.preface++
	}
	switch {
	case c.preface == len(framing.Preface):
		c.pass = true
	case c.preface == had+n:
		return 0, err
	}
	c.preface = -1
	data := p[:n]
	if fits := had+n <= len(p); fits {
		data = p[:had+n]
		copy(data[had:], p[:n])
		copy(data, framing.Preface[:had])
	} else {
		data = append([]byte(framing.Preface[:had]), data...)
	}
	good := data
	if !c.pass {
		good = c.judge(data, 0)
	}
	if len(data) > len(p) {
		c.queue = append(append([]byte(nil), good...), c.queue...)
		return 0, nil
	}
	return len(good), err
}

// judge scans data from an index on and returns how much of it may be read now:
// everything up to where it is refused, or where something is put in between.
func (c *conn) judge(data []byte, from int) []byte {
	c.upgrade.early()
	for at := from; at < len(data); {
		n, event := c.scanner.Scan(data[at:])
		at += n
		switch {
		case event == framing.More:
		case event == framing.Refuse && c.wrapper.monitor:
			// Nobody knows where the next request begins.
			c.count(monitored)
			c.pass = true
			return data
		case event == framing.Refuse:
			return c.refuse(data[:at])
		case c.closing:
			// A request behind the last one; net/http does not ask for it.
			return c.cut(data[:beforeBlank(data, at)])
		default:
			if c.head() {
				return c.close(data, at)
			}
		}
	}
	if c.scanner.Between() {
		c.upgrade.complete()
	}
	if c.scanner.Blank() && !c.wrapper.monitor {
		c.held = true
		return data[:len(data)-1]
	}
	return data
}

// head counts a request whose head is complete, and reports whether it is to be
// the last one of the connection.
func (c *conn) head() bool {
	c.upgrade.begin(c.scanner.Upgrade())
	class := c.scanner.Class()
	switch {
	case class == framing.Compliant:
		c.wrapper.usual.Inc()
		return false
	case c.wrapper.monitor:
		c.count(monitored)
		return false
	case class == framing.Acceptable:
		c.count(forwarded)
		return false
	}
	c.count(closed)
	return true
}

// close makes the request whose head ends at data[at] the last one of the
// connection, by a header line in front of the empty line.
func (c *conn) close(data []byte, at int) []byte {
	c.closing = true
	blank := beforeBlank(data, at)
	rest := make([]byte, 0, len(last)+len(data)-blank)
	rest = append(append(rest, last...), data[blank:]...)
	c.queue = c.judge(rest, len(last)+at-blank)
	return data[:blank]
}

// beforeBlank is where the empty line begins whose LF is data[at]. Its CR is in
// data, if it has one, because it was held back.
func beforeBlank(data []byte, at int) int {
	if at > 0 && data[at-1] == '\r' {
		return at - 1
	}
	return at
}

// refuse ends the connection behind data, which is what may still pass.
func (c *conn) refuse(data []byte) []byte {
	body := c.scanner.Body()
	if !c.closing || body {
		c.count(refused)
	}
	if body {
		c.failure = errFraming
		return data
	}
	if c.scanner.Blank() {
		data = data[:len(data)-1]
	}
	return c.cut(data)
}

// cut lets net/http refuse what begins in data. The end of input comes behind an
// answered request only: earlier, net/http would cancel the one being served.
func (c *conn) cut(data []byte) []byte {
	c.after, c.failure = poison, io.EOF
	return data
}

// count counts the current request. Refusals are no more than a debug line, so
// that nobody can fill a log with them.
func (c *conn) count(verdict string) {
	reason := c.scanner.Reason()
	requests.WithLabelValues(c.wrapper.server, verdict, reason.String()).Inc()
	if entry := c.wrapper.logger.Check(zapcore.DebugLevel, "framing of a request"); entry != nil {
		entry.Write(zap.String("verdict", verdict), zap.Stringer("reason", reason),
			zap.Stringer("class", reason.Class()), zap.Stringer("remote", c.Conn.RemoteAddr()))
	}
}

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return &c.addr }

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	if c.upgrade.answered(p) {
		c.hijacked.Store(true)
	}
	return c.Conn.Write(p)
}

// ReadFrom implements io.ReaderFrom, for which net/http asks.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	c.upgrade.answered(nil)
	if inner, ok := c.Conn.(io.ReaderFrom); ok {
		return inner.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{c.Conn}, r)
}

// CloseWrite ends the sending half, which net/http does so that an answer is not
// lost in a reset.
func (c *conn) CloseWrite() error {
	if inner, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return inner.CloseWrite()
	}
	return nil
}

// tlsConn is a conn over TLS.
type tlsConn struct{ *conn }

// ConnectionState returns the state of TLS, from which Caddy makes Request.TLS.
func (c *tlsConn) ConnectionState() tls.ConnectionState {
	return c.Conn.(connectionStater).ConnectionState()
}

// addr is the remote address of a conn, and the way back to it from the wrappers
// around it. It is read only when asked for: behind PROXY protocol it may block.
type addr struct{ conn *conn }

// Network implements net.Addr.
func (a *addr) Network() string { return a.Unwrap().Network() }

// String implements net.Addr.
func (a *addr) String() string { return a.Unwrap().String() }

// Unwrap returns the address of the connection below.
func (a *addr) Unwrap() net.Addr { return a.conn.Conn.RemoteAddr() }
