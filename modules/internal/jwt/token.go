package jwt

import "strings"

const (
	// maxToken is the longest token that is looked at, in bytes.
	maxToken = 16 << 10
	// maxHeader is the longest first segment.
	maxHeader = 4 << 10
)

// parsed is a token in strict form. Nothing in it is trusted yet.
type parsed struct {
	alg, kid  string
	typ       any // nil if there is none
	claims    map[string]any
	signed    string // what the signature covers
	signature []byte
}

// parse takes a compact JWS apart (RFC 7515 section 7.1).
func parse(token string) (*parsed, error) {
	if len(token) > maxToken {
		return nil, errTooLong
	}
	// Five segments would be an encrypted token (RFC 7516). They are counted
	// first, so that a megabyte of dots costs nothing.
	if strings.Count(token, ".") != 2 {
		return nil, errSegments
	}
	first := strings.IndexByte(token, '.')
	last := strings.LastIndexByte(token, '.')
	if first > maxHeader {
		return nil, errHeader
	}
	p := &parsed{signed: token[:last]}
	header, err := decodeSegmentObject(token[:first])
	if err != nil {
		return nil, err
	}
	if err := p.readHeader(header); err != nil {
		return nil, err
	}
	if p.claims, err = decodeSegmentObject(token[first+1 : last]); err != nil {
		return nil, err
	}
	p.signature, err = decodeSegment(token[last+1:])
	return p, err
}

func decodeSegmentObject(segment string) (map[string]any, error) {
	b, err := decodeSegment(segment)
	if err != nil {
		return nil, err
	}
	return decodeObject(string(b))
}

// readHeader reads what a signature check needs. Other parameters have to be
// ignored (RFC 7515 section 4), and those that offer a key are.
func (p *parsed) readHeader(header map[string]any) error {
	// No extension is implemented, so whatever crit lists must be refused. b64
	// is refused also where crit was forgotten: it changes what was signed.
	if _, ok := header["crit"]; ok {
		return errCritical
	}
	if _, ok := header["b64"]; ok {
		return errUnencoded
	}
	p.typ = header["typ"]
	var ok bool
	if p.alg, ok = header["alg"].(string); !ok {
		return errAlgType
	}
	if kid, present := header["kid"]; present {
		if p.kid, ok = kid.(string); !ok || len(p.kid) > maxKeyID {
			return errKidType
		}
	}
	return nil
}
