// Package detect finds card and account numbers, email addresses, JSON Web Tokens,
// private keys and the keys of cloud services in text.
//
//	set, err := detect.Compile("card", "email")
//	for from := 0; ; {
//		m, ok := set.Next(text, from)
//		if !ok {
//			break
//		}
//		…text[m.Start:m.End] is an m.Detector…
//		from = m.End
//	}
//
// A Set looks for everything it was compiled for in one pass: a table of byte
// pairs, read at every other byte, finds the few places where something could
// stand; a candidate there is measured and then validated (check digits and
// issuer ranges, the decoded header of a token, the alphabet and length of a
// key). No regular expression is involved, and no input makes a byte be read
// more than a fixed number of times.
//
// # What is found
//
//   - card: 12 to 19 digits in one group or in the groups that cards are
//     printed in, separated by single spaces or hyphens, of a known issuer, of
//     a length that issuer uses, with a valid Luhn digit. Visa's withdrawn
//     13-digit numbers are left out: every tenth European article number that
//     begins with 4 would be one.
//   - email: an address with a domain of at least two labels. Addresses of
//     internationalised domains are found; quoted local parts are not.
//   - jwt: a compact JWS or JWE whose header decodes to a JSON object with
//     "alg" or "enc", also when it was cut off behind the header.
//   - cloud_keys: credentials that carry their issuer's mark, see [Issuers].
//     Placeholders of the right shape count: masking one costs nothing.
//   - iban: an account number of ISO 13616 in capitals, in one piece or in groups
//     of four, of its country's length, with valid check digits.
//   - private_key: a private key in PEM, from its BEGIN line to its END line: of
//     RFC 7468, OpenSSL, OpenSSH and PGP, with line breaks in escaped form too.
//     Of one without an END line, everything up to a quote, a bracket < > { } or
//     a byte that is not ASCII.
//
// # Parts of a text
//
// [Set.Scan] takes a text in parts. It says from which byte on its verdict
// depends on what comes next, which is never more than [MaxHold] bytes, so
// that a stream can be passed on in bounded memory without a byte leaving that
// a match still covers, and with the same result however it was cut.
package detect
