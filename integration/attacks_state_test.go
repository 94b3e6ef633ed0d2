package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
)

func tryBrokenFiles(a *attempt) {
	put := func(name, content string) string {
		a.check(os.WriteFile(a.file(name), []byte(content), 0o600))
		return a.file(name)
	}
	site := func(auth, more string) string {
		return "http://spare.test:PORT {\n\tauth {\n" + auth + "\n\t}\n" + more + "\n\treverse_proxy BACKEND\n}\n"
	}
	token := func(file string) string {
		return site("jwt https://a.test {\naudience api\nkey_file "+file+"\n}", "")
	}
	key := func(file, pepper string) string {
		return site("api_key {\nkeys_file "+file+"\npepper "+pepper+"\n}", "")
	}
	good := put("good.json", publicKeys(rsaA))
	for name, config := range map[string]string{
		"no key file":                     token(a.file("nothing")),
		"a key file that is a folder":     token(a.dir),
		"an empty key file":               token(put("empty", "")),
		"a key file of half an object":    token(put("half", `{"keys":[{`)),
		"a key file without keys":         token(put("none", `{"keys":[]}`)),
		"a key file of secrets":           token(put("oct", keySet((&signer{kid: "s", private: []byte("secret")}).jwk(nil)))),
		"a broken PEM file":               token(put("pem", "-----BEGIN PUBLIC KEY-----\nAAAA\n")),
		"no file of API keys":             key(a.file("nothing"), "{file.DIR/pepper}"),
		"an empty file of API keys":       key(a.file("empty"), "{file.DIR/pepper}"),
		"half a file of API keys":         key(put("halfkeys", `{"keys": [{"id": "k7f3a"`), "{file.DIR/pepper}"),
		"no pepper":                       key("DIR/keys.json", "{file.DIR/nothing}"),
		"an empty pepper":                 key("DIR/keys.json", "{file.DIR/empty}"),
		"a pepper that is not set":        key("DIR/keys.json", "{env.NOT_SET_AT_ALL}"),
		"a pepper in the configuration":   key("DIR/keys.json", `"a pepper that everybody can read"`),
		"certificates nobody verifies":    site("mtls", ""),
		"a CA that is not there":          strings.Replace(site("mtls", "\ttls internal {\n\tclient_auth {\n\ttrust_pool file DIR/nothing\n\t}\n\t}"), "http://", "https://", 1),
		"a rule that cannot be read":      site("jwt https://a.test {\naudience api\nkey_file "+good+"\n}", "\taccess_rules {\n\trule a {\n\tpath /*\n\trequire expression `principal.id ==`\n\t}\n\t}"),
		"a rule without a condition":      site("jwt https://a.test {\naudience api\nkey_file "+good+"\n}", "\taccess_rules {\n\trule a {\n\tpath admin*\n\t}\n\t}"),
		"a key set without encryption":    site("jwt https://a.test {\naudience api\njwks http://a.test/keys\n}", ""),
		"an issuer without audience":      site("jwt https://a.test {\nkey_file "+good+"\n}", ""),
		"an algorithm that is none":       site("jwt https://a.test {\naudience api\nalgorithms none\nkey_file "+good+"\n}", ""),
		"a key file without a key for it": site("jwt https://a.test {\naudience api\nalgorithms EdDSA\nkey_file "+good+"\n}", ""),
	} {
		if a.load(config) == nil {
			a.errorf("%s: loaded", name)
		}
	}
	a.check(a.load(token(good)))
}

func tryFailedReload(a *attempt) {
	url, path := a.issuers.publish(publicKeys(rsaA))
	good := spareSite(url + " {\nrefresh 1s 1h\n}")
	a.check(a.load(good))
	token := rsaA.token(nil)
	a.until("the keys", func() bool { return a.bearer("spare.test", token).status == http.StatusOK })
	fetched := a.issuers.asked(path)
	for name, bad := range map[string]string{
		"another policy and a missing file": strings.Replace(good, "audience https://api.test", "audience https://other.test", 1) +
			"http://sparely.test:PORT {\n\tauth {\n\tapi_key {\nkeys_file DIR/nothing\npepper {file.DIR/pepper}\n}\n}\n}\n",
		"a directive that fails late": strings.Replace(good, "reverse_proxy BACKEND", "reverse_proxy BACKEND {\ntransport http {\ntls_trust_pool file DIR/nothing\n}\n}", 1),
		"an address in use":           good + "http://:" + port(a.issuers.addr) + " {\n\tbind 127.0.0.1\n\trespond ok\n}\n",
		"no syntax":                   good + "}",
	} {
		if a.load(bad) == nil {
			a.errorf("%s: loaded", name)
		}
		a.passes("after "+name, a.bearer("spare.test", token))
		a.passes("a new token after "+name, a.bearer("spare.test", rsaA.token(nil)))
		a.refused("another audience after "+name, a.bearer("spare.test", rsaA.token(changes{"aud": "https://other.test"})), tokenAudience, "")
	}
	if n := a.issuers.asked(path); n != fetched {
		a.errorf("the keys were fetched %d times more", n-fetched)
	}
	// What the old configuration shares with those that failed still works.
	newer := ecA.as("newer", "ES256")
	a.issuers.serve(path, publicKeys(rsaA, newer))
	a.until("the new key", func() bool { return a.bearer("spare.test", newer.token(nil)).status == http.StatusOK })
}

// reloads is how often G9 loads its configuration, a quarter of a second each: so long
// the suite has the old servers take connections that were on their way.
const reloads = 100

func tryReloads(a *attempt) {
	url, _ := a.issuers.publish(publicKeys(rsaA))
	a.check(os.WriteFile(a.file("keys.pem"), []byte(publicKeys(ecA)), 0o600))
	config := func(i int) string {
		return spareSite(url, "leeway "+strconv.Itoa(i%60)+"s") + `
http://spare2.test:PORT {
	auth {
		jwt https://a.test {
			audience api
			key_file DIR/keys.pem
		}
		api_key {
			keys_file DIR/keys.json
			pepper {file.DIR/pepper}
		}
	}
	reverse_proxy BACKEND
}
`
	}
	goroutines := func() float64 { return a.gauge(a.spare, "go_goroutines") }
	memory := func() float64 {
		resp, err := http.Get("http://" + a.spare.admin + "/debug/pprof/heap?gc=1&debug=1")
		a.check(err)
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		a.check(err)
		return a.gauge(a.spare, "go_memstats_heap_inuse_bytes")
	}
	const step = reloads / 4
	for i := range 5 { // they fill pools
		a.check(a.load(config(i)))
	}
	before, heap := goroutines(), memory()
	for i := range reloads {
		a.check(a.load(config(i)))
		if i%step == step-1 {
			// Some end a moment later.
			a.until("the goroutines of old configurations to end", func() bool { return goroutines() < before+step })
		}
	}
	if now := memory(); now > 2*heap+(16<<20) {
		a.errorf("%v bytes after %d reloads, and %v before", now, reloads, heap)
	}
	a.until("the keys", func() bool { return a.bearer("spare.test", rsaA.token(nil)).status == http.StatusOK })
}

// gauge reads a metric without labels.
func (a *attempt) gauge(g *gateway, name string) float64 {
	for line := range strings.Lines(a.metrics(g)) {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			a.check(err)
			return value
		}
	}
	a.fatalf("there is no metric %s", name)
	return 0
}

func tryWrongSecrets(a *attempt) {
	id := func(key string) string { return strings.Split(key, "_")[1] }
	otherSecret := strings.Split(a.keys["acme"], "_")[2]
	wrong := map[string]string{
		"an id that does not exist":           rekeyed("nobody", otherSecret),
		"a known id and another key's secret": rekeyed(id(a.keys["office"]), otherSecret),
		"a revoked id and a wrong secret":     rekeyed(id(a.keys["former"]), otherSecret),
		"the last letter of the secret": rekeyed(id(a.keys["acme"]), otherSecret[:len(otherSecret)-1]+
			map[bool]string{true: "0", false: "1"}[!strings.HasSuffix(otherSecret, "0")]),
		"the first letter of the secret": rekeyed(id(a.keys["acme"]), map[bool]string{true: "0", false: "1"}[!strings.HasPrefix(otherSecret, "0")]+otherSecret[1:]),
	}
	var first answer
	var like string
	for name, key := range wrong {
		got := a.ask("GET", "keys.test", "/", "X-Api-Key", key)
		a.refusedWith(name, got, http.StatusUnauthorized, challengeKey, keyUnknown, "")
		if got = withoutIDs(got); like == "" {
			first, like = got, name
		} else if got.body != first.body || fmt.Sprint(got.header) != fmt.Sprint(first.header) {
			a.errorf("%s is answered differently than %s: %v %s, and %v %s", name, like, got.header, got.body, first.header, first.body)
		}
	}
	// What is told to the owner of a secret is not told to who has none.
	a.refusedWith("the right secret of a revoked key", a.ask("GET", "keys.test", "/", "X-Api-Key", a.keys["former"]), http.StatusUnauthorized, challengeKey, "auth.key_revoked", "")
	a.refusedWith("a checksum that is wrong", a.ask("GET", "keys.test", "/", "X-Api-Key", a.keys["acme"][:len(a.keys["acme"])-1]), http.StatusUnauthorized, challengeKey, keyMalformed, "")
	a.passes("a good key", a.ask("GET", "keys.test", "/", "X-Api-Key", a.keys["acme"]))
}

// withoutIDs is an answer without what differs between any two.
func withoutIDs(got answer) answer {
	got.header.Del("Date")
	var problem map[string]any
	if json.Unmarshal([]byte(got.body), &problem) == nil {
		delete(problem, "request_id")
		got.body = text(problem)
	}
	return got
}

func tryCacheKeys(a *attempt) {
	good := rsaA.token(nil)
	a.passes("a token", a.bearer("api.test", good))
	a.passes("the token again, from the cache", a.bearer("api.test", good))
	first, rest, _ := strings.Cut(good, ".")
	second, third, _ := strings.Cut(rest, ".")
	forged := stranger.as("a-rsa", "RS256").seal(first + "." + second)
	a.refused("the same claims, signed by another", a.bearer("api.test", forged), tokenSignature, "")
	a.refused("without the signature", a.bearer("api.test", first+"."+second+"."), tokenSignature, "")
	for name, token := range map[string]string{
		"the first dot moved":    first[:len(first)-4] + "." + first[len(first)-4:] + second + "." + third,
		"the second dot moved":   first + "." + second + third[:4] + "." + third[4:],
		"the second dot at 0":    first + ".." + second + third,
		"both dots in one place": first + second + ".." + third,
	} {
		a.refused(name, a.bearer("api.test", token), "", "")
	}
	// Another site's alternatives are another decision, whatever was cached here.
	a.refusedWith("the token at a site that takes none", a.ask("GET", "keys.test", "/", "X-Api-Key", good), http.StatusUnauthorized, challengeKey, keyMalformed, "")
	a.passes("the token again", a.bearer("api.test", good))
}

func trySecrets(a *attempt) {
	id := strings.Split(a.keys["acme"], "_")[1]
	secrets := map[string]string{"pepper": pepper, "client secret": clientSecret}
	note := func(name, credential string) string {
		for i, part := range strings.FieldsFunc(credential, func(r rune) bool { return r == '.' || r == '_' }) {
			if len(part) > 12 && part != id {
				secrets[fmt.Sprint(name, " part ", i)] = part
			}
		}
		return credential
	}
	var answers []answer
	for name, s := range map[string]*signer{"good": rsaA, "forged": stranger} {
		token := func(place string) string {
			return note(name+" token in the "+place, s.tokenWith(nil, changes{"sub": "subject", "mark": place}))
		}
		for _, site := range []string{"places.test", "around.test", "api.test"} {
			for _, path := range []string{"/private/x", "/", "/private//x"} {
				answers = append(answers, a.ask("GET", site, path, "Authorization", "Bearer "+token("header")),
					a.ask("GET", site, path, "X-Session", token("session")),
					a.ask("GET", site, path, "Cookie", "a=b; session="+token("cookie")),
					a.ask("GET", site, path+"?a=b&access_token="+token("query")+"&c=d"),
					a.ask("GET", site, path, "Authorization", "Bearer "+token("header"), "Cookie", "session="+token("cookie")))
			}
		}
	}
	for _, owner := range []string{"acme", "former", "office"} {
		answers = append(answers, a.ask("GET", "keys.test", "/", "X-Api-Key", note("key", a.keys[owner])))
	}
	answers = append(answers, a.ask("GET", "keys.test", "/", "X-Api-Key", note("unknown key", rekeyed("nobody", "0123456789abcdefghjkmnpqrstvwxyz"))),
		a.ask("GET", "places.test", "/", "Authorization", "Basic "+note("password", b64([]byte("user:a very secret password")))))
	for _, got := range answers {
		if got.status == http.StatusOK {
			got.body = "" // the backend's, who was told what it was told
		}
		a.keeps(secrets, "an answer", got.body+fmt.Sprint(got.header))
	}
	a.keeps(secrets, "the metrics", a.metrics(a.gateway))
	a.keeps(secrets, "the configuration", a.page(a.gateway, "/config/"))
	a.until("the events", func() bool {
		events, _ := os.ReadFile(a.file("events.json"))
		return strings.Contains(string(events), tokenKey)
	})
	events, err := os.ReadFile(a.file("events.json"))
	a.check(err)
	a.keeps(secrets, "the events", string(events))
	a.keeps(secrets, "the log", a.gateway.log.String())
}

// keeps demands that a text has none of the secrets in it.
func (a *attempt) keeps(secrets map[string]string, what, text string) {
	for name, secret := range secrets {
		if at := strings.Index(text, secret); at >= 0 {
			a.errorf("%s shows the %s: %.300s", what, name, text[max(0, at-200):])
		}
	}
}

func (a *attempt) page(g *gateway, path string) string {
	resp, err := http.Get("http://" + g.admin + path)
	a.check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	a.check(err)
	return string(body)
}
