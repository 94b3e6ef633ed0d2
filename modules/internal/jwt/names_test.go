package jwt

import (
	"testing"
	"time"
)

func TestNamesAreOfOneKindAndOneIssuer(t *testing.T) {
	seen := make(map[Name]string)
	for what, n := range map[string]Name{
		"a jti": NameOf(NamedID, "a", "bc"), "a sub of the same text": NameOf(NamedSubject, "a", "bc"), "a sid of it": NameOf(NamedSession, "a", "bc"),
		"of another issuer": NameOf(NamedID, "b", "bc"), "the border elsewhere": NameOf(NamedID, "ab", "c"), "in the issuer": NameOf(NamedID, "abc", ""),
		"with an end": NameOf(NamedID, "a", "bc\x00"), "an issuer": NameOf(NamedIssuer, "a", ""), "everything": NameOf(NamedAll, "", ""), "nobody's": {},
	} {
		if other, ok := seen[n]; ok {
			t.Errorf("%s and %s have one name", what, other)
		}
		seen[n] = what
	}
}

func TestATokenHasTheNamesOfItsFacts(t *testing.T) {
	var got TokenFacts
	v := revokingVerifier(t, revocations(func(f *TokenFacts, _ time.Time) error { got = *f; return nil }))
	for _, test := range []struct {
		name, claims string
		want         Names
	}{
		{"subject", claims(""), Names{Subject: NameOf('s', testIssuer, "alice")}},
		{"all", claims(`jti:"1","sid":"2"`), Names{ID: NameOf('j', testIssuer, "1"), Session: NameOf('d', testIssuer, "2"), Subject: NameOf('s', testIssuer, "alice")}},
		{"an empty jti is nobody's", claims(`jti:""`), Names{Subject: NameOf('s', testIssuer, "alice")}},
	} {
		test.want.Issuer = NameOf('i', testIssuer, "")
		for range 2 { // new, and remembered
			if answer := judge(v, signed(test.claims)); answer != "" {
				t.Fatal(answer)
			}
			if got.Names != test.want {
				t.Errorf("%s: got %x, want %x", test.name, got.Names, test.want)
			}
		}
	}
	f := TokenFacts{Issuer: testIssuer, Subject: "1", Principal: "alice"}
	if f.SetNames(); f.Names.Principal != NameOf('s', testIssuer, "alice") || f.Names.Subject != NameOf('s', testIssuer, "1") {
		t.Error("a principal that is not the sub has no name of its own")
	}
}
