package cors

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

func TestOriginsThatABrowserCouldSendAreAccepted(t *testing.T) {
	for _, origin := range []string{
		"https://example.com",
		"http://example.com",
		"https://example.com:8443",
		"https://example.com:80",
		"http://example.com:443",
		"http://localhost:5173",
		"http://127.0.0.1:3000",
		"http://[::1]:3000",
		"https://[2001:db8::1]",
		"https://xn--bcher-kva.example",
		"https://under_score.example",
		"https://a.b.c.d.e.f.example.com",
		"https://1password.example",
		"https://example.c0m",
		"https://*.example.com",
		"https://*.example.com:8443",
		"https://*.a.b.c.example.com",
		"chrome-extension://abcdefghijklmnopabcdefghijklmnop",
		"capacitor://localhost",
		"https://" + strings.Repeat("a", 63) + ".example",
		"https://" + strings.Repeat("a.", 126) + "a",
	} {
		p, err := parsePattern(origin)
		if err != nil {
			t.Errorf("%s is refused: %v", origin, err)
			continue
		}
		if p.String() != origin {
			t.Errorf("%s was read as %s", origin, p)
		}
	}
}

func (p pattern) String() string {
	s := p.scheme + "://"
	if p.subdomains {
		s += "*."
	}
	s += p.host
	if p.port != "" {
		s += ":" + p.port
	}
	return s
}

func TestOriginsThatNoBrowserSendsAreRefused(t *testing.T) {
	for name, origin := range map[string]string{
		"null":                                      "null",
		"the empty string":                          "",
		"a host without scheme":                     "example.com",
		"a host and port without scheme":            "example.com:8443",
		"a scheme without slashes":                  "https:example.com",
		"a scheme without host":                     "https://",
		"a missing scheme":                          "://example.com",
		"a scheme that begins with a digit":         "1http://example.com",
		"a scheme with an underscore":               "ht_tp://example.com",
		"a scheme longer than its bound":            strings.Repeat("a", 65) + "://example.com",
		"a scheme in capitals":                      "HTTPS://example.com",
		"a host in capitals":                        "https://Example.com",
		"a wildcard host in capitals":               "https://*.Example.com",
		"a trailing slash":                          "https://example.com/",
		"a path":                                    "https://example.com/app",
		"a query":                                   "https://example.com?x",
		"a fragment":                                "https://example.com#x",
		"a backslash":                               `https://example.com\`,
		"a user name":                               "https://user@example.com",
		"a user name and password":                  "https://user:pass@example.com",
		"a file":                                    "file:///etc/passwd",
		"a file host":                               "file://host",
		"a data URL":                                "data://x",
		"a blob":                                    "blob://x",
		"an address of a WebSocket":                 "wss://example.com",
		"an address of an insecure WebSocket":       "ws://example.com",
		"an international name":                     "https://bücher.example",
		"a percent-encoded host":                    "https://ex%61mple.com",
		"a space":                                   "https://exam ple.com",
		"a leading space":                           " https://example.com",
		"a line break":                              "https://example.com\r\nSet-Cookie: a=b",
		"a NUL":                                     "https://example.com\x00",
		"a comma list":                              "https://a.example,https://b.example",
		"a host with a trailing dot":                "https://example.com.",
		"a host with a leading dot":                 "https://.example.com",
		"a host with an empty label":                "https://example..com",
		"a label of 64 bytes":                       "https://" + strings.Repeat("a", 64) + ".example",
		"a label that begins with a hyphen":         "https://-a.example",
		"a label that ends with a hyphen":           "https://a-.example",
		"a host of 254 bytes":                       "https://" + strings.Repeat("a.", 126) + "aa",
		"a base that leaves no room for a label":    "https://*." + strings.Repeat("a.", 125) + "aa",
		"the default port of https":                 "https://example.com:443",
		"the default port of http":                  "http://example.com:80",
		"the default port behind a wildcard":        "https://*.example.com:443",
		"port zero":                                 "https://example.com:0",
		"a port above the highest":                  "https://example.com:65536",
		"a port with a leading zero":                "https://example.com:08443",
		"a port with a sign":                        "https://example.com:+8443",
		"an empty port":                             "https://example.com:",
		"two ports":                                 "https://example.com:1:2",
		"a port that is no number":                  "https://example.com:https",
		"a wildcard port":                           "https://example.com:*",
		"a wildcard as host":                        "https://*",
		"a wildcard as host with port":              "https://*:8443",
		"a wildcard in front of a label's rest":     "https://*example.com",
		"a wildcard behind a label's beginning":     "https://app*.example.com",
		"a wildcard in the middle":                  "https://app.*.example.com",
		"a wildcard at the end":                     "https://example.*",
		"two wildcards":                             "https://*.*.example.com",
		"a wildcard scheme":                         "*://example.com",
		"a wildcard without scheme":                 "*.example.com",
		"a wildcard with nothing behind":            "https://*.",
		"an IPv4 address with leading zeros":        "http://127.0.0.01",
		"an IPv4 address of three numbers":          "http://127.0.1",
		"an IPv4 address as one number":             "http://2130706433",
		"an IPv4 address in hexadecimal":            "http://0x7f.0.0.1",
		"a host whose last label is hexadecimal":    "http://example.0x1f",
		"a host whose last label is a number":       "http://example.1",
		"an IPv4 address with a number above 255":   "http://127.0.0.256",
		"subdomains of an IPv4 address":             "http://*.127.0.0.1",
		"subdomains of an IPv6 address":             "http://*.[::1]",
		"an IPv6 address without brackets":          "http://::1",
		"an IPv6 address without end":               "http://[::1",
		"an IPv6 address that is not compressed":    "http://[0:0:0:0:0:0:0:1]",
		"an IPv6 address with leading zeros":        "http://[2001:0db8::1]",
		"an IPv6 address with a zone":               "http://[fe80::1%25eth0]",
		"an IPv6 address with a bare zone":          "http://[fe80::1%eth0]",
		"an IPv4-mapped IPv6 address":               "http://[::ffff:127.0.0.1]",
		"an IPv4 address in brackets":               "http://[127.0.0.1]",
		"something behind the brackets":             "http://[::1]x",
		"something in front of the brackets":        "http://x[::1]",
		"a second pair of brackets":                 "http://[::1][::1]",
		"a placeholder, which is not replaced here": "https://{env.ORIGIN}",
	} {
		if p, err := parsePattern(origin); err == nil {
			t.Errorf("%s: %q is accepted as %+v", name, origin, p)
		}
	}
}

func TestOriginsThatANetworkAttackerCanForgeAreKnown(t *testing.T) {
	for origin, secure := range map[string]bool{
		"https://example.com":                true,
		"https://*.example.com":              true,
		"http://localhost":                   true,
		"http://localhost:5173":              true,
		"http://app.localhost":               true,
		"http://*.localhost":                 true,
		"http://127.0.0.1":                   true,
		"http://127.8.8.8:1234":              true,
		"http://[::1]:1234":                  true,
		"capacitor://localhost":              true,
		"http://example.com":                 false,
		"http://*.example.com":               false,
		"http://localhost.example.com":       false,
		"http://notlocalhost":                false,
		"http://10.0.0.1":                    false,
		"http://[2001:db8::1]":               false,
		"chrome-extension://abcdefghijklmno": false,
	} {
		p, err := parsePattern(origin)
		if err != nil {
			t.Fatal(err)
		}
		if p.secure() != secure {
			t.Errorf("%s: secure = %v", origin, p.secure())
		}
	}
}

func TestWildcardsThatCoverNamesOfDifferentOwnersAreKnown(t *testing.T) {
	for origin, spans := range map[string]bool{
		"https://*.com":                   true,
		"https://*.co.uk":                 true,
		"https://*.github.io":             true,
		"https://*.s3.amazonaws.com":      true,
		"https://*.ck":                    true, // by *.ck, whose exception is www.ck
		"https://*.compute.amazonaws.com": true, // each name below is a suffix by a wildcard rule
		"https://*.internal":              true, // a name without rule: the list's default is *
		"https://*.example.com":           false,
		"https://*.example.co.uk":         false,
		"https://*.someone.github.io":     false,
		"https://*.www.ck":                false,
		"https://com":                     false, // no wildcard
		"https://github.io":               false,
	} {
		p, err := parsePattern(origin)
		if err != nil {
			t.Fatal(err)
		}
		if p.spansRegistrants() != spans {
			t.Errorf("%s: spansRegistrants = %v", origin, p.spansRegistrants())
		}
	}
}

func newOriginSet(t testing.TB, origins ...string) *originSet {
	t.Helper()
	s := new(originSet)
	for _, origin := range origins {
		p, err := parsePattern(origin)
		if err != nil {
			t.Fatal(err)
		}
		s.insert(origin, p)
	}
	return s
}

func TestOriginsAreComparedByteForByte(t *testing.T) {
	s := newOriginSet(t, "https://example.com", "https://example.org:8443", "http://localhost:5173", "http://[::1]:3000")
	for name, c := range map[string]struct {
		origin string
		want   bool
	}{
		"the origin itself":                         {"https://example.com", true},
		"the origin with its port":                  {"https://example.org:8443", true},
		"an IPv6 origin":                            {"http://[::1]:3000", true},
		"the default port written":                  {"https://example.com:443", false},
		"another port":                              {"https://example.com:8443", false},
		"the origin without its port":               {"https://example.org", false},
		"a longer port":                             {"https://example.org:84430", false},
		"a shorter port":                            {"https://example.org:844", false},
		"another scheme":                            {"http://example.com", false},
		"a scheme in capitals":                      {"HTTPS://example.com", false},
		"a host in capitals":                        {"https://EXAMPLE.com", false},
		"a trailing dot":                            {"https://example.com.", false},
		"a trailing slash":                          {"https://example.com/", false},
		"a path":                                    {"https://example.com/x", false},
		"a subdomain":                               {"https://app.example.com", false},
		"the parent domain":                         {"https://com", false},
		"the name as the end of another":            {"https://evilexample.com", false},
		"the name as the beginning of another":      {"https://example.com.evil.com", false},
		"the name as the beginning of a label":      {"https://example.comevil.com", false},
		"the name as user name":                     {"https://example.com@evil.com", false},
		"a user name in front":                      {"https://user@example.com", false},
		"leading white space":                       {" https://example.com", false},
		"trailing white space":                      {"https://example.com ", false},
		"a list that holds it":                      {"https://example.com, https://evil.com", false},
		"a list of itself":                          {"https://example.com,https://example.com", false},
		"null":                                      {"null", false},
		"null in capitals":                          {"NULL", false},
		"the wildcard":                              {"*", false},
		"the empty string":                          {"", false},
		"a NUL behind it":                           {"https://example.com\x00", false},
		"a line break and a header":                 {"https://example.com\r\nX: y", false},
		"an IPv6 address written differently":       {"http://[0:0:0:0:0:0:0:1]:3000", false},
		"the same host by a homograph":              {"https://exаmple.com", false}, // Cyrillic а
		"a megabyte":                                {"https://" + strings.Repeat("a", 1<<20), false},
		"a megabyte that begins with the origin":    {"https://example.com" + strings.Repeat("a", 1<<20), false},
		"the origin in percent-encoding":            {"https%3A%2F%2Fexample.com", false},
		"the origin with a backslash for a slash":   {`https:\\example.com`, false},
		"the origin with a different slash count":   {"https:///example.com", false},
		"an opaque form of it":                      {"https:example.com", false},
		"a blob of it":                              {"blob:https://example.com", false},
		"its view-source":                           {"view-source:https://example.com", false},
		"a file":                                    {"file://", false},
		"loopback by another name":                  {"http://127.0.0.1:5173", false},
		"a name below loopback":                     {"http://app.localhost:5173", false},
		"the default port of the other scheme":      {"https://example.com:80", false},
		"a port with a leading zero":                {"https://example.org:08443", false},
		"an empty port":                             {"https://example.com:", false},
		"two ports":                                 {"https://example.org:8443:8443", false},
		"a port in front of the rest of a host":     {"https://example.org:8443.evil.com", false},
		"a hash that hides another host":            {"https://evil.com#https://example.com", false},
		"a query that holds it":                     {"https://evil.com?https://example.com", false},
		"its host as the last part of a long label": {"https://" + strings.Repeat("a", 300) + "example.com", false},
	} {
		if got := s.contains(c.origin); got != c.want {
			t.Errorf("%s: contains = %v", name, got)
		}
	}
}

func TestWildcardsCoverWholeLabelsBelowTheirBase(t *testing.T) {
	s := newOriginSet(t, "https://*.partner.example", "https://*.eu.shop.example:8443", "https://*.shop.example",
		"http://*.partner.example:8080", "https://exact.other.example")
	for name, c := range map[string]struct {
		origin string
		want   bool
	}{
		"a name below the base":                        {"https://app.partner.example", true},
		"a name two levels below":                      {"https://a.b.partner.example", true},
		"a name with digits, hyphens and underscores":  {"https://a-1_b.partner.example", true},
		"a Punycode label":                             {"https://xn--bcher-kva.partner.example", true},
		"the wildcard with a port":                     {"http://app.partner.example:8080", true},
		"the longer of two bases with its port":        {"https://a.eu.shop.example:8443", true},
		"the shorter of two bases below the longer":    {"https://a.eu.shop.example", true},
		"the longer base is below the shorter":         {"https://eu.shop.example", true},
		"an exact origin beside wildcards":             {"https://exact.other.example", true},
		"the longest host":                             {"https://" + longHost("partner.example", 253), true},
		"a name below an exact origin":                 {"https://a.exact.other.example", false},
		"the base itself":                              {"https://partner.example", false},
		"the base with an empty label":                 {"https://.partner.example", false},
		"the longer base itself with its port":         {"https://eu.shop.example:8443", false},
		"the port of the longer on the shorter":        {"https://a.shop.example:8443", false},
		"the base as the end of a label":               {"https://evilpartner.example", false},
		"the base as the end of a label, with a name":  {"https://app.evilpartner.example", false},
		"the base in front of another domain":          {"https://app.partner.example.evil.com", false},
		"the base in front of a longer label":          {"https://app.partner.example-evil.com", false},
		"the base of another top-level domain":         {"https://app.partner.example.org", false},
		"a hyphen for the dot":                         {"https://app-partner.example", false},
		"a host in capitals":                           {"https://APP.partner.example", false},
		"a base in capitals":                           {"https://app.PARTNER.example", false},
		"a trailing dot":                               {"https://app.partner.example.", false},
		"an empty label inside":                        {"https://a..partner.example", false},
		"a leading dot":                                {"https://.a.partner.example", false},
		"another scheme":                               {"http://app.partner.example", false},
		"another port":                                 {"https://app.partner.example:8443", false},
		"the default port written":                     {"https://app.partner.example:443", false},
		"an empty port":                                {"https://app.partner.example:", false},
		"a port behind a port":                         {"http://app.partner.example:8080:8080", false},
		"a port with something behind":                 {"http://app.partner.example:8080/", false},
		"a user name":                                  {"https://user@app.partner.example", false},
		"another host as user name":                    {"https://evil.com@app.partner.example", false},
		"the base behind another host and a slash":     {"https://evil.com/.partner.example", false},
		"the base behind another host and a hash":      {"https://evil.com#.partner.example", false},
		"the base behind another host and a query":     {"https://evil.com?.partner.example", false},
		"the base behind another host and a backslash": {`https://evil.com\.partner.example`, false},
		"the base behind another host and a port":      {"https://evil.com:80.partner.example", false},
		"a percent-encoded dot":                        {"https://evil.com%2f.partner.example", false},
		"a space":                                      {"https://a b.partner.example", false},
		"a NUL":                                        {"https://a\x00.partner.example", false},
		"a line break":                                 {"https://a\r\nx: y.partner.example", false},
		"a letter beyond ASCII":                        {"https://bücher.partner.example", false},
		"a star":                                       {"https://*.partner.example", false},
		"a comma":                                      {"https://a,b.partner.example", false},
		"brackets":                                     {"https://[::1].partner.example", false},
		"a label of 64 bytes":                          {"https://" + strings.Repeat("a", 64) + ".partner.example", false},
		"a host of 254 bytes":                          {"https://" + longHost("partner.example", 254), false},
		"a host of a megabyte":                         {"https://" + longHost("partner.example", 1<<20), false},
		"no scheme":                                    {"app.partner.example", false},
		"an empty scheme":                              {"://app.partner.example", false},
		"two schemes":                                  {"https://https://app.partner.example", false},
		"only the top-level domain":                    {"https://example", false},
		"a number of dots":                             {"https://" + strings.Repeat(".", 250), false},
		"null":                                         {"null", false},
		"the empty string":                             {"", false},
	} {
		if got := s.contains(c.origin); got != c.want {
			t.Errorf("%s: contains(%.80q) = %v", name, c.origin, got)
		}
	}
}

// longHost is a host of exactly length bytes below base.
func longHost(base string, length int) string {
	left := length - len(base) - 1
	var b strings.Builder
	for left > 0 {
		n := min(left, 10)
		if left == 11 {
			n = 9 // no empty label at the end
		}
		b.WriteString(strings.Repeat("a", n))
		if left -= n; left > 0 {
			b.WriteByte('.')
			left--
		}
	}
	return b.String() + "." + base
}

func TestLargeListsFindWhatIsInThemAndNothingElse(t *testing.T) {
	s := new(originSet)
	for i := range 5000 {
		for _, origin := range []string{fmt.Sprintf("https://app%d.example.com", i), fmt.Sprintf("https://*.tenant%d.example.org", i)} {
			p, err := parsePattern(origin)
			if err != nil {
				t.Fatal(err)
			}
			s.insert(origin, p)
		}
	}
	for i := range 5000 {
		for origin, want := range map[string]bool{
			fmt.Sprintf("https://app%d.example.com", i):        true,
			fmt.Sprintf("https://x.tenant%d.example.org", i):   true,
			fmt.Sprintf("https://tenant%d.example.org", i):     false,
			fmt.Sprintf("https://x.app%d.example.com", i):      false,
			fmt.Sprintf("https://xtenant%d.example.org", i):    false,
			fmt.Sprintf("https://x.tenant%d.example.org.x", i): false,
		} {
			if s.contains(origin) != want {
				t.Fatalf("contains(%s) is not %v", origin, want)
			}
		}
	}
}

// naiveContains is what the set has to say, written with regular expressions.
func naiveContains(entries []string, origin string) bool {
	for _, entry := range entries {
		scheme, rest, wildcard := strings.Cut(entry, "://*.")
		if !wildcard {
			if entry == origin {
				return true
			}
			continue
		}
		re := regexp.MustCompile(`\A` + regexp.QuoteMeta(scheme) + `://((?:[a-z0-9_-]{1,63}\.)+)` + regexp.QuoteMeta(rest) + `\z`)
		m := re.FindStringSubmatch(origin)
		if m == nil {
			continue
		}
		base, _, _ := strings.Cut(rest, ":")
		if len(m[1])+len(base) <= 253 {
			return true
		}
	}
	return false
}

func FuzzOriginSetAgreesWithANaiveOne(f *testing.F) {
	f.Add("https://example.com", "https://*.partner.example", "https://app.partner.example")
	f.Add("https://*.b.example", "https://*.a.b.example", "https://x.a.b.example")
	f.Add("https://*.b.example:8443", "http://*.b.example", "https://x.b.example:8443")
	f.Add("http://[::1]:3000", "http://127.0.0.1", "http://[::1]:3000")
	f.Add("https://*.example.com", "null", "https://evilexample.com")
	f.Add("https://*.example.com", "*", "https://a..example.com")
	f.Add("https://*.example.com", "https://a_b.example", "https://"+longHost("example.com", 253))
	f.Add("capacitor://localhost", "https://*.x.y", "https://a.x.y:")
	f.Fuzz(func(t *testing.T, entry1, entry2, origin string) {
		s := new(originSet)
		var entries []string
		for _, entry := range []string{entry1, entry2} {
			p, err := parsePattern(entry)
			if err != nil {
				continue
			}
			s.insert(entry, p)
			entries = append(entries, entry)
			if p.String() != entry {
				t.Fatalf("%q was read as %q", entry, p)
			}
			u, err := url.Parse(strings.Replace(entry, "://*.", "://", 1))
			if err != nil {
				t.Fatalf("net/url does not read %q: %v", entry, err)
			}
			if u.Scheme != p.scheme || u.Hostname() != strings.Trim(p.host, "[]") || u.Port() != p.port ||
				u.User != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
				t.Fatalf("net/url reads %q as %+v, we as %+v", entry, u, p)
			}
			if !p.subdomains && !s.contains(entry) {
				t.Fatalf("%q does not contain itself", entry)
			}
		}
		got := s.contains(origin)
		if want := naiveContains(entries, origin); got != want {
			t.Fatalf("%q contains %q: %v, naively %v", entries, origin, got, want)
		}
		if got && strings.ContainsAny(strings.Replace(origin, "://", "", 1), "\r\n\x00 ,/?#@\\") {
			t.Fatalf("%q would go into a response header", origin)
		}
	})
}
