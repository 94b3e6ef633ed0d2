package check

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// module is a folder of HCL: what it defines, by address, and what it refers to.
type module struct {
	defines map[string]bool
	refers  map[string]hcl.Range
	blocks  []*hclsyntax.Block
}

// parse reads a module without knowing its provider: what a name means there is
// not judged, but that it is there is.
func parse(t *testing.T, files map[string]string) *module {
	t.Helper()
	m := &module{defines: map[string]bool{}, refers: map[string]hcl.Range{}}
	for name, source := range files {
		file, diagnostics := hclsyntax.ParseConfig([]byte(source), name, hcl.InitialPos)
		if diagnostics.HasErrors() {
			t.Fatal(diagnostics)
		}
		body := file.Body.(*hclsyntax.Body)
		m.blocks = append(m.blocks, body.Blocks...)
		for _, block := range body.Blocks {
			m.define(block)
		}
		_ = hclsyntax.VisitAll(body, func(node hclsyntax.Node) hcl.Diagnostics {
			switch e := node.(type) {
			case *hclsyntax.ScopeTraversalExpr:
				m.refers[address(e.Traversal)] = e.Range()
			case *hclsyntax.Block:
				if e.Type == "dynamic" {
					m.defines[e.Labels[0]] = true
				}
			case *hclsyntax.ForExpr:
				m.defines[e.KeyVar], m.defines[e.ValVar] = true, true
			}
			return nil
		})
	}
	return m
}

func (m *module) define(block *hclsyntax.Block) {
	switch {
	case block.Type == "locals":
		for name := range block.Body.Attributes {
			m.defines["local."+name] = true
		}
	case block.Type == "variable":
		m.defines["var."+block.Labels[0]] = true
	case block.Type == "resource" || block.Type == "source":
		m.defines[strings.Join(block.Labels, ".")] = true
	case len(block.Labels) > 0:
		m.defines[block.Type+"."+strings.Join(block.Labels, ".")] = true
	}
}

// address is as much of a reference as names something that a module defines.
func address(traversal hcl.Traversal) string {
	var names []string
	for _, step := range traversal {
		switch s := step.(type) {
		case hcl.TraverseRoot:
			names = append(names, s.Name)
		case hcl.TraverseAttr:
			names = append(names, s.Name)
		}
	}
	n := 2
	switch names[0] {
	case "data":
		n = 3
	case "each", "count", "path", "self":
		n = 1
	}
	return strings.Join(names[:min(n, len(names))], ".")
}

// undefined are the references to what is not there.
func (m *module) undefined() (missing []string) {
	builtin := regexp.MustCompile(`^(each|count|path|self)$|^(string|number|bool|any)$`)
	for name, where := range m.refers {
		first, _, _ := strings.Cut(name, ".")
		if !m.defines[name] && !m.defines[first] && !builtin.MatchString(first) {
			missing = append(missing, where.String()+": "+name)
		}
	}
	return missing
}

// folder reads the files of a module.
func folder(t *testing.T, ending string, path ...string) map[string]string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(append(append([]string{".."}, path...), "*"+ending)...))
	if err != nil || len(names) == 0 {
		t.Fatalf("%v, %v", names, err)
	}
	files := map[string]string{}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(content)
	}
	return files
}

func TestEveryNameInHCLIsDefined(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
	}{
		{"terraform for AWS", folder(t, ".tf", "terraform", "aws")},
		{"packer", folder(t, ".pkr.hcl", "packer")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, name := range parse(t, tt.files).undefined() {
				t.Error(name)
			}
			for name := range tt.files {
				changed := maps.Clone(tt.files)
				changed[name] += "\nlocals {\n  wrong = var.nobody\n}\n"
				if missing := parse(t, changed).undefined(); len(missing) != 1 || !strings.HasSuffix(missing[0], ": var.nobody") {
					t.Errorf("with one that is not there: %q", missing)
				}
				return
			}
		})
	}
}

// What the AWS layer takes from the policy has to be an output of it, and every
// number of balancers and replacements has to come from there.
func TestTheAWSLayerDecidesNothing(t *testing.T) {
	policy := parse(t, folder(t, ".tf", "terraform", "policy"))
	aws := parse(t, folder(t, ".tf", "terraform", "aws"))
	used := 0
	for _, source := range folder(t, ".tf", "terraform", "aws") {
		for _, match := range regexp.MustCompile(`module\.policy\.(\w+)`).FindAllStringSubmatch(source, -1) {
			if used++; !policy.defines["output."+match[1]] {
				t.Errorf("the policy has no output %s", match[1])
			}
		}
	}
	if used == 0 {
		t.Error("nothing of the policy is used")
	}
	decisions := []string{"deregistration_delay", "idle_timeout", "tcp_idle_timeout_seconds", "proxy_protocol_v2", "preserve_client_ip",
		"connection_termination", "desync_mitigation_mode", "drop_invalid_header_fields", "xff_header_processing_mode", "interval", "timeout",
		"unhealthy_threshold", "unhealthy_draining_interval", "auto_rollback", "min_healthy_percentage", "deployment_minimum_healthy_percent"}
	found := map[string]bool{}
	var visit func(*hclsyntax.Body)
	visit = func(body *hclsyntax.Body) {
		for name, attribute := range body.Attributes {
			if !slices.Contains(decisions, name) {
				continue
			}
			found[name] = true
			if len(attribute.Expr.Variables()) == 0 {
				t.Errorf("%s decides %s", attribute.Range(), name)
			}
		}
		for _, block := range body.Blocks {
			visit(block.Body)
		}
	}
	for _, block := range aws.blocks {
		visit(block.Body)
	}
	for _, name := range decisions {
		if !found[name] {
			t.Errorf("nothing sets %s", name)
		}
	}
}

// Nobody but the link before comes in: of all rules about ingress, only the
// balancer's names addresses.
func TestSecurityGroupsAreAChain(t *testing.T) {
	var open []string
	for _, block := range parse(t, folder(t, ".tf", "terraform", "aws")).blocks {
		if len(block.Labels) == 2 && block.Labels[0] == "aws_vpc_security_group_ingress_rule" && block.Body.Attributes["referenced_security_group_id"] == nil {
			open = append(open, block.Labels[1])
		}
	}
	if !slices.Equal(open, []string{"world_to_balancer"}) {
		t.Errorf("from addresses come %q", open)
	}
}
