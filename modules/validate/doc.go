// Package validate refuses requests that are not what the API takes, before the
// backend sees them.
//
//	validate [<matcher>] {
//		methods       <methods...>        # others: 405 with Allow
//		max_uri       <size>              # of the request target, in bytes
//		max_headers   <number>            # header lines
//		max_header_size <size>            # of one line, name and value
//		max_body      <size>              # default 1MiB, at most 64MiB, with openapi 4MiB
//		content_types <types...>          # of requests with a body: type/subtype or type/*
//		max_query_parameters <number>
//		query_unknown reject | ignore     # parameters that are not described; default ignore
//		query <name> {                    # one line for each parameter; without a block: it is known
//			required
//			type       string | integer | number | boolean | uuid | date | date-time | ipv4 | ipv6
//			range      <lowest> <highest> # both included; * is no bound
//			min_length <number>           # in characters
//			max_length <number>
//			pattern    <RE2>              # the whole value has to match, with or without ^ and $
//			enum       <values...>
//			repeat     <number>           # how often it may occur; default 1
//		}
//		json {
//			required                      # POST, PUT and PATCH need a body
//			max_depth         <number>    # default 32
//			max_keys          <number>    # members of one object; default 10000
//			max_items         <number>    # items of one array; default no limit
//			max_string_length <number>    # in characters, also of names; default no limit
//			max_number_length <number>    # in bytes; default 64
//			duplicate_keys    reject | ignore   # default reject
//		}
//		openapi <file>                    # an OpenAPI 3.0 or 3.1 document
//		mode enforce | dry_run
//	}
//
// What the header of a request tells is judged before its body is read, so that
// no client is asked to send (100-continue) what is refused.
//
// Bodies: max_body holds for what is declared, what arrives in chunks, and what
// comes out of a content coding; the size is known before the backend sees a
// byte. gzip and deflate are decoded, for checking only; other codings, and
// several, are refused, and so is what shrank more than API data does. A body
// that has to be looked at, decoded, or that declares no length is kept in memory
// until it is judged, at most max_body a request, and then handed on byte for
// byte; rate_limiter's concurrency bounds how many there are. With openapi, a JSON
// body is also decoded, which takes up to 70 times its size while it is judged:
// keep max_body small there. Others stream through. Trailers are dropped.
//
// With json and no content_types and no openapi, only JSON is accepted: what is
// called text/plain is not looked into, but backends read JSON out of it. Listed
// types that are not JSON, such as forms, pass without a look into them. JSON
// (application/json, +json) is checked in one pass while it arrives: RFC 8259,
// UTF-8 and no other charset, one value and nothing behind it, no half surrogate
// pairs, numbers that a binary64 holds, names once in each object. A JSON body
// that is refused is refused for the first fault; offset is the byte of the
// decoded body that decided it.
//
// openapi: only documented paths and methods pass (404, 405), with parameters and
// JSON bodies as documented; see the package openapi for what a document may say.
// The path of servers counts, their host does not. The file is read when the
// configuration is loaded, and nothing else is: references to other files are
// refused. content_types and query are judged as well where they are given;
// query_unknown reject refuses parameters that neither query nor the operation
// names. The json limits hold with or without json.
//
// A refusal says which rule and, as the members parameter, pointer and offset of
// its problem document, where: parameter is a configured or documented name,
// pointer leads along documented properties and ends where the caller's own names
// begin. A name or a value of the request is in neither.
//
// It fails closed: 400, 404, 405, 413, 415 or 422, and 400 for a body that breaks
// off. WebSocket upgrades have no body and pass like other requests.
package validate
