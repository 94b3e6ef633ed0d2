package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Revocations is the list of what was revoked, which gateways read in the background
// and keep a copy of: no request waits for it. The list only grows and its order is
// that of time, so a reader who has a part asks for the rest.
type Revocations interface {
	// Revoke puts entries, at most MostAtOnce, on the list. One that is there
	// already is made to last as long, and to reach as far, as either of the two;
	// one that was taken off is put on again. Putting on the same one again changes
	// nothing. After an error nobody knows which were put on: repeat it.
	Revoke(ctx context.Context, entries ...Revocation) error

	// Unrevoke takes the entries with these IDs, at most MostAtOnce, off the list.
	// Readers find that in it for at least KeptRemoved.
	Unrevoke(ctx context.Context, ids ...string) error

	// Revoked returns what came on the list after position, at most limit entries
	// and at most MostAtOnce. The zero Position is the beginning.
	Revoked(ctx context.Context, after Position, limit int) (RevocationPage, error)

	// Discard forgets those of the entries with these IDs that have been over for
	// Overdue by the store's clock. It returns which of them stay on the list.
	Discard(ctx context.Context, ids ...string) (kept []string, err error)

	// Restore is Revoke for who knows that the store lost what it had. It does so
	// with a damaged list, too, which begins anew then; and it puts nothing on again
	// that was taken off.
	Restore(ctx context.Context, entries ...Revocation) error
}

const (
	// MostRevocations is how many entries the list has room for. More are refused.
	MostRevocations = 1_000_000
	// MostAtOnce is how many entries one call takes.
	MostAtOnce = 1000
	// Overdue is how long after its end an entry stays in force: as long as a token
	// may be used behind its expiry by the largest leeway, and as clocks may differ.
	Overdue = 10 * time.Minute
	// KeptRemoved is how long the list knows what was taken off it.
	KeptRemoved = 24 * time.Hour

	longestID     = 64
	longestReason = 200
)

// Revocation is an entry of the list. What it stands for is its maker's business.
type Revocation struct {
	// ID is 1 to 64 letters, digits, - and _.
	ID string
	// Until is when it is over, in Unix seconds; 0: never.
	Until int64
	// Before, if it is not 0, is how far it reaches, in Unix seconds.
	Before int64
	// Removed says that it was taken off the list.
	Removed bool
	// Reason is text for people, on one line and at most 200 bytes.
	Reason string
}

// Position is a place in the list.
type Position struct {
	Number int64
	// mark is that of the last change which the reader knows of. A list without it
	// is another one: the store lost something, or so much was put on since that it
	// is not kept any more.
	mark string
}

// RevocationPage is a part of the list.
type RevocationPage struct {
	Entries []Revocation
	// Next is the position behind the last one.
	Next Position
	// Complete says that there were no more.
	Complete bool
	// Restarted says that the part begins at the beginning, because the list is not
	// that of the position asked for, and need not have what the reader knows.
	Restarted bool
	// Total is how many entries the list has.
	Total int
}

// ErrManyRevocations means that the list has no room.
var ErrManyRevocations = fmt.Errorf("the list has %d revocations and no room for more", MostRevocations)

// ErrRevocationsDamaged means that the store lost a part of the list. It is never
// read as if it was whole.
var ErrRevocationsDamaged = errors.New("the store lost a part of the list of revocations: a gateway that has a copy restores it; " +
	"where none runs, delete the keys with revocations in their names and put all on again")

func checkRevocations(entries []Revocation) error {
	if len(entries) > MostAtOnce {
		return fmt.Errorf("more than %d revocations at once", MostAtOnce)
	}
	for _, e := range entries {
		if err := e.check(); err != nil {
			return err
		}
	}
	return nil
}

func (r *Revocation) check() error {
	switch {
	case !isRevocationID(r.ID):
		return errors.New("the ID of a revocation is not 1 to 64 letters, digits, - and _")
	case r.Until < 0 || r.Until > latest || r.Before < 0 || r.Before > latest:
		return errors.New("a revocation has a moment before 1970 or after the year 9999")
	case r.Removed:
		return errors.New("a revocation that is removed cannot be put on")
	}
	return CheckReason(r.Reason)
}

// latest is the end of the year 9999.
const latest = 253402300799

// CheckReason refuses a Reason that is too long or not one line.
func CheckReason(s string) error {
	if len(s) > longestReason || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return fmt.Errorf("the reason is not one line of at most %d bytes", longestReason)
	}
	return nil
}

func isRevocationID(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return s != "" && len(s) <= longestID
}

// later returns the later of two ends, of which 0 is never.
func later(a, b int64) int64 {
	if a == 0 || b == 0 {
		return 0
	}
	return max(a, b)
}

func checkIDs(ids []string) error {
	if len(ids) > MostAtOnce {
		return fmt.Errorf("more than %d revocations at once", MostAtOnce)
	}
	for _, id := range ids {
		if err := (&Revocation{ID: id}).check(); err != nil {
			return err
		}
	}
	return nil
}

func checkLimit(limit int) error {
	if limit < 1 || limit > MostAtOnce {
		return fmt.Errorf("a page has 1 to %d revocations", MostAtOnce)
	}
	return nil
}
