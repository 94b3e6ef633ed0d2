package securityheaders

// The presets.
const (
	presetAPI  = "api"
	presetHTML = "html"
	presetNone = "none"
)

const (
	hsts      = "Strict-Transport-Security"
	csp       = "Content-Security-Policy"
	corp      = "Cross-Origin-Resource-Policy"
	pageCSP   = "default-src 'self'; form-action 'self'; base-uri 'self'; object-src 'none'; frame-ancestors 'none'"
	noFeature = "accelerometer=(), autoplay=(), camera=(), cross-origin-isolated=(), display-capture=(), encrypted-media=(), " +
		"fullscreen=(), geolocation=(), gyroscope=(), keyboard-map=(), magnetometer=(), microphone=(), midi=(), payment=(), " +
		"picture-in-picture=(), publickey-credentials-get=(), screen-wake-lock=(), sync-xhr=(self), usb=(), web-share=(), " +
		"xr-spatial-tracking=(), clipboard-read=(), clipboard-write=(), gamepad=(), hid=(), idle-detection=(), serial=(), unload=()"
)

// common are the lines of both presets: the OWASP Secure Headers Project, and the
// REST Security Cheat Sheet for what a response without a page needs.
var common = []line{
	{name: hsts, secure: "max-age=63072000; includeSubDomains"},
	always("X-Content-Type-Options", "nosniff"),
	always("X-Frame-Options", "DENY"),
	always("X-Permitted-Cross-Domain-Policies", "none"),
	otherwise("Referrer-Policy", "no-referrer"),
	{name: corp, secure: "same-origin", plain: "same-origin", public: "cross-origin", absent: true},
	otherwise("Cache-Control", "no-store"),
}

// presets are what each preset adds to common, which none lacks.
var presets = map[string][]line{
	presetAPI: {
		always(csp, "default-src 'none'; frame-ancestors 'none'"),
	},
	presetHTML: {
		{name: csp, secure: pageCSP + "; upgrade-insecure-requests", plain: pageCSP, absent: true},
		otherwise("Cross-Origin-Opener-Policy", "same-origin"),
		otherwise("Cross-Origin-Embedder-Policy", "require-corp"),
		otherwise("Permissions-Policy", noFeature),
	},
}

// revealing are the headers that give away what the service is made of: OWASP's
// list (headers_remove.json of the Secure Headers Project, 2024-07-19), Via, which
// Caddy's proxy writes, and families of which the list has members.
// X-XSS-Protection is here because its filter leaks and was removed from browsers.
var revealing = []string{
	"$wsep", "Host-Header", "K-Proxy-Request", "Liferay-Portal", "OracleCommerceCloud-Version", "Pega-Host", "Powered-By",
	"Product", "Server", "SourceMap", "Via", "X-AspNet-Version", "X-AspNetMvc-Version", "X-Atmosphere-*", "X-B3-*",
	"X-BEServer", "X-CF-Powered-By", "X-CMS", "X-CalculatedBETarget", "X-Cocoon-Version", "X-Content-Encoded-By",
	"X-Datadog-*", "X-DiagInfo", "X-Envoy-*", "X-FEServer", "X-Framework", "X-Generated-By", "X-Generator",
	"X-Jitsi-Release", "X-Kong-*", "X-Kubernetes-PF-*", "X-LiteSpeed-*", "X-Mod-Pagespeed", "X-Nextjs-*", "X-OWA-Version",
	"X-Old-Content-Length", "X-OneAgent-JS-Injection", "X-Page-Speed", "X-Php-Version", "X-Powered-*", "X-Redirect-By",
	"X-Runtime", "X-Server-Powered-By", "X-SourceFiles", "X-SourceMap", "X-Turbo-Charged-By", "X-Umbraco-Version",
	"X-Varnish", "X-Varnish-*", "X-XSS-Protection", "X-dtAgentId", "X-dtHealthCheck", "X-dtInjectedServlet",
	"X-ruxit-JS-Agent",
}

// always is a line that replaces what the backend says.
func always(name, value string) line { return line{name: name, secure: value, plain: value} }

// otherwise is a line for responses without the header.
func otherwise(name, value string) line {
	return line{name: name, secure: value, plain: value, absent: true}
}
