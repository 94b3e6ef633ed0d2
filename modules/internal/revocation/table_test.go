package revocation

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-gateway/sallyport/modules/internal/jwt"
)

const issuerA, issuerB = "https://a.example", "https://b.example"

var now = time.Date(2026, 11, 28, 14, 0, 0, 500_000_000, time.UTC)

// facts are those of a token of issuer A, issued a minute before now.
func facts(change ...func(*jwt.TokenFacts)) *jwt.TokenFacts {
	f := &jwt.TokenFacts{Issuer: issuerA, ID: "token-1", Subject: "alice", Session: "session-1", Principal: "alice", IssuedAt: now.Add(-time.Minute)}
	for _, c := range change {
		c(f)
	}
	f.SetNames()
	return f
}

// list makes a file of records in which ' stands for ".
func list(records ...string) []byte {
	return []byte(`{"revocations": [` + strings.ReplaceAll(strings.Join(records, ","), "'", `"`) + `]}`)
}

func tableOf(t testing.TB, records ...string) *table {
	t.Helper()
	made, err := parseTable(list(records...))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestWhatARecordRefuses(t *testing.T) {
	const a = `'issuer': '` + issuerA + `'`
	with := func(change func(*jwt.TokenFacts)) *jwt.TokenFacts { return facts(change) }
	noDate := with(func(f *jwt.TokenFacts) { f.IssuedAt = time.Time{} })
	ofB := with(func(f *jwt.TokenFacts) { f.Issuer = issuerB })
	tests := []struct {
		name    string
		records []string
		token   *jwt.TokenFacts
		want    bool
	}{
		{"nothing is revoked", nil, facts(), false},
		{"a jti", []string{`{` + a + `, 'jti': 'token-1'}`}, facts(), true},
		{"another jti", []string{`{` + a + `, 'jti': 'token-2'}`}, facts(), false},
		{"the jti of another issuer", []string{`{` + a + `, 'jti': 'token-1'}`}, ofB, false},
		{"a jti in another case", []string{`{` + a + `, 'jti': 'Token-1'}`}, facts(), false},
		{"an escaped jti", []string{`{` + a + `, 'jti': '\u0074oken-1'}`}, facts(), true},
		{"a jti is no sub", []string{`{` + a + `, 'jti': 'alice'}`}, facts(), false},
		{"a sub is no jti", []string{`{` + a + `, 'sub': 'token-1'}`}, facts(), false},
		{"a token without jti", []string{`{` + a + `, 'jti': 'token-1'}`}, with(func(f *jwt.TokenFacts) { f.ID = "" }), false},
		{"a sub", []string{`{` + a + `, 'sub': 'alice'}`}, facts(), true},
		{"the sub of another issuer", []string{`{` + a + `, 'sub': 'alice'}`}, ofB, false},
		{"a sub that is the principal", []string{`{` + a + `, 'sub': 'alice'}`}, with(func(f *jwt.TokenFacts) { f.Subject = "1" }), true},
		{"a sub that is not the principal", []string{`{` + a + `, 'sub': '1'}`}, with(func(f *jwt.TokenFacts) { f.Subject = "1" }), true},
		{"another sub", []string{`{` + a + `, 'sub': 'bob'}`}, facts(), false},
		{"a sid", []string{`{` + a + `, 'sid': 'session-1'}`}, facts(), true},
		{"another sid", []string{`{` + a + `, 'sid': 'session-2'}`}, facts(), false},
		{"one of many", []string{`{` + a + `, 'jti': '1'}`, `{` + a + `, 'sid': 'session-1'}`, `{` + a + `, 'sub': '3'}`}, facts(), true},

		{"issued before", []string{`{` + a + `, 'issued_before': '2026-11-28T14:00:00Z'}`}, facts(), true},
		{"issued at the moment", []string{`{` + a + `, 'issued_before': '2026-11-28T13:59:00Z'}`}, facts(), false},
		{"issued in its second, before it", []string{`{` + a + `, 'issued_before': '2026-11-28T13:59:00.7Z'}`}, facts(), true},
		{"issued after", []string{`{` + a + `, 'issued_before': '2026-11-28T13:58:00Z'}`}, facts(), false},
		{"in another zone", []string{`{` + a + `, 'issued_before': '2026-11-28T15:00:00+01:00'}`}, facts(), true},
		{"issued nobody knows when", []string{`{` + a + `, 'issued_before': '1970-01-02T00:00:00Z'}`}, noDate, true},
		{"issued nobody knows when, by another", []string{`{'issuer': '` + issuerB + `', 'issued_before': '2026-11-28T14:00:00Z'}`}, noDate, false},
		{"issued before by another", []string{`{` + a + `, 'issued_before': '2026-11-28T14:00:00Z'}`}, ofB, false},
		{"issued before by anybody", []string{`{'issuer': '*', 'issued_before': '2026-11-28T14:00:00Z'}`}, ofB, true},
		{"issued after by anybody", []string{`{'issuer': '*', 'issued_before': '2026-11-28T13:00:00Z'}`}, ofB, false},
		{"issued before for a sub", []string{`{` + a + `, 'sub': 'alice', 'issued_before': '2026-11-28T14:00:00Z'}`}, facts(), true},
		{"issued before for another sub", []string{`{` + a + `, 'sub': 'bob', 'issued_before': '2026-11-28T14:00:00Z'}`}, facts(), false},
		{"issued after for a sub", []string{`{` + a + `, 'sub': 'alice', 'issued_before': '2026-11-28T13:00:00Z'}`}, facts(), false},

		{"not over", []string{`{` + a + `, 'jti': 'token-1', 'until': '2026-11-28T14:00:01Z'}`}, facts(), true},
		{"over, but not for who has a slow clock and a leeway", []string{`{` + a + `, 'jti': 'token-1', 'until': '2026-11-28T13:50:01Z'}`}, facts(), true},
		{"over", []string{`{` + a + `, 'jti': 'token-1', 'until': '2026-11-28T13:49:59Z'}`}, facts(), false},
		{"a moment that is over", []string{`{` + a + `, 'issued_before': '2026-11-28T14:00:00Z', 'until': '2026-11-28T13:49:59Z'}`}, facts(), false},
		{"over, and once more", []string{`{` + a + `, 'jti': 'token-1'}`, `{` + a + `, 'jti': 'token-1', 'until': '2026-11-28T13:00:00Z'}`}, facts(), true},
		{"all of a sub is over and the moment not", []string{`{` + a + `, 'sub': 'alice', 'until': '2026-11-28T13:00:00Z'}`,
			`{` + a + `, 'sub': 'alice', 'issued_before': '2026-11-28T14:00:00Z'}`}, facts(), true},
		{"the later of two moments", []string{`{` + a + `, 'issued_before': '2026-11-28T14:00:00Z'}`, `{` + a + `, 'issued_before': '2026-11-28T13:00:00Z'}`}, facts(), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			made := tableOf(t, tt.records...)
			if got := made.refuses(tt.token, now); got != tt.want {
				t.Errorf("refuses: %t, want %t", got, tt.want)
			}
			// The same by the way of the store.
			other := new(table)
			made.each(func(i id, at term) {
				back, again, err := fromStore(toStore(i, at, ""))
				if err != nil || back != i || again != at {
					t.Errorf("%v %v comes back as %v %v, %v", i, at, back, again, err)
				}
				other.set(back, again, false)
			})
			if got := other.refuses(tt.token, now); got != tt.want || other.len() != made.len() {
				t.Errorf("from the store: refuses: %t, %d records of %d", got, other.len(), made.len())
			}
		})
	}
}

// A token has at most 16 KiB, of which three quarters are left without base64.
func TestEveryNameOfATokenCanBeRevoked(t *testing.T) {
	r := Record{Issuer: issuerA, JTI: strings.Repeat("x", 12<<10)}
	if err := r.Check(); err != nil {
		t.Error(err)
	}
}

func TestARecordThatIsTakenOutRefusesNothingAndLeavesTheOthers(t *testing.T) {
	const a = `{'issuer': '` + issuerA + `', `
	for _, inPlace := range []bool{false, true} {
		made := tableOf(t, a+`'sub': 'alice'}`, a+`'sub': 'alice', 'issued_before': '2026-11-28T14:00:00Z'}`, a+`'jti': 'x'}`)
		name := jwt.NameOf(jwt.NamedSubject, issuerA, "alice")
		later := facts(func(f *jwt.TokenFacts) { f.IssuedAt = now })
		if !made.refuses(later, now) || made.len() != 3 {
			t.Fatal("it is not revoked")
		}
		made.set(id{kindSub, name}, term{}, inPlace)
		if made.refuses(later, now) || !made.refuses(facts(), now) || made.len() != 2 {
			t.Error("with the moment left")
		}
		made.set(id{kindSubBefore, name}, term{}, inPlace)
		made.set(id{kindSubBefore, name}, term{}, inPlace)
		if made.refuses(facts(), now) || made.len() != 1 {
			t.Errorf("with neither, %d are left", made.len())
		}
	}
}

func TestReadersSeeEveryRecordWhileOthersChange(t *testing.T) {
	made := new(table)
	var group sync.WaitGroup
	stop := make(chan struct{})
	revoked := (&Record{Issuer: issuerA, JTI: "token-1"}).id()
	made.set(revoked, term{never, never}, false)
	for range 2 {
		group.Go(func() {
			f := facts()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if !made.refuses(f, now) {
					t.Error("a revoked token is allowed")
					return
				}
			}
		})
	}
	for n := range 20_000 {
		i := revoked
		i.name[0], i.name[15] = i.name[0]+byte(n%16), i.name[15]+byte(n%255)+1
		made.set(i, term{never, never}, false)
		if n%3 == 0 {
			made.set(i, term{}, false)
		}
	}
	close(stop)
	group.Wait()
}

func tableWith(n int) *table {
	t := new(table)
	for i := range n {
		t.set((&Record{Issuer: issuerB, JTI: fmt.Sprint(i)}).id(), term{never, never}, true)
	}
	t.set((&Record{Issuer: issuerB, SID: "x"}).id(), term{never, never}, true)
	t.set((&Record{Issuer: issuerB, Sub: "x"}).id(), term{never, never}, true)
	t.set((&Record{Issuer: issuerB, IssuedBefore: now}).id(), term{never, 1}, true)
	return t
}

// benchmarkedJudge has n records, and some of each kind, so that nothing is left out.
func benchmarkedJudge(n int) *Judge {
	f := new(File)
	f.current.Store(tableWith(n))
	s := &Follower{}
	s.current.Store(new(table))
	s.fresh.Store(&moment{now, now.UnixNano()})
	return &Judge{File: f, Store: s, MaxAge: DefaultMaxAge}
}

func TestJudgingAllocatesNothing(t *testing.T) {
	j := benchmarkedJudge(100)
	f := facts()
	if n := testing.AllocsPerRun(100, func() {
		if j.Check(f, now) != nil {
			t.Error("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkCheck is what a token that is not revoked costs; SHA-256 of 64 bytes, in the
// same run, is what to compare with.
func BenchmarkCheck(b *testing.B) {
	b.Run("sha256", func(b *testing.B) {
		data := make([]byte, 64)
		for b.Loop() {
			sha256.Sum256(data)
		}
	})
	for _, n := range []int{0, 1000, 1_000_000} {
		j := benchmarkedJudge(n)
		if n == 0 {
			j.File.current.Store(new(table))
		}
		var tokens []*jwt.TokenFacts
		for i := range 1024 {
			tokens = append(tokens, facts(func(f *jwt.TokenFacts) {
				f.ID, f.Subject, f.Session = fmt.Sprint(i), fmt.Sprint("s", i), fmt.Sprint("d", i)
			}))
		}
		b.Run(fmt.Sprint("one_of_", n), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if j.Check(tokens[i%1024], now) != nil {
					b.Fatal("refused")
				}
				i++
			}
		})
	}
}
