package store

import (
	"cmp"
	"context"
	"slices"
	"sort"
	"sync"
	"time"
)

// memoryMark is the mark of every change: the memory loses nothing.
const memoryMark = "memory"

// ledger is the list of revocations in the memory of the process.
type ledger struct {
	most int

	mu      sync.Mutex
	last    int64
	entries map[string]ledgerEntry
	log     []ledgerLine // by number; an entry that came on again stands in it twice
}

type ledgerEntry struct {
	Revocation
	number int64
}

type ledgerLine struct {
	number int64
	id     string
}

// Revoke implements Revocations.
func (l *ledger) Revoke(ctx context.Context, entries ...Revocation) error {
	return l.put(ctx, entries, false)
}

// Restore implements Revocations.
func (l *ledger) Restore(ctx context.Context, entries ...Revocation) error {
	return l.put(ctx, entries, true)
}

func (l *ledger) put(ctx context.Context, entries []Revocation, restore bool) error {
	if err := cmp.Or(ctx.Err(), checkRevocations(entries)); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range entries {
		old, known := l.entries[e.ID]
		switch {
		case !known && len(l.entries) >= l.most:
			return ErrManyRevocations
		case known && old.Removed && restore:
			continue
		case known && !old.Removed:
			e.Until, e.Before = later(e.Until, old.Until), max(e.Before, old.Before)
			if e.Until == old.Until && e.Before == old.Before {
				continue
			}
		}
		l.set(e)
	}
	return nil
}

// Unrevoke implements Revocations.
func (l *ledger) Unrevoke(ctx context.Context, ids ...string) error {
	if err := cmp.Or(ctx.Err(), checkIDs(ids)); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		if old, ok := l.entries[id]; ok && !old.Removed {
			l.set(Revocation{ID: id, Removed: true, Until: time.Now().Add(KeptRemoved).Unix()})
		}
	}
	return nil
}

// set gives e the next number. l.mu is held.
func (l *ledger) set(e Revocation) {
	if l.entries == nil {
		l.entries = make(map[string]ledgerEntry)
	}
	l.last++
	l.entries[e.ID] = ledgerEntry{e, l.last}
	l.log = append(l.log, ledgerLine{l.last, e.ID})
	if len(l.log) > 2*len(l.entries)+MostAtOnce {
		l.log = slices.DeleteFunc(l.log, l.stale)
	}
}

func (l *ledger) stale(line ledgerLine) bool { return l.entries[line.id].number != line.number }

// Revoked implements Revocations.
func (l *ledger) Revoked(ctx context.Context, after Position, limit int) (RevocationPage, error) {
	if err := cmp.Or(ctx.Err(), checkLimit(limit)); err != nil {
		return RevocationPage{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p := RevocationPage{Total: len(l.entries), Restarted: after.mark != memoryMark}
	if p.Restarted {
		after.Number = 0
	}
	p.Next = Position{after.Number, memoryMark}
	begin := sort.Search(len(l.log), func(i int) bool { return l.log[i].number > after.Number })
	for _, line := range l.log[begin:] {
		if l.stale(line) {
			continue
		}
		if len(p.Entries) == limit {
			return p, nil
		}
		p.Entries = append(p.Entries, l.entries[line.id].Revocation)
		p.Next.Number = line.number
	}
	p.Complete = true
	return p, nil
}

// Discard implements Revocations.
func (l *ledger) Discard(ctx context.Context, ids ...string) (kept []string, err error) {
	if err := cmp.Or(ctx.Err(), checkIDs(ids)); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	over := time.Now().Add(-Overdue).Unix()
	for _, id := range ids {
		switch e, ok := l.entries[id]; {
		case !ok:
		case e.Until != 0 && e.Until < over:
			delete(l.entries, id)
		default:
			kept = append(kept, id)
		}
	}
	return kept, nil
}
