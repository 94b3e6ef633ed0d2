package auth

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/decision"
	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

// verifier judges the credentials of one source.
type verifier interface {
	// verify judges one credential.
	verify(ctx context.Context, credential string, client netip.Addr, now time.Time) verdict
	// token says whether the credentials are tokens in the sense of RFC 6750.
	token() bool
	// dear says whether judging one is dear: a signature, not a hash.
	dear() bool
}

// verdict is what is said about one credential: who calls, for which alternative
// it is and whether it stays in the request; or why it is refused, and the cause
// for the debug log.
type verdict struct {
	who     *principal.Principal
	leaf    leaf
	forward bool
	reason  *decision.Reason
	cause   error
}

// door is one source of credentials and who judges them. A handler has one for
// each source, so that the place where a credential stands decides who judges it.
type door struct {
	source   source
	verifier verifier
}

// standing is a credential that no caller attaches to a request: it comes with each
// one of a connection, or a balancer adds it.
type standing interface {
	// judge returns who calls; reasonNone if the request has none of its kind.
	judge(r *http.Request, held http.Header, now time.Time) outcome
}

// outcome is what a handler found out about one request.
type outcome struct {
	who    *principal.Principal
	reason *decision.Reason
	cause  error
	wait   time.Duration // with reasonTooMany, until the next attempt

	found [maxMembers]credential // what the caller attached
	n     int
	token bool // whether one of these is a token
}

// credential is one that a caller attached to the request.
type credential struct {
	door    *door
	value   string
	forward bool
}

// branch is one alternative, compiled.
type branch struct {
	doors    uint64 // the sources whose credentials it needs, as bits of their index
	standing []member
	group    bool
}

// member is a standing credential of a branch.
type member struct {
	standing standing
	place    int
}

// tree is what judges requests. It is read-only once it is built.
type tree struct {
	doors    []door
	branches []branch // by alternative
	grouped  uint64   // the doors at which credentials of groups are, too
	failures *failures
}

// headers are the names of the headers that credentials are read from.
func (t *tree) headers() []string {
	var names []string
	for _, d := range t.doors {
		if d.source.kind == inAuthorization || d.source.kind == inHeader {
			names = append(names, d.source.name)
		}
	}
	return names
}

// maxDoors is how many sources a handler can have.
const maxDoors = 64

// attempt is a request to be judged, by whom and when it is sent.
type attempt struct {
	r      *http.Request
	held   http.Header
	client netip.Addr
	now    time.Time
}

// judge finds the request's credentials and has them judged. What callers attach
// has to be what exactly one alternative needs: with one more, the backend might
// act for the one that we did not judge. Standing credentials speak by themselves
// only for requests that bring nothing of their own.
func (t *tree) judge(a *attempt) outcome {
	var o outcome
	var places uint64
	for i := range t.doors {
		value, n := t.doors[i].source.find(a.r, a.held)
		if n == 0 {
			continue
		}
		if n > 1 || o.n == maxMembers {
			return outcome{reason: reasonSeveral}
		}
		o.found[o.n] = credential{door: &t.doors[i], value: value}
		o.token = o.token || t.doors[i].verifier.token()
		o.n++
		places |= 1 << i
	}
	switch {
	case o.n == 0:
		return t.judgeStanding(a)
	case o.n == 1 && places&t.grouped == 0:
		if t.failures.refuse(&o, a) {
			break
		}
		c := &o.found[0]
		v := c.door.verifier.verify(a.r.Context(), c.value, a.client, a.now)
		o.who, c.forward, o.reason, o.cause = v.who, v.forward, v.reason, v.cause
	default:
		t.judgeGroup(&o, places, a)
	}
	if o.reason == reasonSeveral {
		return outcome{reason: reasonSeveral}
	}
	t.failures.learn(&o, a)
	return o
}

// judgeGroup judges credentials that can be those of a group. Without one of its
// members a group is refused, and nothing weaker is tried.
func (t *tree) judgeGroup(o *outcome, places uint64, a *attempt) {
	fitting, exact, only := t.fitting(places)
	if fitting == 0 {
		o.reason = reasonSeveral
		return
	}
	if t.failures.refuse(o, a) {
		return
	}
	if !exact {
		o.reason = reasonIncomplete
		return
	}
	var whos [maxMembers]*principal.Principal
	if fitting == 1 && !t.branches[only].stand(o, &whos, a) {
		return // before a signature is checked for nothing
	}
	chosen := -1
	for _, dear := range [...]bool{false, true} {
		for i := range o.found[:o.n] {
			c := &o.found[i]
			if c.door.verifier.dear() != dear {
				continue
			}
			v := c.door.verifier.verify(a.r.Context(), c.value, a.client, a.now)
			switch {
			case v.reason != nil:
				o.reason, o.cause = v.reason, v.cause
				return
			case chosen >= 0 && chosen != v.leaf.alternative:
				o.reason = reasonSeveral
				return
			}
			chosen = v.leaf.alternative
			c.forward, whos[v.leaf.member] = v.forward, v.who
		}
	}
	// All of places are the alternative's, since all the credentials are.
	b := &t.branches[chosen]
	switch {
	case b.doors&^places != 0:
		o.reason = reasonIncomplete
	case fitting == 1 || b.stand(o, &whos, a):
		o.who = whos[0]
	}
}

// fitting counts the alternatives that need a credential at each of places. exact
// says that one of them needs no more, and only is the last of them.
func (t *tree) fitting(places uint64) (n int, exact bool, only int) {
	for i := range t.branches {
		if needs := t.branches[i].doors; needs&places == places {
			n, only = n+1, i
			exact = exact || needs == places
		}
	}
	return n, exact, only
}

// stand judges the standing members of a group and reports whether all are good.
func (b *branch) stand(o *outcome, whos *[maxMembers]*principal.Principal, a *attempt) bool {
	for _, m := range b.standing {
		s := m.standing.judge(a.r, a.held, a.now)
		if s.reason == reasonNone {
			s.reason = reasonIncomplete
		}
		if s.reason != nil {
			o.reason, o.cause = s.reason, s.cause
			return false
		}
		whos[m.place] = s.who
	}
	return true
}

// judgeStanding judges a request to which the caller attached nothing: the first
// alternative of which there is a credential decides.
func (t *tree) judgeStanding(a *attempt) outcome {
	for i := range t.branches {
		b := &t.branches[i]
		if len(b.standing) == 0 {
			continue
		}
		if !b.group {
			if o := b.standing[0].standing.judge(a.r, a.held, a.now); o.reason != reasonNone {
				return o
			}
			continue
		}
		if o := b.judgeMembers(a); o.reason != reasonNone {
			return o
		}
	}
	return outcome{reason: reasonNone}
}

// judgeMembers judges a group by its standing members: reasonNone if there is none
// of them in the request.
func (b *branch) judgeMembers(a *attempt) outcome {
	var caller outcome
	present, missing := false, b.doors != 0
	for _, m := range b.standing {
		s := m.standing.judge(a.r, a.held, a.now)
		switch {
		case s.reason == reasonNone:
			missing = true
			continue
		case s.reason != nil:
			return s
		case m.place == 0:
			caller = s
		}
		present = true
	}
	switch {
	case !present:
		return outcome{reason: reasonNone}
	case missing:
		return outcome{reason: reasonIncomplete}
	}
	return caller
}
