package jwt

import (
	"encoding/base64"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// maxToken is the longest token that is looked at, in bytes.
	maxToken = 16 << 10
	// maxHeader is the longest first segment.
	maxHeader = 4 << 10
	// maxHeaderMembers is how many parameters a header may have.
	maxHeaderMembers = 32
)

// parsed is a token in strict form, but for its claims: these are not worth
// reading until the signature is known to be good. Nothing in it is trusted yet.
type parsed struct {
	alg, kid  string
	typ       string
	hasType   bool
	text      string // the claims, which may be no JSON
	decoded   int    // how long text and the header are, which share memory
	signed    string // what the signature covers
	signature []byte
}

// parse takes a compact JWS apart (RFC 7515 section 7.1).
func parse(token string) (p parsed, err error) {
	if len(token) > maxToken {
		return p, errTooLong
	}
	// Five segments would be an encrypted token (RFC 7516). They are counted
	// first, so that a megabyte of dots costs nothing.
	if strings.Count(token, ".") != 2 {
		return p, errSegments
	}
	first := strings.IndexByte(token, '.')
	last := strings.LastIndexByte(token, '.')
	if first > maxHeader {
		return p, errHeader
	}
	p.signed = token[:last]
	header, text, err := decodeTexts(token[:first], token[first+1:last])
	if err != nil {
		return p, err
	}
	p.text, p.decoded = text, len(header)+len(text)
	if err := p.readHeader(header); err != nil {
		return p, err
	}
	p.signature, err = decodeSegment(token[last+1:])
	return p, err
}

// readHeader reads what a signature check needs. Other parameters have to be
// ignored (RFC 7515 section 4), and those that offer a key are. They must be JSON
// as strict as that of the claims.
func (p *parsed) readHeader(text string) error {
	if !utf8.ValidString(text) {
		return errUTF8
	}
	d := decoder{text: text}
	if !d.take('{') {
		return errJSON
	}
	// There are a handful: looking through them costs less than a map.
	var names [maxHeaderMembers]string
	n := 0
	for more := !d.take('}'); more; n++ {
		name, err := d.name()
		if err != nil {
			return err
		}
		if n == maxHeaderMembers {
			return errMembers
		}
		if slices.Contains(names[:n], name) {
			return errDuplicate
		}
		names[n] = name
		if err := p.readParameter(&d, name); err != nil {
			return err
		}
		if more = !d.take('}'); more && !d.take(',') {
			return errJSON
		}
	}
	if d.space(); d.pos != len(text) {
		return errTrailing
	}
	for _, name := range names[:n] {
		switch name {
		// No extension is implemented, so whatever crit lists must be refused. b64
		// is refused also where crit was forgotten: it changes what was signed.
		case "crit":
			return errCritical
		case "b64":
			return errUnencoded
		}
	}
	if !slices.Contains(names[:n], "alg") {
		return errAlgType
	}
	return nil
}

// readParameter reads the value of one parameter.
func (p *parsed) readParameter(d *decoder, name string) error {
	var dst *string
	switch name {
	case "alg":
		dst = &p.alg
	case "kid":
		dst = &p.kid
	case "typ":
		dst, p.hasType = &p.typ, true
	default:
		_, err := d.value(1)
		return err
	}
	d.space()
	if d.peek() == '"' {
		var err error
		if *dst, err = d.string(); err != nil {
			return err
		}
		if name == "kid" && len(p.kid) > maxKeyID {
			return errKidType
		}
		return nil
	}
	if _, err := d.value(1); err != nil {
		return err
	}
	switch name {
	case "alg":
		return errAlgType
	case "kid":
		return errKidType
	}
	return errTypType
}

// issuer finds the iss claim, or "" where there is none or it is no string. That
// is all that has to be known to choose the keys. Where the claims are JSON with
// unique members, it is the one that claims finds; where they are not, claims fails.
func (p *parsed) issuer() (string, error) {
	d := decoder{text: p.text}
	if !d.take('{') {
		return "", errJSON
	}
	for more := !d.take('}'); more; {
		name, err := d.name()
		if err != nil {
			return "", err
		}
		d.space()
		if name == "iss" {
			if d.peek() != '"' {
				return "", nil
			}
			return d.string()
		}
		d.skip()
		if more = !d.take('}'); more && !d.take(',') {
			return "", errJSON
		}
	}
	return "", nil
}

// claims reads the claims. size is what they take in memory, with the text that they
// share with the header.
func (p *parsed) claims() (claims map[string]any, size int, err error) {
	claims, size, err = decodeObject(p.text)
	return claims, size + allocated(p.decoded), err
}

var strictBase64 = base64.RawURLEncoding.Strict()

// decodeTexts decodes two segments into one string.
func decodeTexts(a, b string) (string, string, error) {
	if hasLineBreak(a) || hasLineBreak(b) {
		return "", "", errBase64
	}
	var short [1536]byte
	dst := short[:]
	if n := strictBase64.DecodedLen(len(a)) + strictBase64.DecodedLen(len(b)); n > len(dst) {
		dst = make([]byte, n)
	}
	n, err := strictBase64.Decode(dst, []byte(a))
	if err != nil {
		return "", "", errBase64
	}
	m, err := strictBase64.Decode(dst[n:], []byte(b))
	if err != nil {
		return "", "", errBase64
	}
	both := string(dst[:n+m])
	return both[:n], both[n:], nil
}

// decodeSegment decodes base64url without padding, of which there is one
// spelling only: encoding/base64 lets line breaks pass, even when it is strict.
func decodeSegment(s string) ([]byte, error) {
	if hasLineBreak(s) {
		return nil, errBase64
	}
	b, err := strictBase64.DecodeString(s)
	if err != nil {
		return nil, errBase64
	}
	return b, nil
}

func hasLineBreak(s string) bool {
	return strings.IndexByte(s, '\n') >= 0 || strings.IndexByte(s, '\r') >= 0
}
