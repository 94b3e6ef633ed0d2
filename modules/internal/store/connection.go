package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/valkey-io/valkey-go"
)

// slots is how many commands may be under way. valkey-go waits for a free place in
// its ring without regard of the context, so there are always some: for its own
// PINGs and those of ask.
const slots = 1<<ring - 64

var errDropped = errors.New("the connection was given up")

// connection is a valkey-go client whose commands end with their contexts, whatever
// state it is in.
type connection struct {
	valkey.Client
	slots chan struct{}
	life  context.Context // of its sockets
	cut   context.CancelFunc
}

// newConnection connects. Its sockets are closed when end is done.
func newConnection(end context.Context, connect func(life context.Context) (valkey.Client, error)) (c *connection, err error) {
	c = &connection{slots: make(chan struct{}, slots)}
	c.life, c.cut = context.WithCancel(end)
	defer func() {
		if p := recover(); p != nil {
			err = malformed(p)
		}
		if err != nil {
			c.cut()
			if c.Client != nil {
				c.Client.Close()
			}
			c = nil
		}
	}()
	c.Client, err = connect(c.life)
	return c, err
}

// Do sends a command. It has its slot until the server answered or the connection
// is given up, which may be long after ctx has ended.
func (c *connection) Do(ctx context.Context, cmd valkey.Completed) valkey.ValkeyResult {
	if err := ctx.Err(); err != nil {
		return valkey.NewErrorResult(err)
	}
	select {
	case c.slots <- struct{}{}:
		return c.await(ctx, cmd, c.slots)
	case <-ctx.Done():
		return valkey.NewErrorResult(ctx.Err())
	case <-c.life.Done():
		return valkey.NewErrorResult(errDropped)
	}
}

// await sends a command, and takes a value from slot, if it is not nil, at its end.
func (c *connection) await(ctx context.Context, cmd valkey.Completed, slot <-chan struct{}) valkey.ValkeyResult {
	done := make(chan valkey.ValkeyResult, 1)
	go func() {
		r := c.send(lasting{c.life, ctx}, cmd)
		if slot != nil {
			<-slot
		}
		done <- r
	}()
	select {
	case r := <-done:
		return r
	case <-ctx.Done():
		return valkey.NewErrorResult(ctx.Err())
	}
}

// lasting is the context of a command that is under way until the server answers.
// What was not sent when asked ended is not sent any more, nor is it redirected.
type lasting struct {
	context.Context // of the connection
	asked           context.Context
}

// Err implements context.Context. It may have an error although Done is open.
func (l lasting) Err() error {
	if err := l.asked.Err(); err != nil {
		return err
	}
	return l.Context.Err()
}

func (c *connection) send(ctx context.Context, cmd valkey.Completed) (r valkey.ValkeyResult) {
	defer func() {
		if p := recover(); p != nil {
			r = valkey.NewErrorResult(malformed(p))
		}
	}()
	r = c.Client.Do(ctx, cmd)
	if c.life.Err() != nil && r.NonValkeyError() != nil {
		return valkey.NewErrorResult(errDropped)
	}
	return r
}

// ping asks whether the server answers.
func (c *connection) ping(ctx context.Context) error {
	err := c.await(ctx, c.B().Ping().Build(), nil).Error()
	if valkey.IsValkeyNil(err) {
		return errMalformed // it would say that a value does not exist
	}
	return err
}

// demoted reports whether the server says that it is a replica. A user who may not
// ask finds out by writing.
func (c *connection) demoted(ctx context.Context) bool {
	role, err := c.await(ctx, c.B().Role().Build(), nil).ToArray()
	if err != nil || len(role) == 0 {
		return false
	}
	name, err := role[0].ToString()
	return err == nil && name == "slave"
}

// Close gives up what is under way.
func (c *connection) Close() {
	c.cut()
	c.Client.Close()
}

func malformed(p any) error { return fmt.Errorf("%w: %v", errMalformed, p) }
