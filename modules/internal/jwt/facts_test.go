package jwt

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// revocations are judged by a function of the test.
type revocations func(*TokenFacts, time.Time) error

func (r revocations) Check(f *TokenFacts, now time.Time) error { return r(f, now) }

func revokingVerifier(t testing.TB, r Revocations) *Verifier {
	t.Helper()
	v, err := NewVerifier(Issuer{
		Name: testIssuer, Audiences: []string{testAudience}, Algorithms: []string{"RS256"}, Leeway: DefaultLeeway,
		Keys: keySet(t, jwkOf("rsa", &rsaKey.PublicKey)), Revocations: r,
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestRevocationIsJudgedAtEachUse(t *testing.T) {
	var answer error
	asked := 0
	v := revokingVerifier(t, revocations(func(*TokenFacts, time.Time) error { asked++; return answer }))
	token := signed(claims(""))
	other := &Failure{Revoked, "by the test"}
	for i, step := range []struct {
		name   string
		answer error
		want   error
	}{
		{"not revoked when it is new", nil, nil},
		{"not revoked when it was seen", nil, nil},
		{"revoked meanwhile", ErrRevoked, ErrRevoked},
		{"still revoked", ErrRevoked, ErrRevoked},
		{"a reason of the list's own", other, other},
		{"a wrapped reason", fmt.Errorf("list: %w", other), other},
		{"the list is too old", ErrRevocationUnknown, ErrRevocationUnknown},
		{"an error of another kind is no permission", errors.New("broken"), ErrRevocationUnknown},
		{"a failure of another kind is no permission", errExpired, ErrRevocationUnknown},
		{"a failure that is nil is no permission", (*Failure)(nil), ErrRevocationUnknown},
		{"taken back", nil, nil},
	} {
		answer = step.answer
		got, err := v.Verify(t.Context(), token, testNow)
		if err != step.want || (got == nil) != (err != nil) {
			t.Errorf("%s: got %v, %v", step.name, got, err)
		}
		if asked != i+1 {
			t.Errorf("%s: asked %d times", step.name, asked)
		}
	}
}

func TestRevocationIsJudgedLast(t *testing.T) {
	v := revokingVerifier(t, revocations(func(*TokenFacts, time.Time) error {
		t.Error("asked about a token that is refused anyway")
		return nil
	}))
	for _, token := range []string{
		sign("RS256", otherRSA, goodHeader, claims("")), signed(claims("exp:1")), signed(claims(`aud:"x"`)), signed(claims("sub:-")), "a.b.c",
	} {
		if judge(v, token) == "" {
			t.Error("accepted")
		}
	}
}

func TestFacts(t *testing.T) {
	iat := testNow.Add(-time.Minute)
	all := TokenFacts{Issuer: testIssuer, Subject: "alice", Principal: "alice", IssuedAt: iat}
	with := func(change func(*TokenFacts)) TokenFacts {
		f := all
		change(&f)
		return f
	}
	tests := []struct {
		name, claims string
		want         TokenFacts
	}{
		{"issuer, subject and moment", claims(""), all},
		{"jti", claims(`jti:"a-1"`), with(func(f *TokenFacts) { f.ID = "a-1" })},
		{"sid", claims(`sid:"s 1"`), with(func(f *TokenFacts) { f.Session = "s 1" })},
		{"a number is its text", claims("jti:9007199254740993"), with(func(f *TokenFacts) { f.ID = "9007199254740993" })},
		{"without iat it is older than any moment", claims("iat:-"), with(func(f *TokenFacts) { f.IssuedAt = time.Time{} })},
		{"JTI is another claim", claims(`JTI:"a-1"`), all},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got TokenFacts
			v := revokingVerifier(t, revocations(func(f *TokenFacts, _ time.Time) error { got = *f; return nil }))
			for range 2 {
				if answer := judge(v, signed(test.claims)); answer != "" {
					t.Fatal(answer)
				}
				if !got.IssuedAt.Equal(test.want.IssuedAt) {
					t.Errorf("issued at %v, want %v", got.IssuedAt, test.want.IssuedAt)
				}
				if got.IssuedAt, got.Names = test.want.IssuedAt, (Names{}); got != test.want {
					t.Errorf("got %+v, want %+v", got, test.want)
				}
			}
		})
	}
	v := revokingVerifier(t, nil)
	for _, change := range []string{`jti:["a"]`, "jti:null", "sid:{}", "sid:true"} {
		if got := judge(v, signed(claims(change))); got != errNamed.Detail {
			t.Errorf("%s: got %q", change, got)
		}
	}
}
