package cors

import (
	"errors"
	"slices"
	"strings"
)

const (
	// maxName bounds the names in allow_headers and expose_headers.
	maxName = 128
	// anyHeadersBudget bounds an Access-Control-Request-Headers that is allowed
	// by "*". A page that sends more names than this sets no headers by hand.
	anyHeadersBudget = 4096
	// slack is what an intermediary may add to the list that a browser sent,
	// for each name and once for the whole: spaces, empty elements, new lines.
	slackPerName, slack = 4, 32
)

// nameSet decides which request headers a page may set.
type nameSet struct {
	// names are in lower case.
	names map[string]struct{}
	// any: every name passes, except Authorization, which has to be in names.
	any bool
	// longest is the length of the longest of names.
	longest int
	// budget is the most bytes that a list of allowed names can have, each of
	// them once, plus slack. It is what bounds the work that a hostile list
	// causes: a megabyte is refused by its length, before it is read.
	budget int
}

func newNameSet(names []string) nameSet {
	s := nameSet{names: make(map[string]struct{}, len(names)), budget: slack}
	for _, name := range names {
		if name == "*" {
			s.any = true
			continue
		}
		s.names[strings.ToLower(name)] = struct{}{}
		s.longest = max(s.longest, len(name))
		s.budget += len(name) + slackPerName
	}
	if s.any {
		s.budget = max(s.budget, anyHeadersBudget)
	}
	return s
}

// admits reports whether every name in the lines of an
// Access-Control-Request-Headers is allowed. Browsers send one line, in lower
// case, sorted, without spaces (Fetch, "CORS-unsafe request-header names");
// what intermediaries make of it is tolerated within the budget: several lines,
// optional white space, empty elements, capitals. It does not allocate.
func (s *nameSet) admits(lines []string) bool {
	left := s.budget
	for _, line := range lines {
		left -= len(line) + 1
		if left < 0 {
			return false
		}
		for more := true; more; {
			var name string
			name, line, more = strings.Cut(line, ",")
			name = trimOWS(name)
			if name != "" && !s.admitsName(name) {
				return false
			}
		}
	}
	return true
}

func (s *nameSet) admitsName(name string) bool {
	if len(name) <= s.longest {
		if _, ok := s.names[name]; ok { // in lower case, as from a browser
			return true
		}
		var buf [maxName]byte
		lower := appendLower(buf[:0], name)
		if _, ok := s.names[string(lower)]; ok {
			return true
		}
	}
	// Fetch, "CORS non-wildcard request-header name": a wildcard is for pages
	// that carry no credentials, and Authorization is one. Browsers differ in
	// whether they enforce it.
	return s.any && isToken(name) && !strings.EqualFold(name, "authorization")
}

// trimOWS removes the optional white space around a list element (RFC 9110
// section 5.6.3).
func trimOWS(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

func appendLower(dst []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// Names that scripts cannot set (Fetch, "forbidden request-header"), so that
// listing one shows a misunderstanding.
var forbiddenRequestHeaders = []string{
	"accept-charset", "accept-encoding", "access-control-request-headers", "access-control-request-method",
	"access-control-request-private-network", "connection", "content-length", "cookie", "cookie2", "date", "dnt",
	"expect", "host", "keep-alive", "origin", "referer", "set-cookie", "set-cookie2", "te", "trailer",
	"transfer-encoding", "upgrade", "via",
}

// responseFields are names that only responses have.
var responseFields = []string{
	"access-control-allow-credentials", "access-control-allow-headers", "access-control-allow-methods",
	"access-control-allow-origin", "access-control-allow-private-network", "access-control-expose-headers",
	"access-control-max-age",
}

// checkRequestHeader says why a name cannot be in allow_headers.
func checkRequestHeader(name string) error {
	lower := strings.ToLower(name)
	switch {
	case name == "*":
		return nil
	case !isToken(name) || len(name) > maxName:
		return errors.New("not a header name")
	case slices.Contains(forbiddenRequestHeaders, lower),
		strings.HasPrefix(lower, "proxy-"), strings.HasPrefix(lower, "sec-"):
		return errors.New("browsers let no script set this header")
	case slices.Contains(responseFields, lower):
		return errors.New("this is a response header")
	}
	return nil
}

// requestFields are names that only requests have.
var requestFields = []string{
	"access-control-request-headers", "access-control-request-method", "access-control-request-private-network",
	"authorization", "cookie", "cookie2", "expect", "host", "if-match", "if-modified-since", "if-none-match", "if-range",
	"if-unmodified-since", "max-forwards", "origin", "proxy-authorization", "range", "referer", "te", "user-agent",
}

// checkExposedHeader says why a name cannot be in expose_headers.
func checkExposedHeader(name string) error {
	lower := strings.ToLower(name)
	switch {
	case name == "*":
		return nil
	case !isToken(name) || len(name) > maxName:
		return errors.New("not a header name")
	case lower == "set-cookie" || lower == "set-cookie2":
		return errors.New("browsers never show this header to scripts")
	case slices.Contains(requestFields, lower):
		return errors.New("this is a request header")
	}
	return nil
}

// isToken reports whether s is a token (RFC 9110 section 5.6.2), as methods and
// header names are.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !isLowerAlnum(c) && !('A' <= c && c <= 'Z') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
