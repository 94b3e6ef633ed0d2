package canonical

import (
	"strings"
	"unicode/utf8"
)

// checkQuery refuses queries that url.Query and backends read differently: Go
// drops a pair with bad percent-encoding or a semicolon and tells nobody, while
// the proxy sends it on.
func checkQuery(raw string, o Options) *Refusal {
	pairs, encoded := 1, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c <= ' ' || c >= 0x7f || c == '#':
			return ErrQueryEncoding
		case c == ';' && !o.QuerySemicolon:
			return ErrQuerySemicolon
		case c == '&':
			if pairs++; pairs > maxQueryPairs {
				return ErrQueryPairs
			}
		case c == '%':
			if i+2 >= len(raw) || !isHex(raw[i+1]) || !isHex(raw[i+2]) {
				return ErrQueryEncoding
			}
			switch c := unhex(raw[i+1])<<4 | unhex(raw[i+2]); {
			case c == 0:
				return ErrQueryEncoding
			case c >= utf8.RuneSelf:
				encoded = true
			}
			i += 2
		}
	}
	if encoded && !utf8.Valid(decodeQuery(raw)) {
		return ErrQueryEncoding
	}
	return nil
}

func decodeQuery(raw string) []byte {
	decoded := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '%' {
			c = unhex(raw[i+1])<<4 | unhex(raw[i+2])
			i += 2
		}
		decoded = append(decoded, c)
	}
	return decoded
}

// overridesMethod reports whether a query has a parameter _method, from which
// several frameworks take the method of a POST.
func overridesMethod(raw string) bool {
	for pair := range strings.SplitSeq(raw, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if len(name) >= len("_method") && strings.EqualFold(strings.TrimSpace(string(decodeQuery(name))), "_method") {
			return true
		}
	}
	return false
}
