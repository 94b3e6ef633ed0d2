// Package redact takes secrets and personal data out of what backends answer and
// out of what the gateway logs, and keeps requests from taking them to backends.
//
//	redact [<matcher>] {
//		response {
//			drop    keys   <names...>
//			mask    keys   <names...> {
//				keep_last <number>       # 1 to 32
//			}
//			mask    detect <detectors...> {
//				keep_last <number>
//			}
//			replace keys   <names...> <text>
//			replace detect <detectors...> <text>
//			hash    keys   <names...> {
//				key {env.<name>} | {file.<path>}   # required
//			}
//			hash    detect <detectors...> {
//				key {env.<name>} | {file.<path>}
//			}
//			drop | mask | replace | hash path <paths...> …   # as with keys
//		}
//		request {
//			drop     header <names...>
//			drop     query  <names...>
//			block    detect <detectors...>
//			max_body <size>              # default: 1MiB, at most 64MiB
//		}
//		reveal   role | scope | principal <names...>
//		on_error block | truncate        # default: block
//		mode     enforce | dry_run       # default: enforce
//	}
//
// The lines of response and request but max_body, and reveal, may be repeated; what
// two lines of response select is refused as a contradiction. keys are names of JSON members, at any depth; case and the
// separators _ - . and space make no difference (apiKey is api_key), and escape
// sequences are decoded. detect are the detectors card, cloud_keys, email, iban,
// jwt and private_key of package detect: they search the strings, names and numbers of JSON, also
// where those are written with escape sequences, and text.
//
// path is a part of JSONPath: $ is the outermost value, of each event or line too,
// .name a member, ..name a member at any depth, [3] an element of an array, [*]
// every element; as in $.a.b, $.a[*].b, $.a[0], $..b. Anything else is refused:
// filters, slices, names in quotes. Names in paths are letters, digits, _ and -,
// and are compared as keys are, so that $.api_key also is "api key" and "api.key".
// At least one step is a name. In text, where places cannot be told apart, the last
// name of a path is looked for at any depth.
//
// drop removes a member or element with its comma. mask leaves eight asterisks of a text,
// whatever its length, 0 of a number and null of everything else, and with
// keep_last the last characters or digits of a text or number that has at least
// twice as many. replace leaves the text, as a JSON string where a member's value
// is replaced. hash leaves a token, always as a string: the first half of the
// HMAC-SHA-256 of the value under the key, in hexadecimal, 32 characters. The same
// value has the same token wherever the key is the same, whether it is a string
// with or without escape sequences, or a number or literal of the same spelling;
// numbers of cards and accounts also with or without separators. Two of 2^64
// values are likely to share one. The key has 16 bytes or more: who has it can try
// out values, of which there are few among birthdays or PINs. An object or array
// becomes null. In text hash does what mask does to members. A number in which a detector finds something stays a number: the
// text of replace if it is one, else 0; only hash makes a string of it. Valid JSON stays valid, and what is not
// redacted stays as it is to the byte.
//
// # What is inspected
//
//   - JSON: application/json, text/json, +json, NDJSON, JSON lines, JSON
//     sequences. With a rule for keys or a path, what is not JSON is not passed on; without
//     one it is searched as text.
//   - text/event-stream: the data of each event, as JSON if it is some, else as
//     text; an event leaves when it is complete.
//   - Text: text/*, JavaScript, SVG, and bodies without a Content-Type: by the
//     detectors, and for members whose names are in quotes with a colon behind
//     them, as in JSON with a call around it, in JSON inside a string, or with a
//     NaN in it; what follows is masked, also by drop. A body that begins with a
//     brace or bracket is read as JSON as far as it is some.
//   - Without a rule for keys also XML, YAML, TOML, CSV, forms and JWTs, as text.
//     With one they are not passed on: backends offer them in place of JSON to
//     whoever asks, and members are not found in them.
//   - image/*, audio/*, video/*, fonts and WebAssembly pass as they are, unless
//     they begin like JSON.
//   - Everything else is not passed on: archives, documents,
//     application/octet-stream, multipart, and the binary forms of structured data
//     (MessagePack, CBOR, Protocol Buffers, gRPC). Put downloads that have to pass
//     behind a matcher.
//
// gzip is decoded, in up to two layers; other content codings are not passed on,
// and the backend is asked for none. Character sets have to be supersets of
// ASCII. A response in full goes out with a Content-Length if it is small (16
// KiB), and in chunks otherwise. A response takes less than 64 KiB, besides the
// 40 KiB of a gzip decoder.
//
// What is not inspected: the headers of responses, members of JSON inside a string
// of valid JSON, and percent-encoded text. Trailers are dropped. Rules apply
// although a response says no-transform. Error routes are routes of their own:
// where handle_errors asks a backend, it needs a redact too.
//
// # Requests
//
// drop header removes a header under any spelling with _ or -. Headers that say how
// the request is read, or belong to the connection, cannot be dropped. drop query
// removes pairs from the query, whose other pairs stay to the byte and in order:
// names are compared decoded, as keys are, and token[x] is one of token.
//
// block refuses a request with 422 when a detector finds something in its query
// (after drop) or body. The body is held until all of it was seen, so that the
// backend gets no byte of one that is refused; in memory, up to max_body, as sent
// and decoded. It is read as it is, with the escape sequences of JSON, and as a
// form, whose fields may have them too, whatever its Content-Type. Refused is also what cannot be searched
// (redact.request_type, _charset, _coding, _limit): media, archives, multipart
// and other binary forms, content codings beside gzip, character sets beside
// ASCII's supersets, a body longer than max_body. Put uploads behind a matcher.
// Headers, the path, and other encodings inside a body (base64, XML's characters
// by number) are not searched.
//
// # Who sees the original
//
// reveal names roles, scopes and ids of the principal that auth found. Whoever has
// one of them gets responses as the backend makes them, with WebSockets where
// requests are not blocked; anonymous callers never do. Rules for requests apply to
// all. Such a response carries Cache-Control: private, no-store in place of the
// backend's, and its entity tag without the suffix, so that no copy of it is shown
// to, or confirmed for, anybody else. A cache in front of the gateway may show a
// redacted copy to a caller who may see the original. The response is counted in
// sallyport_redact_revealed_total{site} and marked in the access log (redact:
// revealed), which stays redacted itself. The id of a principal is unique within
// its issuer only.
//
// # Caches and ranges
//
// Entity tags get a suffix that changes with the rules, and only tags with the
// present suffix reach the backend in If-None-Match and If-Match, without it.
// Last-Modified and Accept-Ranges, digests and signatures of the body
// (Digest, Content-Digest, Repr-Digest, Content-MD5, Signature) are removed. Range,
// If-Range, and on GET and HEAD If-Modified-Since and If-Unmodified-Since do not
// reach the backend: a copy from before a change of the rules is not confirmed,
// and no part is taken out of what was not seen whole. An If-Match without a tag
// of the present suffix fails.
//
// A backend that makes its tags of a hash of the body tells a caller who guesses
// what was redacted whether the guess is right. Where that is short (a PIN), have
// it make tags of a version, or remove them (header_down -ETag).
//
// # Failing
//
// It fails closed. What cannot be inspected is answered with 502 and a problem
// document, as long as nothing was sent (16 KiB of a body are held back unless the
// backend flushes); after that, the connection is aborted, or with on_error
// truncate the response ends. The reasons: redact.type, redact.charset,
// redact.coding, redact.bomb (compressed to make us work), redact.partial (206),
// redact.upgrade (WebSocket and other protocols, refused before the backend is
// asked, where responses are redacted or requests blocked), redact.not_json, redact.limit (nested more than 512 deep; a name or
// number of more than 16 KiB).
//
// In dry_run requests and responses are not touched: what would be dropped, redacted
// and refused is counted.
//
// Metrics: sallyport_redact_matches_total{site,mode,action,selector}, with
// keys:NAME, path:PATH, detect:DETECTOR, header:NAME or query:NAME as the selector,
// and sallyport_redact_revealed_total{site}, beside
// sallyport_decisions_total{guard="redact"}. No placeholders.
//
// The log encoder is documented at Encoder.
package redact
