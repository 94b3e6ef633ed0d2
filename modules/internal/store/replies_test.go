package store

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/valkey-io/valkey-go"
)

func TestRepliesThatAreDividedAnywhere(t *testing.T) {
	for name, tt := range map[string]struct {
		replies  string
		pushes   bool
		complete int64 // -1: malformed
	}{
		"lines":                              {"+OK\r\n-ERR no\r\n:-1\r\n,1.5\r\n(12\r\n#t\r\n_\r\n", false, 7},
		"strings":                            {"$0\r\n\r\n$3\r\na\r\n\r\n=5\r\ntxt:a\r\n!1\r\ne\r\n$-1\r\n", false, 5},
		"arrays":                             {"*0\r\n*-1\r\n*2\r\n*1\r\n:1\r\n%1\r\n+a\r\n~2\r\n$1\r\nx\r\n_\r\n+OK\r\n", false, 4},
		"a push of a sentinel":               {">2\r\n+a\r\n+b\r\n+OK\r\n", true, 1},
		"a push of another":                  {">2\r\n+a\r\n+b\r\n", false, -1},
		"a push within an array":             {"*1\r\n>1\r\n+a\r\n", true, -1},
		"an empty push":                      {">0\r\n", true, -1},
		"a null push":                        {">-1\r\n", true, -1},
		"a negative map":                     {"%-1\r\n", false, -1},
		"a negative string":                  {"$-2\r\n", false, -1},
		"a string too long":                  {"$67108865\r\n", false, -1},
		"a length that overflows":            {"$9223372036854775808\r\n", false, -1},
		"a map whose double overflows":       {"%9223372036854775807\r\n", false, -1},
		"too many elements":                  {"*1048577\r\n", false, -1},
		"too many elements in all":           {"*2\r\n*524288\r\n" + strings.Repeat("_\r\n", 524288) + "*524288\r\n", false, -1},
		"nested too deep":                    {strings.Repeat("*1\r\n", deepestNested+1), false, -1},
		"nested":                             {strings.Repeat("*1\r\n", deepestNested) + "_\r\n", false, 1},
		"no length":                          {"$\r\n", false, -1},
		"a length of another kind":           {"*1x\r\n", false, -1},
		"a minus in a length":                {"*1-\r\n", false, -1},
		"a string whose length comes later":  {"$?\r\n", false, -1},
		"an attribute":                       {"|1\r\n", false, -1},
		"a kind that is none":                {"x\r\n", false, -1},
		"a line without a carriage return":   {"+OK\n", false, -1},
		"a carriage return within a line":    {"+O\rK\r\n", false, -1},
		"null with something":                {"_x\r\n", false, -1},
		"a truth value without":              {"#\r\n", false, -1},
		"a truth value that is too long":     {"#tt\r\n", false, -1},
		"a line too long":                    {"+" + strings.Repeat("x", longestLine+1), false, -1},
		"the limits are of one reply":        {strings.Repeat("*600000\r\n"+strings.Repeat("_\r\n", 600000), 2), false, 2},
		"a line that is as long as possible": {"+" + strings.Repeat("x", longestLine) + "\r\n", false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{1, 7, len(tt.replies)} {
				s := scanner{bytes: largestReply, elements: mostElements, pushes: tt.pushes}
				var err error
				for rest := []byte(tt.replies); len(rest) > 0 && err == nil; rest = rest[min(size, len(rest)):] {
					err = s.scan(rest[:min(size, len(rest))])
				}
				if (err != nil) != (tt.complete < 0) || err == nil && s.complete != tt.complete {
					t.Errorf("by %d bytes: %d messages, %v", size, s.complete, err)
				}
			}
		})
	}
}

// FuzzReplies fails if valkey-go panics at what passed: the process ends.
func FuzzReplies(f *testing.F) {
	for _, s := range []string{
		"+PONG\r\n", "$-1\r\n", "%1\r\n+a\r\n*1\r\n_\r\n", "+OK\r\n+OK\r\n", "$4611686018427387904\r\n", ">2\r\n+message\r\n+a\r\n", "*-1\r\n", "#t\r\n", "~1\r\n=5\r\ntxt:a\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			b := make([]byte, 4096)
			if _, err := server.Read(b); err != nil {
				return
			}
			server.Write([]byte("%1\r\n+proto\r\n:3\r\n"))
			if _, err := server.Read(b); err != nil {
				return
			}
			server.Write(answer)
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c, err := newConnection(ctx, func(context.Context) (valkey.Client, error) {
			dialled := false
			return valkey.NewClient(valkey.ClientOption{
				InitAddress: []string{"x:1"}, ForceSingleClient: true, DisableCache: true, DisableRetry: true, AlwaysPipelining: true,
				PipelineMultiplex: -1, RingScaleEachConn: 2, ClientSetInfo: valkey.DisableClientSetInfo,
				DialCtxFn: func(context.Context, string, *net.Dialer, *tls.Config) (net.Conn, error) {
					if dialled {
						return nil, errors.New("once")
					}
					dialled = true
					return checked(client, false), nil
				},
			})
		})
		if err != nil {
			return
		}
		m, err := c.Do(ctx, c.B().Ping().Build()).ToMessage()
		if err == nil && bytes.HasPrefix(answer, []byte("+PONG\r\n")) && len(answer) == 7 && m.String() == "" {
			t.Errorf("a good answer is lost")
		}
		c.Close()
	})
}

func BenchmarkScan(b *testing.B) {
	s := scanner{bytes: largestReply, elements: mostElements}
	reply := []byte("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1024\r\n" + strings.Repeat("v", 1024) + "\r\n")
	b.ReportAllocs()
	for b.Loop() {
		if err := s.scan(reply); err != nil {
			b.Fatal(err)
		}
	}
}
