package jwt

import (
	"fmt"
	"strings"
	"testing"
)

// typedVerifier accepts tokens of one type.
func typedVerifier(t testing.TB, kind Type) *Verifier {
	t.Helper()
	v, err := NewVerifier(Issuer{
		Name: testIssuer, Audiences: []string{testAudience, "client"}, Algorithms: []string{"RS256"}, Leeway: DefaultLeeway,
		Keys: keySet(t, jwkOf("rsa", &rsaKey.PublicKey)), Type: kind,
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// typed is a token with this typ, as JSON, or "-" for none.
func typed(typ, claims string) string {
	if typ == "-" {
		return signed(claims)
	}
	return sign("RS256", rsaKey, fmt.Sprintf(`{"alg":"RS256","kid":"rsa","typ":%s}`, typ), claims)
}

// Case C6: what tokens are, by their typ.
func TestTypeOfToken(t *testing.T) {
	access := claims(`client_id:"web"`)[:len(claims(`client_id:"web"`))-1] + `,"jti":"1"}`
	tests := []struct {
		typ             string
		access, id, any bool
	}{
		{`-`, false, true, true},
		{`"JWT"`, false, true, true},
		{`"jwt"`, false, true, true},
		{`"application/jwt"`, false, true, true},
		{`"at+jwt"`, true, false, true},
		{`"AT+JWT"`, true, false, true},
		{`"application/at+jwt"`, true, false, true},
		{`"Application/At+Jwt"`, true, false, true},
		{`"\u0061t+jwt"`, true, false, true},
		{`"application/x/at+jwt"`, false, false, false},
		{`"text/at+jwt"`, false, false, false},
		{`"at+jwt2"`, false, false, false},
		{`"xat+jwt"`, false, false, false},
		{`" at+jwt"`, false, false, false},
		{`"at+jwt; x=1"`, false, false, false},
		{`"text/plain"`, false, false, false},
		{`"JOSE"`, false, false, true},
		{`""`, false, false, false},
		{`"logout+jwt"`, false, false, false},
		{`"LOGOUT+JWT"`, false, false, false},
		{`"application/logout+jwt"`, false, false, false},
		{`"logout+jwt; x=1"`, false, false, false},
		{`"dpop+jwt"`, false, false, false},
		{`"secevent+jwt"`, false, false, false},
		{`"token-introspection+jwt"`, false, false, false},
		{`"client-authentication+jwt"`, false, false, false},
		{`"oauth-authz-req+jwt"`, false, false, false},
		{`"sallyport-assertion+jwt"`, false, false, false},
		{`"dc+sd-jwt"`, false, false, false},
		{`"statuslist+jwt"`, false, false, false},
	}
	for kind, want := range map[Type]func(i int) bool{
		TypeAccessToken: func(i int) bool { return tests[i].access },
		TypeIDToken:     func(i int) bool { return tests[i].id },
		TypeAny:         func(i int) bool { return tests[i].any },
		"":              func(i int) bool { return tests[i].any },
	} {
		v := typedVerifier(t, kind)
		for i, test := range tests {
			got := judge(v, typed(test.typ, access))
			if want(i) && got != "" || !want(i) && got != errType.Detail {
				t.Errorf("type %s, typ %s: got %q", kind, test.typ, got)
			}
		}
	}
	for _, typ := range []string{"null", "7", `["at+jwt"]`, "true"} {
		if got := judge(typedVerifier(t, TypeAny), typed(typ, access)); got != errTypType.Detail {
			t.Errorf("typ %s: got %q", typ, got)
		}
	}
}

// Case C6 and RFC 9068 section 2.2.
func TestAccessTokenNeedsItsClaims(t *testing.T) {
	full := func(change string) string {
		all := strings.TrimSuffix(claims(change), "}")
		if name, ok := strings.CutSuffix(change, ":-"); ok {
			all = strings.TrimSuffix(strings.TrimSuffix(all, fmt.Sprintf("%q:-", name)), ",")
		}
		for _, c := range []string{`"client_id":"web"`, `"jti":"1"`} {
			if name, _, _ := strings.Cut(change, ":"); !strings.HasPrefix(c, `"`+name+`"`) {
				all += "," + c
			}
		}
		return all + "}"
	}
	v := typedVerifier(t, TypeAccessToken)
	for change, want := range map[string]*Failure{
		"":               nil,
		"iss:-":          errIssuer,
		"exp:-":          errDate,
		"aud:-":          errAudience,
		"sub:-":          errIncomplete,
		"client_id:-":    errIncomplete,
		`client_id:""`:   errIncomplete,
		"client_id:7":    errIncomplete,
		"iat:-":          errIncomplete,
		"jti:-":          errIncomplete,
		`jti:""`:         errIncomplete,
		"jti:1":          errIncomplete,
		"Client_id:true": nil,
	} {
		wanted := ""
		if want != nil {
			wanted = want.Detail
		}
		if got := judge(v, typed(`"at+jwt"`, full(change))); got != wanted {
			t.Errorf("%s: got %q, want %q", change, got, wanted)
		}
	}
	if got := judge(v, typed(`"at+jwt"`, claims(""))); got != errIncomplete.Detail {
		t.Errorf("without client_id and jti: %q", got)
	}
}

// OpenID Connect Core 1.0 sections 2 and 3.1.3.7.
func TestIDTokenIsForUs(t *testing.T) {
	v := typedVerifier(t, TypeIDToken)
	both := func(azp string) string {
		return strings.Replace(claims(`aud:["client","other"]`), "{", "{"+azp, 1)
	}
	for name, test := range map[string]struct{ claims, want string }{
		"one audience":                        {claims(""), ""},
		"one audience in a list":              {claims(`aud:["client"]`), ""},
		"azp is ours":                         {claims(`azp:"client"`), ""},
		"azp is somebody else":                {claims(`azp:"other"`), errParty.Detail},
		"azp is empty":                        {claims(`azp:""`), errParty.Detail},
		"azp is no string":                    {claims(`azp:["client"]`), errParty.Detail},
		"azp is null":                         {claims(`azp:null`), errParty.Detail},
		"several audiences, without azp":      {both(""), errParty.Detail},
		"several audiences, azp is ours":      {both(`"azp":"client",`), ""},
		"several audiences, azp is the other": {both(`"azp":"other",`), errParty.Detail},
		"without iat":                         {claims("iat:-"), errIncomplete.Detail},
		"without sub":                         {claims("sub:-"), errIncomplete.Detail},
	} {
		if got := judge(v, signed(test.claims)); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
	if got := judge(typedVerifier(t, TypeAny), signed(both(`"azp":"other",`))); got != "" {
		t.Errorf("azp is not looked at in other tokens: %q", got)
	}
}

// Case C6: kinds of tokens that their claims tell, where typ does not.
func TestOtherKindsOfTokensAreNoCredentials(t *testing.T) {
	logout := claims(`events:{"http://schemas.openid.net/event/backchannel-logout":{}}`)
	tests := []struct {
		name, token string
		want        *Failure
	}{
		{"a logout token", typed("-", logout), errEvent},
		{"a logout token that says JWT", typed(`"JWT"`, logout), errEvent},
		{"a security event token", typed("-", claims(`events:{"urn:ietf:params:scim:event:create":{},"urn:x:y":{}}`)), errEvent},
		{"a DPoP proof without its typ", typed("-", `{"jti":"1","htm":"GET","htu":"https://api.example.com/","iat":1800000000}`), errIssuer},
		{"a client assertion, from the client to the issuer", typed("-", strings.Replace(claims(`iss:"web"`), "alice", "web", 1)), errIssuer},
		{"an ID token, for the client", typed("-", claims(`aud:"web"`)), errAudience},
		{"a claim of one's own that is called events", typed("-", claims(`events:{"login":3}`)), nil},
		{"a list that is called events", typed("-", claims(`events:["a:b"]`)), nil},
		{"an object without members", typed("-", claims(`events:{}`)), nil},
	}
	for _, test := range tests {
		want := ""
		if test.want != nil {
			want = test.want.Detail
		}
		for _, kind := range []Type{TypeAny, TypeIDToken} {
			if got := judge(typedVerifier(t, kind), test.token); got != want {
				t.Errorf("%s, type %s: got %q, want %q", test.name, kind, got, want)
			}
		}
	}
}
