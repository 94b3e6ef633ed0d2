package jwt

// Object reads text as exactly one JSON object, as strictly as a token's claims: no
// member occurs twice at any level, and numbers are json.Number.
func Object(text []byte) (map[string]any, error) {
	object, _, err := decodeObject(string(text))
	return object, err
}
