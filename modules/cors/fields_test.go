package cors

import (
	"maps"
	"net/http"
	"slices"
	"testing"
)

func TestFieldsAreStampedOverWhateverStandsThere(t *testing.T) {
	listed := Config{AllowOrigins: []string{"https://app.example"}, ExposeHeaders: []string{"RateLimit", "ETag"}, AllowCredentials: true}
	everyone := Config{AllowOrigins: []string{"*"}}
	for name, c := range map[string]struct {
		config       Config
		origin       string
		before, want http.Header
	}{
		"an allowed origin": {listed, "https://app.example", http.Header{}, http.Header{
			"Access-Control-Allow-Origin": {"https://app.example"}, "Access-Control-Allow-Credentials": {"true"},
			"Access-Control-Expose-Headers": {"RateLimit,ETag"}, "Vary": {"Origin"}}},
		"an origin that is not allowed": {listed, "https://evil.example", http.Header{}, http.Header{"Vary": {"Origin"}}},
		"no origin":                     {listed, "", http.Header{}, http.Header{"Vary": {"Origin"}}},
		"every origin is allowed, so nothing varies": {everyone, "https://x.example", http.Header{},
			http.Header{"Access-Control-Allow-Origin": {"*"}}},
		"every origin is allowed and there is none": {everyone, "", http.Header{}, http.Header{"Access-Control-Allow-Origin": {"*"}}},
		"the backend's fields go": {listed, "https://app.example", http.Header{
			"Access-Control-Allow-Origin": {"*", "https://app.example"}, "Access-Control-Allow-Credentials": {"false"},
			"Access-Control-Expose-Headers": {"X-Secret"}, "Access-Control-Allow-Methods": {"*"}, "Access-Control-Allow-Headers": {"*"},
			"Access-Control-Max-Age": {"1"}, "Access-Control-Allow-Private-Network": {"true"}, "X-Other": {"kept"}},
			http.Header{"Access-Control-Allow-Origin": {"https://app.example"}, "Access-Control-Allow-Credentials": {"true"},
				"Access-Control-Expose-Headers": {"RateLimit,ETag"}, "Vary": {"Origin"}, "X-Other": {"kept"}}},
		"the backend's fields go from a refused origin": {listed, "https://evil.example", http.Header{
			"Access-Control-Allow-Origin": {"https://evil.example"}, "Access-Control-Allow-Credentials": {"true"}},
			http.Header{"Vary": {"Origin"}}},
		"names that only begin alike stay": {everyone, "", http.Header{"Access-Control": {"a"}, "Access-Controlled-By": {"b"}, "Access": {"c"}},
			http.Header{"Access-Control": {"a"}, "Access-Controlled-By": {"b"}, "Access": {"c"}, "Access-Control-Allow-Origin": {"*"}}},
		"Vary is kept": {listed, "", http.Header{"Vary": {"Accept-Encoding"}},
			http.Header{"Vary": {"Accept-Encoding", "Origin"}}},
		"Vary is kept where every origin is allowed": {everyone, "", http.Header{"Vary": {"Origin, Accept"}},
			http.Header{"Vary": {"Origin, Accept"}, "Access-Control-Allow-Origin": {"*"}}},
		"Origin is not named twice": {listed, "", http.Header{"Vary": {"Origin", "Accept, origin"}}, http.Header{"Vary": {"Accept, origin"}}},
		"Origin is not named twice in lines of its own": {listed, "", http.Header{"Vary": {"Origin", "Accept", "Origin"}},
			http.Header{"Vary": {"Origin", "Accept"}}},
		"a Vary that names Origin already is left alone": {listed, "", http.Header{"Vary": {"accept,ORIGIN"}}, http.Header{"Vary": {"accept,ORIGIN"}}},
		"a Vary of * covers Origin":                      {listed, "", http.Header{"Vary": {"*"}}, http.Header{"Vary": {"*"}}},
		"a name that contains Origin does not":           {listed, "", http.Header{"Vary": {"X-Origin"}}, http.Header{"Vary": {"X-Origin", "Origin"}}},
	} {
		t.Run(name, func(t *testing.T) {
			policy := compile(t, c.config)
			request := http.Header{}
			if c.origin != "" {
				request["Origin"] = []string{c.origin}
			}
			f := fields{policy: policy, origin: policy.AllowedOrigin(request)}
			h := maps.Clone(c.before)
			for range 3 { // stamping again changes nothing
				f.stamp(h)
				if !maps.EqualFunc(h, c.want, slices.Equal) {
					t.Fatalf("\n got %v\nwant %v", h, c.want)
				}
			}
		})
	}
}

func TestFieldsSurviveEditsInPlace(t *testing.T) {
	policy := compile(t, Config{AllowOrigins: []string{"https://app.example"}, AllowCredentials: true, ExposeHeaders: []string{"ETag"}})
	first := fields{policy: policy, origin: "https://app.example"}
	h := http.Header{}
	first.stamp(h)
	for name, lines := range h {
		lines[0] = "changed"
		h[name] = append(lines, "added")
	}
	first.stamp(h)
	if got := h["Access-Control-Allow-Origin"]; !slices.Equal(got, []string{"https://app.example"}) {
		t.Errorf("Access-Control-Allow-Origin: %q", got)
	}
	if got := h["Vary"]; !slices.Equal(got, []string{"changed", "added", "Origin"}) {
		t.Errorf("Vary: %q", got)
	}
	second := fields{policy: policy, origin: "https://app.example"}
	h2 := http.Header{}
	second.stamp(h2)
	if h2.Get("Access-Control-Expose-Headers") != "ETag" || h2.Get("Vary") != "Origin" {
		t.Errorf("another response changed: %v", h2)
	}
}

func TestStampingDoesNotWriteIntoSlicesOfOthers(t *testing.T) {
	shared := make([]string, 2, 8)
	shared[0], shared[1] = "Origin", "Accept, Origin"
	f := fields{policy: compile(t, Config{AllowOrigins: []string{"https://app.example"}})}
	f.stamp(http.Header{"Vary": shared})
	if shared[0] != "Origin" || shared[1] != "Accept, Origin" {
		t.Errorf("a shared slice was edited: %q", shared)
	}
	shared[0], shared[1] = "Accept", "Cookie"
	f.stamp(http.Header{"Vary": shared})
	varyOnPreflight(http.Header{"Vary": shared}, new([1]string))
	if rest := shared[:3][2]; rest != "" {
		t.Errorf("the room behind a shared slice was used: %q", rest)
	}
}
