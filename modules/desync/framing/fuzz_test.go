package framing

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
)

// FuzzPassedBytesAreReadAsJudged lets net/http read what passed: request by
// request, each has to be one that was judged, with the body that was seen. A
// request that net/http refuses ends the connection, so nothing may follow it.
func FuzzPassedBytesAreReadAsJudged(f *testing.F) {
	for _, tt := range cases {
		f.Add(tt.input)
		f.Add(tt.input + get + "\r\n")
		f.Add(get + "\r\n" + tt.input)
	}
	f.Fuzz(func(t *testing.T, input string) {
		v := judge(Acceptable, input, oneByte)
		passed := input
		if v.refuse != None {
			passed = input[:v.at]
			if strings.HasSuffix(passed, "\n\r") {
				passed = passed[:len(passed)-1] // what the wrapper holds back
			}
		}
		r := bufio.NewReader(strings.NewReader(passed))
		for i := 0; ; i++ {
			request, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if i >= len(v.heads) {
				t.Fatalf("net/http reads more than %d requests of %q", len(v.heads), passed)
			}
			body, err := io.ReadAll(request.Body)
			if got := string(body); err == nil && got != v.bodies[i] || !strings.HasPrefix(v.bodies[i], got) {
				t.Fatalf("request %d of %q: net/http reads %q, judged was %q", i, passed, got, v.bodies[i])
			}
			if err != nil {
				return
			}
		}
	})
}

// FuzzSplittingChangesNothing judges an input in pieces.
func FuzzSplittingChangesNothing(f *testing.F) {
	for i, tt := range cases {
		f.Add(tt.input+get+"\r\n", uint64(i)*0x9e3779b97f4a7c15, uint8(i))
	}
	f.Fuzz(func(t *testing.T, input string, seed uint64, limit uint8) {
		random := func() int {
			seed = seed*6364136223846793005 + 1442695040888963407
			return int(seed >> 60)
		}
		class := Class(limit%3) + Acceptable
		want := judge(class, input, oneByte)
		for name, split := range map[string]func() int{"whole": whole, "random": random} {
			got := judge(class, input, split)
			if got.refuse != want.refuse || got.at != want.at || len(got.heads) != len(want.heads) ||
				strings.Join(got.bodies, "|") != strings.Join(want.bodies, "|") {
				t.Fatalf("%s: %+v, byte by byte %+v", name, got, want)
			}
			for i := range got.heads {
				if got.heads[i] != want.heads[i] {
					t.Fatalf("%s: %+v, byte by byte %+v", name, got, want)
				}
			}
		}
	})
}
