package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/store/storetest"
)

// all reads the list behind after in pages of limit.
func all(t *testing.T, s Revocations, after Position, limit int) (found map[string]Revocation, next Position, restarted bool) {
	t.Helper()
	found = make(map[string]Revocation)
	for {
		p, err := s.Revoked(t.Context(), after, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range p.Entries {
			if _, ok := found[e.ID]; ok && !p.Restarted {
				t.Errorf("%s stands on two pages", e.ID)
			}
			found[e.ID] = e
		}
		after, restarted = p.Next, restarted || p.Restarted
		if p.Complete {
			return found, after, restarted
		}
	}
}

// lists checks what a reader who starts finds.
func lists(t *testing.T, s Revocations, want ...Revocation) {
	t.Helper()
	wanted := make(map[string]Revocation)
	for _, e := range want {
		wanted[e.ID] = e
	}
	got, _, _ := all(t, s, Position{}, MostAtOnce)
	for id, e := range got {
		if e.Removed {
			e.Until = 0 // some day
			got[id] = e
		}
	}
	if !maps.Equal(got, wanted) {
		t.Errorf("got %v, want %v", got, wanted)
	}
}

func revoke(t *testing.T, s Revocations, entries ...Revocation) {
	t.Helper()
	if err := s.Revoke(t.Context(), entries...); err != nil {
		t.Fatal(err)
	}
}

func TestTheContractOfRevocations(t *testing.T) {
	r := storetest.Start(t)
	n := 0
	stores := map[string]func(t *testing.T) (one, other Store){
		"memory": func(t *testing.T) (one, other Store) { return openMemory(t).Value(), openMemory(t).Value() },
		"redis": func(t *testing.T) (one, other Store) {
			n++
			prefix := "r" + strconv.Itoa(n)
			return openRedis(t, r, prefix, 1), openRedis(t, r, prefix, 2)
		},
	}
	const year = 4102444800
	entry := func(id string, until, before int64) Revocation {
		return Revocation{ID: id, Until: until, Before: before}
	}
	tests := []struct {
		name string
		try  func(t *testing.T, one, other Store)
	}{
		{"nobody has revoked anything", func(t *testing.T, one, _ Store) { lists(t, one) }},
		{"what one revokes another finds, with all it says", func(t *testing.T, one, other Store) {
			a, b := Revocation{ID: "jA-_9", Until: year, Reason: "lost phone, not “stolen” 1 2"}, entry("s", 0, latest)
			revoke(t, one, a, b)
			lists(t, other, a, b)
		}},
		{"what is put on again lasts as long and reaches as far as either", func(t *testing.T, one, other Store) {
			revoke(t, one, entry("a", year, 5), entry("b", 0, 0), entry("c", 7, 9), entry("d", 9, 9))
			revoke(t, other, entry("a", 5, year), entry("b", 5, 0), entry("c", 0, 1), entry("d", 8, 8))
			lists(t, one, entry("a", year, year), entry("b", 0, 0), entry("c", 0, 9), entry("d", 9, 9))
		}},
		{"a reader asks for what is new and gets that", func(t *testing.T, one, other Store) {
			revoke(t, one, entry("a", 0, 0), entry("b", year, 0))
			_, at, _ := all(t, other, Position{}, 10)
			if got, _, restarted := all(t, other, at, 10); len(got) != 0 || restarted {
				t.Errorf("nothing is new, and got %v, %t", got, restarted)
			}
			revoke(t, one, entry("c", 0, 0), entry("b", year+1, 0), entry("a", 0, 0))
			got, at, restarted := all(t, other, at, 10)
			if want := map[string]Revocation{"b": entry("b", year+1, 0), "c": entry("c", 0, 0)}; !maps.Equal(got, want) || restarted {
				t.Errorf("got %v, %t, want %v", got, restarted, want)
			}
			if got, _, restarted := all(t, other, at, 10); len(got) != 0 || restarted {
				t.Errorf("nothing is new again, and got %v, %t", got, restarted)
			}
		}},
		{"pages have all entries, however many fit", func(t *testing.T, one, other Store) {
			const many = 30
			for i := range many {
				revoke(t, one, entry("x"+strconv.Itoa(i), 0, 0))
			}
			revoke(t, one, entry("x3", 0, 1))
			for _, limit := range []int{1, 7, many - 1, many, many + 1, MostAtOnce} {
				if got, _, _ := all(t, other, Position{}, limit); len(got) != many {
					t.Errorf("%d entries in pages of %d", len(got), limit)
				}
			}
		}},
		{"what is put on while a reader is on its way is not missed", func(t *testing.T, one, other Store) {
			revoke(t, one, entry("a", 0, 0), entry("b", 0, 0), entry("c", 0, 0))
			p, err := other.Revoked(t.Context(), Position{}, 1)
			if err != nil || p.Complete || len(p.Entries) != 1 || p.Total != 3 {
				t.Fatalf("got %+v, %v", p, err)
			}
			revoke(t, one, entry("a", 0, 7), entry("d", 0, 0))
			got, _, restarted := all(t, other, p.Next, 1)
			if len(got) != 4 || got["a"].Before != 7 || restarted {
				t.Errorf("got %v, %t", got, restarted)
			}
		}},
		{"what is taken off is found to be, and can be put on again", func(t *testing.T, one, other Store) {
			revoke(t, one, entry("a", 0, 9), entry("b", 0, 0))
			_, at, _ := all(t, other, Position{}, 10)
			if err := one.Unrevoke(t.Context(), "a", "nothing"); err != nil {
				t.Fatal(err)
			}
			if got, _, restarted := all(t, other, at, 10); len(got) != 1 || !got["a"].Removed || restarted {
				t.Errorf("got %v, %t", got, restarted)
			}
			lists(t, one, Revocation{ID: "a", Removed: true}, entry("b", 0, 0))
			if err := other.Restore(t.Context(), entry("a", 0, 9), entry("c", 0, 0)); err != nil {
				t.Fatal(err)
			}
			lists(t, one, Revocation{ID: "a", Removed: true}, entry("b", 0, 0), entry("c", 0, 0))
			revoke(t, one, entry("a", year, 1))
			lists(t, other, entry("a", year, 1), entry("b", 0, 0), entry("c", 0, 0))
		}},
		{"only what is long over is discarded", func(t *testing.T, one, other Store) {
			now := time.Now()
			over, still := entry("over", now.Add(-Overdue-time.Minute).Unix(), 0), entry("still", now.Add(-Overdue+time.Minute).Unix(), 0)
			revoke(t, one, over, still, entry("ever", 0, 0))
			_, at, _ := all(t, other, Position{}, 10)
			kept, err := other.Discard(t.Context(), "over", "still", "ever", "nothing")
			if err != nil || !slices.Equal(kept, []string{"still", "ever"}) {
				t.Fatalf("kept %q, %v", kept, err)
			}
			lists(t, one, still, entry("ever", 0, 0))
			revoke(t, one, entry("new", 0, 0))
			if got, _, restarted := all(t, other, at, 10); len(got) != 1 || restarted {
				t.Errorf("behind it: got %v, %t", got, restarted)
			}
		}},
		{"an empty list that had entries is the same list", func(t *testing.T, one, other Store) {
			revoke(t, one, entry("over", 1, 0))
			_, at, _ := all(t, other, Position{}, 10)
			if kept, err := other.Discard(t.Context(), "over"); err != nil || len(kept) > 0 {
				t.Fatalf("kept %q, %v", kept, err)
			}
			if got, _, restarted := all(t, other, at, 10); len(got) != 0 || restarted {
				t.Errorf("got %v, %t", got, restarted)
			}
		}},
		{"what is malformed is an error and changes nothing", func(t *testing.T, one, other Store) {
			ctx := t.Context()
			for _, e := range []Revocation{
				{}, {ID: "#"}, {ID: "a b"}, {ID: strings.Repeat("a", 65)}, {ID: "a", Until: -1}, {ID: "a", Before: latest + 1}, {ID: "a", Removed: true},
				{ID: "a", Reason: "two\nlines"}, {ID: "a", Reason: strings.Repeat("a", 201)}, {ID: "a", Reason: "\xff"},
			} {
				if one.Revoke(ctx, entry("good", 0, 0), e) == nil || one.Restore(ctx, e) == nil {
					t.Errorf("%+v is accepted", e)
				}
			}
			many, ids := make([]Revocation, MostAtOnce+1), make([]string, MostAtOnce+1)
			for i := range many {
				ids[i] = "x" + strconv.Itoa(i)
				many[i].ID = ids[i]
			}
			if one.Revoke(ctx, many...) == nil || one.Unrevoke(ctx, ids...) == nil || one.Unrevoke(ctx, "#") == nil {
				t.Error("too many, or a bad ID, are accepted")
			}
			for _, bad := range [][]string{ids, {"#"}} {
				if _, err := one.Discard(ctx, bad...); err == nil {
					t.Error("too many, or a bad ID, are discarded")
				}
			}
			for _, limit := range []int{0, -1, MostAtOnce + 1} {
				if _, err := one.Revoked(ctx, Position{}, limit); err == nil {
					t.Errorf("a page of %d", limit)
				}
			}
			lists(t, other)
			revoke(t, one, many[:MostAtOnce]...)
			if got, _, _ := all(t, other, Position{}, MostAtOnce); len(got) != MostAtOnce {
				t.Errorf("%d entries of a full call", len(got))
			}
		}},
		{"a caller who gave up gets an error", func(t *testing.T, one, other Store) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := one.Revoke(ctx, entry("a", 0, 0)); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if _, err := one.Revoked(ctx, Position{}, 1); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			lists(t, other)
		}},
	}
	for name, open := range stores {
		for _, tt := range tests {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				one, other := open(t)
				tt.try(t, one, other)
			})
		}
	}
}

func TestTheMemoryRefusesMoreRevocationsThanItHasRoomFor(t *testing.T) {
	l := ledger{most: 2}
	revoke(t, &l, Revocation{ID: "a"}, Revocation{ID: "b", Until: 9})
	if err := l.Revoke(t.Context(), Revocation{ID: "c"}); !errors.Is(err, ErrManyRevocations) {
		t.Errorf("got %v", err)
	}
	revoke(t, &l, Revocation{ID: "b"})
	lists(t, &l, Revocation{ID: "a"}, Revocation{ID: "b"})
}

func TestTheMemoryDoesNotGrowWithChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ledger{most: 100}
		for i := range 10_000 {
			revoke(t, &l, Revocation{ID: "a", Before: int64(i + 1), Until: int64(i + 1)})
		}
		if len(l.log) > 2*MostAtOnce {
			t.Errorf("%d lines for one entry", len(l.log))
		}
		lists(t, &l, Revocation{ID: "a", Before: 10_000, Until: 10_000})
	})
}

func TestAListThatTheServerLostIsNotTheReadersAnyMore(t *testing.T) {
	r := storetest.Start(t)
	s := openRedis(t, r, "p", 1)
	a, b := Revocation{ID: "a"}, Revocation{ID: "b"}
	names := strings.Fields(r.Command(t, "KEYS", "*"))
	if len(names) != 0 {
		t.Fatal(names)
	}
	for what, lose := range map[string]func(){
		"everything":           func() { r.Command(t, "FLUSHALL") },
		"the server":           func() { r.Kill(); r.Launch(t) },
		"the last change":      func() { r.Command(t, "ZREMRANGEBYRANK", "{p:revocations}:marks", "-1", "-1") },
		"all, then one is new": func() { r.Command(t, "FLUSHALL"); revoke(t, s, b) },
	} {
		t.Run(what, func(t *testing.T) {
			r.Command(t, "FLUSHALL")
			revoke(t, s, Revocation{ID: "first"})
			revoke(t, s, a)
			_, at, _ := all(t, s, Position{}, 10)
			lose()
			until(t, "the store answers", func() bool { _, err := s.Revoked(t.Context(), at, 10); return err == nil })
			if _, _, restarted := all(t, s, at, 10); !restarted {
				t.Error("the reader does not learn of it")
			}
			if err := s.Restore(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			if got, _, _ := all(t, s, Position{}, 10); got["a"] != a {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestAListOfWhichTheServerLostAPartIsNotRead(t *testing.T) {
	r := storetest.Start(t)
	s := openRedis(t, r, "p", 1)
	a, b := Revocation{ID: "a"}, Revocation{ID: "b", Until: latest}
	const entries, log, marks = "{p:revocations}:entries", "{p:revocations}:log", "{p:revocations}:marks"
	for name, lost := range map[string][]string{
		"entries": {entries}, "log": {log}, "marks": {marks},
		"all but the marks": {entries, log}, "all but the log": {entries, marks}, "all but the entries": {log, marks},
	} {
		t.Run(name, func(t *testing.T) {
			r.Command(t, "FLUSHALL")
			revoke(t, s, a, b)
			_, at, _ := all(t, s, Position{}, 10)
			r.Command(t, append([]string{"DEL"}, lost...)...)
			for _, from := range []Position{{}, at} {
				if p, err := s.Revoked(t.Context(), from, 10); !errors.Is(err, ErrRevocationsDamaged) {
					t.Errorf("read: %+v, %v", p, err)
				}
			}
			if err := s.Revoke(t.Context(), Revocation{ID: "c"}); !errors.Is(err, ErrRevocationsDamaged) {
				t.Errorf("revoke: %v", err)
			}
			if err := s.Unrevoke(t.Context(), "a"); !errors.Is(err, ErrRevocationsDamaged) {
				t.Errorf("unrevoke: %v", err)
			}
			if err := s.Restore(t.Context(), a, b); err != nil {
				t.Fatal(err)
			}
			lists(t, s, a, b)
		})
	}
}

func TestADamagedListBeginsAnewWithNothing(t *testing.T) {
	r := storetest.Start(t)
	s := openRedis(t, r, "p", 1)
	revoke(t, s, Revocation{ID: "over", Until: 1})
	if _, err := s.Discard(t.Context(), "over"); err != nil {
		t.Fatal(err)
	}
	lists(t, s)
	r.Command(t, "DEL", "{p:revocations}:marks")
	if _, err := s.Revoked(t.Context(), Position{}, 10); !errors.Is(err, ErrRevocationsDamaged) {
		t.Fatalf("got %v", err)
	}
	if err := s.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	lists(t, s)
	revoke(t, s, Revocation{ID: "a"})
	if err := s.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	lists(t, s, Revocation{ID: "a"})
}

// After a failover the connections to the old master stay. Whether it follows the new
// one, or is cut off from it, nobody can tell.
func TestAListIsNotReadFromAReplica(t *testing.T) {
	r := storetest.Start(t)
	s := openRedis(t, r, "p", 1)
	_, empty, _ := all(t, s, Position{}, 10)
	revoke(t, s, Revocation{ID: "a"})
	_, at, _ := all(t, s, Position{}, 10)
	r.Command(t, "REPLICAOF", "127.0.0.1", "1")
	for _, from := range []Position{{}, empty, at} {
		if p, err := s.Revoked(t.Context(), from, 10); err == nil {
			t.Errorf("read: %+v", p)
		}
	}
	r.Command(t, "REPLICAOF", "NO", "ONE")
	until(t, "it is a master again", func() bool { _, err := s.Revoked(t.Context(), at, 10); return err == nil })
	lists(t, s, Revocation{ID: "a"})
}

func TestAReaderWhoIsFarBehindReadsEverythingAgain(t *testing.T) {
	r := storetest.Start(t)
	s := openRedis(t, r, "p", 1)
	revoke(t, s, Revocation{ID: "a"})
	_, at, _ := all(t, s, Position{}, 10)
	for i := range keptMarks {
		revoke(t, s, Revocation{ID: "b", Before: int64(i + 1)})
	}
	if got, _, restarted := all(t, s, at, 10); !restarted || len(got) != 2 {
		t.Errorf("got %v, %t", got, restarted)
	}
	if n := r.Command(t, "ZCARD", "{p:revocations}:marks"); n != strconv.Itoa(keptMarks) {
		t.Errorf("%s marks", n)
	}
}

func TestAFullListInRedisRefusesMore(t *testing.T) {
	r := storetest.Start(t)
	s := openRedis(t, r, "p", 1)
	revoke(t, s, Revocation{ID: "a"})
	r.Command(t, "EVAL", "local h, z = {}, {} for i = 2, 1000000 do redis.call('HSET', KEYS[1], 'x'..i, '1 0 0 ') redis.call('ZADD', KEYS[2], i, 'x'..i) end", "2",
		"{p:revocations}:entries", "{p:revocations}:log")
	if err := s.Revoke(t.Context(), Revocation{ID: "b"}); !errors.Is(err, ErrManyRevocations) {
		t.Errorf("got %v", err)
	}
	revoke(t, s, Revocation{ID: "a", Before: 3})
}

func FuzzPageOfRevocations(f *testing.F) {
	f.Add("0\n\n0", int64(0))
	f.Add("1\nm\n1\na\n1\n0 0 0 reason", int64(0))
	f.Add("1\nm\n2\na\n4\n0 0 1 \nb\n5\n99 98 0 x y", int64(3))
	f.Add("damaged", int64(0))
	f.Fuzz(func(t *testing.T, text string, at int64) {
		fields := strings.Split(text, "\n")
		p, err := readPage(fields, Position{at, "m"}, 10)
		if err != nil {
			if len(p.Entries) > 0 || p.Complete {
				t.Errorf("an error and a page: %+v", p)
			}
			return
		}
		if len(p.Entries) != len(fields)/3-1 || len(p.Entries) > 10 || p.Total < len(p.Entries) {
			t.Errorf("%d entries of %d fields, of %d", len(p.Entries), len(fields), p.Total)
		}
		if !p.Restarted && p.Next.Number < at || p.Restarted && p.Next.Number < 0 {
			t.Errorf("from %d back to %d", at, p.Next.Number)
		}
		for i, e := range p.Entries {
			checked := e
			checked.Removed = false
			if err := checked.check(); err != nil {
				t.Error(err)
			}
			gone := map[bool]string{true: "1", false: "0"}[e.Removed]
			value := fmt.Sprintf("%d %d %s %s", e.Until, e.Before, gone, e.Reason)
			again, ok := readEntry(e.ID, value)
			if !ok || again != e || e.ID != fields[3+3*i] {
				t.Errorf("%+v is read back as %+v, %t", e, again, ok)
			}
		}
	})
}

func TestASharedStoreIsTheSameOneAndOutlivesTheFirst(t *testing.T) {
	r := storetest.Start(t)
	first, other := openRedis(t, r, "p", 1), openRedis(t, r, "q", 1)
	memory := openMemory(t)
	for _, s := range []Store{first, memory.Value()} {
		shared, err := Share(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Share(s)
		if err != nil || again.Key != shared.Key {
			t.Errorf("keys %q and %q, %v", shared.Key, again.Key, err)
		}
		if err := again.Release(); err != nil {
			t.Error(err)
		}
		revoke(t, s, Revocation{ID: "a"})
		lists(t, shared, Revocation{ID: "a"})
		if s == Store(memory.Value()) {
			if err := memory.Release(); err != nil {
				t.Error(err)
			}
			lists(t, shared, Revocation{ID: "a"})
		}
		if err := shared.Release(); err != nil {
			t.Error(err)
		}
	}
	one, err := Share(first)
	if err != nil {
		t.Fatal(err)
	}
	defer one.Release()
	two, err := Share(other)
	if err != nil {
		t.Fatal(err)
	}
	defer two.Release()
	if one.Key == two.Key {
		t.Error("stores of two prefixes have one key")
	}
}
