package logtext

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func newCleaner(t testing.TB, c Config) *Cleaner {
	t.Helper()
	cl, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return cl
}

func clean(t testing.TB, c *Cleaner, entry string) string {
	t.Helper()
	var b bytes.Buffer
	if !c.Clean(&b, []byte(entry)) {
		if b.Len() > 0 {
			t.Fatalf("wrote %q of an entry that it reports as unchanged", b.String())
		}
		return entry
	}
	return b.String()
}

// cleanText returns what becomes of text as the message of a JSON entry.
func cleanText(t testing.TB, c *Cleaner, text string) string {
	t.Helper()
	in, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	out := clean(t, c, `{"msg":`+string(in)+`}`)
	var entry struct{ Msg string }
	if err := json.Unmarshal([]byte(out), &entry); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return entry.Msg
}

// textCase says what becomes of a text, as a string in an entry and alone.
type textCase struct{ name, text, want string }

func runTexts(t *testing.T, c *Cleaner, cases []textCase) {
	t.Helper()
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if got := cleanText(t, c, tc.text); got != tc.want {
				t.Errorf("in JSON\n%s becomes\n%s, not\n%s", tc.text, got, tc.want)
			}
			if got := clean(t, c, tc.text); got != tc.want {
				t.Errorf("alone\n%s becomes\n%s, not\n%s", tc.text, got, tc.want)
			}
		})
	}
}

func TestURLs(t *testing.T) {
	runTexts(t, newCleaner(t, Config{}), []textCase{
		{"a token in the query", "/cb?a=1&token=S&b=2", "/cb?a=1&token=REDACTED&b=2"},
		{"an authorization code", "/cb?code=SplxlOB&state=xyz", "/cb?code=REDACTED&state=xyz"},
		{"a short numeric code", "/verify?code=123", "/verify?code=REDACTED"},
		{"an API key named key", "https://maps.example/api?key=abc&q=x", "https://maps.example/api?key=REDACTED&q=x"},
		{"a presigned S3 URL", "/o?X-Amz-Date=2&X-Amz-Credential=AK%2F2&X-Amz-Signature=ff&X-Amz-Security-Token=q%2F%2F", "/o?X-Amz-Date=2&X-Amz-Credential=REDACTED&X-Amz-Signature=REDACTED&X-Amz-Security-Token=REDACTED"},
		{"an Azure SAS", "/b?sv=2&sig=a%2Bb%3D&se=3", "/b?sv=2&sig=REDACTED&se=3"},
		{"any case", "/?Token=S&TOKEN=S&aPi_KeY=S", "/?Token=REDACTED&TOKEN=REDACTED&aPi_KeY=REDACTED"},
		{"an encoded name", "/?tok%65n=S&%74%6f%6B%65%6e=S", "/?tok%65n=REDACTED&%74%6f%6B%65%6e=REDACTED"},
		{"a name encoded as IIS does", "/?%u0074oken=S", "/?%u0074oken=REDACTED"},
		{"a name in brackets", "/?user[token]=S&x=1", "/?user[token]=REDACTED&x=1"},
		{"a name in encoded brackets", "/?user%5Btoken%5D=S&x=1", "/?user%5Btoken%5D=REDACTED&x=1"},
		{"a list of tokens", "/?token[]=S&token[1]=T&password[new]=U", "/?token[]=REDACTED&token[1]=REDACTED&password[new]=REDACTED"},
		{"a dotted name", "/?user.token=S", "/?user.token=REDACTED"},
		{"a name with blanks around, which PHP trims", "/?+token=S&%20token=S&token%20=S&token%00=S", "/?+token=REDACTED&%20token=REDACTED&token%20=REDACTED&token%00=REDACTED"},
		{"a longer name with the ending", "/?reset_password_token=S&resetToken=S&X-Reset-Token=S", "/?reset_password_token=REDACTED&resetToken=REDACTED&X-Reset-Token=REDACTED"},
		{"a fragment", "https://a/cb#access_token=S&token_type=bearer", "https://a/cb#access_token=REDACTED&token_type=bearer"},
		{"an opaque-looking target that net/http accepts", "//x:y/cb?token=S", "//x:y/cb?token=REDACTED"},
		{"a target that url.Parse refuses", "//[::1/cb?token=S", "//[::1/cb?token=REDACTED"},
		{"a pair behind a raw hash", "/?a=1#&token=S", "/?a=1#&token=REDACTED"},
		{"a value with a raw hash, which servers do not cut", "/?token=S#T=U&a=1", "/?token=REDACTED&a=1"},
		{"a value with characters that browsers encode", "/?token=S\"T<U>V'W;X,Y/Z?=&a=1", "/?token=REDACTED&a=1"},
		{"a pair behind a semicolon", "/?a=1;token=S", "/?a=1;token=REDACTED"},
		{"a pair without a query", "/cb&token=S", "/cb&token=REDACTED"},
		{"a matrix parameter", "/a;token=S/b;x=1?y=2", "/a;token=REDACTED/b;x=1?y=2"},
		{"userinfo", "https://user:pass@host:8080/x?y=1", "https://REDACTED@host:8080/x?y=1"},
		{"userinfo that is a token", "https://ghx@host/", "https://REDACTED@host/"},
		{"userinfo with an at sign", "https://user:p@ss@host/", "https://REDACTED@host/"},
		{"userinfo with a secret name", "https://x-access-token:S@github.com/o/r", "https://REDACTED@github.com/o/r"},
		{"userinfo with a slash in the password", "postgres://u:p/w@db/x", "postgres://REDACTED@db/x"},
		{"userinfo without a scheme", "//user:pass@host/", "//REDACTED@host/"},
		{"encoded userinfo", "/?r=https%3A%2F%2Fuser%3Apass%40host%2F", "/?r=https%3A%2F%2FREDACTED%40host%2F"},
		{"a URL in a parameter", "/?redirect=https%3A%2F%2Fa%2F%3Ftoken%3DS%26x%3D1&keep=1", "/?redirect=https%3A%2F%2Fa%2F%3Ftoken%3DREDACTED%26x%3D1&keep=1"},
		{"a raw URL in a parameter", "/?redirect=https://a/?token=S", "/?redirect=https://a/?token=REDACTED"},
		{"a URL in a URL in a parameter", "/?r=https%3A%2F%2Fa%2F%3Fr%3Dhttps%253A%252F%252Fb%252F%253Ftoken%253DS%2526y%253D1%26z%3D1", "/?r=https%3A%2F%2Fa%2F%3Fr%3Dhttps%253A%252F%252Fb%252F%253Ftoken%253DREDACTED%2526y%253D1%26z%3D1"},
		{"an encoded ampersand inside the nested value", "/?r=https%3A%2F%2Fa%2F%3Ftoken%3DS%2526T", "/?r=https%3A%2F%2Fa%2F%3Ftoken%3DREDACTED"},
		{"six layers of encoding", "/?r=token%25252525253DS%252525252526x", "/?r=token%25252525253DREDACTED%252525252526x"},
		{"encoding of the encoding's own characters", "/?r=token%25%33%44S", "/?r=token%25%33%44REDACTED"},
		{"JSON in a parameter", "/?q=%7B%22token%22%3A%22S%22%2C%22a%22%3A1%7D", "/?q=%7B%22token%22%3A%22REDACTED%22%2C%22a%22%3A1%7D"},
		{"a relative reference", "cb?token=S&a=1", "cb?token=REDACTED&a=1"},
		{"a URL in brackets", `<https://a/?token=S>; rel="next"`, `<https://a/?token=REDACTED>; rel="next"`},
		{"a URL in a sentence", "Get \"https://a/x?api_key=S&b=1\": EOF", "Get \"https://a/x?api_key=REDACTED&b=1\": EOF"},

		{"an open quote does not hide the rest of a query", `/a?x=pin:"S&cmd=rm&y={"token":"S&z=1`, `/a?x=pin:"REDACTED&cmd=rm&y={"token":"REDACTED&z=1`},
		{"an open quote does not hide the rest of a path", `/pin:"S/admin/token=S/bearer%20S/users?x=1`, `/pin:"REDACTED/admin/token=REDACTED/bearer%20REDACTED/users?x=1`},
		{"an encoded open quote does not hide the rest", `/x/token%3A%22S/admin?x=pin:%5BS&cmd=rm`, `/x/token%3A%22REDACTED/admin?x=pin:REDACTED&cmd=rm`},
		{"a header's name does not hide the rest", `/x?a=Cookie:S&cmd=rm`, `/x?a=Cookie:REDACTED&cmd=rm`},
		{"the beginning of a key does not hide the rest", `/x?a=-----BEGIN%20PRIVATE%20KEY-----S&cmd=rm`, `/x?a=REDACTED&cmd=rm`},
		{"an at sign does not hide a path", `//a:b/admin/delete@x`, `//a:b/admin/delete@x`},
		{"an at sign does not hide an absolute path", `http://a:b/admin/delete@x`, `http://a:b/admin/delete@x`},
		{"an encoded ampersand belongs to the value", `/?q=%7B%22token%22%3A%22S%26T%22%7D&a=1`, `/?q=%7B%22token%22%3A%22REDACTED%22%7D&a=1`},

		{"an ordinary query stays", "/v1/orders/42?expand=items&page=2&sort=-date&state=open&token_type=x", "/v1/orders/42?expand=items&page=2&sort=-date&state=open&token_type=x"},
		{"cursors stay", "/x?page_token=abc&pageToken=abc", "/x?page_token=abc&pageToken=abc"},
		{"an at sign in a path stays", "https://medium.example:443/@user/x", "https://medium.example:443/@user/x"},
		{"an address in a path stays", "//cdn.example/users/bob@example.com", "//cdn.example/users/bob@example.com"},
		{"a double slash in a path stays", "/a//b@c", "/a//b@c"},
		{"an IPv6 authority stays", "http://[::1]:80/@x", "http://[::1]:80/@x"},
		{"a host called token stays", "http://token:8080/x", "http://token:8080/x"},
		{"odd escapes stay", "/%zz?x=%u12&y=%&z=%4", "/%zz?x=%u12&y=%&z=%4"},
		{"an empty value stays", "/?token=&a=1", "/?token=&a=1"},
	})
}

func TestText(t *testing.T) {
	runTexts(t, newCleaner(t, Config{}), []textCase{
		{"a pair", "login user=bob password=hunter2 from=x", "login user=bob password=REDACTED from=x"},
		{"a quoted value", `password="hun ter2" x=1`, `password="REDACTED" x=1`},
		{"a quoted value with a quote in it", `password="hun\"ter2" x=1`, `password="REDACTED" x=1`},
		{"a value in single quotes", `{'password': 'hun ter2', 'a': 1}`, `{'password': 'REDACTED', 'a': 1}`},
		{"a value whose quote is not closed", `password="hun ter2`, `password="REDACTED`},
		{"blanks around the sign", `password = hunter2`, `password = REDACTED`},
		{"an assignment", `token := "S"`, `token := "REDACTED"`},
		{"a Ruby hash", `{"password"=>"S", :token => "S"}`, `{"password"=>"REDACTED", :token => "REDACTED"}`},
		{"an empty value is not the next pair", `password= user=bob`, `password= user=bob`},
		{"punctuation inside a value", `password=a,b;c&d#e next`, `password=REDACTED next`},
		{"pairs side by side", `a=1,password=S,b=2;token=T;c=3&secret=U&d=4`, `a=1,password=REDACTED,b=2;token=REDACTED;c=3&secret=REDACTED&d=4`},
		{"a cookie string", `session=S; theme=dark; connect.sid=s%3AS; PHPSESSID=S`, `session=REDACTED; theme=dark; connect.sid=REDACTED; PHPSESSID=REDACTED`},
		{"a form", `username=bob&password=S&code=T`, `username=bob&password=REDACTED&code=REDACTED`},
		{"a name with a colon", `password: hunter2 for bob`, `password: REDACTED for bob`},
		{"a header line", "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Digest a, b\r\nX-Api-Key: S\r\nCookie: a=b; c=d\r\nAccept: */*", "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: REDACTED\r\nX-Api-Key: REDACTED\r\nCookie: REDACTED\r\nAccept: */*"},
		{"a scheme that is called as a word of prose", "Authorization: token S", "Authorization: REDACTED"},
		{"a scheme in a pair", "authorization=Token S from x", "authorization=REDACTED from x"},
		{"a scheme behind a name that is no header's", "my-token: Key S, next", "my-token: REDACTED, next"},
		{"a name behind an escape in a string in a string", `{"body":"grant\ncode=S","b":"\tpin=S","c":"\\code=x"}`, `{"body":"grant\ncode=REDACTED","b":"\tpin=REDACTED","c":"\\code=REDACTED"}`},
		{"an escape of JavaScript", `{\x22token\x22:\x22S\x22,'p\x61ss':'S'}`, `{\x22token\x22:\x22REDACTED\x22,'p\x61ss':'REDACTED'}`},
		{"a password's second field", `/?password_confirmation=S&_csrf=S&auth_code=S`, `/?password_confirmation=REDACTED&_csrf=REDACTED&auth_code=REDACTED`},
		{"Go's rendering of a header", `map[Accept:[*/*] Authorization:[Bearer S] Cookie:[a=[b]; c=d] Host:[x]]`, `map[Accept:[*/*] Authorization:[REDACTED] Cookie:[REDACTED] Host:[x]]`},
		{"Go's source of a header", `http.Header{"Authorization":[]string{"Bearer S", "T"}, "A":[]string{"b"}}`, `http.Header{"Authorization":[]string{"REDACTED"}, "A":[]string{"b"}}`},
		{"Go's rendering of a struct", `{User:bob Password:hunter2 Token:abc}`, `{User:bob Password:REDACTED Token:REDACTED}`},
		{"Go's rendering of a map", `password:map[a:S b:T] c:d`, `password:map[REDACTED] c:d`},
		{"a bracket in a value", `Cookie:[a]b c] x`, `Cookie:[REDACTED] x`},
		{"a list that is not closed", `"token":["S`, `"token":[REDACTED`},
		{"a bearer token", `got Bearer S3c.r-e_t~+/= from`, `got Bearer REDACTED from`},
		{"a bearer token in any case", `bearer  S`, `bearer  REDACTED`},
		{"a bearer token in a form", `/?x=Bearer+S&y=1`, `/?x=Bearer+REDACTED&y=1`},
		{"a bearer token, encoded", `/?x=Bearer%20S&y=1`, `/?x=Bearer%20REDACTED&y=1`},
		{"basic credentials", `Basic dXNlcjpwYXNz.`, `Basic REDACTED`},
		{"basic credentials, cut", `basic YWxhZGRpbg==`, `basic REDACTED`},
		{"a Kerberos ticket", `Negotiate YIIZG1hZGUtdXAtdGlja2V0`, `Negotiate REDACTED`},
		{"a database's DSN", `root:hunter2@tcp(10.0.0.1:3306)/db`, `root:REDACTED@tcp(10.0.0.1:3306)/db`},
		{"a connection string", `Server=x;User Id=sa;Password=S;AccountKey=S==;Encrypt=true`, `Server=x;User Id=sa;Password=REDACTED;AccountKey=REDACTED;Encrypt=true`},
		{"a PIN that looks like a port", "map[pin:1234 a:b] otp:123456 x", "map[pin:REDACTED a:b] otp:REDACTED x"},
		{"a header line without a blank", "Cookie:a=b; c=d\nx", "Cookie:REDACTED\nx"},
		{"a list in parentheses", "password:(a b) c", "password:(REDACTED) c"},
		{"a list with brackets in its strings", `"token":["a],b","S"] x`, `"token":["REDACTED"] x`},
		{"a pair in a string in a string", `{\"x\":\"token=S\",\"a\":1}`, `{\"x\":\"token=REDACTED\",\"a\":1}`},
		{"a string in a string that its outer string ends", `{"body":"{\"token\":\"S\\","a":"b"}`, `{"body":"{\"token\":\"REDACTED","a":"b"}`},
		{"a matrix parameter in a sentence", "GET /a;token=S/b HTTP/1.1", "GET /a;token=REDACTED/b HTTP/1.1"},
		{"a query with a plus in a sentence", "see /cb?q=a+b&token=S;T=U&z=1 x", "see /cb?q=a+b&token=REDACTED&z=1 x"},
		{"a private key", "key:\n-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY----- tail", "key:\nREDACTED tail"},
		{"a private key, cut", "-----BEGIN PRIVATE KEY-----\nMIIabc", "REDACTED"},
		{"a private key in a URL", "/?x=-----BEGIN%20PRIVATE%20KEY-----%0AMII%0A-----END%20PRIVATE%20KEY-----&y=1", "/?x=REDACTED&y=1"},
		{"JSON that is cut", `{"user":"bob","password":"hunt`, `{"user":"bob","password":"REDACTED`},
		{"JSON inside JSON", `{"body":"{\"password\":\"hun\\\"ter2\",\"a\":\"b\"}","c":1}`, `{"body":"{\"password\":\"REDACTED\",\"a\":\"b\"}","c":1}`},
		{"JSON with an escaped name", `{"p\u0061ssword":"a\"b\u0022c","d":1}`, `{"p\u0061ssword":"REDACTED","d":1}`},
		{"JSON inside JSON, written by .NET", `{"body":"{\u0022password\u0022:\u0022a\\\u0022b\u0022,\u0022c\u0022:1}"}`, `{"body":"{\u0022password\u0022:\u0022REDACTED\u0022,\u0022c\u0022:1}"}`},
		{"a URL in JSON in JSON, written by Go", `{"url":"/x?a=1\u0026code=S\u0026b=2"}`, `{"url":"/x?a=1\u0026code=REDACTED\u0026b=2"}`},
		{"a URL in JSON, written by PHP", `{"url":"https:\/\/user:S@host\/"}`, `{"url":"https:\/\/REDACTED@host\/"}`},
		{"a token of JSON Web Tokens", "x eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U y", "x REDACTED y"},
		{"a card number", "card 4111 1111 1111 1111 declined", "card REDACTED declined"},
		{"a card number, escaped inside a string", `{"x":"\u0034\u0031\u0031\u0031-1111-1111-1111"}`, `{"x":"REDACTED"}`},
		{"a card number, encoded", "/?n=%34111%2D1111-1111-1111", "/?n=REDACTED"},
		{"a cloud key", "using AKIAQYLPMN5HHHFPZAM2 now", "using REDACTED now"},

		{"a host called auth stays", "dial auth:8080: refused, session:80/x", "dial auth:8080: refused, session:80/x"},
		{"an error about a token stays", "parsing token: invalid signature", "parsing token: invalid signature"},
		{"an error about a token, in more words, stays", "invalid token: Token signature is invalid", "invalid token: Token signature is invalid"},
		{"an error about a key stays", "loading private key: open /x/y.pem: no such file or directory", "loading private key: open /x/y.pem: no such file or directory"},
		{"an error about a header stays", "checking authorization: not allowed", "checking authorization: not allowed"},
		{"a challenge stays", `Bearer realm="api", error="invalid_token", error_description="expired"`, `Bearer realm="api", error="invalid_token", error_description="expired"`},
		{"a challenge with one parameter stays", `Bearer error_description="expired"`, `Bearer error_description="expired"`},
		{"talk of private keys stays", "no PRIVATE KEY in -----BEGIN PRIVATE NOTE-----, sorry", "no PRIVATE KEY in -----BEGIN PRIVATE NOTE-----, sorry"},
		{"prose about schemes stays", "no bearer token; basic authentication or Basic auth, the basic rule, negotiate now", "no bearer token; basic authentication or Basic auth, the basic rule, negotiate now"},
		{"a status called code stays", "exit code=1, code == 404, code: 200", "exit code=1, code == 404, code: 200"},
		{"a position in source stays", "jwt/token.go:33: x", "jwt/token.go:33: x"},
		{"an address stays", "mail bob@example.com, user:bob@example.com", "mail bob@example.com, user:bob@example.com"},
		{"an ordinary message stays", "dial tcp 10.0.0.1:80: connect: connection refused", "dial tcp 10.0.0.1:80: connect: connection refused"},
		{"ordinary headers stay", `de-DE,de;q=0.9 "Chromium";v="140" max-age=0 Root=1-67891233-abcdef012345678912345678`, `de-DE,de;q=0.9 "Chromium";v="140" max-age=0 Root=1-67891233-abcdef012345678912345678`},
		{"what is masked already stays", `/?token=REDACTED Bearer REDACTED https://REDACTED@host {"token":"REDACTED"}`, `/?token=REDACTED Bearer REDACTED https://REDACTED@host {"token":"REDACTED"}`},
	})
}

func TestEntries(t *testing.T) {
	c := newCleaner(t, Config{})
	for _, tc := range []struct{ name, entry, want string }{
		{"headers are masked value by value",
			`{"request":{"headers":{"X-Api-Key":["S","T"],"Accept":["*/*"]}}}`,
			`{"request":{"headers":{"X-Api-Key":["REDACTED","REDACTED"],"Accept":["*/*"]}}}`},
		{"an object under a secret name keeps its members",
			`{"credentials":{"a":"S","b":[1,-2.5e3,{"c":"T"}],"d":true,"e":null,"f":{},"g":[]},"h":"i"}`,
			`{"credentials":{"a":"REDACTED","b":["REDACTED","REDACTED",{"c":"REDACTED"}],"d":true,"e":null,"f":{},"g":[]},"h":"i"}`},
		{"an object that describes a session is no secret",
			`{"session":{"id":7,"token":"S"},"auth":{"user":"bob"},"x":{"session":"S","auth":["S"]}}`,
			`{"session":{"id":7,"token":"REDACTED"},"auth":{"user":"bob"},"x":{"session":"REDACTED","auth":["REDACTED"]}}`},
		{"numbers become strings", `{"pin":1234,"n":4111111111111111,"m":12}`, `{"pin":"REDACTED","n":"REDACTED","m":12}`},
		{"an escaped member name is read", `{"tok\u0065n":"S","x":1}`, `{"tok\u0065n":"REDACTED","x":1}`},
		{"an escaped value is read", `{"x":"\u002fcb?\u0074oken=S\u0026y=1"}`, `{"x":"\u002fcb?\u0074oken=REDACTED\u0026y=1"}`},
		{"other escapes are kept as they are", `{"x":"\u0041\/\t\"token=S\n\ud83d\ude00"}`, `{"x":"\u0041\/\t\"token=REDACTED\n\ud83d\ude00"}`},
		{"a card is read through escapes", `{"x":"\u0034\u0031\u0031\u0031-1111-1111-1111"}`, `{"x":"REDACTED"}`},
		{"a secret that is a member's name", `{"4111111111111111":1,"a":{"x token=S":2}}`, `{"REDACTED":1,"a":{"x token=REDACTED":2}}`},
		{"FastCGI's names of headers", `{"env":{"HTTP_AUTHORIZATION":"S","HTTP_X_AMZN_OIDC_DATA":"S","QUERY_STRING":"a=1&token=S"}}`, `{"env":{"HTTP_AUTHORIZATION":"REDACTED","HTTP_X_AMZN_OIDC_DATA":"REDACTED","QUERY_STRING":"a=1&token=REDACTED"}}`},
		{"JSON in a message",
			`{"msg":"got {\"user\":\"bob\",\"password\":\"hun\\\"ter2\",\"pin\":1234,\"otp\":null,\"k\":{\"api_key\":[\"S\",\"T\"]}}"}`,
			`{"msg":"got {\"user\":\"bob\",\"password\":\"REDACTED\",\"pin\":0,\"otp\":null,\"k\":{\"api_key\":[\"REDACTED\"]}}"}`},
		{"white space and line ending are kept", " { \"a\" : [ 1 , { \"token\" : \"S\" } ] }\r\n", " { \"a\" : [ 1 , { \"token\" : \"REDACTED\" } ] }\r\n"},
		{"a console entry keeps its columns", "2026/11/03 10:00:00.000\tINFO\thttp\tpassword: \t{\"request\": {\"uri\": \"/?token=S\", \"Cookie\": [\"a\"], \"pin\": 1}}\nstack token=S\n", "2026/11/03 10:00:00.000\tINFO\thttp\tpassword: \t{\"request\": {\"uri\": \"/?token=REDACTED\", \"Cookie\": [\"REDACTED\"], \"pin\": \"REDACTED\"}}\nstack token=REDACTED\n"},
		{"a console entry whose message has braces", "INFO\tgot {\"a\":1 and {\"token\":\"S\"}\t{\"Cookie\": [\"a\"]}\n", "INFO\tgot {\"a\":1 and {\"token\":\"REDACTED\"}\t{\"Cookie\": [\"REDACTED\"]}\n"},
		{"a console entry with more braces than are tried", "INFO\t" + strings.Repeat("\t{\"", 20) + "\t{\"token\": \"S\", \"pin\": 1}\n", "INFO\t" + strings.Repeat("\t{\"", 20) + "\t{\"token\": \"REDACTED\", \"pin\": 0}\n"},
		{"a journald entry", `<6>{"token":"S","pin":1}` + "\n", `<6>{"token":"REDACTED","pin":"REDACTED"}` + "\n"},
		{"white space is no hindrance", " { \"pin\" : 1 } ", " { \"pin\" : \"REDACTED\" } "},
		{"a list is an entry, too", `[{"pin":1},"token=S"]`, `[{"pin":"REDACTED"},"token=REDACTED"]`},
		{"text in front of an object that is none", "password=S\t{\"token\":\"S\",\"x\":tru} token=S\t{\"pin\": 1}\n", "password=REDACTED\t{\"token\":\"REDACTED\",\"x\":tru} token=REDACTED\t{\"pin\": \"REDACTED\"}\n"},
		{"a name that is no string", `{1"pin":1}`, `{1"pin":0}`},
		{"a name with a bad escape", `{"a\q":1,"pin":1}`, `{"a\q":1,"pin":0}`},
		{"a secret with a bad escape", `{"token":"\q","pin":1}`, `{"token":"REDACTED","pin":0}`},
		{"a string with a bad escape", `{"a":"\q","pin":1}`, `{"a":"\q","pin":0}`},
		{"a string with a bad Unicode escape", `{"a":"\u12G4","pin":1}`, `{"a":"\u12G4","pin":0}`},
		{"a number with a zero in front", `{"pin":01,"otp":-}`, `{"pin":REDACTED,"otp":REDACTED}`},
		{"names with a number", `{"pin2":"S","otp-3":"S"}`, `{"pin2":"REDACTED","otp-3":"REDACTED"}`},
		{"mismatched brackets", `{"pin":1]`, `{"pin":0]`},
		{"an entry that is no JSON is masked as text", `{"a":1,"token":"S",}`, `{"a":1,"token":"REDACTED",}`},
		{"a deep entry", strings.Repeat(`{"a":[`, 5000) + `{"token":"S"}` + strings.Repeat(`]}`, 5000), strings.Repeat(`{"a":[`, 5000) + `{"token":"REDACTED"}` + strings.Repeat(`]}`, 5000)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := clean(t, c, tc.entry)
			if got != tc.want {
				t.Errorf("%s becomes\n%s, not\n%s", tc.entry, got, tc.want)
			}
			if !json.Valid([]byte(tc.entry)) {
				return
			}
			if !json.Valid([]byte(got)) {
				t.Errorf("no longer JSON: %s", got)
			}
			if again := clean(t, c, got); again != got {
				t.Errorf("cleaned again, it becomes %s", again)
			}
		})
	}
}

func TestCutEntries(t *testing.T) {
	c := newCleaner(t, Config{})
	entry := `{"a":[1,-2.5e+3,true,{"token":"` + canary + `"}],"m":"x\n\"password\":\"` + canary + `\" Bearer ` + canary + `","pin":12,"u":"/?a=%41&sig=` + canary + `"}`
	for i := range entry {
		for _, cut := range []string{entry[:i], entry[:i] + "}", entry[:i] + `"}`, "INFO\tx\t" + entry[:i] + "\n"} {
			if out := clean(t, c, cut); strings.Contains(out, canary) {
				t.Errorf("%s becomes\n%s", cut, out)
			}
		}
	}
}

func TestAccessEntryIsUntouched(t *testing.T) {
	if got := clean(t, newCleaner(t, Config{}), accessEntry); got != accessEntry {
		t.Errorf("an entry without secrets becomes %s", got)
	}
}

func TestHeaderNames(t *testing.T) {
	c := newCleaner(t, Config{})
	secret := []string{
		"Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "X-Api-Key", "Api-Key", "Apikey", "X-Apikey",
		"X-Auth-Token", "X-Access-Token", "X-Refresh-Token", "X-Id-Token", "X-Session-Token", "X-Session-Id", "X-Csrf-Token",
		"X-Xsrf-Token", "X-CSRFToken", "Csrf-Token", "X-Amz-Security-Token", "Sec-WebSocket-Protocol", "Cf-Access-Jwt-Assertion",
		"Cf-Access-Client-Secret", "X-Amzn-Oidc-Data", "X-Amzn-Oidc-Accesstoken", "X-Amzn-Oidc-Identity", "X-Amzn-Mtls-Clientcert",
		"X-Amzn-Mtls-Clientcert-Leaf", "X-Amzn-Lattice-Identity", "X-Goog-Iap-Jwt-Assertion", "X-Goog-Authenticated-User-Email",
		"X-Goog-Api-Key", "X-Ms-Token-Aad-Access-Token", "X-Ms-Token-Aad-Id-Token", "X-Ms-Token-Aad-Refresh-Token",
		"X-Ms-Client-Principal", "X-Forwarded-Access-Token", "X-Forwarded-Client-Cert", "X-Authorization", "X-Auth-Key",
		"X-Hub-Signature", "X-Hub-Signature-256", "Stripe-Signature", "X-Slack-Signature", "X-Shopify-Hmac-Sha256", "Signature",
		"X-Gitlab-Token", "Private-Token", "X-Vault-Token", "Ocp-Apim-Subscription-Key", "X-Functions-Key", "X-Rapidapi-Key",
		"X-Client-Secret", "X-User-Password", "Dd-Api-Key", "X-Jwt", "X-Jwt-Assertion", "DPoP", "X-Aws-Ec2-Metadata-Token",
	}
	for _, name := range secret {
		for _, spelled := range []string{name, strings.ToLower(name), strings.ToUpper(name), strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "-", "")} {
			entry := `{"request":{"headers":{"` + spelled + `":["S3cr3t"]}}}`
			if got := clean(t, c, entry); strings.Contains(got, "S3cr3t") {
				t.Errorf("%s is not masked", spelled)
			}
		}
	}
	for _, name := range []string{
		"Accept", "Accept-Encoding", "Accept-Language", "Access-Control-Allow-Credentials", "Cache-Control", "Connection",
		"Content-Length", "Content-Type", "Date", "Etag", "Forwarded", "Host", "If-None-Match", "Idempotency-Key", "Location", "Origin",
		"Ratelimit", "Referer", "Retry-After", "Server", "Traceparent", "Tracestate", "User-Agent", "Vary", "Via", "Www-Authenticate",
		"X-Amzn-Trace-Id", "X-Correlation-Id", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-Ip", "X-Request-Id", "Signature-Input",
		"X-Amz-Cf-Id", "X-Amz-Date", "Cf-Ray", "Cf-Connecting-Ip", "True-Client-Ip", "X-Azure-Ref", "Sec-Websocket-Version",
		// The entry's own members.
		"bytes_read", "client_ip", "duration", "err_id", "err_trace", "error", "host", "level", "logger", "method", "msg", "proto", "remote_ip",
		"request_id", "size", "status", "trace_id", "ts", "uri", "user_id", "key", "code", "tls", "upstream", "total_tokens",
	} {
		entry := `{"` + name + `":["x"]}`
		if got := clean(t, c, entry); got != entry {
			t.Errorf("%s is masked", name)
		}
	}
}

func TestNamesOfTheConfiguration(t *testing.T) {
	c := newCleaner(t, Config{
		Headers: []string{"X-Customer"}, Query: []string{"state", "k"}, Keys: []string{"iban", "p1", "page_token", "пароль", "ⱥx"}, Detectors: []string{"email"},
	})
	runTexts(t, c, []textCase{
		{"an added header", "x-customer: S T\nb", "x-customer: REDACTED\nb"},
		{"an added parameter", "/?STATE=S&k=S&pk=T", "/?STATE=REDACTED&k=REDACTED&pk=T"},
		{"an added parameter is no member", `{"state":"open"}`, `{"state":"open"}`},
		{"an added key", `{"I-B_A_N":"S","p1":"S","p":"T","p2":"T"}`, `{"I-B_A_N":"REDACTED","p1":"REDACTED","p":"T","p2":"T"}`},
		{"an added key in any script", `{"Пароль":"S","ПАР_ОЛЬ":"S","ȺX":"S"}`, `{"Пароль":"REDACTED","ПАР_ОЛЬ":"REDACTED","ȺX":"REDACTED"}`},
		{"a key that is not secret by default", `{"page_token":"S"}`, `{"page_token":"REDACTED"}`},
		{"an added detector", `from bob@example.com to`, `from REDACTED to`},
	})
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	_, err := New(Config{
		Headers:   []string{"X Token", "", "--"},
		Query:     []string{"a=b", "ok", "user[pin]"},
		Keys:      []string{strings.Repeat("a", 65)},
		Detectors: []string{"jwt", "shoe_size"},
	})
	if err == nil {
		t.Fatal("it is not refused")
	}
	for _, want := range []string{`headers[0]: "X Token"`, `headers[1]: ""`, `headers[2]: "--"`, `query[0]: "a=b"`, `query[2]: "user[pin]"`, `keys[0]`, `detect[0]: "jwt"`, `detect[1]: "shoe_size"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %s:\n%v", want, err)
		}
	}
}
