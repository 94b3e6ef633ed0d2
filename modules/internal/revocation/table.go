package revocation

import (
	"encoding/binary"
	"maps"
	"math"
	"sync/atomic"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
)

// shards is into how many parts a table is divided: one is copied to change it.
const shards = 4096

// table is what is revoked, by name. Any number may read it while one changes it: its
// parts are replaced whole.
type table struct {
	parts [shards]atomic.Pointer[map[jwt.Name]pair]
	// count is how many records there are of a kind. What has none is not looked for.
	count [256]atomic.Int64
}

// pair is what is revoked of one name: all of it, and what was issued before. What
// refuses nothing is zero.
type pair struct {
	all, before term
	kind        byte // of the name
}

// ids calls f for what is not zero.
func (p *pair) ids(name jwt.Name, f func(id, term)) {
	if p.all != (term{}) {
		f(id{p.kind, name}, p.all)
	}
	if p.before == (term{}) {
		return
	}
	kind := p.kind
	if kind == kindSub {
		kind = kindSubBefore
	}
	f(id{kind, name}, p.before)
}

// slot returns the term of a kind.
func (p *pair) slot(kind byte) *term {
	switch kind {
	case kindSubBefore, kindIssuer, kindAll:
		return &p.before
	}
	return &p.all
}

func (t *table) part(n jwt.Name) *atomic.Pointer[map[jwt.Name]pair] {
	return &t.parts[binary.LittleEndian.Uint16(n[:])%shards]
}

func (t *table) get(i id) term {
	part := t.part(i.name).Load()
	if part == nil {
		return term{}
	}
	p := (*part)[i.name]
	return *p.slot(i.kind)
}

// set makes that of i what it is; the zero term takes it out. inPlace is for a table
// that nobody else has yet, which needs no copies.
func (t *table) set(i id, to term, inPlace bool) {
	at := t.part(i.name)
	var part map[jwt.Name]pair
	if old := at.Load(); old != nil {
		part = *old
	}
	p := part[i.name]
	slot := p.slot(i.kind)
	was := *slot
	if was == to {
		return
	}
	*slot = to
	switch {
	case part == nil:
		part = make(map[jwt.Name]pair)
	case !inPlace:
		part = maps.Clone(part)
	}
	if p.kind = i.kind; p.kind == kindSubBefore {
		p.kind = kindSub
	}
	if p.all == (term{}) && p.before == (term{}) {
		delete(part, i.name)
	} else {
		part[i.name] = p
	}
	// A reader must not find a kind to be without records that has one.
	if was == (term{}) {
		t.count[i.kind].Add(1)
	}
	at.Store(&part)
	if to == (term{}) {
		t.count[i.kind].Add(-1)
	}
}

// len is how many records there are.
func (t *table) len() int {
	n := 0
	for kind := range kinds {
		n += int(t.count[kind].Load())
	}
	return n
}

// each calls f for every record. f may change it.
func (t *table) each(f func(id, term)) {
	for n := range t.parts {
		if part := t.parts[n].Load(); part != nil {
			for name, p := range *part {
				p.ids(name, f)
			}
		}
	}
}

// refuses reports whether a token is revoked.
func (t *table) refuses(f *jwt.TokenFacts, now time.Time) bool {
	seconds := now.Unix()
	issued := int64(math.MinInt64)
	if !f.IssuedAt.IsZero() {
		issued = f.IssuedAt.Unix()
	}
	n := &f.Names
	if t.count[kindJTI].Load() > 0 && t.hits(n.ID, issued, seconds) ||
		t.count[kindSID].Load() > 0 && t.hits(n.Session, issued, seconds) ||
		t.count[kindIssuer].Load() > 0 && t.hits(n.Issuer, issued, seconds) ||
		t.count[kindAll].Load() > 0 && t.hits(allName, issued, seconds) {
		return true
	}
	if t.count[kindSub].Load() == 0 && t.count[kindSubBefore].Load() == 0 {
		return false
	}
	return t.hits(n.Subject, issued, seconds) || n.Principal != (jwt.Name{}) && t.hits(n.Principal, issued, seconds)
}

func (t *table) hits(n jwt.Name, issued, now int64) bool {
	part := t.part(n).Load()
	if part == nil {
		return false
	}
	p, ok := (*part)[n]
	return ok && (p.all.hits(issued, now) || p.before.hits(issued, now))
}

func (t term) hits(issued, now int64) bool { return !t.over(now) && issued < t.before }
