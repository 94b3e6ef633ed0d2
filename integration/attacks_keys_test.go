package integration

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const keysUnavailable = "auth.keys_unavailable"

var attacksOnKeys = []attack{
	{id: "J1", promise: "a flood of random key ids causes one fetch, and valid tokens pass meanwhile", try: tryRandomKids, apart: true,
		twins: []string{"one fetch in an interval"}},
	{id: "J2", promise: "who uses up the fetches does not keep a new key out", try: tryBurnedFetches, apart: true,
		twins: []string{"fetches that come back"}},
	{id: "J3", promise: "a new key works at once, and a dropped one no longer, for cached tokens too", try: tryRotation, apart: true,
		twins: []string{"looking for newer keys", "keys of cached tokens"}},
	{id: "J4", promise: "whatever the issuer answers, its last good keys stay, but not for ever", try: tryBadIssuers, apart: true,
		twins: []string{"same host", "size of key sets", "last good keys", "max_stale", "bad keys left out", "sets with keys"}},
	{id: "J5", promise: "a start without the issuer serves all others", try: tryColdStart,
		twins: []string{"unavailable is not invalid"}},
	{id: "J6", promise: "no request chooses where keys are fetched", try: tryChosenURLs,
		twins: []string{"URLs of key sets"}},
	{id: "J7", promise: "a token without a key id is not tried with hundreds of keys", try: tryManyKeys,
		twins: []string{"few attempts"}},
	{id: "J8", promise: "a key that changed under its id is found, and nobody can make that a flood", try: tryChangedKey, apart: true,
		twins: []string{"newer keys for bad signatures", "one fetch in an interval"}},
	{id: "J9", promise: "a revoked token stays revoked with another signature", try: tryRevoked,
		twins: []string{"revocations by name"}},
}

// keysFrom has the spare gateway use a key set with options, and failures unlimited:
// who floods here does so to reach the keys.
func (a *attempt) keysFrom(set, options string) (path string) {
	url, path := a.issuers.publish(set)
	site := spareSite(url + " {\n" + options + "\n}")
	a.check(a.load(strings.Replace(site, "auth {", "auth {\nfailures off", 1)))
	a.untilServed("spare.test")
	return path
}

func (a *attempt) untilServed(site string) {
	a.until("the keys", func() bool { return a.bearer(site, rsaA.token(nil)).status == http.StatusOK })
}

// flood sends n requests with other tokens each, and demands that they are refused.
func (a *attempt) flood(n int, token func(i int) string) {
	var left atomic.Int64
	left.Store(int64(n))
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			client := a.client(a.spareAt)
			client.Transport.(*http.Transport).DisableKeepAlives = false
			defer client.CloseIdleConnections()
			for i := left.Add(-1); i >= 0; i = left.Add(-1) {
				r, err := http.NewRequestWithContext(context.Background(), "GET", "http://spare.test/", nil)
				if err != nil {
					a.errorf("%v", err)
					return
				}
				r.Header.Set("Authorization", "Bearer "+token(int(i)))
				resp, err := client.Do(r)
				if err != nil {
					a.errorf("%v", err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != http.StatusUnauthorized {
					a.errorf("a request of the flood got %d", resp.StatusCode)
					return
				}
			}
		})
	}
	clients.Wait()
}

func randomKid(i int) string {
	return stranger.as("kid-"+strconv.Itoa(i), "RS256").compact(fmt.Sprintf(`{"alg":"RS256","kid":"kid-%d"}`, i), `{"iss":"https://a.test"}`)
}

func tryRandomKids(a *attempt) {
	path := a.keysFrom(publicKeys(rsaA), "refresh 1h 1h")
	cached := rsaA.token(nil)
	a.passes("a token", a.bearer("spare.test", cached))
	before, began := a.issuers.asked(path), time.Now()
	goroutines := a.gauge(a.spare, "go_goroutines")
	stop := make(chan struct{})
	var valid sync.WaitGroup
	valid.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if got := a.bearer("spare.test", cached); got.status != http.StatusOK {
				a.errorf("a valid token got %d during the flood", got.status)
				return
			}
		}
	})
	a.flood(2000, randomKid)
	close(stop)
	valid.Wait()
	// As many as there are intervals, and the one that was due.
	intervals := 1 + int(time.Since(began)/(15*time.Second))
	if n := a.issuers.asked(path) - before; n > intervals {
		a.errorf("%d fetches in %v", n, time.Since(began))
	}
	if n := a.gauge(a.spare, "go_goroutines"); n > goroutines+100 {
		a.errorf("%v goroutines, and %v before", n, goroutines)
	}
	a.passes("a new token", a.bearer("spare.test", rsaA.token(nil)))
}

func tryBurnedFetches(a *attempt) {
	path := a.keysFrom(publicKeys(rsaA), "refresh 1s 1h")
	newer := ecA.as("newer", "ES256")
	stop := make(chan struct{})
	var burning sync.WaitGroup
	burning.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				a.bearer("spare.test", randomKid(i))
			}
		}
	})
	defer func() {
		close(stop)
		burning.Wait()
	}()
	before := a.issuers.asked(path)
	a.until("the flood to use up a fetch", func() bool { return a.issuers.asked(path) > before })
	a.issuers.serve(path, publicKeys(rsaA, newer))
	a.until("the new key", func() bool { return a.bearer("spare.test", newer.token(nil)).status == http.StatusOK })
}

func tryRotation(a *attempt) {
	older, newer := ecB.as("older", "ES256"), ecA.as("newer", "ES256")
	asA := *older
	asA.issuer = "https://a.test"
	older = &asA
	path := a.keysFrom(publicKeys(rsaA, older), "refresh 1s 2s")
	cached := older.token(nil)
	a.passes("a token of the old key", a.bearer("spare.test", cached))
	a.passes("the same, from the cache", a.bearer("spare.test", cached))
	a.issuers.serve(path, publicKeys(rsaA, older, newer))
	for i := range 5 {
		a.passes(fmt.Sprintf("token %d of the new key", i), a.bearer("spare.test", newer.token(nil)))
		a.passes("a token of the old key beside it", a.bearer("spare.test", older.token(nil)))
		a.passes("the cached one beside it", a.bearer("spare.test", cached))
	}
	a.issuers.serve(path, publicKeys(rsaA, newer))
	a.until("the cached token of the dropped key to be refused", func() bool {
		a.passes("a token of the new key meanwhile", a.bearer("spare.test", newer.token(nil)))
		return a.bearer("spare.test", cached).status == http.StatusUnauthorized
	})
	a.refused("a new token of the dropped key", a.bearer("spare.test", older.token(nil)), tokenKey, "")
}

// huge is as much as an endless answer sends.
const huge = 64 << 20

func tryBadIssuers(a *attempt) {
	newer := ecA.as("newer", "ES256")
	var sent atomic.Int64
	hang := make(chan struct{})
	a.atEnd(func() { close(hang) })
	modes := map[string]http.HandlerFunc{
		"500":              func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"404":              http.NotFound,
		"nothing":          func(http.ResponseWriter, *http.Request) {},
		"no end":           func(_ http.ResponseWriter, r *http.Request) { wait(r, hang) },
		"a slow answer":    func(w http.ResponseWriter, r *http.Request) { drip(w, r, hang) },
		"HTML":             func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html><body>Sign in</body></html>") },
		"an object":        func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") },
		"no keys":          func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"keys":[]}`) },
		"half of it":       func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, publicKeys(rsaA)[:100]) },
		"a reset":          func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"a redirect":       redirect("http://" + a.nobody + "/keys"),
		"a redirect home":  redirect("http://169.254.169.254/latest/meta-data/"),
		"a redirect https": redirect("https://" + a.nobody + "/keys"),
		"a gigabyte": func(w http.ResponseWriter, _ *http.Request) {
			chunk := []byte(strings.Repeat(" ", 64<<10))
			for sent.Load() < huge {
				n, err := w.Write(chunk)
				if sent.Add(int64(n)); err != nil {
					return
				}
			}
		},
	}
	var sites strings.Builder
	paths, hosts := make(map[string]string), make(map[string]string)
	for i, mode := range names(modes) {
		url, path := a.issuers.publish(publicKeys(rsaA))
		host := fmt.Sprintf("spare%d.test", i)
		paths[mode], hosts[mode] = path, host
		sites.WriteString(strings.Replace(spareSite(url+" {\nrefresh 1s 1s\n}"), "spare.test", host, 1))
	}
	bad, badPath := a.issuers.publish(publicKeys(rsaA))
	stale, stalePath := a.issuers.publish(publicKeys(rsaA))
	sites.WriteString(strings.Replace(spareSite(bad+" {\nrefresh 1s 1s\n}"), "spare.test", "spare-bad.test", 1))
	sites.WriteString(strings.Replace(spareSite(stale+" {\nrefresh 1s 1s\nmax_stale 1s\n}"), "spare.test", "spare-stale.test", 1))
	a.check(a.load(sites.String()))
	cached := rsaA.token(nil)
	for _, mode := range names(modes) {
		a.untilServed(hosts[mode])
		a.passes("a token", a.bearer(hosts[mode], cached))
	}
	a.untilServed("spare-bad.test")
	a.untilServed("spare-stale.test")

	asked := make(map[string]int)
	for mode, handler := range modes {
		asked[mode] = a.issuers.asked(paths[mode])
		a.issuers.answer(paths[mode], handler)
	}
	a.issuers.answer(stalePath, modes["500"])
	a.issuers.serve(badPath, strings.Replace(publicKeys(rsaA, newer), `"keys":[`, `"keys":[{"kty":"RSA","kid":"bad","n":"AQAB"},7,`, 1))

	a.until("the good key beside bad ones", func() bool { return a.bearer("spare-bad.test", newer.token(nil)).status == http.StatusOK })
	for _, mode := range names(modes) {
		a.until("a fetch answered with "+mode, func() bool {
			return a.issuers.asked(paths[mode]) > asked[mode]+1 || hangs(mode) && a.issuers.asked(paths[mode]) > asked[mode]
		})
		a.passes("a cached token after "+mode, a.bearer(hosts[mode], cached))
		a.passes("a new token after "+mode, a.bearer(hosts[mode], rsaA.token(nil)))
	}
	if n := sent.Load(); n > huge/4 {
		a.errorf("it read %d bytes of a key set", n)
	}
	if n := a.reached.Swap(0); n != 0 {
		a.errorf("it followed a redirect to another host %d times", n)
	}
	a.until("keys to be too old", func() bool { return a.bearer("spare-stale.test", cached).status == http.StatusServiceUnavailable })
	got := a.bearer("spare-stale.test", rsaA.token(nil))
	a.refusedWith("keys that are too old", got, http.StatusServiceUnavailable, "", keysUnavailable, "")
	if after, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || after < 1 {
		a.errorf("Retry-After is %q", got.header.Get("Retry-After"))
	}
	a.issuers.serve(stalePath, publicKeys(rsaA, newer))
	a.issuers.serve(paths["HTML"], publicKeys(rsaA, newer))
	for _, host := range []string{"spare-stale.test", hosts["HTML"]} {
		a.until("recovery", func() bool { return a.bearer(host, newer.token(nil)).status == http.StatusOK })
	}
}

func hangs(mode string) bool {
	return mode == "no end" || mode == "a slow answer" || mode == "a gigabyte"
}

func names(modes map[string]http.HandlerFunc) []string {
	var list []string
	for mode := range modes {
		list = append(list, mode)
	}
	slices.Sort(list)
	return list
}

func redirect(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
}

func wait(r *http.Request, end <-chan struct{}) {
	select {
	case <-r.Context().Done():
	case <-end:
	}
}

// drip sends a byte now and then.
func drip(w http.ResponseWriter, r *http.Request, end <-chan struct{}) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := io.WriteString(w, " "); err != nil || http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-end:
			return
		case <-tick.C:
		}
	}
}

func tryColdStart(a *attempt) {
	down, path := a.issuers.publish("")
	a.issuers.answer(path, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	up, _ := a.issuers.publish(publicKeys(rsaB))
	site := spareSite(down + " {\nrefresh 1s 1s\n}")
	site = strings.Replace(site, "\tauth {", "\tauth {\n\t\tjwt https://b.test {\n\t\t\taudience https://api.test\n\t\t\tjwks "+up+"\n\t\t}", 1)
	a.check(a.load(site))
	a.until("the other issuer's keys", func() bool { return a.bearer("spare.test", rsaB.token(nil)).status == http.StatusOK })
	for name, token := range map[string]string{"valid": rsaA.token(nil), "forged": stranger.token(nil)} {
		got := a.bearer("spare.test", token)
		a.refusedWith("a "+name+" token of the issuer that is down", got, http.StatusServiceUnavailable, "", keysUnavailable, "")
		if got.header.Get("Retry-After") == "" {
			a.errorf("there is no Retry-After")
		}
	}
	a.passes("the other issuer's token", a.bearer("spare.test", rsaB.token(nil)))
	a.issuers.serve(path, publicKeys(rsaA))
	a.untilServed("spare.test")
}

func tryChosenURLs(a *attempt) {
	for _, url := range []string{
		"https://{http.request.host}/keys", "https://{host}/keys", "https://{http.request.header.X-Issuer}/keys", "{http.request.header.X-Keys}",
		"https://{http.request.uri.query.iss}/keys", "http://a.test/keys", "http://169.254.169.254/keys", "http://10.0.0.1/keys", "file:///etc/passwd", "//a.test/keys",
		"https://user:password@a.test/keys", "https://a.test/keys#x", "gopher://127.0.0.1/keys", "https:///keys", "unix:///run/keys", "http://127.0.0.1.evil.test/keys",
	} {
		if a.load(spareSite(url)) == nil {
			a.errorf("%s: loaded", url)
		}
	}
	// What a token or a request says is not looked at.
	evil := "http://" + a.nobody
	a.keysOnSpare(publicKeys(rsaA))
	for _, claims := range []changes{{"iss": evil}, {"iss": evil + "/.well-known"}, {"iss": "https://a.test", "jku": evil, "jwks_uri": evil}} {
		got := a.ask("GET", "spare.test", "/?iss="+evil, "Authorization", "Bearer "+stranger.tokenWith(changes{"jku": evil}, claims), "X-Issuer", evil, "Host", a.nobody)
		if got.status == http.StatusOK && got.body != "" {
			a.errorf("%v: got %s", claims, got.body)
		}
		got = a.ask("GET", "spare.test", "/?iss="+evil, "Authorization", "Bearer "+stranger.tokenWith(changes{"jku": evil}, claims), "X-Issuer", evil)
		a.refused(fmt.Sprint(claims), got, "", "")
	}
	if n := a.reached.Swap(0); n != 0 {
		a.errorf("it made %d connections where a request told it to", n)
	}
}

func tryManyKeys(a *attempt) {
	keys := []*signer{rsaA}
	for i := range 200 {
		keys = append(keys, &signer{"https://a.test", fmt.Sprintf("k%d", i), "ES256", newEC()})
	}
	last := keys[len(keys)-1]
	a.keysOnSpare(publicKeys(keys...))
	a.passes("the last of 200 keys, by its id", a.bearer("spare.test", last.token(nil)))
	a.refused("the last of 200 keys, without an id", a.bearer("spare.test", last.tokenWith(changes{"kid": nil}, nil)), tokenKey, "")
	a.passes("the only key of its type, without an id", a.bearer("spare.test", rsaA.tokenWith(changes{"kid": nil}, nil)))
	for i := range 100 {
		keys = append(keys, last.as(fmt.Sprintf("more%d", i), "ES256"))
	}
	url, path := a.issuers.publish(publicKeys(keys...))
	a.check(a.load(spareSite(url)))
	a.until("a fetch", func() bool { return a.issuers.asked(path) > 0 })
	a.refusedWith("a set of 300 keys", a.bearer("spare.test", last.token(nil)), http.StatusServiceUnavailable, "", keysUnavailable, "")
}

func tryChangedKey(a *attempt) {
	path := a.keysFrom(publicKeys(rsaA), "refresh 5s 1h")
	changed := *rsaB
	changed.issuer, changed.kid = "https://a.test", rsaA.kid
	cached := rsaA.token(nil)
	a.passes("a token of the key", a.bearer("spare.test", cached))
	a.issuers.serve(path, publicKeys(&changed))
	a.passes("the first token of the changed key", a.bearer("spare.test", changed.token(nil)))
	a.refused("a cached token of the key it was", a.bearer("spare.test", cached), tokenSignature, "")
	before, began := a.issuers.asked(path), time.Now()
	forged := stranger.as(rsaA.kid, "RS256")
	a.flood(300, func(int) string { return forged.token(nil) })
	if n, intervals := a.issuers.asked(path)-before, 1+int(time.Since(began)/(5*time.Second)); n > intervals {
		a.errorf("%d fetches in %v", n, time.Since(began))
	}
}

func tryRevoked(a *attempt) {
	revoked := func(claims changes) (entry map[string]any) {
		entry = map[string]any{"issuer": "https://a.test"}
		for name, value := range claims {
			entry[name] = value
		}
		return entry
	}
	file := a.file("revoked.json")
	list := func(entries ...map[string]any) {
		next := file + ".next"
		a.check(os.WriteFile(next, []byte(text(map[string]any{"revocations": entries})), 0o600))
		a.check(os.Rename(next, file))
	}
	list(revoked(changes{"sub": "nobody"}))
	url, _ := a.issuers.publish(publicKeys(rsaA, ecA))
	a.check(a.load(strings.Replace(spareSite(url), "auth {", "auth {\nrevocation {\nfile "+file+"\n}", 1)))
	a.untilServed("spare.test")

	ids := map[string]changes{"jti": {"jti": "the one"}, "sub": {"sub": "mallory"}, "sid": {"sid": "session 7"}}
	tokens := make(map[string]string)
	var entries []map[string]any
	for name, claims := range ids {
		tokens[name] = ecA.token(claims)
		a.passes("a token that is not yet revoked by "+name, a.bearer("spare.test", tokens[name]))
		a.passes("its twin", a.bearer("spare.test", malleated(tokens[name])))
		entries = append(entries, revoked(claims))
	}
	list(entries...)
	for name, token := range tokens {
		a.until("the revocation by "+name, func() bool { return a.bearer("spare.test", token).status == http.StatusUnauthorized })
		a.refused("a token revoked by "+name, a.bearer("spare.test", token), "auth.token_revoked", "")
		a.refused("the same with the other signature, revoked by "+name, a.bearer("spare.test", malleated(token)), "auth.token_revoked", "")
		a.refused("the same signed anew, revoked by "+name, a.bearer("spare.test", ecA.token(ids[name])), "auth.token_revoked", "")
	}
	a.passes("somebody else's token", a.bearer("spare.test", ecA.token(nil)))
}

// malleated is a token with the other of the two signatures that are good.
func malleated(token string) string {
	at := strings.LastIndexByte(token, '.')
	signature, err := unb64(token[at+1:])
	if err != nil {
		panic(err)
	}
	order := ecA.private.(*ecdsa.PrivateKey).Params().N
	s := new(big.Int).SetBytes(signature[32:])
	return token[:at+1] + b64(joined(new(big.Int).SetBytes(signature[:32]), s.Sub(order, s), 32))
}
