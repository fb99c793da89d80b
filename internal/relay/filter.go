package relay

import (
	"errors"
	"fmt"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"github.com/siemrelay/siemrelay/normalize"
)

// facts are the names in a filter's text.
type facts struct {
	Kind     string   `expr:"kind"`
	Action   string   `expr:"action"`
	State    string   `expr:"state"`
	Status   string   `expr:"status"`
	Severity int      `expr:"severity"`
	Source   string   `expr:"source"`
	Company  string   `expr:"company"`
	Trigger  string   `expr:"trigger"`
	Tags     []string `expr:"tags"`
}

// names lists the names of facts for people.
const names = "kind, action, state, status, severity, source, company, trigger and tags"

// functions are the functions of the expression language that a filter may call. None
// depends on anything but the event, so that a replay filters as the first time;
// none makes its argument larger, so that the work is bounded by text and event.
func functions() []string {
	return []string{
		"all", "any", "none", "one", "count", "len", "lower", "upper", "trim", "trimPrefix", "trimSuffix",
		"hasPrefix", "hasSuffix", "indexOf", "lastIndexOf", "abs", "int", "string",
	}
}

const (
	// maxNodes bounds the size of a filter, in nodes of its syntax tree.
	maxNodes = 2000
	// filterMemory bounds, in the units of the expression language, what one match may use.
	filterMemory = 100_000
)

// Filter decides which events are for an output. One goroutine at a time uses it.
// The nil Filter matches every event.
type Filter struct {
	program *vm.Program
	vm      vm.VM
	facts   facts
}

// FilterError is a mistake in the text of a filter.
type FilterError struct {
	// Line and Column are where in the text it is, both from 1; the column counts characters.
	Line, Column int
	// Text says what is wrong, and contains nothing of where.
	Text string
}

func (e *FilterError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Text)
}

// ParseFilter reads a filter: a yes-or-no expression of the language of
// github.com/expr-lang/expr over kind, action, state, status, severity, source,
// company, trigger and tags, which are the fields of normalize.Event; severity is a
// number, tags a list of strings, everything else a string. What would make the work
// unbounded is not allowed: ranges, variables, a loop inside a loop. Blank text is the
// filter nil. The error is a *FilterError.
func ParseFilter(text string) (f *Filter, err error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	defer func() {
		if v := recover(); v != nil { // it is foreign code
			f, err = nil, &FilterError{Line: 1, Column: 1, Text: fmt.Sprintf("can't be read: %v", v)}
		}
	}()
	limits := &limits{}
	options := []expr.Option{
		expr.Env(facts{}), expr.AsBool(), expr.WarnOnAny(), expr.MaxNodes(maxNodes), expr.Patch(limits),
		expr.DisableAllBuiltins(),
	}
	for _, name := range functions() {
		options = append(options, expr.EnableBuiltin(name))
	}
	program, err := expr.Compile(text, options...)
	if limits.err != nil {
		err = limits.err.Bind(file.NewSource(text))
	}
	if err != nil {
		return nil, filterError(err)
	}
	return &Filter{program: program, vm: vm.VM{MemoryBudget: filterMemory}}, nil
}

func filterError(err error) *FilterError {
	wrong := &FilterError{Line: 1, Column: 1, Text: err.Error()}
	var at *file.Error
	if errors.As(err, &at) {
		wrong.Line, wrong.Column, wrong.Text = max(at.Line, 1), at.Column+1, at.Message
	}
	if strings.HasPrefix(wrong.Text, "unknown name") {
		wrong.Text += "; there are " + names
	}
	return wrong
}

// limits finds in a syntax tree what a filter may not contain.
type limits struct{ err *file.Error }

// Visit implements ast.Visitor.
func (l *limits) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.BinaryNode:
		if n.Operator == ".." {
			l.refuse(n, "a range is not allowed")
		}
	case *ast.VariableDeclaratorNode:
		l.refuse(n, "a variable is not allowed")
	case *ast.PredicateNode:
		var inner loops
		ast.Walk(&n.Node, &inner)
		if inner > 0 {
			l.refuse(n, "a loop inside a loop is not allowed")
		}
	}
}

func (l *limits) refuse(node ast.Node, text string) {
	if l.err == nil {
		l.err = &file.Error{Location: node.Location(), Message: text}
	}
}

// loops counts the loops in a syntax tree.
type loops int

// Visit implements ast.Visitor.
func (l *loops) Visit(node *ast.Node) {
	if _, is := (*node).(*ast.PredicateNode); is {
		*l++
	}
}

// Match tells whether an event is for the output. If that can't be told, it is.
func (f *Filter) Match(e *normalize.Event) bool {
	matches, _ := f.match(e)
	return matches
}

// match is Match, and says what went wrong. An event that could not be normalised
// matches whatever the filter says: what it is about is not known.
func (f *Filter) match(e *normalize.Event) (matches bool, err error) {
	if f == nil || e.EventKind == "pipeline_error" {
		return true, nil
	}
	defer func() {
		if v := recover(); v != nil {
			matches, err = true, fmt.Errorf("filter: panic: %v", v)
		}
	}()
	f.facts = facts{
		Kind: e.Kind, Action: e.Action, State: e.State, Status: e.Status, Severity: e.Severity,
		Source: e.Source, Company: e.Company, Trigger: e.Trigger, Tags: e.Tags,
	}
	got, err := f.vm.Run(f.program, &f.facts)
	if err != nil {
		return true, fmt.Errorf("filter: %w", err)
	}
	is, ok := got.(bool)
	if !ok {
		return true, fmt.Errorf("filter: it came to %T, neither true nor false", got)
	}
	return is, nil
}
