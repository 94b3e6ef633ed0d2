package store

import (
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/sallyport-gateway/sallyport/modules/internal/store/storetest"
)

// observed opens a client whose log is kept.
func observed(t *testing.T, c Config) (*Client, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.InfoLevel)
	client := open(t, c).Value()
	client.logger = func() *zap.Logger { return zap.New(core) }
	return client, logs
}

// asked connects and waits until the server was asked about its memory, which
// nothing comes after.
func asked(t *testing.T, r *storetest.Server, c *Client) {
	t.Helper()
	until(t, "it was asked", func() bool {
		_ = c.Reachable()
		for line := range strings.Lines(r.Command(t, "CLIENT", "LIST")) {
			if strings.Contains(line, "name=sallyport") && strings.Contains(line, "cmd=info") {
				return true
			}
		}
		return false
	})
}

func TestAStoreThatEvictsIsWarnedOf(t *testing.T) {
	noLeaks(t)
	for policy, warned := range map[string]bool{"noeviction": false, "allkeys-lru": true, "volatile-ttl": true} {
		t.Run(policy, func(t *testing.T) {
			r := storetest.Start(t, "--maxmemory", "100mb", "--maxmemory-policy", policy)
			c, logs := observed(t, Config{Address: []string{r.Addr}})
			asked(t, r, c)
			if warned {
				until(t, "a warning", func() bool { return logs.FilterMessageSnippet("noeviction").Len() == 1 })
				entry := logs.FilterMessageSnippet("noeviction").All()[0]
				if entry.Level != zapcore.WarnLevel || entry.ContextMap()["maxmemory_policy"] != policy || entry.ContextMap()["store"] != r.Addr {
					t.Errorf("got %v", entry)
				}
			}
			r.Kill()
			until(t, "it is away", func() bool { return set(t.Context(), c, "v") != nil && c.Reachable() != nil })
			r.Launch(t)
			asked(t, r, c)
			if err := set(t.Context(), c, "v"); err != nil {
				t.Error(err)
			}
			want := 0
			if warned {
				want = 1
			}
			if got := logs.FilterLevelExact(zapcore.WarnLevel).Len(); got != want {
				t.Errorf("%d warnings", got)
			}
		})
	}
}

func TestAPolicyThatBecomesAnotherIsWarnedOfWhenItIsSeen(t *testing.T) {
	r := storetest.Start(t)
	c, logs := observed(t, Config{Address: []string{r.Addr}})
	asked(t, r, c)
	if n := logs.FilterLevelExact(zapcore.WarnLevel).Len(); n != 0 {
		t.Errorf("%d warnings", n)
	}
	r.Command(t, "CONFIG", "SET", "maxmemory-policy", "allkeys-random")
	r.Pause()
	until(t, "it is away", func() bool { return set(t.Context(), c, "v") != nil && c.Reachable() != nil })
	r.Resume()
	until(t, "a warning", func() bool { return logs.FilterMessageSnippet("noeviction").Len() == 1 })
}

func TestAUserWhoMayNotAskWhetherTheStoreEvictsIsServed(t *testing.T) {
	r := storetest.Start(t, "--maxmemory-policy", "allkeys-lru")
	r.Command(t, "ACL", "SETUSER", "default", "-info")
	c, logs := observed(t, Config{Address: []string{r.Addr}})
	if err := set(t.Context(), c, "v"); err != nil {
		t.Fatal(err)
	}
	until(t, "it was refused", func() bool { return strings.Contains(r.Command(t, "ACL", "LOG"), "info") })
	if err := set(t.Context(), c, "v"); err != nil || c.Reachable() != nil {
		t.Errorf("got %v, %v", err, c.Reachable())
	}
	if n := logs.Len(); n != 0 {
		t.Errorf("%d log lines", n)
	}
	if n := outcomeCount(t, r.Addr, ReasonRefused); n != 0 {
		t.Errorf("%v commands of a user count as refused", n)
	}
}
