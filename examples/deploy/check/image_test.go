package check

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

func read(t *testing.T, path ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(append([]string{".."}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// base is every image that a stage begins with: a Linux that has nothing set.
type base struct{}

func (base) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	config, err := json.Marshal(ocispecs.Image{Platform: ocispecs.Platform{OS: "linux", Architecture: "amd64"}})
	return ref, digest.FromBytes(config), config, err
}

// lint returns what BuildKit finds in a Dockerfile.
func lint(t *testing.T, dockerfile string) (findings []string) {
	t.Helper()
	results, err := dockerfile2llb.DockerfileLint(t.Context(), []byte(dockerfile), dockerfile2llb.ConvertOpt{
		SourceMap:      &llb.SourceMap{Definition: &llb.Definition{}, Filename: "Dockerfile", Data: []byte(dockerfile)},
		MetaResolver:   base{},
		TargetPlatform: &ocispecs.Platform{OS: "linux", Architecture: "amd64"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if results.Error != nil {
		findings = append(findings, results.Error.Message)
	}
	for _, warning := range results.Warnings {
		findings = append(findings, warning.RuleName+": "+warning.Detail)
	}
	return findings
}

func TestBuildKitFindsNothingInTheDockerfile(t *testing.T) {
	dockerfile := read(t, "image", "Dockerfile")
	for _, finding := range lint(t, dockerfile) {
		t.Error(finding)
	}
	bad := []struct{ name, old, new, want string }{
		{"an argument that is not there", "ARG REVISION\n", "", "UndefinedVar"},
		{"an entrypoint in a shell", `ENTRYPOINT ["/caddy", "run"`, `ENTRYPOINT "/caddy run"#`, "JSONArgsRecommended"},
		{"an unknown instruction", "STOPSIGNAL", "STOPSIGNALS", "unknown instruction"},
		{"a secret in an argument", "ARG REVISION\n", "ARG REVISION\nARG API_TOKEN\n", "SecretsUsedInArgOrEnv"},
	}
	for _, tt := range bad {
		t.Run(tt.name, func(t *testing.T) {
			changed := strings.Replace(dockerfile, tt.old, tt.new, 1)
			if changed == dockerfile {
				t.Fatal("it is not there")
			}
			if findings := lint(t, changed); !strings.Contains(strings.Join(findings, "\n"), tt.want) {
				t.Errorf("found %q", findings)
			}
		})
	}
}

// stages are the Dockerfile's, the last of which is the image.
func stages(t *testing.T) []instructions.Stage {
	t.Helper()
	parsed, err := parser.Parse(bytes.NewReader([]byte(read(t, "image", "Dockerfile"))))
	if err != nil {
		t.Fatal(err)
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	return stages
}

func TestTheImageHasTheProgramAndThePolicyAlone(t *testing.T) {
	all := stages(t)
	image := all[len(all)-1]
	if image.BaseName != "scratch" {
		t.Errorf("it begins with %s", image.BaseName)
	}
	var copied, labels []string
	var user, entrypoint string
	for _, command := range image.Commands {
		switch c := command.(type) {
		case *instructions.CopyCommand:
			if c.From != "build" && c.From != "checked" {
				t.Errorf("something is copied from %q", c.From)
			}
			copied = append(copied, c.DestPath)
		case *instructions.LabelCommand:
			for _, label := range c.Labels {
				labels = append(labels, label.Key)
			}
		case *instructions.UserCommand:
			user = c.User
		case *instructions.EntrypointCommand:
			entrypoint = strings.Join(c.CmdLine, " ")
		case *instructions.RunCommand, *instructions.AddCommand, *instructions.CmdCommand:
			t.Errorf("it has %s", command.Name())
		}
	}
	if want := []string{"/etc/ssl/certs/ca-certificates.crt", "/run/caddy", "/caddy", "/etc/sallyport"}; !slices.Equal(copied, want) {
		t.Errorf("it has %q, want %q", copied, want)
	}
	if user != "65532:65532" {
		t.Errorf("it runs as %q", user)
	}
	if entrypoint != "/caddy run --adapter caddyfile --config /etc/sallyport/Caddyfile" {
		t.Errorf("it runs %q", entrypoint)
	}
	for _, label := range []string{"org.opencontainers.image.revision", "dev.sallyport.policy.digest"} {
		if !slices.Contains(labels, `"`+label+`"`) && !slices.Contains(labels, label) {
			t.Errorf("it has no label %s, but %q", label, labels)
		}
	}
}

func TestThePolicyIsCheckedWhereItIsBakedIn(t *testing.T) {
	checks := ""
	for _, stage := range stages(t) {
		if stage.Name != "checked" {
			continue
		}
		for _, command := range stage.Commands {
			if run, ok := command.(*instructions.RunCommand); ok {
				checks += strings.Join(run.CmdLine, " ") + "\n"
			}
		}
	}
	for _, check := range []string{`grep -rnF '{$'`, "sallyport lint --config Caddyfile", `test "$(/out/caddy sallyport digest --config Caddyfile)" = "$POLICY_DIGEST"`} {
		if !strings.Contains(checks, check) {
			t.Errorf("%s is not among\n%s", check, checks)
		}
	}
}

func TestTheImageIsBuiltWithThePinnedCompiler(t *testing.T) {
	pinned := regexp.MustCompile(`(?m)^toolchain=go(.+)$`).FindStringSubmatch(read(t, "..", "..", "xcaddy", "build.sh"))
	if pinned == nil {
		t.Fatal("build.sh pins none")
	}
	for _, file := range [][]string{{"image", "Dockerfile"}, {"ci", "gateway.yml"}} {
		if text := read(t, file...); !regexp.MustCompile(`(golang:|go-version: )` + regexp.QuoteMeta(pinned[1]) + `(-|\s)`).MatchString(text) {
			t.Errorf("%s has another one than %s", filepath.Join(file...), pinned[1])
		}
	}
}

func TestThePolicyOfTheImageIsOnlyInTheImage(t *testing.T) {
	policy := read(t, "image", "policy", "Caddyfile")
	for _, hole := range []string{"{$", "{env.", "\nimport "} {
		if strings.Contains(policy, hole) {
			t.Errorf("it has %q", hole)
		}
	}
	for _, line := range []string{"admin unix//run/caddy/admin.sock", "persist_config off", "seal on"} {
		if !regexp.MustCompile(`(?m)^\s+` + regexp.QuoteMeta(line) + `(\s|$)`).MatchString(policy) {
			t.Errorf("it lacks %q", line)
		}
	}
}
