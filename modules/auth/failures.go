package auth

import (
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/sallyport-gateway/sallyport/caddyfile/read"
	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/lease"
	"github.com/sallyport-gateway/sallyport/modules/internal/rate"
)

// Failures limits how often a client, which is an address or an IPv6 /64, may fail
// to authenticate. Beyond it, its credentials are refused before they are judged,
// except those that were accepted lately: whoever shares an address with a guesser
// goes on.
type Failures struct {
	// Off turns the limit off. Default: false.
	Off bool `json:"off,omitempty"`

	// Rate is how many failures are forgiven in the long run, as the rate of a
	// rate_limiter's zone. Default: 60/m.
	Rate string `json:"rate,omitempty"`

	// Burst is how many failures a client may make at once, 1 to 1000000. Default:
	// the number in Rate; without a Rate 120.
	Burst int `json:"burst,omitempty"`
}

const (
	defaultFailureRate  = "60/m"
	defaultFailureBurst = 120
	maxFailureBurst     = 1_000_000
	maxFailureWindow    = 24 * time.Hour
)

// limit compiles f: what one failure costs, and how much a client may owe. f may
// be nil.
func (f *Failures) limit() (interval, window time.Duration, err error) {
	text, burst := defaultFailureRate, defaultFailureBurst
	if f != nil {
		if f.Off && (f.Rate != "" || f.Burst != 0) {
			return 0, 0, errors.New("failures: off has no rate and no burst")
		}
		if f.Burst < 0 || f.Burst > maxFailureBurst {
			return 0, 0, fmt.Errorf("failures: burst %d is not between 1 and %d", f.Burst, maxFailureBurst)
		}
		if f.Rate != "" {
			text, burst = f.Rate, 0
		}
		if f.Burst != 0 {
			burst = f.Burst
		}
	}
	r, err := rate.Parse(text)
	if err != nil {
		return 0, 0, fmt.Errorf("failures: rate %q: %w", text, err)
	}
	if burst == 0 {
		burst = int(min(r.Number, maxFailureBurst))
	}
	interval = time.Duration((int64(r.Period) + r.Number - 1) / r.Number)
	if interval > maxFailureWindow/time.Duration(burst) {
		return 0, 0, fmt.Errorf("failures: a burst of %d takes more than a day to come back at %s", burst, text)
	}
	return interval, interval * time.Duration(burst), nil
}

// check returns what is wrong with f, which may be nil.
func (f *Failures) check() []error {
	_, _, err := f.limit()
	if err == nil {
		return nil
	}
	return []error{err}
}

func (f *Failures) unmarshal(o *caddyfile.Dispenser) error {
	if err := read.Value(o, func(s string) (string, error) {
		if s == "off" {
			return s, nil
		}
		_, err := rate.Parse(s)
		return s, err
	}, &f.Rate); err != nil {
		return err
	}
	if f.Rate == "off" {
		f.Off, f.Rate = true, ""
		return nil
	}
	if !o.NextArg() {
		return nil
	}
	if o.Val() != "burst" {
		return o.Errf("unexpected %q after the rate: burst <number>", o.Val())
	}
	return read.Int(o, 1, maxFailureBurst, &f.Burst)
}

// failures are the failed attempts at one site, by client, under one limit. A nil
// *failures limits nobody.
type failures struct {
	interval, window int64
	*attempts
}

// attemptsOf are the failed attempts at all sites. They outlive reloads, accepted
// or rejected.
var attemptsOf = lease.NewPool[*attempts]()

// attemptsKey names attempts. Under another limit they would mean something else.
type attemptsKey struct {
	site             string
	interval, window time.Duration
}

// openFailures takes a share of the site's failed attempts.
func (h *Handler) openFailures() error {
	interval, window, err := h.Failures.limit()
	if err != nil || h.Failures != nil && h.Failures.Off {
		return err
	}
	leased, err := attemptsOf.Take(attemptsKey{h.Site(), interval, window}, func() (*attempts, error) { return new(attempts), nil })
	if err != nil {
		return err
	}
	h.held = append(h.held, closer(leased.Release))
	h.tree.failures = &failures{int64(interval), int64(window), leased.Value()}
	return nil
}

const (
	sketchRows = 3
	rowBits    = 16
	// recentSlots is how many accepted credentials are remembered.
	recentSlots = 1 << 13
)

// attempts is what is remembered of a site's callers, in memory of a fixed size.
//
// Every client has a theoretical arrival time (GCRA, see modules/ratelimiter): the
// moment when it owes nothing any more. Each failure moves it one interval into the
// future. It is kept in one cell of each row, which clients share by chance, and
// the least of the cells counts. No cell ever goes back, so a client never owes less
// than it should, however many addresses others fail from. It owes more only if
// somebody else owes much in each of its cells; with ten thousand such networks, that
// is one client in three hundred.
//
// The hashes have a seed that never leaves the process: nobody chooses whose cells
// they share.
//
// The zero value is ready for use; it is safe for concurrent use.
type attempts struct {
	// sketch is nil until there is a failure.
	sketch atomic.Pointer[[sketchRows][1 << rowBits]atomic.Int64]
	// recent are hashes of credentials that were accepted.
	recent [recentSlots]atomic.Uint64
}

var (
	failureSeed = maphash.MakeSeed()
	// started is the origin of the clock, which never goes back.
	started = time.Now()
)

// network is what counts as one client: attackers have a whole IPv6 prefix to call
// from, and only one IPv4 address.
func network(client netip.Addr) uint64 {
	if client.Is6() && !client.Is4In6() {
		wide := client.As16()
		return maphash.Bytes(failureSeed, wide[:8])
	}
	narrow := client.Unmap().As4()
	return maphash.Bytes(failureSeed, narrow[:])
}

// refuse refuses o if the client failed too often. One of its credentials has to be
// unknown for that: all of them were accepted lately, or it might be a guess.
func (f *failures) refuse(o *outcome, a *attempt) bool {
	if f == nil || !a.client.IsValid() {
		return false
	}
	wait := f.wait(network(a.client), int64(a.now.Sub(started)))
	if wait <= 0 || f.allRecent(o) {
		return false
	}
	o.reason, o.wait = reasonTooMany, time.Duration(wait)
	return true
}

// wait returns how many nanoseconds a client has to wait for its next attempt: zero
// or less if it may make one.
func (f *failures) wait(hash uint64, now int64) int64 {
	sketch := f.sketch.Load()
	if sketch == nil {
		return 0
	}
	owed := sketch[0][cell(hash, 0)].Load()
	for row := 1; row < sketchRows; row++ {
		owed = min(owed, sketch[row][cell(hash, row)].Load())
	}
	return owed - now - (f.window - f.interval)
}

// cell is the place of a hash in a row.
func cell(hash uint64, row int) uint64 {
	return hash >> (row * rowBits) & (1<<rowBits - 1)
}

// learn counts o if it was a failure, and remembers what was accepted.
func (f *failures) learn(o *outcome, a *attempt) {
	switch {
	case f == nil || o.n == 0:
	case o.reason == nil:
		for i := range o.found[:o.n] {
			f.remember(o.found[i].value)
		}
	case counts(o.reason) && a.client.IsValid():
		f.count(network(a.client), int64(a.now.Sub(started)))
	}
}

// count moves a client's time one interval on, but not beyond a window: requests
// that were under way when it had used up its attempts do not shut it out for longer.
func (f *failures) count(hash uint64, now int64) {
	sketch := f.sketch.Load()
	if sketch == nil {
		f.sketch.CompareAndSwap(nil, new([sketchRows][1 << rowBits]atomic.Int64))
		sketch = f.sketch.Load()
	}
	for row := range sketch {
		c := &sketch[row][cell(hash, row)]
		for {
			old := c.Load()
			next := min(max(old, now)+f.interval, now+f.window)
			if next <= old || c.CompareAndSwap(old, next) {
				break
			}
		}
	}
}

// remember keeps that a credential was accepted, in place of any other.
func (a *attempts) remember(credential string) {
	hash := maphash.String(failureSeed, credential)
	if slot := &a.recent[hash%recentSlots]; slot.Load() != hash {
		slot.Store(hash)
	}
}

// allRecent reports whether all credentials were accepted lately. They are judged
// all the same.
func (a *attempts) allRecent(o *outcome) bool {
	for i := range o.found[:o.n] {
		hash := maphash.String(failureSeed, o.found[i].value)
		if a.recent[hash%recentSlots].Load() != hash {
			return false
		}
	}
	return true
}

// counts reports whether a refusal is a failed attempt. Clients with bad clocks and
// with credentials that were good yesterday are no guessers, and many of them may
// share an address. Technical failures are ours.
func counts(reason *decision.Reason) bool {
	switch reason.Code {
	case "auth.token_expired", "auth.token_not_yet_valid", "auth.key_expired", "auth.key_not_yet_valid",
		"auth.certificate_expired", "auth.assertion_expired", "auth.assertion_not_yet_valid":
		return false
	}
	return reason.Status == http.StatusUnauthorized
}

// seconds is wait as Retry-After wants it: whoever waits that long is not early.
func seconds(wait time.Duration) string {
	return strconv.FormatInt(max(1, int64((wait+time.Second-1)/time.Second)), 10)
}
