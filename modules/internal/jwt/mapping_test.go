package jwt

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

// mapped makes a principal of claims, which are those of a good token and those of
// change, by the mapping of c. It returns the principal without claims, or why
// there is none.
func mapped(t testing.TB, c Issuer, change string) string {
	t.Helper()
	c.Name, c.Audiences, c.Algorithms, c.Leeway = testIssuer, []string{testAudience}, []string{"RS256"}, DefaultLeeway
	c.Keys = keySet(t, jwkOf("rsa", &rsaKey.PublicKey))
	v, err := NewVerifier(c)
	if err != nil {
		t.Fatal(err)
	}
	text := claims("")
	if strings.HasPrefix(change, "{") {
		text = text[:len(text)-1] + "," + change[1:]
	} else {
		text = claims(change)
	}
	token, err := v.Verify(t.Context(), signed(text), testNow)
	if err != nil {
		return err.Error()
	}
	p := token.Principal
	got, _ := json.Marshal([]any{p.ID, p.Scopes, p.Roles, p.Tier})
	return string(got)
}

func TestMapping(t *testing.T) {
	scopes := func(paths ...string) Issuer { return Issuer{ScopesClaims: paths} }
	roles := func(paths ...string) Issuer { return Issuer{RolesClaims: paths} }
	subject := func(path string) Issuer { return Issuer{SubjectClaim: path} }
	tests := []struct {
		name   string
		issuer Issuer
		claims string
		want   string
	}{
		{"without a mapping there is only the subject", Issuer{}, `{"scope":"a","roles":["b"],"tier":"c"}`, `["alice",null,null,""]`},
		{"the first of two scope claims is there", scopes("scope", "scp"), `{"scope":"a b"}`, `["alice",["a","b"],null,""]`},
		{"the second is there", scopes("scope", "scp"), `{"scp":["c"]}`, `["alice",["c"],null,""]`},
		{"both count, in order", scopes("scope", "scp"), `{"scp":["c"],"scope":"a b"}`, `["alice",["a","b","c"],null,""]`},
		{"neither is there", scopes("scope", "scp"), ``, `["alice",null,null,""]`},
		{"the second has an unexpected type", scopes("scope", "scp"), `{"scp":7,"scope":"a b"}`, errMapped.Detail},
		{"the first has an unexpected type", scopes("scope", "scp"), `{"scp":"c","scope":{"a":true}}`, errMapped.Detail},
		{"roles of the realm and of a client", roles("realm_access.roles", "resource_access.api.roles"),
			`{"realm_access":{"roles":["r"]},"resource_access":{"api":{"roles":["a","b"]},"other":{"roles":["c"]}}}`, `["alice",null,["r","a","b"],""]`},
		{"C9: a role with a comma is one role", roles("roles"), `{"roles":["user,admin"]}`, `["alice",null,["user,admin"],""]`},
		{"C9: a role with a space is one role", roles("roles"), `{"roles":"user admin"}`, `["alice",null,["user admin"],""]`},
		{"C9: a scope with a comma is one scope", scopes("scope"), `{"scope":"user,admin"}`, `["alice",["user,admin"],null,""]`},
		{"C9: a tab does not separate scopes", scopes("scope"), `{"scope":"user\tadmin"}`, `["alice",[],null,""]`},
		{"C9: a line break does not", scopes("scope"), `{"scope":"user\nadmin"}`, `["alice",[],null,""]`},
		{"C9: a no-break space does not", scopes("scope"), `{"scope":"user\u00a0admin"}`, `["alice",[],null,""]`},
		{"C9: an ideographic space does not", scopes("scope"), `{"scope":"user\u3000admin"}`, `["alice",[],null,""]`},
		{"C9: a space in an element is no separator", scopes("scope"), `{"scope":["user admin","b"]}`, `["alice",["b"],null,""]`},
		{"C9: a list in a string is no list", scopes("scope"), `{"scope":"[\"admin\"]"}`, `["alice",[],null,""]`},
		{"a list in a list is refused", roles("roles"), `{"roles":[["admin"]]}`, errMapped.Detail},
		{"true is no role", roles("roles"), `{"roles":true}`, errMapped.Detail},
		{"a path into a list finds nothing", roles("groups.name"), `{"groups":[{"name":"admin"}]}`, `["alice",null,null,""]`},
		{"a name with dots", roles(`resource_access.my\.api.roles`), `{"resource_access":{"my.api":{"roles":["a"]},"my":{"api":{"roles":["b"]}}}}`, `["alice",null,["a"],""]`},
		{"the same path without a backslash", roles(`resource_access.my.api.roles`), `{"resource_access":{"my.api":{"roles":["a"]},"my":{"api":{"roles":["b"]}}}}`, `["alice",null,["b"],""]`},
		{"a name with a backslash", roles(`a\\b`), `{"a\\b":["c"]}`, `["alice",null,["c"],""]`},
		{"a URL as a name", roles("https://example.com/roles"), `{"https://example.com/roles":["a"]}`, `["alice",null,["a"],""]`},
		{"a URL as a name, escaped", roles(`https://example\.com/roles`), `{"https://example.com/roles":["a"],"https://example":{"com/roles":["b"]}}`, `["alice",null,["a"],""]`},
		{"the whole name wins over the path", roles("a.b"), `{"a.b":["whole"],"a":{"b":["path"]}}`, `["alice",null,["whole"],""]`},
		{"the whole name wins also where it is null", roles("a.b"), `{"a.b":null,"a":{"b":["path"]}}`, `["alice",null,null,""]`},
		{"an escaped path is no whole name", roles(`a\.x.b`), `{"a.x":["first"]}`, `["alice",null,null,""]`},

		{"the subject is another claim", subject("oid"), `{"oid":"0000-1"}`, `["0000-1",null,null,""]`},
		{"sub does not stand in for it", subject("oid"), "", errSubject.Detail},
		{"the subject at a path", subject("act.sub"), `{"act":{"sub":"robot"}}`, `["robot",null,null,""]`},
		{"C8: a number is its text", subject("uid"), "uid:9007199254740993", `["9007199254740993",null,null,""]`},
		{"C8: a number of 40 digits is its text", subject("uid"), "uid:" + strings.Repeat("9", 40), `["` + strings.Repeat("9", 40) + `",null,null,""]`},
		{"C8: a number with an exponent has other spellings", subject("uid"), "uid:1e3", errSubject.Detail},
		{"C8: a fraction has other spellings", subject("uid"), "uid:1000.0", errSubject.Detail},
		{"C8: a number below zero is refused", subject("uid"), "uid:-1", errSubject.Detail},
		{"C8: a numeric sub is refused", subject("sub"), "sub:7", errSubject.Detail},
		{"a subject of another type is refused", subject("uid"), `uid:["a"]`, errSubject.Detail},
		{"null is no subject", subject("uid"), "uid:null", errSubject.Detail},
		{"false is no subject", subject("uid"), "uid:false", errSubject.Detail},
		{"an empty subject is refused", subject("uid"), `uid:""`, errSubject.Detail},
		{"C10: a subject with CR LF is refused", subject("uid"), `uid:"a\r\nX: y"`, errSubject.Detail},
		{"C10: a subject with NUL is refused", subject("uid"), `uid:"a\u0000"`, errSubject.Detail},
		{"C10: a subject with a C1 control is refused", subject("uid"), `uid:"a\u0085b"`, errSubject.Detail},
		{"C10: a subject of 2 kB is refused", subject("uid"), `uid:"` + strings.Repeat("a", 2<<10) + `"`, errSubject.Detail},
		{"C10: a number of 2 kB is refused", subject("uid"), `uid:` + strings.Repeat("9", 2<<10), errSubject.Detail},
		{"C7: OID is another claim than oid", subject("oid"), `{"OID":"root"}`, errSubject.Detail},
		{"C11: claims that nobody maps may be of any type", Issuer{ScopesClaims: []string{"scope"}}, `{"email":7,"name":{"a":[]},"groups":true}`, `["alice",null,null,""]`},
		{"the tier at a path", Issuer{TierClaim: "plan.name"}, `{"plan":{"name":"gold"}}`, `["alice",null,null,"gold"]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := mapped(t, test.issuer, test.claims); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	withoutSub := Issuer{SubjectClaim: "oid", Name: testIssuer, Audiences: []string{testAudience}, Algorithms: []string{"RS256"}, Keys: keySet(t, jwkOf("rsa", &rsaKey.PublicKey))}
	v := must(NewVerifier(withoutSub))
	if got := judge(v, signed(strings.Replace(claims("sub:-"), "{", `{"oid":"1",`, 1))); got != "" {
		t.Errorf("a token without sub, whose subject is another claim: %s", got)
	}
}

func TestRequiredClaims(t *testing.T) {
	is := func(path string, values ...string) []RequiredClaim { return []RequiredClaim{{path, values}} }
	tests := []struct {
		name     string
		required []RequiredClaim
		claims   string
		ok       bool
	}{
		{"it is there", is("email"), `email:"a@example.com"`, true},
		{"it is there and empty", is("email"), `email:""`, true},
		{"it is false, which is there", is("email_verified"), "email_verified:false", true},
		{"it is missing", is("email"), "", false},
		{"it is null", is("email"), "email:null", false},
		{"it is there in another case", is("email"), `Email:"a@example.com"`, false},
		{"one of the values", is("token_use", "access", "id"), `token_use:"id"`, true},
		{"another value", is("token_use", "access"), `token_use:"id"`, false},
		{"a value in another case", is("token_use", "access"), `token_use:"Access"`, false},
		{"a value with a space behind it", is("token_use", "access"), `token_use:"access "`, false},
		{"missing, with values", is("token_use", "access"), "", false},
		{"null, and a value of that name", is("token_use", "null"), "token_use:null", false},
		{"true", is("email_verified", "true"), "email_verified:true", true},
		{"false is not true", is("email_verified", "true"), "email_verified:false", false},
		{"false", is("email_verified", "false"), "email_verified:false", true},
		{"a number as it is written", is("level", "3"), "level:3", true},
		{"a number that is written otherwise", is("level", "3"), "level:3.0", false},
		{"an array has it", is("amr", "mfa", "hwk"), `amr:["pwd","mfa"]`, true},
		{"an array does not have it", is("amr", "mfa"), `amr:["pwd","mfa2"]`, false},
		{"an empty array", is("amr", "mfa"), `amr:[]`, false},
		{"an array in an array is not looked into", is("amr", "mfa"), `amr:[["mfa"]]`, false},
		{"an object equals nothing", is("amr", "mfa"), `amr:{"mfa":true}`, false},
		{"at a path", is("org.id", "7"), `org:{"id":"7"}`, true},
		{"at a path that ends early", is("org.id", "7"), `org:"7"`, false},
		{"several, of which all are needed", append(is("a", "1"), is("b")...), "a:1", false},
		{"a registered claim", is("sub", "alice"), "", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want := errRequired.Detail
			if test.ok {
				want = `["alice",null,null,""]`
			}
			if got := mapped(t, Issuer{Required: test.required}, test.claims); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestClaimPathIsRefused(t *testing.T) {
	for path, want := range map[string]bool{
		"a": true, "a.b": true, `a\.b`: true, `a\\`: true, "https://example.com/a": true, `\.`: true,
		"": false, ".": false, "a.": false, ".a": false, "a..b": false, `a\`: false, `a\b`: false, `a.\`: false,
	} {
		if err := CheckClaimPath(path); (err == nil) != want {
			t.Errorf("%q: %v", path, err)
		}
		for what, change := range map[string]func(*Issuer){
			"scopes": func(i *Issuer) { i.ScopesClaims = []string{"x", path} }, "roles": func(i *Issuer) { i.RolesClaims = []string{path} },
			"required": func(i *Issuer) { i.Required = []RequiredClaim{{Path: path}} },
			"subject":  func(i *Issuer) { i.SubjectClaim = path }, "tier": func(i *Issuer) { i.TierClaim = path },
		} {
			i := Issuer{Name: "a", Audiences: []string{"x"}, Algorithms: []string{"RS256"}, Keys: &KeySet{}}
			change(&i)
			if _, err := NewVerifier(i); (err == nil) != (want || path == "" && (what == "subject" || what == "tier")) {
				t.Errorf("%s %q: %v", what, path, err)
			}
		}
	}
	if _, err := NewVerifier(Issuer{Name: "a", Audiences: []string{"x"}, Algorithms: []string{"RS256"}, Keys: &KeySet{}, Type: "jwt"}); err == nil {
		t.Error("a type that does not exist is taken")
	}
}

// FuzzMapping maps any claims. What is granted must stand literally in the claim: as
// a word between spaces, as an element of an array, or as the whole string.
func FuzzMapping(f *testing.F) {
	for _, seed := range []string{
		`{"scope":"a b  c","roles":["x,y","z"],"n":{"s":["d"],"r":"e"},"tier":"gold"}`,
		`{"scope":["a b","c"],"roles":"user admin","n":{"s":"f\tg","r":["h","h"]}}`,
		`{"scope":"a\u00a0b \"c\" \\","roles":["\r\n",""],"n.s":"whole"}`,
		`{"scope":7,"n":[{"s":"x"}]}`, `{"scope":null,"roles":null,"sub":"","n":{"s":{}}}`, `{"sub":9007199254740993,"tier":["gold"]}`,
	} {
		f.Add(seed, "n.s", "n.r", "sub")
		f.Add(seed, `n\.s`, "tier", `n.s`)
	}
	f.Fuzz(func(t *testing.T, text, scopesPath, rolesPath, subjectPath string) {
		claims, _, err := decodeObject(text)
		if err != nil {
			return
		}
		for _, path := range []string{scopesPath, rolesPath, subjectPath} {
			if CheckClaimPath(path) != nil {
				return
			}
		}
		m := newMapping(&Issuer{
			ScopesClaims: []string{"scope", scopesPath}, RolesClaims: []string{"roles", rolesPath}, TierClaim: "tier", SubjectClaim: subjectPath,
		})
		var p principal.Principal
		if m.principal(&p, "i", claims) != nil {
			return
		}
		for _, scope := range p.Scopes {
			if scope == "" || strings.ContainsAny(scope, " \t\r\n\x00") || !literal(claims, scope, true, "scope", scopesPath) {
				t.Fatalf("%q grants the scope %q", text, scope)
			}
		}
		for _, role := range p.Roles {
			if role == "" || hasControl(role) || !literal(claims, role, false, "roles", rolesPath) {
				t.Fatalf("%q grants the role %q", text, role)
			}
		}
		if p.Tier != "" && p.Tier != claims["tier"] {
			t.Fatalf("%q makes the tier %q", text, p.Tier)
		}
		switch id := Claim(claims, subjectPath).(type) {
		case string:
			if p.ID != id || id == "" || hasControl(id) {
				t.Fatalf("%q makes the id %q", text, p.ID)
			}
		case json.Number:
			if p.ID != string(id) || strings.Trim(p.ID, "0123456789") != "" {
				t.Fatalf("%q makes the id %q", text, p.ID)
			}
		default:
			t.Fatalf("%q makes the id %q of %v", text, p.ID, id)
		}
	})
}

// literal reports whether granted stands in one of the claims at the paths.
func literal(claims map[string]any, granted string, words bool, paths ...string) bool {
	return slices.ContainsFunc(paths, func(path string) bool {
		switch v := Claim(claims, path).(type) {
		case string:
			return v == granted || words && strings.Contains(" "+v+" ", " "+granted+" ")
		case []any:
			return slices.Contains(v, any(granted))
		}
		return false
	})
}
