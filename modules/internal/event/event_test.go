package event

import (
	"encoding/json"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func sample() Event {
	return Event{
		Time: time.Date(2026, 11, 28, 10, 0, 0, 7e6, time.FixedZone("", 3600)), Decision: "d", Verdict: "deny", Guard: "auth",
		Reason: "auth.token_expired", Status: 401, Site: "api.example.com", Client: netip.MustParseAddr("2001:db8::7"),
		Method: "GET", Path: "/orders/7", RequestID: "r", Trace: "Root=1-2", Principal: "ada",
		Rule: "admin", KeyID: "k1", TokenID: "h",
	}
}

func TestALineHasEveryFieldInOrder(t *testing.T) {
	e := sample()
	host, _ := json.Marshal(gateway())
	want := `{"time":"2026-11-28T09:00:00.007Z","schema":"sallyport.event.v1","decision":"d","verdict":"deny","guard":"auth","rule":"admin",` +
		`"reason":"auth.token_expired","status":401,"site":"api.example.com","client":"2001:db8::7","method":"GET",` +
		`"path":"/orders/7","request_id":"r","balancer_trace":"Root=1-2","principal":"ada","key_id":"k1","jti_sha256":"h","gateway":` + string(host) + "}\n"
	if got := string(e.appendLine(nil, true)); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

func TestWhatIsNotEstablishedIsLeftOut(t *testing.T) {
	e := Event{Verdict: "deny"}
	line := string(e.appendLine(nil, true))
	for _, name := range []string{"client", "principal", "path", "balancer_trace", "request_id", "rule", "key_id", "jti_sha256"} {
		if strings.Contains(line, `"`+name+`"`) {
			t.Errorf("%s stands in %s", name, line)
		}
	}
}

func TestLongTextsOfACallerAreCutBetweenCharacters(t *testing.T) {
	e := Event{Path: strings.Repeat("é", 5000), Trace: strings.Repeat("t", 5000), Principal: strings.Repeat("p", 5000), Method: strings.Repeat("M", 5000)}
	e.cut()
	line := e.appendLine(nil, true)
	if len(line) > 2000 || !json.Valid(line) || !strings.Contains(string(line), "é…") || strings.ContainsRune(string(line), utf8.RuneError) {
		t.Errorf("%d bytes: %s", len(line), line)
	}
}

func TestTheIDOfATokenIsHashedBeforeItIsQueued(t *testing.T) {
	e := Event{TokenID: "jti", KeyID: strings.Repeat("k", 5000)}
	e.cut()
	// The SHA-256 of the three letters.
	if want := "5b1288bdb86ccf33cc0158da1a1f405c4095d9c00fe9dadd9c58af82ff2abae5"; e.TokenID != want {
		t.Errorf("got %s", e.TokenID)
	}
	if len(e.KeyID) > 300 {
		t.Errorf("%d bytes of a key's id", len(e.KeyID))
	}
}

func TestIDsDoNotRepeat(t *testing.T) {
	seen := make(map[string]bool)
	for range 10000 {
		id := NewID()
		if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" || seen[id] {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
}

func TestAPathIsLeftOutUnlessItWasScrubbed(t *testing.T) {
	tests := []struct {
		name  string
		scrub Scrubber
		want  string
	}{
		{"without a scrubber", nil, ""},
		{"nothing to scrub", func(io.Writer, []byte) bool { return false }, `"path":"/orders/7"`},
		{"scrubbed", func(dst io.Writer, line []byte) bool {
			_, _ = io.WriteString(dst, strings.ReplaceAll(string(line), "orders", "REDACTED"))
			return true
		}, `"path":"/REDACTED/7"`},
		{"a scrubber that panics", func(io.Writer, []byte) bool { panic("no") }, ""},
		{"a scrubber that makes two lines", func(dst io.Writer, line []byte) bool {
			_, _ = io.WriteString(dst, "{}\n"+string(line))
			return true
		}, ""},
		{"a scrubber that makes nothing", func(io.Writer, []byte) bool { return true }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := sample()
			l := lines{scrub: tt.scrub}
			line := string(l.appendTo([]byte("before\n"), &e))
			if !strings.HasPrefix(line, "before\n{") || strings.Count(line, "\n") != 2 {
				t.Errorf("not one line: %q", line)
			}
			if tt.want == "" && strings.Contains(line, "path") || !strings.Contains(line, tt.want) {
				t.Errorf("got %s", line)
			}
		})
	}
}

// FuzzLine: whatever a caller sends, a line is one line of JSON that says it, and
// has nothing in it that a terminal would obey.
func FuzzLine(f *testing.F) {
	for _, text := range []string{"/a", "/\r\n{\"verdict\":\"allow\"}", "\"}", "\\", "\x1b[2J", "\u009b31m", "\u2028", "\xff\xfe", "\x00\x7f", "é"} {
		f.Add(text, text, text)
	}
	f.Fuzz(func(t *testing.T, method, path, trace string) {
		e := Event{Method: method, Path: path, Trace: trace, Principal: path}
		e.cut()
		line := e.appendLine(nil, true)
		if !isLine(line) || !utf8.Valid(line) {
			t.Fatalf("not a line: %q", line)
		}
		for _, c := range string(line[:len(line)-1]) {
			if unicode.IsControl(c) {
				t.Fatalf("control character %U in %q", c, line)
			}
		}
		var got map[string]any
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		for name, want := range map[string]string{"method": e.Method, "path": e.Path, "balancer_trace": e.Trace, "principal": e.Principal} {
			if text, _ := got[name].(string); text != string([]rune(want)) {
				t.Fatalf("%s is %q, want %q", name, text, want)
			}
		}
	})
}

func BenchmarkLine(b *testing.B) {
	e := sample()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = e.appendLine(buf[:0], true)
	}
}
