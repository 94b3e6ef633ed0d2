package cors

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestRequestHeaderListsAreReadAsIntermediariesLeaveThem(t *testing.T) {
	s := newNameSet([]string{"Authorization", "Content-Type", "X-Request-Id"})
	for name, c := range map[string]struct {
		lines []string
		want  bool
	}{
		"no line":                                 {nil, true},
		"an empty line":                           {[]string{""}, true},
		"one allowed name":                        {[]string{"content-type"}, true},
		"all allowed names":                       {[]string{"authorization,content-type,x-request-id"}, true},
		"another order than a browser's":          {[]string{"x-request-id,authorization,content-type"}, true},
		"a space behind each comma":               {[]string{"authorization, content-type, x-request-id"}, true},
		"a tab and spaces on both sides":          {[]string{" authorization\t, content-type \t"}, true},
		"several lines":                           {[]string{"authorization", "content-type", "x-request-id"}, true},
		"several lines with lists":                {[]string{"authorization,content-type", "x-request-id"}, true},
		"a few empty elements":                    {[]string{",authorization,,content-type,"}, true},
		"capitals":                                {[]string{"Authorization,CONTENT-TYPE"}, true},
		"one name that is not allowed":            {[]string{"x-other"}, false},
		"a name that is not allowed at the end":   {[]string{"authorization,content-type,x-other"}, false},
		"a name that is not allowed in line two":  {[]string{"authorization", "x-other"}, false},
		"the beginning of an allowed name":        {[]string{"content"}, false},
		"an allowed name with something behind":   {[]string{"content-types"}, false},
		"an allowed name with a colon":            {[]string{"content-type:"}, false},
		"a space inside a name":                   {[]string{"content -type"}, false},
		"a semicolon for the comma":               {[]string{"authorization;content-type"}, false},
		"a quoted name":                           {[]string{`"content-type"`}, false},
		"the wildcard":                            {[]string{"*"}, false},
		"a NUL":                                   {[]string{"content-type\x00"}, false},
		"a line break":                            {[]string{"content-type\r\nx: y"}, false},
		"another kind of white space":             {[]string{"content-type,\u00a0authorization"}, false},
		"a form feed":                             {[]string{"content-type,\fauthorization"}, false},
		"a letter that folds to ASCII":            {[]string{"x-re\u212aquest-id"}, false},
		"10,000 empty elements":                   {[]string{strings.Repeat(",", 10000)}, false},
		"10,000 empty lines":                      {make([]string, 10000), false},
		"a megabyte of white space":               {[]string{strings.Repeat(" ", 1<<20)}, false},
		"a megabyte of an allowed name":           {[]string{strings.Repeat("content-type,", 1<<20/13)}, false},
		"a megabyte of one name":                  {[]string{strings.Repeat("x", 1<<20)}, false},
		"a name longer than any":                  {[]string{strings.Repeat("x", 129)}, false},
		"an allowed name behind 200 bytes of OWS": {[]string{strings.Repeat(" ", 200) + "content-type"}, false},
	} {
		if got := s.admits(c.lines); got != c.want {
			t.Errorf("%s: admits = %v", name, got)
		}
	}
}

func TestEveryListThatABrowserCanMakeOfAllowedNamesPasses(t *testing.T) {
	allowed := []string{"accept-language", "authorization", "content-type", "idempotency-key", "x-a"}
	s := newNameSet(allowed)
	for subset := range 1 << len(allowed) {
		var names []string
		for i, name := range allowed {
			if subset>>i&1 == 1 {
				names = append(names, name)
			}
		}
		for _, separator := range []string{",", ", ", " , "} {
			if list := strings.Join(names, separator); !s.admits([]string{list}) {
				t.Errorf("%q is not admitted", list)
			}
		}
		if !s.admits(names) {
			t.Errorf("%q on a line each is not admitted", names)
		}
	}
}

func TestLongListsMayBeSpacedOut(t *testing.T) {
	var allowed []string
	for i := range 50 {
		allowed = append(allowed, fmt.Sprintf("x-header-%d", i))
	}
	s := newNameSet(allowed)
	if !s.admits([]string{strings.Join(allowed, " , ")}) {
		t.Error("spaces around 50 names are too many")
	}
	if s.admits([]string{strings.Join(allowed, strings.Repeat(" ", 10)+",")}) {
		t.Error("500 spaces are not")
	}
}

func TestAWildcardNeverCoversAuthorization(t *testing.T) {
	alone, both := newNameSet([]string{"*"}), newNameSet([]string{"*", "Authorization"})
	for name, c := range map[string]struct {
		lines       []string
		alone, both bool
	}{
		"any names":                  {[]string{"x-anything,x-else"}, true, true},
		"authorization":              {[]string{"authorization"}, false, true},
		"authorization among others": {[]string{"content-type,authorization,x-anything"}, false, true},
		"authorization in capitals":  {[]string{"AUTHORIZATION"}, false, true},
		"authorization in line two":  {[]string{"x-anything", "Authorization"}, false, true},
		"a name that is no token":    {[]string{"x anything"}, false, false},
		"a line break":               {[]string{"x-a\r\nset-cookie: a=b"}, false, false},
		"a letter beyond ASCII":      {[]string{"x-ä"}, false, false},
		"a control character":        {[]string{"x-\x11"}, false, false},
		"4 kB of names":              {[]string{strings.Repeat("x-abcd,", 580)}, true, true},
		"a megabyte of names":        {[]string{strings.Repeat("x-abcd,", 1<<20/7)}, false, false},
		"10,000 empty elements":      {[]string{strings.Repeat(",", 10000)}, false, false},
	} {
		if got := alone.admits(c.lines); got != c.alone {
			t.Errorf("%s: with * alone: %v", name, got)
		}
		if got := both.admits(c.lines); got != c.both {
			t.Errorf("%s: with * and Authorization: %v", name, got)
		}
	}
}

func TestNoNamesAllowedMeansNone(t *testing.T) {
	s := newNameSet(nil)
	if !s.admits(nil) || !s.admits([]string{""}) {
		t.Error("a preflight without names is not admitted")
	}
	if s.admits([]string{"content-type"}) || s.admits([]string{"x"}) {
		t.Error("a name is admitted")
	}
}

func TestNamesThatScriptsCannotSetOrReadAreRefused(t *testing.T) {
	for _, name := range []string{
		"", "x y", "x:", "x\r\n", "ä", "x\x00", "(x)", strings.Repeat("x", 129),
		"Accept-Charset", "Accept-Encoding", "Access-Control-Request-Headers", "Access-Control-Request-Method",
		"Connection", "Content-Length", "Cookie", "Cookie2", "Date", "DNT", "Expect", "Host", "Keep-Alive", "Origin",
		"Referer", "Set-Cookie", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Via", "Proxy-Authorization",
		"proxy-x", "Sec-Fetch-Site", "SEC-X", "Access-Control-Allow-Origin", "Access-Control-Max-Age",
	} {
		if checkRequestHeader(name) == nil {
			t.Errorf("allow_headers %q is accepted", name)
		}
	}
	for _, name := range []string{
		"", "x y", "x:", "ä", "Set-Cookie", "set-cookie2", "Cookie", "Origin", "Host", "Authorization",
		"Access-Control-Request-Method", "If-None-Match", strings.Repeat("x", 129),
	} {
		if checkExposedHeader(name) == nil {
			t.Errorf("expose_headers %q is accepted", name)
		}
	}
	for _, name := range []string{"Authorization", "content-type", "X-Request-Id", "Accept", "Range", "*", "x!#$%&'*+-.^_`|~9"} {
		if err := checkRequestHeader(name); err != nil {
			t.Errorf("allow_headers %q: %v", name, err)
		}
	}
	for _, name := range []string{"RateLimit", "Retry-After", "ETag", "WWW-Authenticate", "Location", "*"} {
		if err := checkExposedHeader(name); err != nil {
			t.Errorf("expose_headers %q: %v", name, err)
		}
	}
}

func TestMethodsAreComparedByteForByte(t *testing.T) {
	listed, all, none := newMethodSet([]string{"PUT", "PATCH", "M-SEARCH"}), newMethodSet([]string{"*"}), newMethodSet(nil)
	for name, c := range map[string]struct {
		method            string
		listed, all, none bool
	}{
		"GET":                        {"GET", true, true, true},
		"HEAD":                       {"HEAD", true, true, true},
		"POST":                       {"POST", true, true, true},
		"a listed method":            {"PUT", true, true, false},
		"a listed uncommon method":   {"M-SEARCH", true, true, false},
		"a method that is not":       {"DELETE", false, true, false},
		"a listed method in small":   {"patch", false, true, false},
		"a safelisted one in small":  {"get", false, true, false},
		"CONNECT":                    {"CONNECT", false, false, false},
		"TRACE":                      {"TRACE", false, false, false},
		"TRACK":                      {"TRACK", false, false, false},
		"TRACE in small":             {"trace", false, false, false},
		"nothing":                    {"", false, false, false},
		"the wildcard, a valid name": {"*", false, true, false},
		"two methods":                {"PUT,PATCH", false, false, false},
		"a space behind":             {"PUT ", false, false, false},
		"a line break":               {"PUT\r\nX: y", false, false, false},
		"a method of 33 bytes":       {strings.Repeat("A", 33), false, false, false},
		"a megabyte":                 {strings.Repeat("A", 1<<20), false, false, false},
	} {
		if listed.admits(c.method) != c.listed || all.admits(c.method) != c.all || none.admits(c.method) != c.none {
			t.Errorf("%s: listed %v, * %v, nothing allowed %v", name, listed.admits(c.method), all.admits(c.method), none.admits(c.method))
		}
	}
}

// naiveAdmits is what the set has to say, written without regard to cost.
func naiveAdmits(allowed, lines []string, budget int) bool {
	size := 0
	for _, line := range lines {
		size += len(line) + 1
	}
	if size > budget {
		return false
	}
	lower := strings.Split(strings.ToLower(strings.Join(allowed, ",")), ",")
	for _, name := range strings.Split(strings.Join(lines, ","), ",") {
		name = strings.Trim(name, " \t")
		if name == "" {
			continue
		}
		ascii := strings.Map(func(r rune) rune {
			if 'A' <= r && r <= 'Z' {
				return r + 32
			}
			return r
		}, name)
		if slices.Contains(lower, ascii) && ascii != "*" {
			continue
		}
		token := ascii == strings.Map(func(r rune) rune {
			if r > ' ' && r < 0x7f && !strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) {
				return r
			}
			return -1
		}, ascii)
		if !slices.Contains(lower, "*") || !token || ascii == "authorization" {
			return false
		}
	}
	return true
}

func FuzzRequestHeaderListsAgreeWithANaiveReader(f *testing.F) {
	f.Add("Content-Type,X-A", "content-type", "x-a")
	f.Add("Content-Type,X-A", "content-type,,, x-a\t,", "")
	f.Add("*", "x-anything,y", "Authorization")
	f.Add("*,Authorization", "x-anything,y", "Authorization")
	f.Add("X-A", strings.Repeat(",", 40), "x-a")
	f.Add("X-A", "X-a:", "x\xff")
	f.Fuzz(func(t *testing.T, list, line1, line2 string) {
		allowed := strings.Split(list, ",")
		for _, name := range allowed {
			if checkRequestHeader(name) != nil {
				return
			}
		}
		s := newNameSet(allowed)
		lines := []string{line1, line2}
		if got, want := s.admits(lines), naiveAdmits(allowed, lines, s.budget); got != want {
			t.Fatalf("%q admits %q: %v, naively %v", allowed, lines, got, want)
		}
		if s.admits(lines) && strings.ContainsAny(line1+line2, "\r\n\x00") {
			t.Fatalf("%q would go into a response header", lines)
		}
	})
}
