package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/valkey-io/valkey-go"
)

// Why a command failed.
const (
	ReasonAway    = "away"    // no connection, or it broke
	ReasonTimeout = "timeout" // no answer in time
	ReasonBusy    = "busy"    // the server says: not now
	ReasonRefused = "refused" // the server says: no
	ReasonClosed  = "closed"  // the client has no user any more
)

// ErrNil means that what was asked for does not exist.
var ErrNil = errors.New("the store has no such value")

// Error says that a command was not done, or that it is unknown whether it was:
// after ReasonAway and ReasonTimeout the server may have done it, or still do it.
type Error struct {
	Store  string // its address
	Reason string
	Err    error
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("the store at %s is unavailable (%s): %v", e.Store, e.Reason, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Transient reports whether trying again may help.
func (e *Error) Transient() bool { return e.Reason != ReasonRefused && e.Reason != ReasonClosed }

// passing are the replies with which a server refuses for the moment: it loads
// its data, its cluster or its replication is being changed, it runs a script, its
// memory or its disk is full.
var passing = []string{
	"LOADING", "CLUSTERDOWN", "TRYAGAIN", "READONLY", "MASTERDOWN", "NOREPLICAS", "BUSY", "MOVED", "ASK", "UNBLOCKED", "OOM", "MISCONF",
}

// final are the replies to a login that will not change by themselves.
var final = []string{"WRONGPASS", "NOAUTH", "NOPERM"}

// longestError is what of a reply gets into errors and logs.
const longestError = 256

const tooManyClients = "max number of clients reached"

// code returns the first word of a reply, from which valkey-go took ERR. Until
// Redis 7 that of an error within a script stands in the middle.
func code(text string) string {
	if rest, ok := strings.CutPrefix(text, "Error running script"); ok {
		if _, inner, ok := strings.Cut(rest, ": -"); ok {
			text = inner
		}
	}
	word, _, _ := strings.Cut(text, " ")
	return word
}

// whyDown names what err means, with which connecting or a PING failed: everything
// may pass but that the login is refused.
func (c *Client) whyDown(err error) error {
	err = c.classify(context.Background(), err)
	var e *Error
	if errors.As(err, &e) && (e.Reason == ReasonRefused && !slices.Contains(final, code(e.Err.Error())) || errors.Is(e.Err, errReplica)) {
		e.Reason = ReasonBusy
	}
	return err
}

// classify names what err means, which a command returned. asked is the context
// of the caller, without the timeout of the command.
func (c *Client) classify(asked context.Context, err error) error {
	if err == nil || valkey.IsValkeyNil(err) {
		return err
	}
	if cause := asked.Err(); cause != nil {
		return cause
	}
	e := &Error{Store: c.name, Reason: ReasonAway, Err: err}
	if reply, ok := valkey.IsValkeyErr(err); ok {
		e.Reason = ReasonRefused
		// Servers repeat the arguments of a command that they do not know, of
		// HELLO with the password, for one.
		text, _, _ := strings.Cut(reply.Error(), ", with args")
		if len(text) > longestError {
			text = strings.ToValidUTF8(text[:longestError], "") + "…"
		}
		if slices.Contains(passing, code(text)) || strings.HasPrefix(text, tooManyClients) {
			e.Reason = ReasonBusy
		}
		e.Err = errors.New(text)
	} else if errors.Is(err, context.DeadlineExceeded) {
		e.Reason = ReasonTimeout
		e.Err = errors.New("no answer in time")
	}
	return e
}
