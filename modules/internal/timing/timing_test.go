package timing

import (
	"context"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func TestOwnIsWhatNobodyAccountsFor(t *testing.T) {
	var r Record
	for p := range Phases {
		r.Add(p, time.Second)
		r.Add(p, -time.Hour)
	}
	if own := r.Own(10 * time.Second); own != 3*time.Second {
		t.Errorf("own share %s, want 3s", own)
	}
	if own := r.Own(time.Second); own != 0 {
		t.Errorf("own share %s of a request shorter than its phases, want 0", own)
	}
	if backend := r.Backend(); backend != 5*time.Second {
		t.Errorf("backend %s, want 5s", backend)
	}
}

func TestARecordIsFoundByItsRequestOnly(t *testing.T) {
	ctx := context.WithValue(context.Background(), caddyhttp.VarsCtxKey, make(map[string]any))
	if From(ctx) != nil || From(context.Background()) != nil {
		t.Error("a record that nobody began")
	}
	From(ctx).Add(Wait, time.Second) // of nobody: no panic
	From(ctx).Attempt()
	r := Begin(ctx)
	From(ctx).Attempt()
	if From(ctx) != r || r.Attempts() != 1 {
		t.Error("not the record that was begun")
	}
}

func TestNothingIsAddedToARecordThatEnded(t *testing.T) {
	var r Record
	r.Add(Wait, time.Second)
	r.End()
	r.Add(Wait, time.Second)
	if r.Waited() != time.Second {
		t.Errorf("waited %s, want 1s", r.Waited())
	}
}
