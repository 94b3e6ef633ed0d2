package store

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/sallyport-gateway/sallyport/modules/internal/store/storetest"
)

func TestWhatTheServerHasOfAClaim(t *testing.T) {
	r := storetest.Start(t)
	s := openRedis(t, r, "sallyport", 1)
	claims(t, s, "use:hunter2", 90*time.Second, "first")
	keys := r.Command(t, "KEYS", "*")
	if !strings.HasPrefix(keys, "sallyport:claim:") || strings.Contains(keys, "\n") || strings.Contains(keys, "hunter2") {
		t.Errorf("its names are %q", keys)
	}
	if value := r.Command(t, "GET", keys); value != "" {
		t.Errorf("its value is %q", value)
	}
	if left, err := strconv.Atoi(r.Command(t, "PTTL", keys)); err != nil || left <= 0 || left > 90_000 {
		t.Errorf("it has %d ms left, %v", left, err)
	}
	claims(t, openRedis(t, r, "other", 1), "use:hunter2", time.Hour, "first")
	claims(t, openRedis(t, r, "sallyport", 1), "use:hunter2", time.Hour, "again")
}

func TestPartsOfAMillisecondAreRoundedUp(t *testing.T) {
	r := storetest.Start(t, "--slowlog-log-slower-than", "0")
	s := openRedis(t, r, "p", 1)
	for ttl, want := range map[time.Duration]string{1: "1", time.Millisecond: "1", time.Millisecond + 1: "2", LongestClaim: "86400000"} {
		claims(t, s, ttl.String(), ttl, "first")
		if log := r.Command(t, "SLOWLOG", "GET", "20"); !strings.Contains(log, "\nNX\nPX\n"+want+"\n") {
			t.Errorf("%s: the command was %s", ttl, log)
		}
	}
}

// failsClosed checks that nobody is first, and that there is an error of a reason.
func failsClosed(t *testing.T, s Store, key string, reasons ...string) {
	t.Helper()
	first, err := s.Claim(context.Background(), key, time.Hour) // without end, but for the timeout of the store
	if first || err == nil || strings.Contains(err.Error(), key) {
		t.Errorf("first is %t, with the error %v", first, err)
	}
	for _, reason := range reasons {
		if isReason(err, reason) {
			return
		}
	}
	t.Errorf("got %v, want one of %v", err, reasons)
}

func TestClaimsFailClosedWhileTheServerIsKilledOrHangs(t *testing.T) {
	noLeaks(t)
	r := storetest.Start(t)
	l := open(t, Config{Address: []string{r.Addr}, Timeout: caddy.Duration(100 * time.Millisecond)})
	defer l.Release()
	s := NewRedis(l.Value(), "p")
	back := func(key string) {
		until(t, "it answers", func() bool { _, err := s.Claim(t.Context(), key, time.Hour); return err == nil })
	}
	back("before")

	r.Pause()
	failsClosed(t, s, "while it hangs", ReasonTimeout)
	until(t, "its absence is known", func() bool { return s.Reachable() != nil })
	failsClosed(t, s, "while it is known to hang", ReasonTimeout, ReasonAway)
	r.Resume()
	back("after it hung")
	claims(t, s, "before", time.Hour, "again")

	r.Kill()
	failsClosed(t, s, "when it was killed", ReasonTimeout, ReasonAway)
	until(t, "its absence is known", func() bool { return s.Reachable() != nil })
	failsClosed(t, s, "while it is known to be gone", ReasonAway)
	r.Launch(t)
	back("after it was gone")
}

// TestAClaimWhoseAnswerWasLostWasMade has a server that executes what it is sent and
// whose answers come too late.
func TestAClaimWhoseAnswerWasLostWasMade(t *testing.T) {
	r := storetest.Start(t)
	s := NewRedis(open(t, Config{Address: []string{r.Addr}, Timeout: caddy.Duration(100 * time.Millisecond)}).Value(), "p")
	other := openRedis(t, r, "p", 1)
	until(t, "both are connected", func() bool {
		_, err := s.Claim(t.Context(), "before", time.Hour)
		_, others := other.Claim(t.Context(), "before", time.Hour)
		return err == nil && others == nil
	})
	r.Pause()
	failsClosed(t, s, "k", ReasonTimeout) // it is in the socket
	r.Resume()
	until(t, "it is executed", func() bool { return r.Command(t, "DBSIZE") == "2" })
	claims(t, other, "k", time.Hour, "again")
}

// TestAnswersThatAreNotOfAClaim has servers that answer something else.
func TestAnswersThatAreNotOfAClaim(t *testing.T) {
	for name, answer := range map[string]string{
		"another status":           "+QUEUED\r\n",
		"a number":                 ":1\r\n",
		"the old value":            "$1\r\nv\r\n",
		"an empty array":           "*0\r\n",
		"true":                     "#t\r\n",
		"no memory":                "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
		"a replica":                "-READONLY You can't write against a read only replica.\r\n",
		"too few replicas":         "-NOREPLICAS Not enough good replicas to write.\r\n",
		"a user who may not write": "-NOPERM this user has no permissions to run the 'set' command\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, Config{Address: []string{answering(t, answer)}, Timeout: caddy.Duration(20 * time.Second)}).Value()
			failsClosed(t, NewRedis(c, "p"), "k", ReasonRefused, ReasonBusy)
		})
	}
}

// answering is the address of a server whose answer to SET is always the same.
func answering(t *testing.T, answer string) string {
	t.Helper()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() { server.Close() })
	serve := func(conn net.Conn) {
		defer conn.Close()
		lines := bufio.NewReader(conn)
		for {
			head, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			n, _ := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(head, "*")))
			var words []string
			for range n {
				lines.ReadString('\n') // its length
				word, err := lines.ReadString('\n')
				if err != nil {
					return
				}
				words = append(words, strings.TrimSpace(word))
			}
			reply := "+OK\r\n"
			switch words[0] {
			case "HELLO":
				reply = "%2\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$5\r\nproto\r\n:3\r\n"
			case "PING":
				reply = "+PONG\r\n"
			case "SET":
				reply = answer
			}
			fmt.Fprint(conn, reply)
		}
	}
	running.Go(func() {
		for {
			conn, err := server.Accept()
			if err != nil {
				return
			}
			running.Go(func() { serve(conn) })
		}
	})
	return server.Addr().String()
}

func TestTheDefaultTimeoutIsAnEqualOption(t *testing.T) {
	config := Config{Address: []string{"127.0.0.1:1"}}
	written := config
	written.Timeout = caddy.Duration(defaultTimeout)
	if open(t, config).Value() != open(t, written).Value() {
		t.Error("there are two clients")
	}
}

// BenchmarkClaim is one claim after the other.
func BenchmarkClaim(b *testing.B) {
	r := storetest.Start(b)
	s := openRedis(b, r, "p", 1)
	claims(b, s, "connected", time.Hour, "first")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if first, err := s.Claim(b.Context(), strconv.Itoa(i), time.Minute); !first || err != nil {
			b.Fatal(first, err)
		}
	}
}
