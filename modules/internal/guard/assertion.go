package guard

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/net/http/httpguts"

	"github.com/sallyport-gateway/sallyport/modules/internal/suite"
)

// AssertionHeader is the header in which a gateway tells a backend, signed, what it
// let through, unless another is configured.
const AssertionHeader = "Sallyport-Assertion"

// maxHyphens bounds the other spellings of an assertion's header, of which there are
// three to the power of its hyphens.
const maxHyphens = 4

// CheckAssertionHeader says what is wrong with the name of a header for assertions.
func CheckAssertionHeader(name string) error {
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return errors.New("not the name of a header")
	case strings.ContainsAny(name, "_."):
		return errors.New("write '-' for '_' and '.', which Caddy does not pass on")
	case strings.Count(name, "-") > maxHyphens || len(name) > 64:
		return errors.New("longer than 64 bytes, or more than 4 hyphens")
	case !strings.Contains(name, "-"):
		return errors.New("a name without a hyphen may be one that HTTP knows: use one like X-Gateway-Assertion")
	}
	return nil
}

// assertions are the headers that nobody in front of a gateway may send: they are
// taken out of every request of a server that has a guard, whatever its site does
// with it, so that one never reaches a backend. verify_gateway looks at what was
// taken.
type assertions struct {
	mu        sync.Mutex
	spellings atomic.Pointer[[]spelling]
}

// spelling is a way to write a name, in canonical form.
type spelling struct{ text, name string }

type assertionsKey struct{}

func assertionsOf(config *suite.Config) *assertions {
	return config.Once(assertionsKey{}, func() any {
		a := new(assertions)
		a.add(AssertionHeader)
		return a
	}).(*assertions)
}

// TakeAssertions says that the header called name carries assertions in this
// configuration, beside AssertionHeader. Call it in Provision.
func TakeAssertions(config *suite.Config, name string) {
	assertionsOf(config).add(name)
}

func (a *assertions) add(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []spelling
	if before := a.spellings.Load(); before != nil {
		all = slices.Clone(*before)
	}
	name = http.CanonicalHeaderKey(name)
	for _, text := range Spellings(name) {
		if s := (spelling{text, name}); !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	a.spellings.Store(&all)
}

// Spellings are the names that CGI, PHP and their relatives take for name: with '_'
// or '.' in place of any '-'. They are in canonical form, name first.
func Spellings(name string) []string {
	all := []string{""}
	for i, part := range strings.Split(name, "-") {
		var next []string
		for _, before := range all {
			if i == 0 {
				next = append(next, part)
				continue
			}
			next = append(next, before+"-"+part, before+"_"+part, before+"."+part)
		}
		all = next
	}
	for i := range all {
		all[i] = http.CanonicalHeaderKey(all[i])
	}
	return all
}

// take moves the assertions out of h. The result is nil if there are none.
func (a *assertions) take(h http.Header) map[string][]string {
	var taken map[string][]string
	for _, s := range *a.spellings.Load() {
		lines, ok := h[s.text]
		if !ok {
			continue
		}
		delete(h, s.text)
		if taken == nil {
			taken = make(map[string][]string, 1)
		}
		taken[s.name] = append(taken[s.name], lines...)
	}
	return taken
}

// Assertions returns the lines of the header called name, which is in canonical
// form, that were taken out of the request.
func (r *Request) Assertions(name string) []string { return r.assertions[name] }
