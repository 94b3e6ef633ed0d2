package revocation

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
	"github.com/sallyport-gateway/sallyport/modules/internal/store"
)

// AnyIssuer as an Issuer stands for all of them. Only moments can be revoked so: a
// name is one issuer's, and another's may be somebody else.
const AnyIssuer = "*"

// Record is one revocation as people write it. It has exactly one of JTI, Sub and SID,
// or IssuedBefore alone or with Sub.
type Record struct {
	// Issuer is the iss claim of the tokens, or AnyIssuer.
	Issuer string `json:"issuer,omitempty"`
	// JTI refuses the token with this jti claim.
	JTI string `json:"jti,omitempty"`
	// Sub refuses the tokens whose sub claim, or whose principal, this is.
	Sub string `json:"sub,omitempty"`
	// SID refuses the tokens of a session.
	SID string `json:"sid,omitempty"`
	// IssuedBefore refuses the tokens that were issued before, or that do not say
	// when.
	IssuedBefore time.Time `json:"issued_before,omitzero"`
	// Until is when the record is of no use any more: when the last of the tokens
	// that it refuses has expired. Without it the record stays for ever.
	Until time.Time `json:"until,omitzero"`
	// Reason is for people.
	Reason string `json:"reason,omitempty"`
}

// longestName is more than any name has that a token can have.
const longestName = 12 << 10

// Check returns everything that is wrong with a record. It contains no value of it.
func (r *Record) Check() error {
	var errs []error
	if r.Issuer == "" {
		errs = append(errs, errors.New("issuer is missing"))
	}
	names := 0
	for _, name := range []string{r.JTI, r.Sub, r.SID} {
		if name != "" {
			names++
		}
	}
	switch before := !r.IssuedBefore.IsZero(); {
	case names > 1:
		errs = append(errs, errors.New("only one of jti, sub and sid can be given"))
	case names == 0 && !before:
		errs = append(errs, errors.New("one of jti, sub, sid and issued_before is needed"))
	case before && (r.JTI != "" || r.SID != ""):
		errs = append(errs, errors.New("issued_before stands alone or with sub"))
	case r.Issuer == AnyIssuer && names > 0:
		errs = append(errs, errors.New("issuer * is for issued_before alone: a jti, sub or sid is one issuer's"))
	}
	for _, name := range []string{r.Issuer, r.JTI, r.Sub, r.SID} {
		if len(name) > longestName {
			errs = append(errs, fmt.Errorf("a name is longer than %d bytes", longestName))
		}
	}
	for _, t := range []time.Time{r.IssuedBefore, r.Until} {
		if !t.IsZero() && (t.Unix() < 1 || t.Year() > 9998) {
			errs = append(errs, errors.New("a time is not between 1970 and 9998"))
		}
	}
	return errors.Join(append(errs, store.CheckReason(r.Reason))...)
}

// The kinds of records. Each is the first letter of an ID in the store.
const (
	kindJTI       = jwt.NamedID
	kindSID       = jwt.NamedSession
	kindSub       = jwt.NamedSubject
	kindSubBefore = 'b'
	kindIssuer    = jwt.NamedIssuer
	kindAll       = jwt.NamedAll
)

// kinds are the kinds in the words of metrics.
var kinds = map[byte]string{
	kindJTI: "jti", kindSID: "sid", kindSub: "sub", kindSubBefore: "sub_issued_before", kindIssuer: "issued_before", kindAll: "all_issued_before",
}

// allName is the name of all tokens.
var allName = jwt.NameOf(jwt.NamedAll, "", "")

// id is what a record is about: of records with one id, the last holds.
type id struct {
	kind byte
	name jwt.Name
}

// id returns what r, which has no error, is about.
func (r *Record) id() id {
	switch {
	case r.JTI != "":
		return id{kindJTI, jwt.NameOf(jwt.NamedID, r.Issuer, r.JTI)}
	case r.SID != "":
		return id{kindSID, jwt.NameOf(jwt.NamedSession, r.Issuer, r.SID)}
	case r.Sub != "" && r.IssuedBefore.IsZero():
		return id{kindSub, jwt.NameOf(jwt.NamedSubject, r.Issuer, r.Sub)}
	case r.Sub != "":
		return id{kindSubBefore, jwt.NameOf(jwt.NamedSubject, r.Issuer, r.Sub)}
	case r.Issuer != AnyIssuer:
		return id{kindIssuer, jwt.NameOf(jwt.NamedIssuer, r.Issuer, "")}
	}
	return id{kindAll, allName}
}

// String returns the id as the store has it.
func (i id) String() string {
	return string(i.kind) + base64.RawURLEncoding.EncodeToString(i.name[:])
}

// KindOf returns the kind of an entry of the store, in the words of metrics, or "".
func KindOf(id string) string {
	if id == "" {
		return ""
	}
	return kinds[id[0]]
}

// parseID reads an id of the store.
func parseID(s string) (id, error) {
	var i id
	if s == "" || kinds[s[0]] == "" || base64.RawURLEncoding.DecodedLen(len(s)-1) != len(i.name) {
		return i, errors.New("a revocation is of a kind that this version does not know")
	}
	i.kind = s[0]
	if _, err := base64.RawURLEncoding.Strict().Decode(i.name[:], []byte(s[1:])); err != nil {
		return i, errors.New("a revocation is malformed")
	}
	return i, nil
}

// never is later than every moment.
const never = math.MaxInt64

// term is how long a record refuses, and what: in Unix seconds.
type term struct {
	until  int64 // never, if there is no end
	before int64 // the tokens issued before; never: all
}

// term returns that of r. Parts of a second count as one, so that what is revoked now
// includes what was issued a moment ago.
func (r *Record) term() term {
	t := term{never, never}
	if !r.Until.IsZero() {
		t.until = ceil(r.Until)
	}
	if !r.IssuedBefore.IsZero() {
		t.before = ceil(r.IssuedBefore)
	}
	return t
}

func ceil(t time.Time) int64 {
	if t.Nanosecond() > 0 {
		return t.Unix() + 1
	}
	return t.Unix()
}

// over reports whether the record is of no use at now any more: not before all who
// may have accepted its tokens refuse them, by leeways and clocks.
func (t term) over(now int64) bool { return t.until < now-int64(store.Overdue/time.Second) }

// or returns a term that refuses what either does.
func (t term) or(other term) term {
	return term{max(t.until, other.until), max(t.before, other.before)}
}

// Entry returns a record that has no error as the store has it.
func (r *Record) Entry() store.Revocation { return toStore(r.id(), r.term(), r.Reason) }

func toStore(i id, t term, reason string) store.Revocation {
	e := store.Revocation{ID: i.String(), Until: t.until, Before: t.before, Reason: reason}
	if t.until == never {
		e.Until = 0
	}
	if t.before == never {
		e.Before = 0
	}
	return e
}

// fromStore reads an entry of the store.
func fromStore(e store.Revocation) (id, term, error) {
	i, err := parseID(e.ID)
	t := term{never, never}
	if e.Until != 0 {
		t.until = e.Until
	}
	if e.Before != 0 {
		t.before = e.Before
	}
	return i, t, err
}
