package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valkey-io/valkey-go"
	"go.uber.org/zap"
)

// Client is one store's, shared by its users. It is safe for concurrent use. It
// connects when it is first used; see the package's comment for what happens
// while the store is away.
type Client struct {
	name    string // the first address, for errors, logs and metrics
	key     string // of the pool
	timeout time.Duration
	connect func(life context.Context) (valkey.Client, error)
	single  bool // neither a cluster nor sentinels tell who accepts writes
	logger  func() *zap.Logger
	count   outcomes
	gauge   prometheus.Gauge

	end     context.Context // when nobody uses it any more
	finish  context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	inner   *connection // nil until the first connection, and when it was given up
	demoted bool        // a server refused a write, and none was found since that is no replica
	dropped time.Time   // when a connection was last given up
	state   state
	err     error         // why it is down
	attempt chan struct{} // closed when the attempt to connect that is under way ended; nil if none is
	known   bool          // whether up or down was logged
	looked  *connection   // whose server was last asked whether it evicts
	evicts  string        // the policy that was warned of
}

type state int

const (
	unknown state = iota // nobody asked yet, or a command failed and the next attempt tells
	up
	down
)

const (
	firstPause = 50 * time.Millisecond
	// longestPause is between attempts to connect.
	longestPause = time.Second
	// shortestPing is how long a PING may take at least, however short the timeout
	// of commands is: what is under way is lost when a connection is given up.
	shortestPing = 200 * time.Millisecond
)

var (
	errUnasked = errors.New("nobody has asked it yet")
	errClosed  = errors.New("its configuration was replaced")
	errReplica = errors.New("READONLY the server is a replica")
)

// Name returns the store's first address.
func (c *Client) Name() string { return c.name }

// Do sends one command. The message is valid if the error is nil. Errors: ErrNil,
// *Error, or that of ctx.
func (c *Client) Do(ctx context.Context, build func(valkey.Builder) valkey.Completed) (valkey.ValkeyMessage, error) {
	return c.do(ctx, func(ctx context.Context, inner valkey.Client) valkey.ValkeyResult {
		return inner.Do(ctx, build(inner.B()))
	})
}

// Run runs a script, whose keys have to be of one slot. Errors are those of Do.
func (c *Client) Run(ctx context.Context, script *valkey.Lua, keys, args []string) (valkey.ValkeyMessage, error) {
	return c.do(ctx, func(ctx context.Context, inner valkey.Client) valkey.ValkeyResult {
		return script.Exec(ctx, inner, keys, args)
	})
}

func (c *Client) do(asked context.Context, call func(context.Context, valkey.Client) valkey.ValkeyResult) (m valkey.ValkeyMessage, err error) {
	ctx, cancel := context.WithTimeout(asked, c.timeout)
	defer cancel()
	inner, err := c.reach(ctx)
	if err == nil {
		m, err = call(ctx, inner).ToMessage()
		err = c.classify(asked, err)
	} else if cause := asked.Err(); cause != nil {
		err = cause
	}
	return m, c.judge(err)
}

// judge counts, and has the connection tried if the command did not get through.
func (c *Client) judge(err error) error {
	if err == nil {
		c.count.ok.Inc()
		return nil
	}
	if valkey.IsValkeyNil(err) {
		c.count.ok.Inc()
		return ErrNil
	}
	var e *Error
	if !errors.As(err, &e) {
		return err // the caller gave up
	}
	switch e.Reason {
	case ReasonRefused:
		c.count.refused.Inc()
		return err
	case ReasonBusy:
		c.count.busy.Inc()
	case ReasonTimeout:
		c.count.timeout.Inc()
	case ReasonAway:
		c.count.away.Inc()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != up || c.end.Err() != nil {
		return err
	}
	c.state = unknown
	if c.single && code(e.Err.Error()) == "READONLY" {
		// After a failover the address leads elsewhere, but connections to the old
		// master, a replica now, stay.
		c.demoted = true
		if time.Since(c.dropped) >= longestPause {
			c.drop()
		}
	}
	c.try()
	return err
}

// drop gives the connection up. c.mu is held.
func (c *Client) drop() {
	inner := c.inner
	if inner == nil || c.end.Err() != nil {
		return
	}
	c.inner, c.dropped = nil, time.Now()
	c.running.Go(inner.Close)
}

// reach returns the connected client, or why there is none. While an attempt to
// connect is under way it waits for its end.
func (c *Client) reach(ctx context.Context) (*connection, error) {
	for {
		c.mu.Lock()
		if c.end.Err() != nil {
			c.mu.Unlock()
			return nil, &Error{Store: c.name, Reason: ReasonClosed, Err: errClosed}
		}
		switch c.state {
		case up:
			defer c.mu.Unlock()
			return c.inner, nil
		case down:
			defer c.mu.Unlock()
			return nil, c.err
		}
		c.try()
		attempt := c.attempt
		c.mu.Unlock()
		select {
		case <-attempt:
		case <-ctx.Done():
			return nil, c.classify(context.Background(), ctx.Err())
		}
	}
}

// Reachable returns nil if the store answered the last time. It does not wait for
// an answer, and has the store asked if nobody has.
func (c *Client) Reachable() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end.Err() != nil {
		return &Error{Store: c.name, Reason: ReasonClosed, Err: errClosed}
	}
	switch c.state {
	case up:
		return nil
	case down:
		return c.err
	}
	c.try()
	if c.known {
		return nil // it answered before, and one command failed
	}
	return &Error{Store: c.name, Reason: ReasonAway, Err: errUnasked}
}

// try starts the attempts to connect, unless they are under way. c.mu is held.
func (c *Client) try() {
	if c.attempt != nil || c.end.Err() != nil {
		return
	}
	c.attempt = make(chan struct{})
	c.running.Go(c.keepTrying)
}

// keepTrying tries until the store answers.
func (c *Client) keepTrying() {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := c.ask()
		c.mu.Lock()
		c.settle(err)
		close(c.attempt)
		if c.attempt = nil; err == nil || c.end.Err() != nil {
			c.mu.Unlock()
			return
		}
		c.attempt = make(chan struct{})
		c.mu.Unlock()
		select {
		case <-time.After(pause/2 + rand.N(pause)/2):
		case <-c.end.Done():
		}
	}
}

// ask connects, or sends a PING over the connection, which it gives up if there is
// no answer: what waits for one is freed.
func (c *Client) ask() error {
	c.mu.Lock()
	inner, demoted := c.inner, c.demoted
	c.mu.Unlock()
	patience := max(c.timeout, shortestPing)
	if inner == nil {
		made, err := newConnection(c.end, c.connect)
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.inner = made
		c.mu.Unlock()
		inner, patience = made, connectTimeout
	}
	ctx, cancel := context.WithTimeout(c.end, patience)
	defer cancel()
	err := inner.ping(ctx)
	if err == nil && demoted && inner.demoted(ctx) {
		err = errReplica
	}
	if _, answered := valkey.IsValkeyErr(err); err != nil && !answered {
		c.mu.Lock()
		c.drop()
		c.mu.Unlock()
	}
	return err
}

// settle takes note of what an attempt found. c.mu is held.
func (c *Client) settle(err error) {
	if c.end.Err() != nil {
		c.state = unknown
		return
	}
	before, known := c.state, c.known
	c.known = true
	if err == nil {
		c.gauge.Set(1)
		c.state, c.err, c.demoted = up, nil, false
		if inner := c.inner; inner != nil && inner != c.looked {
			c.looked = inner
			c.running.Go(func() { c.warnOfEviction(inner) })
		}
		if known && before == down {
			c.logger().Info("the store is back", zap.String("store", c.name))
		}
		return
	}
	c.gauge.Set(0)
	c.state, c.err = down, c.whyDown(err)
	if !known || before != down {
		c.logger().Error("the store is away", zap.String("store", c.name), zap.Error(c.err))
	}
}

// Close implements io.Closer, for the pool.
func (c *Client) Close() error {
	c.mu.Lock()
	c.finish() // nothing is started afterwards
	c.mu.Unlock()
	c.running.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner != nil {
		c.inner.Close()
	}
	hideGauge(c.name)
	return nil
}
