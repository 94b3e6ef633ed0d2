package cors

import (
	"errors"
	"slices"
	"strings"
)

// maxMethod bounds the length of a method.
const maxMethod = 32

// forbiddenMethods cannot be sent by scripts in any spelling (Fetch, "forbidden
// method").
var forbiddenMethods = []string{"CONNECT", "TRACE", "TRACK"}

// methodSet decides which methods a page may use.
type methodSet struct {
	any   bool
	names map[string]struct{}
}

func newMethodSet(methods []string) methodSet {
	s := methodSet{names: make(map[string]struct{}, len(methods))}
	for _, m := range methods {
		if m == "*" {
			s.any = true
			continue
		}
		s.names[m] = struct{}{}
	}
	return s
}

// admits compares byte for byte: methods are case-sensitive, and browsers
// write only those that every page knows in capitals by themselves ("patch"
// stays "patch" and is another method than PATCH).
func (s *methodSet) admits(method string) bool {
	if isSafelistedMethod(method) {
		return true
	}
	if len(method) > maxMethod {
		return false
	}
	if s.any {
		return isToken(method) && !slices.ContainsFunc(forbiddenMethods, func(m string) bool {
			return strings.EqualFold(m, method)
		})
	}
	_, ok := s.names[method]
	return ok
}

// isSafelistedMethod reports whether browsers use method across origins without
// asking for it (Fetch, "CORS-safelisted method").
func isSafelistedMethod(method string) bool {
	return method == "GET" || method == "HEAD" || method == "POST"
}

// checkMethod says why a value cannot be in allow_methods.
func checkMethod(method string) error {
	switch {
	case method == "*":
		return nil
	case !isToken(method) || len(method) > maxMethod:
		return errors.New("not a method")
	case slices.Contains(forbiddenMethods, strings.ToUpper(method)):
		return errors.New("browsers let no script use this method")
	case method != strings.ToUpper(method):
		return errors.New("methods are case-sensitive and written in capitals")
	}
	return nil
}
