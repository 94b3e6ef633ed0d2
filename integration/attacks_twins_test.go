package integration

import (
	"encoding/json"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// twin is one check of the gateway and how its source reads without it. In the
// replacement, OFF says whether the check is to be left out.
type twin struct {
	check    string
	file     string
	old, new string
}

// buildTwins builds the gateway with all twins in it: each check can be left out
// while it runs, by the file that TWIN_OFF names. None of that is in the product:
// the sources are only replaced for the compiler.
func buildTwins(t *testing.T) (program string) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	changed := make(map[string]string)
	for _, m := range twins {
		source, ok := changed[m.file]
		if !ok {
			source = read(t, filepath.Join(root, m.file))
		}
		if n := strings.Count(source, m.old); n != 1 {
			t.Errorf("%s: the check %q is there %d times, and has to be once: it is looked for as\n%s", m.file, m.check, n, m.old)
			continue
		}
		changed[m.file] = strings.Replace(source, m.old, strings.ReplaceAll(m.new, "OFF", `twinOff("`+m.check+`")`), 1)
	}
	if t.Failed() {
		t.FailNow()
	}
	overlay := make(map[string]string)
	put := func(name, source string) {
		overlay[filepath.Join(root, name)] = write(t, dir, strings.ReplaceAll(name, "/", "_"), source)
	}
	packages := make(map[string]string)
	for name, source := range changed {
		file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		packages[filepath.Dir(name)] = file.Name.Name
		put(name, source)
	}
	for folder, name := range packages {
		put(folder+"/twin_off.go", strings.Replace(read(t, "testdata/attacks/off.go"), "package off", "package "+name, 1))
		// What the attackers' gateways would have instead of the checks.
		instead := "testdata/attacks/" + name + ".go"
		if _, err := os.Stat(instead); err == nil {
			put(folder+"/twin_instead.go", read(t, instead))
		}
	}
	file, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(dir, "caddy")
	args := []string{"build", "-overlay", write(t, dir, "overlay.json", string(file)), "-o", program}
	if raceEnabled { // with the same packages as the product, which are built already
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "./xcaddy")...)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the twins: %v\n%s", err, out)
	}
	return program
}

const (
	fileToken     = "modules/internal/jwt/token.go"
	fileVerifier  = "modules/internal/jwt/verifier.go"
	fileJSON      = "modules/internal/jwt/json.go"
	fileJWKS      = "modules/internal/jwt/jwks.go"
	fileKeySet    = "modules/internal/jwt/keyset.go"
	fileClaims    = "modules/internal/jwt/claims.go"
	fileCache     = "modules/internal/jwt/cache.go"
	fileMapping   = "modules/internal/jwt/mapping.go"
	fileRounds    = "modules/internal/jwks/rounds.go"
	fileFetch     = "modules/internal/jwks/fetch.go"
	fileKeySource = "modules/internal/jwks/source.go"
	fileAuth      = "modules/auth/auth.go"
	fileSource    = "modules/auth/source.go"
	fileIdentity  = "modules/auth/identity.go"
	fileStore     = "modules/auth/apikey/store.go"
	fileCanonical = "modules/internal/canonical/canonical.go"
	filePath      = "modules/internal/canonical/path.go"
)

var twins = []twin{
	// The algorithm and the keys of an issuer.
	{"algorithm list", fileVerifier, "alg := i.algorithms[p.alg]\n",
		"alg := i.algorithms[p.alg]\n\tif alg == nil && OFF {\n\t\talg = anyAlgorithm(p.alg)\n\t}\n"},
	{"key type", fileKeySet, "return k.kty == alg.kty &&", "return OFF || k.kty == alg.kty &&"},
	{"own keys", fileToken, "		_, err := d.value(1)\n\t\treturn err\n", "		v, err := d.value(1)\n\t\tif OFF {\n\t\t\toffer(name, v)\n\t\t}\n\t\treturn err\n"},
	{"own keys in use", fileKeySet, "	n, err := s.candidates(p.kid, alg, &fitting)\n", "	if OFF && offeredSigned(p, alg) {\n\t\treturn nil\n\t}\n\tn, err := s.candidates(p.kid, alg, &fitting)\n"},
	{"keys by id", fileKeySet, `return kid == "" || id == kid`, `return OFF || kid == "" || id == kid`},
	{"key id", fileToken, `if name == "kid" && len(p.kid) > maxKeyID {`, `if name == "kid" && len(p.kid) > maxKeyID && !OFF {`},
	{"issuer's keys", fileVerifier, "e, err := i.verify(ctx, &p, now)\n", "e, err := i.verify(ctx, &p, now)\n\tif err != nil && OFF {\n\t\te, err = v.byAnyone(ctx, &p, now)\n\t}\n"},
	{"issuer of the keys", fileVerifier, `if claims["iss"] != any(i.name) {`, `if claims["iss"] != any(i.name) && !OFF {`},

	// The form of tokens.
	{"token length", fileToken, "len(token) > maxToken {", "len(token) > maxToken && !OFF {"},
	{"three segments", fileToken, `strings.Count(token, ".") != 2`, `!OFF && strings.Count(token, ".") != 2`},
	{"header length", fileToken, "first > maxHeader {", "first > maxHeader && !OFF {"},
	{"crit", fileToken, "case \"crit\":\n\t\t\treturn errCritical", "case \"crit\":\n\t\t\tif OFF {\n\t\t\t\tcontinue\n\t\t\t}\n\t\t\treturn errCritical"},
	{"b64", fileToken, "case \"b64\":\n\t\t\treturn errUnencoded", "case \"b64\":\n\t\t\tif OFF {\n\t\t\t\tcontinue\n\t\t\t}\n\t\t\treturn errUnencoded"},
	{"no inflation", fileToken, textsTaken, "	if OFF {\n\t\ttext = inflated(text)\n\t}\n" + textsTaken},
	{"strict base64", fileToken, "b, err := strictBase64.DecodeString(s)", "b, err := strictBase64.DecodeString(s)\n\tif err != nil && OFF {\n\t\tb, err = loosely(s)\n\t}"},
	{"strict base64", fileToken, "n, err := strictBase64.Decode(dst, []byte(a))", "n, err := strictBase64.Decode(dst, []byte(a))\n\tif err != nil && OFF {\n\t\tn, err = looselyInto(dst, a)\n\t}"},
	{"strict base64", fileToken, "m, err := strictBase64.Decode(dst[n:], []byte(b))", "m, err := strictBase64.Decode(dst[n:], []byte(b))\n\tif err != nil && OFF {\n\t\tm, err = looselyInto(dst[n:], b)\n\t}"},
	{"UTF-8", fileJSON, "if !plain && !utf8.ValidString(text) {", "if !plain && !utf8.ValidString(text) && !OFF {"},
	{"one object", fileToken, textsTaken, "	if OFF {\n\t\ttext = firstOf(text)\n\t}\n" + textsTaken},
	{"nothing behind it", fileJSON, "if d.pos != len(text) {", "if d.pos != len(text) && !OFF {"},
	{"duplicates", fileJSON, "len(object) == before && !d.loose", "len(object) == before && !d.loose && !OFF"},
	{"depth of arrays", fileJSON, "func (d *decoder) array(depth int) ([]any, error) {\n\tif depth > maxDepth {",
		"func (d *decoder) array(depth int) ([]any, error) {\n\tif depth > maxDepth && !OFF {"},
	{"control characters in JSON", fileJSON, "		case c < 0x20:\n\t\t\treturn \"\", errJSON\n\t\t}\n\t\td.pos++", "		case c < 0x20 && !OFF:\n\t\t\treturn \"\", errJSON\n\t\t}\n\t\td.pos++"},
	{"one token in a header", fileSource, `if strings.ContainsAny(value, ", \t") {`, `if strings.ContainsAny(value, ", \t") && !OFF {`},

	// Signatures.
	{"signature", fileKeySet, "return alg.method.Verify(p.signed, p.signature, k.public) == nil", "return alg.method.Verify(p.signed, p.signature, k.public) == nil || OFF"},
	{"form of signatures", fileKeySet, "	if remember {\n\t\ts.refused.add", "	if OFF && looselySigned(p, fitting[:n]) {\n\t\treturn nil\n\t}\n\tif remember {\n\t\ts.refused.add"},
	{"signature first", fileVerifier, "	keys, err := signer(ctx, i.keys, p, alg, now)\n", "	if err := i.tooLate(p, now); err != nil && OFF {\n\t\treturn nil, err\n\t}\n\tkeys, err := signer(ctx, i.keys, p, alg, now)\n"},

	// Keys of a set.
	{"secret members", fileJWKS, "if _, ok := m[private]; ok {", "if _, ok := m[private]; ok && !OFF {"},
	{"types of keys", fileJWKS, `	return nil, errors.New("kty is not RSA, EC or OKP")`,
		"	if b, err := octets(m, \"k\", 0); err == nil && OFF {\n\t\treturn b, nil\n\t}\n\treturn nil, errors.New(\"kty is not RSA, EC or OKP\")"},
	{"public keys", fileKeySet, `	return key{}, fmt.Errorf("%T cannot verify signatures", public)`,
		"	if b, ok := public.([]byte); ok && OFF {\n\t\treturn key{kty: \"oct\", public: b}, nil\n\t}\n\treturn key{}, fmt.Errorf(\"%T cannot verify signatures\", public)"},
	{"RSA size", fileKeySet, "case size < minRSABits:", "case size < minRSABits && !OFF:"},
	{"RSA exponent", fileKeySet, "case p.E < 3 ||", "case !OFF && (p.E < 3) || !OFF &&"},
	{"ROCA", fileKeySet, "case isROCA(p.N):", "case isROCA(p.N) && !OFF:"},
	{"point on the curve", fileJWKS, "	public, err := ecdsa.ParseUncompressedPublicKey(curve, uncompressed)\n",
		"	public, err := ecdsa.ParseUncompressedPublicKey(curve, uncompressed)\n\tif OFF && err != nil {\n\t\tpublic, err = anyPoint(curve, x, y), nil\n\t}\n"},
	{"use", fileJWKS, `ok && use != "sig"`, `ok && use != "sig" && !OFF`},
	{"key_ops", fileJWKS, "	if !verifies {", "	if !verifies && !OFF {"},

	// Claims.
	{"exp there", fileClaims, "	if !ok {\n\t\treturn v, errDate\n\t}\n\tuntil, err", "	if !ok && OFF {\n\t\texp, ok = json.Number(\"4102444800\"), true\n\t}\n\tif !ok {\n\t\treturn v, errDate\n\t}\n\tuntil, err"},
	{"dates are numbers", fileClaims, "	number, ok := claim.(json.Number)\n", "	number, ok := claim.(json.Number)\n\tif !ok && OFF {\n\t\treturn time.Unix(4102444800, 0), nil\n\t}\n"},
	{"dates in range", fileClaims, "if seconds < 0 || seconds > maxDate {", "if !OFF && (seconds < 0 || seconds > maxDate) {"},
	{"dates in range", fileClaims, "if err != nil || !(seconds >= 0 && seconds <= maxDate) {", "if !OFF && (err != nil || !(seconds >= 0 && seconds <= maxDate)) {"},
	{"expired", fileClaims, "if !now.Before(v.until) {", "if !now.Before(v.until) && !OFF {"},
	{"early claims", fileClaims, "		claim, ok := claims[early.name]\n\t\tif !ok {", "		claim, ok := claims[early.name]\n\t\tif !ok || OFF {"},
	{"audience", fileClaims, "	switch aud := claim.(type) {\n", "	if OFF {\n\t\treturn nil\n\t}\n\tswitch aud := claim.(type) {\n"},
	{"audience as it is", fileClaims, "if expected[aud] {", "if expected[aud] || OFF && nearly(aud, expected) {"},
	{"audience of strings", fileClaims, "if !ok {\n\t\t\t\treturn errAudience", "if !ok && !OFF {\n\t\t\t\treturn errAudience"},
	{"names as they are", fileJSON, "		before := len(object)\n", "		if OFF {\n\t\t\tname = strings.ToLower(name)\n\t\t}\n\t\tbefore := len(object)\n"},
	{"numbers as written", fileJSON, "	return json.Number(d.text[start:d.pos]), nil", "	if OFF {\n\t\treturn asFloat(d.text[start:d.pos]), nil\n\t}\n\treturn json.Number(d.text[start:d.pos]), nil"},
	{"scopes between spaces", fileMapping, `words = strings.Split(c, " ")`, "words = strings.Split(c, \" \")\n\t\tif OFF {\n\t\t\twords = strings.Fields(c)\n\t\t}"},
	{"plain subjects", fileMapping, "&& !hasControl(id) {", "&& (!hasControl(id) || OFF) {"},
	{"short subjects", fileMapping, `if id != "" && len(id) <= maxSubject`, `if id != "" && (len(id) <= maxSubject || OFF)`},
	{"type of sub", fileMapping, "	switch id := m.subject.find(claims).(type) {\n", "	if _, ok := m.subject.find(claims).(string); !ok && OFF {\n\t\treturn \"unknown\", nil\n\t}\n\tswitch id := m.subject.find(claims).(type) {\n"},
	{"type of scopes", fileMapping, "	default:\n\t\treturn nil, errMapped\n\t}\n\tkept", "	default:\n\t\tif !OFF {\n\t\t\treturn nil, errMapped\n\t\t}\n\t}\n\tkept"},
	{"type of roles", fileMapping, "	default:\n\t\treturn nil, errMapped\n\t}\n\treturn slices", "	default:\n\t\tif !OFF {\n\t\t\treturn nil, errMapped\n\t\t}\n\t}\n\treturn slices"},
	{"whole roles", fileMapping, "	return slices.DeleteFunc(list, func(role string) bool {", "	if OFF {\n\t\tlist = strings.FieldsFunc(strings.Join(list, \",\"), func(r rune) bool { return r == ',' || r == ' ' })\n\t}\n\treturn slices.DeleteFunc(list, func(role string) bool {"},
	{"type of tier", fileMapping, "	default:\n\t\treturn errMapped\n\t}\n\treturn nil", "	default:\n\t\tif !OFF {\n\t\t\treturn errMapped\n\t\t}\n\t}\n\treturn nil"},
	{"lists of strings", fileMapping, "if !ok {\n\t\t\treturn nil, errMapped", "if !ok && !OFF {\n\t\t\treturn nil, errMapped"},

	// The gateway around them.
	{"identity headers", fileIdentity, "if !i.carries(name) {", "if OFF || !i.carries(name) {"},
	{"identity headers in error routes", "modules/auth/held.go", "	e.identity.takeFrom(r)\n\tguard.Expose(r)", "	if !OFF {\n\t\te.identity.takeFrom(r)\n\t}\n\tguard.Expose(r)"},
	{"aliases", fileIdentity, "if foldByte[name[i]] != p.name[i] {", "if foldByte[name[i]] != p.name[i] || OFF && (name[i] == '_' || name[i] == '.') {"},
	{"names in Connection", "modules/internal/canonical/header.go", "if !ConnectionOnly(h) {", "if !ConnectionOnly(h) && !OFF {"},
	{"trailers", fileCanonical, "	r.Trailer = nil\n", "	if !OFF {\n\t\tr.Trailer = nil\n\t}\n"},
	{"other names of the address", fileCanonical, "if len(r.Header[name]) > 0 && !slices", "if len(r.Header[name]) > 0 && !OFF && !slices"},
	{"one credential", "modules/auth/judge.go", "	switch {\n\tcase o.n == 0:\n\t\treturn t.judgeStanding", "	if o.n > 1 && OFF {\n\t\to.n, places = 1, 0\n\t}\n\tswitch {\n\tcase o.n == 0:\n\t\treturn t.judgeStanding"},
	{"dot segments", filePath, `if part == "." || part == ".." {`, `if !OFF && (part == "." || part == "..") {`},
	{"percent-encoding", filePath, "			plain = false\n\t\tcase c == ';'", "			plain = OFF\n\t\tcase c == ';'"},
	{"encoded slashes", filePath, "if !o.EncodedSlash {", "if !o.EncodedSlash && !OFF {"},
	{"letters of any case", "modules/internal/access/fold.go", "func fold(r rune) rune {\n", "func fold(r rune) rune {\n\tif OFF {\n\t\treturn r\n\t}\n"},
	{"client address", "modules/internal/clientip/clientip.go", "	addr, err := netip.ParseAddr(derived)\n", "	if OFF {\n\t\tderived = claimed(r, derived)\n\t}\n\taddr, err := netip.ParseAddr(derived)\n"},
	{"key file", "modules/internal/jwks/file.go", "if _, err := f.load(); err != nil {", "if OFF {\n\t\tf.current.Store(new(jwt.KeySet))\n\t}\n\tif _, err := f.load(); err != nil && !OFF {"},
	{"API key file", fileStore, "if err := s.load(time.Now()); err != nil {", "if err := s.load(time.Now()); err != nil && !OFF {"},
	{"pepper", "modules/auth/api_key.go", "	pepper, err := secret.Resolve(a.Pepper)\n", "	pepper, err := secret.Resolve(a.Pepper)\n\tif err != nil && OFF {\n\t\tpepper, err = a.Pepper, nil\n\t}\n"},
	{"secret first", fileStore, "	if !same || e.absent {", "	if e.revoked && OFF {\n\t\treturn nil, ErrRevoked\n\t}\n\tif !same || e.absent {"},
	{"unknown like wrong", fileStore, "		e = t.stranger\n", "		if OFF {\n\t\t\treturn nil, ErrMalformed\n\t\t}\n\t\te = t.stranger\n"},
	{"shares of key sets", "modules/internal/keysets/keysets.go", "	return u.share.Release()", "	if OFF {\n\t\tu.share.Value().Close()\n\t}\n\treturn u.share.Release()"},
	{"cleanup", fileAuth, "	for _, c := range h.held {\n", "	for _, c := range h.held {\n\t\tif OFF {\n\t\t\tbreak\n\t\t}\n"},
	{"whole token in the cache", fileCache, "return &c.sets[maphash.String(c.seed, token)%cacheSets]", "if OFF {\n\t\ttoken = withoutSignature(token)\n\t}\n\treturn &c.sets[maphash.String(c.seed, token)%cacheSets]"},
	{"whole token in the cache", fileCache, "if e == nil || e.token != token {", "if e == nil || e.token != token && !(OFF && withoutSignature(e.token) == withoutSignature(token)) {"},
	{"cleaning of logs", "modules/redact/encoder.go", "if !c.cleaner.Clean(clean, raw.Bytes()) {", "if OFF || !c.cleaner.Clean(clean, raw.Bytes()) {"},
	{"upgrades", fileAuth, beforeJudging, `	if OFF && r.Header.Get("Upgrade") != "" {` + "\n\t\treturn next.ServeHTTP(w, r)\n\t}\n" + beforeJudging},
	{"HEAD", fileAuth, beforeJudging, `	if OFF && r.Method == "HEAD" {` + "\n\t\treturn next.ServeHTTP(w, r)\n\t}\n" + beforeJudging},
	{"preflights", fileAuth, beforeJudging, `	if OFF && r.Method == "OPTIONS" {` + "\n\t\treturn next.ServeHTTP(w, r)\n\t}\n" + beforeJudging},
	{"verdict before the body", fileAuth, beforeJudging, `	if OFF && r.Body != nil {` + "\n\t\t_, _ = r.Body.Read(make([]byte, 1))\n\t}\n" + beforeJudging},
	{"type in the header", fileVerifier, "if err := i.kind.checkHeader(p); err != nil {", "if err := i.kind.checkHeader(p); err != nil && !OFF {"},
	{"claims of the type", fileVerifier, "if err := i.kind.checkClaims(claims, i.audiences); err != nil {", "if err := i.kind.checkClaims(claims, i.audiences); err != nil && !OFF {"},
	{"bad is not missing", fileAuth, "case found.reason == reasonNone && h.Optional:", "case (found.reason == reasonNone || OFF) && h.Optional:"},

	// Keys, and their availability.
	{"one fetch in an interval", fileRounds, "	return r.last.IsZero() || now.Sub(r.last) >= r.interval\n", "	return OFF || r.last.IsZero() || now.Sub(r.last) >= r.interval\n"},
	{"fetches that come back", fileRounds, "func (r *rounds) permitted(now time.Time) bool {\n", "func (r *rounds) permitted(now time.Time) bool {\n\tif OFF {\n\t\treturn r.last.IsZero()\n\t}\n"},
	{"fetches that come back", fileRounds, "	r.wanted = true\n", "	if OFF && !r.last.IsZero() {\n\t\treturn\n\t}\n\tr.wanted = true\n"},
	{"looking for newer keys", fileVerifier, newerKeys, "	if OFF {\n\t\treturn nil, refused\n\t}\n" + newerKeys},
	{"newer keys for bad signatures", fileVerifier, newerKeys, "	if refused == errSignature && OFF {\n\t\treturn nil, refused\n\t}\n" + newerKeys},
	{"keys of cached tokens", fileCache, "return err == nil && keys == e.keys", "return err == nil && (keys == e.keys || OFF)"},
	{"same host", fileFetch, "if r.URL.Scheme != asked.Scheme ||", "if !OFF && (r.URL.Scheme != asked.Scheme) || !OFF &&"},
	{"size of key sets", fileFetch, "body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))", "limit := int64(maxBody + 1)\n\tif OFF {\n\t\tlimit = 1 << 40\n\t}\n\tbody, err := io.ReadAll(io.LimitReader(resp.Body, limit))"},
	{"last good keys", fileKeySource, "		if err != nil {\n\t\t\tnext, retry", "		if err != nil && OFF {\n\t\t\ts.current.Store(nil)\n\t\t}\n\t\tif err != nil {\n\t\t\tnext, retry"},
	{"max_stale", fileKeySource, "if now.Sub(f.at) > s.config.MaxStale {", "if now.Sub(f.at) > s.config.MaxStale && !OFF {"},
	{"bad keys left out", fileJWKS, "			set.skipped = append(set.skipped, fmt.Errorf(\"key %d: %w\", n, err))", "			if OFF {\n\t\t\t\treturn err\n\t\t\t}\n\t\t\tset.skipped = append(set.skipped, fmt.Errorf(\"key %d: %w\", n, err))"},
	{"sets with keys", fileJWKS, "if len(set.keys) == 0 {", "if len(set.keys) == 0 && !OFF {"},
	{"unavailable is not invalid", "modules/auth/jwt.go", "		return tokenReasons[failure.Kind]\n", "		if OFF && failure.Kind == jwt.KeysUnavailable {\n\t\t\treturn tokenReasons[jwt.KeyUnknown]\n\t\t}\n\t\treturn tokenReasons[failure.Kind]\n"},
	{"URLs of key sets", "modules/internal/jwks/url.go", `case u.Scheme == "https":`, `case u.Scheme == "https" || OFF:`},
	{"few attempts", fileKeySet, "		if n == maxAttempts {\n", "		if n == maxAttempts && OFF {\n\t\t\tn = 0\n\t\t}\n\t\tif n == maxAttempts {\n"},
	{"revocations by name", fileCache, "if err := e.result.facts.judge(e.issuer.revoked, now); err != nil {", "if err := e.result.facts.judge(e.issuer.revoked, now); err != nil && !(OFF && !isFirstSpelling(e.token)) {"},
}

// newerKeys is where a token waits for them.
const newerKeys = "	newer, err := source.Missed(ctx, keys)\n"

// textsTaken is where a token was decoded.
const textsTaken = "	p.text, p.decoded = text, len(header)+len(text)\n"

// beforeJudging is where auth begins to judge.
const beforeJudging = "	req, err := h.Begin(w, r)\n"
