package integration

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The attack cases: what is known to have broken gateways, token libraries and
// proxies, each by the id it has in our research, against the running gateway.
//
//	S1 to S15   signatures and headers of tokens
//	C1 to C11   claims
//	G1 to G13   the gateway around them
//	J1 to J9    keys, and their availability
//
// Out of scope are J10 and J11, tokens bound to a proof of possession (DPoP, RFC
// 9449) or to a certificate (RFC 8705): nothing of either is accepted here, so that
// there is no promise to test.
//
// A case that passes proves little: its input may be refused for another reason
// than the one it is about. So each names the checks that it is about, and for each
// of those there is a twin of the gateway without that check, against which the
// same case has to fail. All twins are one binary (attacks_twins_test.go).
type attack struct {
	id      string
	promise string
	try     func(*attempt)
	// twins are the checks without which the case has to fail: each of them alone,
	// and those that are joined by '+' together, because they stand behind each
	// other.
	twins []string
	// apart cases take long, or change what others rely on: they have gateways of
	// their own.
	apart bool
}

// attackIDs are the cases that there have to be.
var attackIDs = strings.Fields(`
	S1 S2 S3 S4 S5 S6 S7 S8 S9 S10 S11 S12 S13 S14 S15
	C1 C2 C3 C4 C5 C6 C7 C8 C9 C10 C11
	G1 G2 G3 G4 G5 G6 G7 G8 G9 G10 G11 G12 G13
	J1 J2 J3 J4 J5 J6 J7 J8 J9`)

var attacks = slices.Concat(attacksOnSignatures, attacksOnClaims, attacksOnTheGateway, attacksOnKeys)

func TestAttackListIsComplete(t *testing.T) {
	var ids []string
	used, there := make(map[string]bool), make(map[string]bool)
	for _, c := range attacks {
		ids = append(ids, c.id)
		if len(c.twins) == 0 {
			t.Errorf("%s has no twin", c.id)
		}
		for _, set := range c.twins {
			for check := range strings.SplitSeq(set, "+") {
				used[check] = true
			}
		}
	}
	if !slices.Equal(ids, attackIDs) {
		t.Errorf("the cases are %v, want %v", ids, attackIDs)
	}
	for _, m := range twins {
		if !used[m.check] {
			t.Errorf("no case is about %q", m.check)
		}
		there[m.check] = true
	}
	for check := range used {
		if !there[check] {
			t.Errorf("there is no twin without %q", check)
		}
	}
}

func TestAttacks(t *testing.T) {
	t.Parallel()
	w := newAttacked(t, binary)
	for _, c := range attacks {
		t.Run(c.id+" "+c.promise, func(t *testing.T) {
			w := w
			if c.apart {
				t.Parallel()
				w = newAttacked(t, binary)
			}
			failures, _ := c.run(w)
			for _, failure := range failures {
				t.Error(failure)
			}
		})
	}
}

func TestAttacksSucceedWithoutTheirChecks(t *testing.T) {
	t.Parallel()
	mutant := buildTwins(t)
	w := newAttacked(t, mutant)
	for _, c := range attacks {
		for _, set := range c.twins {
			t.Run(c.id+" without "+set, func(t *testing.T) {
				w := w
				if c.apart {
					t.Parallel()
					w = newAttacked(t, mutant)
				}
				w.without(strings.Split(set, "+")...)
				defer w.without()
				switch failures, broken := c.run(w); {
				case broken:
					t.Errorf("the case does not come to its end: %s", failures)
				case len(failures) == 0:
					t.Errorf("the case does not notice: %s", c.promise)
				default:
					t.Logf("noticed: %s", failures[0])
				}
			})
		}
	}
}

// attempt is one run of a case. It takes note of what goes wrong instead of ending
// a test: for a twin that is what is wanted.
type attempt struct {
	*attacked
	// from is the address of the caller, so that attempts are not counted together.
	from string

	holdsSpare bool

	mu       sync.Mutex
	failures []string
	broken   bool // for reasons that say nothing about the gateway's promise
	ends     []func()
}

// run tries the case and returns what went wrong, and whether it could not be tried.
func (c *attack) run(w *attacked) (failures []string, broken bool) {
	a := &attempt{attacked: w, from: w.nextAddress()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for _, end := range slices.Backward(a.ends) {
				end()
			}
		}()
		c.try(a)
	}()
	<-done
	return a.failures, a.broken
}

func (a *attempt) errorf(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failures = append(a.failures, fmt.Sprintf(format, args...))
}

// fatalf ends the attempt. It has to be called on the attempt's own goroutine.
func (a *attempt) fatalf(format string, args ...any) {
	a.errorf(format, args...)
	runtime.Goexit()
}

// check ends the attempt, which is broken, with an error.
func (a *attempt) check(err error) {
	if err != nil {
		a.broken = true
		a.fatalf("%v", err)
	}
}

// atEnd has f called when the attempt is over.
func (a *attempt) atEnd(f func()) { a.ends = append(a.ends, f) }
