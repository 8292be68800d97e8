package core_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/packages"
)

// purity is the determinism check of the pure rooms: it rejects what could make one seed mean two runs.
// There are no exemptions but the files named in impureFiles.
var purity = &analysis.Analyzer{
	Name: "purity",
	Doc:  "rejects goroutines, channels, ranging over maps, printed pointers, written globals and floats in pure rooms",
	Run:  runPurity,
}

func runPurity(pass *analysis.Pass) (any, error) {
	for _, f := range pass.Files {
		if name := pass.Fset.Position(f.Pos()).Filename; strings.HasSuffix(name, "_test.go") || impureFile(name) {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			checkNode(pass, n)
			return true
		})
	}
	return nil, nil
}

func impureFile(name string) bool {
	return slices.ContainsFunc(impureFiles, func(f string) bool { return strings.HasSuffix(filepath.ToSlash(name), "/"+f) })
}

func checkNode(pass *analysis.Pass, n ast.Node) {
	switch n := n.(type) {
	case *ast.GoStmt:
		pass.Reportf(n.Pos(), "starts a goroutine")
	case *ast.SelectStmt:
		pass.Reportf(n.Pos(), "selects")
	case *ast.ChanType:
		pass.Reportf(n.Pos(), "has a channel")
	case *ast.SendStmt:
		pass.Reportf(n.Pos(), "sends on a channel")
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			pass.Reportf(n.Pos(), "receives from a channel")
		}
		if n.Op == token.AND {
			if v := global(pass, n.X); v != nil {
				pass.Reportf(n.Pos(), "takes the address of package variable %s", v.Name())
			}
		}
	case *ast.RangeStmt:
		if _, ok := under(pass, n.X).(*types.Map); ok {
			pass.Reportf(n.Pos(), "ranges over a map")
		}
	case *ast.AssignStmt:
		for _, x := range n.Lhs {
			if v := global(pass, x); v != nil && n.Tok != token.DEFINE {
				pass.Reportf(n.Pos(), "writes package variable %s", v.Name())
			}
		}
	case *ast.IncDecStmt:
		if v := global(pass, n.X); v != nil {
			pass.Reportf(n.Pos(), "writes package variable %s", v.Name())
		}
	case *ast.CallExpr:
		checkCall(pass, n)
	case *ast.Ident:
		if t, ok := pass.TypesInfo.Uses[n].(*types.TypeName); ok && t.Pkg() == nil && strings.HasPrefix(t.Name(), "float") {
			pass.Reportf(n.Pos(), "uses %s", t.Name())
		}
	}
}

func under(pass *analysis.Pass, x ast.Expr) types.Type {
	if t := pass.TypesInfo.TypeOf(x); t != nil {
		return t.Underlying()
	}
	return nil
}

// global returns the package variable of this package that an expression reaches into, if any.
func global(pass *analysis.Pass, x ast.Expr) *types.Var {
	for {
		switch e := x.(type) {
		case *ast.ParenExpr:
			x = e.X
		case *ast.SelectorExpr:
			if pkg, ok := e.X.(*ast.Ident); ok {
				if _, ok := pass.TypesInfo.Uses[pkg].(*types.PkgName); ok {
					v, _ := pass.TypesInfo.Uses[e.Sel].(*types.Var)
					return v
				}
			}
			x = e.X
		case *ast.IndexExpr:
			x = e.X
		case *ast.StarExpr:
			x = e.X
		case *ast.Ident:
			v, ok := pass.TypesInfo.Uses[e].(*types.Var)
			if ok && v.Parent() == pass.Pkg.Scope() {
				return v
			}
			return nil
		default:
			return nil
		}
	}
}

// checkCall looks for iterators over maps, for pointers that are printed, and for methods that may write a package variable.
func checkCall(pass *analysis.Pass, call *ast.CallExpr) {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return
	}
	fn, ok := pass.TypesInfo.Uses[sel.Sel].(*types.Func)
	if !ok || fn.Pkg() == nil {
		return
	}
	sig := fn.Type().(*types.Signature)
	if recv := sig.Recv(); recv != nil {
		if _, ptr := recv.Type().(*types.Pointer); ptr {
			if _, already := under(pass, sel.X).(*types.Pointer); !already {
				if v := global(pass, sel.X); v != nil {
					pass.Reportf(call.Pos(), "takes the address of package variable %s", v.Name())
				}
			}
		}
	}
	switch fn.Pkg().Path() {
	case "maps":
		if slices.Contains([]string{"Keys", "Values", "All"}, fn.Name()) {
			pass.Reportf(call.Pos(), "ranges over a map")
		}
	case "reflect":
		if fn.Name() == "MapRange" || fn.Name() == "MapKeys" {
			pass.Reportf(call.Pos(), "ranges over a map")
		}
	case "fmt":
		if strings.Contains(fn.Name(), "can") {
			break // Sscan and its kind write through the pointers that they are given
		}
		for _, arg := range call.Args {
			if printsAddress(pass, arg) {
				pass.Reportf(arg.Pos(), "prints an address")
			}
		}
	}
}

func printsAddress(pass *analysis.Pass, arg ast.Expr) bool {
	t := pass.TypesInfo.TypeOf(arg)
	if t == nil {
		return false
	}
	switch t.Underlying().(type) {
	case *types.Pointer, *types.Signature, *types.Chan:
	default:
		return false
	}
	for _, name := range []string{"Error", "String"} { // these print themselves
		if m, _, _ := types.LookupFieldOrMethod(t, true, nil, name); m != nil {
			if _, ok := m.(*types.Func); ok {
				return false
			}
		}
	}
	return true
}

func runOn(t *testing.T, patterns ...string) (found []string) {
	pkgs, err := packages.Load(&packages.Config{
		Dir:  "..",
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedTypes | packages.NeedSyntax | packages.NeedTypesInfo,
	}, patterns...)
	require.NoError(t, err)
	require.NotEmpty(t, pkgs)
	for _, p := range pkgs {
		require.Empty(t, p.Errors, "%s", p.PkgPath)
		if strings.HasSuffix(p.PkgPath, "/gen") {
			continue // generators are programs, not machines
		}
		pass := &analysis.Pass{Analyzer: purity, Fset: p.Fset, Files: p.Syntax, Pkg: p.Types, TypesInfo: p.TypesInfo,
			Report: func(d analysis.Diagnostic) {
				pos := p.Fset.Position(d.Pos)
				if !slices.Contains(floatFiles, roomFile(pos.Filename)) || !strings.HasPrefix(d.Message, "uses float") {
					found = append(found, fmt.Sprintf("%s:%d: %s", roomFile(pos.Filename), pos.Line, d.Message))
				}
			}}
		_, err := purity.Run(pass)
		require.NoError(t, err)
	}
	return found
}

// floatFiles: the protocol has floats there (a ratio among the configurations, quota values).
var floatFiles = []string{"core/image/values.go"}

func roomFile(name string) string {
	top, _ := filepath.Abs("..")
	rel, _ := filepath.Rel(top, name)
	return filepath.ToSlash(rel)
}

// The pure rooms hold nothing that could make one seed mean two runs.
func TestPureRoomsAreDeterministic(t *testing.T) {
	for _, problem := range runOn(t, "./core/...", "./netsim/...", "./disksim/...", "./sim/...", "./checker/...") {
		t.Error(problem)
	}
}

var want = regexp.MustCompile(`// want "([^"]+)"`)

// The check bites: every line of the fixture that asks for a finding gets it, and no other line does.
func TestPurityFindsEachKind(t *testing.T) {
	found := runOn(t, "./core/testdata/purity")
	var wanted []string
	pkgs, err := packages.Load(&packages.Config{Dir: "..", Mode: packages.NeedFiles | packages.NeedSyntax | packages.NeedName | packages.NeedCompiledGoFiles}, "./core/testdata/purity")
	require.NoError(t, err)
	for _, f := range pkgs[0].Syntax {
		for _, g := range f.Comments {
			for _, c := range g.List {
				if m := want.FindStringSubmatch(c.Text); m != nil {
					pos := pkgs[0].Fset.Position(c.Pos())
					wanted = append(wanted, fmt.Sprintf("%s:%d: %s", roomFile(pos.Filename), pos.Line, m[1]))
				}
			}
		}
	}
	require.NotEmpty(t, wanted)
	require.ElementsMatch(t, wanted, found)
}
