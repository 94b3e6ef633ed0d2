package jwt

import (
	"context"
	"errors"
	"testing"
	"time"
)

// lookedUp is a KeySource that finds newer keys, or not, when it is asked.
type lookedUp struct {
	now, newer *KeySet
	newest     *KeySet // found by who saw newer
	err        error
	asked      int
	seen       *KeySet // first
	ctx        context.Context
}

func (l *lookedUp) Keys(time.Time) (*KeySet, error) {
	if l.now == nil {
		return nil, errors.New("none")
	}
	return l.now, nil
}

func (l *lookedUp) Missed(ctx context.Context, seen *KeySet) (*KeySet, error) {
	if l.asked++; l.asked == 1 {
		l.seen, l.ctx = seen, ctx
	}
	if l.newer != nil && seen == l.newer {
		return l.newest, l.err
	}
	return l.newer, l.err
}

// J2, J8: a token is not refused because our keys are older than it, and not called
// invalid because the issuer is down.
func TestATokenThatMissesIsJudgedByNewerKeys(t *testing.T) {
	token := signed(claims(""))
	mine := keySet(t, jwkOf("rsa", &rsaKey.PublicKey))
	older := keySet(t, jwkOf("ec", &ecKey.PublicKey))
	reused := keySet(t, jwkOf("rsa", &otherRSA.PublicKey))
	down := errors.New("the issuer is down")
	tests := []struct {
		name       string
		now, newer *KeySet
		err        error
		asked      int
		want       string
	}{
		{"keys that verify it are not doubted", mine, reused, nil, 0, ""},
		{"an unknown kid is accepted with newer keys", older, mine, nil, 1, ""},
		{"a kid with new key material is accepted with newer keys", reused, mine, nil, 1, ""},
		{"without any keys, the first ones judge", nil, mine, nil, 1, ""},
		{"newer keys that lack it too refuse it", older, keySet(t, jwkOf("ec", &ecKey.PublicKey)), nil, 2, errKey.Detail},
		{"newer keys with another signer refuse it", older, reused, nil, 2, errSignature.Detail},
		{"an unknown kid without newer keys is refused", older, nil, nil, 1, errKey.Detail},
		{"a bad signature without newer keys is refused", reused, nil, nil, 1, errSignature.Detail},
		{"an unknown kid that nobody can look up is no fault of the token", older, nil, down, 1, errNoKeys.Detail},
		{"a bad signature is one, also if nobody can look", reused, nil, down, 1, errSignature.Detail},
		{"no keys and nobody to ask", nil, nil, down, 1, errNoKeys.Detail},
		{"no keys and none to be had", nil, nil, nil, 1, errNoKeys.Detail},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source := &lookedUp{now: test.now, newer: test.newer, err: test.err}
			v, err := NewVerifier(Issuer{Name: testIssuer, Audiences: []string{testAudience}, Algorithms: []string{"RS256"}, Keys: source, Leeway: DefaultLeeway})
			if err != nil {
				t.Fatal(err)
			}
			if got := judge(v, token); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if source.asked != test.asked {
				t.Errorf("asked %d times for newer keys, want %d", source.asked, test.asked)
			}
			if source.asked > 0 && source.seen != test.now {
				t.Error("the source is not told which keys missed")
			}
		})
	}
}

func TestTheRequestsContextBoundsTheWait(t *testing.T) {
	source := &lookedUp{}
	v, err := NewVerifier(Issuer{Name: testIssuer, Audiences: []string{testAudience}, Algorithms: []string{"RS256"}, Keys: source})
	if err != nil {
		t.Fatal(err)
	}
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "this")
	_, _ = v.Verify(ctx, signed(claims("")), testNow)
	if source.ctx == nil || source.ctx.Value(key{}) != "this" {
		t.Error("the source got another context")
	}
}

// At a start the stored keys come first, and the fetch that knows the token's key is
// still under way, or failed.
func TestTheFirstOtherKeysAreNotTheLastWord(t *testing.T) {
	token := signed(claims(""))
	mine, older := keySet(t, jwkOf("rsa", &rsaKey.PublicKey)), keySet(t, jwkOf("ec", &ecKey.PublicKey))
	for name, test := range map[string]struct {
		source KeySource
		want   string
	}{
		"keys that come later verify it":             {&lookedUp{newer: older, newest: mine}, ""},
		"it is not called invalid if nobody can say": {&thenDown{lookedUp{newer: older}}, errNoKeys.Detail},
	} {
		v, err := NewVerifier(Issuer{Name: testIssuer, Audiences: []string{testAudience}, Algorithms: []string{"RS256"}, Keys: test.source, Leeway: DefaultLeeway})
		if err != nil {
			t.Fatal(err)
		}
		if got := judge(v, token); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

// thenDown fails for who saw the newer keys.
type thenDown struct{ lookedUp }

func (d *thenDown) Missed(ctx context.Context, seen *KeySet) (*KeySet, error) {
	if seen == d.newer {
		return nil, errors.New("down")
	}
	return d.lookedUp.Missed(ctx, seen)
}

// A token that newer keys verified is kept with them, not with those that missed it.
func TestATokenIsRememberedWithTheKeysThatVerifiedIt(t *testing.T) {
	source := &lookedUp{now: keySet(t, jwkOf("ec", &ecKey.PublicKey)), newer: keySet(t, jwkOf("rsa", &rsaKey.PublicKey))}
	v, err := NewVerifier(Issuer{Name: testIssuer, Audiences: []string{testAudience}, Algorithms: []string{"RS256"}, Keys: source, Leeway: DefaultLeeway})
	if err != nil {
		t.Fatal(err)
	}
	token := signed(claims(""))
	if got := judge(v, token); got != "" {
		t.Fatal(got)
	}
	source.newer = nil
	if got := judge(v, token); got != errKey.Detail {
		t.Errorf("by the keys that missed it: got %q", got)
	}
}
