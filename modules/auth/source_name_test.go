package auth

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// PHP drops white space in front of a name, however much there is.
func TestAParametersNameIsFoundBehindAnyWhiteSpace(t *testing.T) {
	s := source{inQuery, "access_token"}
	for _, space := range []string{"+", "%20", "%09", "+%0a"} {
		for _, n := range []int{1, 2, 64, 65, 66, 500} {
			query := strings.Repeat(space, n) + "access_token=x"
			r := &http.Request{URL: &url.URL{RawQuery: query}}
			if _, found := s.find(r, nil); found != 2 {
				t.Errorf("%d of %s: found %d", n, space, found)
			}
			if left := s.strip(nil, query); left != "" {
				t.Errorf("%d of %s: the backend gets %s", n, space, left)
			}
		}
	}
}
