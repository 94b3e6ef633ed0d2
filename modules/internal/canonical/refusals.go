package canonical

// The reasons for which a request has no single reading. Each is answered with
// 400. Sources: RFC 9110, RFC 9112 and RFC 3986 for what is malformed; the rest
// is read differently by servers in the field.
var (
	ErrMethod         = refusal("request.method", "The request method is not accepted.")
	ErrTargetForm     = refusal("request.target_form", "The request target must be a path.")
	ErrHost           = refusal("request.host", "The Host of the request is not valid.")
	ErrPathEncoding   = refusal("request.path_encoding", "The path is not validly encoded.")
	ErrPathSlash      = refusal("request.path_slash", "The path contains an encoded slash or a backslash.")
	ErrPathDots       = refusal("request.path_dot_segment", "The path contains dot segments.")
	ErrPathEmpty      = refusal("request.path_empty_segment", "The path contains empty segments.")
	ErrPathParameter  = refusal("request.path_parameter", "The path contains a semicolon.")
	ErrQueryEncoding  = refusal("request.query_encoding", "The query is not validly encoded.")
	ErrQuerySemicolon = refusal("request.query_semicolon", "The query contains a semicolon.")
	ErrQueryPairs     = refusal("request.query_pairs", "The query has too many parameters.")
	ErrHeaderRepeated = refusal("request.header_repeated", "A header that may occur once occurs more than once.")
	ErrConnection     = refusal("request.connection_header", "The Connection header names a header that may not be removed.")
	ErrMethodOverride = refusal("request.method_override", "The request asks to override its method.")
)

// Refusals are all reasons Parse can give, for those who count or document them.
var Refusals []*Refusal

func refusal(code, title string) *Refusal {
	r := &Refusal{Code: code, Title: title}
	Refusals = append(Refusals, r)
	return r
}
