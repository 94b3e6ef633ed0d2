package jwks

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestTheStateOfASource(t *testing.T) {
	run(t, func(i *issuer) {
		i.says(200, `{"keys":[`+strings.Replace(jwk("a"), `"kty"`, `"use":"sig","alg":"EdDSA","kty"`, 1)+`,{"kty":"oct","k":"c2VjcmV0"}]}`)
	}, func(t *testing.T, s *Source, i *issuer) {
		one := func() State {
			t.Helper()
			states := States(time.Now())
			if len(states) != 1 {
				t.Fatalf("%d sources", len(states))
			}
			return states[0]
		}
		began := time.Now()
		state := one()
		if state.State != StateOK || state.Source != "https://issuer.example/keys" || state.Kind != "jwks" || len(state.Keys) != 1 || len(state.NotUsed) != 1 {
			t.Errorf("got %+v", state)
		}
		if k := state.Keys[0]; k.ID != "a" || k.Type != "OKP" || k.Algorithm != "EdDSA" || k.Use != "sig" || k.Size != "Ed25519" {
			t.Errorf("got %+v", k)
		}
		if !state.FetchedAt.Equal(began) || !state.StaleAt.Equal(began.Add(DefaultMaxStale)) || !state.LastAttempt.Equal(began) ||
			state.NextFetch.Before(began.Add(defaultRefresh*9/10)) || state.NextFetch.After(began.Add(defaultRefresh)) {
			t.Errorf("got %+v", state)
		}
		data, err := json.Marshal(state)
		if err != nil || strings.Contains(string(data), "c2VjcmV0") {
			t.Errorf("%v: %s", err, data)
		}

		i.fails(errors.New(strings.Repeat("x", 10000)))
		pass(time.Hour)
		state = one()
		if state.State != StateFailing || state.Failures < 3 || len(state.LastError) != maxError || len(state.Keys) != 1 {
			t.Errorf("got %+v", state)
		}
		pass(24 * time.Hour)
		if state = one(); state.State != StateStale || len(state.Keys) != 0 {
			t.Errorf("got %+v", state)
		}
		i.says(200, set("a", "b"))
		pass(maxRetry)
		if state = one(); state.State != StateOK || state.LastError != "" {
			t.Errorf("got %+v", state)
		}
		s.Close()
		if n := len(States(time.Now())); n != 0 {
			t.Errorf("%d sources after Close", n)
		}
	})
	run(t, func(i *issuer) { i.fails(errors.New("down")) }, func(t *testing.T, s *Source, i *issuer) {
		if state := s.state(time.Now()); state.State != StateEmpty || state.FetchedAt != nil || state.LastError != "down" {
			t.Errorf("got %+v", state)
		}
	})
}
