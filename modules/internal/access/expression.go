package access

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/checker"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
	"cel.dev/cel-go/interpreter"

	"github.com/sallyport-gateway/sallyport/modules/internal/principal"
)

const (
	// maxExpression is the longest expression, in characters.
	maxExpression = 4096
	// maxNesting is how deep an expression may nest.
	maxNesting = 50
	// maxRegexp is how large the programs of an expression's regular expressions may
	// be together: each instruction may look at each byte of a text.
	maxRegexp = 500
	// maxWalks is how many operations that look at all of what they are about an
	// expression may have without being counted when it is evaluated.
	maxWalks = 8
	// exact is where a double cannot tell whole numbers apart any more.
	exact = 1 << 53
	// maxCost bounds an evaluation, in CEL's units of about one operation each: by
	// estimate when the expression is compiled, by count when it is evaluated.
	maxCost = 20_000
	// maxText is the longest path that is looked at. What is in a token is bounded by
	// the token's size.
	maxText = 8 << 10
)

// The names that expressions know.
const (
	varID       = "principal.id"
	varIssuer   = "principal.issuer"
	varMethod   = "principal.method"
	varScopes   = "principal.scopes"
	varRoles    = "principal.roles"
	varTier     = "principal.tier"
	varClaims   = "principal.claims"
	varRequest  = "request.method"
	varHost     = "request.host"
	varPath     = "request.path"
	varClientIP = "request.client_ip"
)

// environment is where expressions are compiled; made when there is one. Of the
// macros it has those that ask a question: the others build lists.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	list := cel.ListType(cel.StringType)
	return cel.NewCustomEnv(
		cel.StdLib(), cel.ClearMacros(), cel.Macros(cel.HasMacro, cel.AllMacro, cel.ExistsMacro, cel.ExistsOneMacro),
		cel.CustomTypeAdapter(adapter{}), ext.Network(),
		cel.ParserExpressionSizeLimit(maxExpression), cel.ParserRecursionLimit(maxNesting),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals()),
		cel.Variable(varID, cel.StringType), cel.Variable(varIssuer, cel.StringType), cel.Variable(varMethod, cel.StringType),
		cel.Variable(varScopes, list), cel.Variable(varRoles, list), cel.Variable(varTier, cel.StringType),
		cel.Variable(varClaims, cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable(varRequest, cel.StringType), cel.Variable(varHost, cel.StringType), cel.Variable(varPath, cel.StringType),
		cel.Variable(varClientIP, cel.StringType),
	)
})

// expression is a condition in CEL, compiled. It is safe for concurrent use.
type expression struct{ program cel.Program }

// ParseExpression accepts a condition in CEL and returns it.
func ParseExpression(s string) (string, error) {
	_, err := compileExpression(s)
	return s, err
}

func compileExpression(s string) (*expression, error) {
	if strings.TrimSpace(s) == "" {
		return nil, errors.New("is empty")
	}
	env, err := environment()
	if err != nil {
		return nil, err
	}
	compiled, issues := env.Compile(s)
	if issues.Err() != nil {
		return nil, oneLine(issues)
	}
	if t := compiled.OutputType(); !t.IsExactType(cel.BoolType) {
		return nil, fmt.Errorf("it is of type %s, not bool: compare it with something", t)
	}
	var found use
	ast.PostOrderVisit(compiled.NativeRep().Expr(), ast.NewExprVisitor(found.visit))
	if err := found.check(); err != nil {
		return nil, err
	}
	cost, err := env.EstimateCost(compiled, sizes{})
	if err != nil {
		return nil, err
	}
	if cost.Max > maxCost {
		return nil, fmt.Errorf("it is too costly for every request: up to %s operations, %d are allowed", describeCost(cost.Max), maxCost)
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if found.loops || found.walks > maxWalks {
		// Otherwise there is nothing to cut, since claims are bounded and no part of an
		// expression runs twice; and counting costs more than all the rest.
		options = append(options, cel.CostTracking(sizes{}), cel.CostLimit(maxCost))
	}
	program, err := env.Program(compiled, options...)
	if err != nil {
		return nil, err
	}
	return &expression{program}, nil
}

func describeCost(cost uint64) string {
	if cost > 1e12 {
		return "any number of"
	}
	return strconv.FormatUint(cost, 10)
}

// oneLine is the first of CEL's errors and where it is. The others often follow
// from it.
func oneLine(issues *cel.Issues) error {
	first := issues.Errors()[0]
	where := ""
	if first.Location.Line() > 0 {
		where = fmt.Sprintf("column %d: ", first.Location.Column()+1)
	}
	if first.Location.Line() > 1 {
		where = fmt.Sprintf("line %d of it, %s", first.Location.Line(), where)
	}
	return errors.New(where + strings.Join(strings.Fields(first.Message), " "))
}

// use is what an expression does, as far as types do not tell.
type use struct {
	asks   bool // about the caller or the request
	loops  bool // goes through lists
	walks  int  // operations that look at all of a text or a list that is not written out
	regexp int  // instructions
	err    error
}

func (u *use) visit(e ast.Expr) {
	switch e.Kind() {
	case ast.IdentKind:
		u.asks = u.asks || strings.HasPrefix(e.AsIdent(), "principal.") || strings.HasPrefix(e.AsIdent(), "request.")
	case ast.ComprehensionKind:
		u.loops = true
	case ast.LiteralKind:
		if d, ok := e.AsLiteral().(types.Double); ok && math.Abs(float64(d)) >= exact {
			u.err = cmp.Or(u.err, errInexact)
		}
	case ast.CallKind:
		u.call(e.AsCall())
	}
}

func (u *use) call(call ast.CallExpr) {
	args := call.Args()
	switch call.FunctionName() {
	case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional, operators.Index:
	case operators.Add:
		u.walks++
	case operators.In:
		if args[1].Kind() != ast.ListKind {
			u.walks++
		}
	case overloads.Matches:
		size, err := sizeOfPattern(args[len(args)-1])
		u.regexp += size
		u.err = cmp.Or(u.err, err)
	default:
		if !slices.ContainsFunc(args, func(a ast.Expr) bool { return a.Kind() == ast.LiteralKind }) {
			u.walks++
		}
	}
}

var errInexact = errors.New("a number with a fraction or an exponent is not exact from 2^53 on: write a whole number")

// check refuses an expression that asks nothing about the caller or the request,
// regular expressions that a caller could write, and large ones.
func (u *use) check() error {
	switch {
	case u.err != nil:
		return u.err
	case u.regexp > maxRegexp:
		return fmt.Errorf("the patterns of matches are too large: %d instructions, %d are allowed", u.regexp, maxRegexp)
	case !u.asks:
		return errors.New("it asks nothing about principal or request")
	}
	return nil
}

// sizeOfPattern is how many instructions the pattern of matches compiles to. CEL has
// a limit for it, which panics on a counted repetition.
func sizeOfPattern(e ast.Expr) (int, error) {
	if e.Kind() != ast.LiteralKind {
		return 0, errors.New("the pattern of matches has to be written out: one from a request could be any")
	}
	pattern, _ := e.AsLiteral().(types.String)
	parsed, err := syntax.Parse(string(pattern), syntax.Perl)
	if err != nil {
		return 0, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0, err
	}
	return len(program.Inst), nil
}

// judge evaluates the expression. FailedExpression is a claim that is not there,
// two types that cannot be compared, a cost beyond the limit.
func (x *expression) judge(r Request, caller *principal.Principal) Verdict {
	v := activations.Get().(*activation)
	v.request, v.caller = r, caller
	out, _, err := x.program.Eval(v)
	*v = activation{}
	activations.Put(v)
	switch {
	case err != nil:
		return FailedExpression
	case out == types.True:
		return Allowed
	case out == types.False:
		return UnmetExpression
	}
	return FailedExpression
}

// activation is what the names stand for in one evaluation, looked up when one is
// used.
type activation struct {
	request Request
	caller  *principal.Principal
}

var activations = sync.Pool{New: func() any { return new(activation) }}

// ResolveName implements cel.Activation.
func (v *activation) ResolveName(name string) (any, bool) {
	switch name {
	case varID:
		return v.caller.ID, true
	case varIssuer:
		return v.caller.Issuer, true
	case varMethod:
		return v.caller.Method, true
	case varScopes:
		return v.caller.Scopes, true
	case varRoles:
		return v.caller.Roles, true
	case varTier:
		return v.caller.Tier, true
	case varClaims:
		return v.caller.Claims, true
	case varRequest:
		return v.request.Method, true
	case varHost:
		return v.request.Host, true
	case varPath:
		if len(v.request.Path) > maxText {
			return types.NewErr("the path is too long"), true
		}
		return v.request.Path, true
	case varClientIP:
		if !v.request.Client.IsValid() {
			return types.NewErr("the client's address is not established"), true
		}
		return v.request.Client.String(), true
	}
	return nil, false
}

// Parent implements cel.Activation.
func (*activation) Parent() cel.Activation { return nil }

// adapter makes CEL's values of a principal's. Whole numbers are never rounded:
// two accounts could become one.
type adapter struct{}

// NativeToValue implements types.Adapter.
func (a adapter) NativeToValue(value any) ref.Val {
	switch v := value.(type) {
	case json.Number:
		return number(string(v))
	case map[string]any:
		return types.NewStringInterfaceMap(a, v)
	case []any:
		return types.NewDynamicList(a, v)
	}
	return types.DefaultTypeAdapter.NativeToValue(value)
}

func number(s string) ref.Val {
	if strings.ContainsAny(s, ".eE") {
		// A whole number beyond would be compared with its neighbours as equal.
		if f, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(f) < exact {
			return types.Double(f)
		}
	} else if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return types.Int(i)
	} else if u, err := strconv.ParseUint(s, 10, 64); err == nil {
		return types.Uint(u)
	}
	return types.NewErr("a number that cannot be held exactly")
}

// sizes estimates what expressions are about, amply but within what requests look
// like. Those that are larger are left to the count.
type sizes struct{}

// EstimateSize implements checker.CostEstimator.
func (sizes) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	most := uint64(256) // a claim, or anything that is not known
	if path := node.Path(); len(path) == 1 {
		switch path[0] {
		case varPath, varID:
			most = 1024
		case varScopes, varRoles, varClaims:
			most = 100
		case varRequest, varClientIP:
			most = 45
		}
	} else if len(path) == 2 && (path[0] == varScopes || path[0] == varRoles) {
		most = 64
	}
	return &checker.SizeEstimate{Max: most}
}

// EstimateCallCost implements checker.CostEstimator.
func (sizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

// CallCost implements interpreter.ActualCostEstimator. CEL counts what it does with
// a claim as one operation, whatever the claim is, because it does not know the type
// beforehand.
func (sizes) CallCost(_, overload string, args []ref.Val, _ ref.Val) *uint64 {
	if overload != "" {
		return nil
	}
	cost := uint64(1)
	for _, arg := range args {
		switch v := arg.(type) {
		case types.String:
			cost += uint64(len(v)) / 10
		case traits.Sizer:
			if n, ok := v.Size().(types.Int); ok {
				cost += uint64(n)
			}
		}
	}
	return &cost
}

// Interface guards
var (
	_ cel.Activation        = (*activation)(nil)
	_ types.Adapter         = adapter{}
	_ checker.CostEstimator = sizes{}

	_ interpreter.ActualCostEstimator = sizes{}
)
