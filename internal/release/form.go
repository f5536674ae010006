package release

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cedar-policy/cedar-go"

	"github.com/noroshi-cti/noroshi"
)

// ClauseForm is one permission of a clause as a form has it: everything that is
// filled in must hold. A clause is one or several forms, any of which permits.
// A form permits and never forbids; what it leaves empty limits nothing.
type ClauseForm struct {
	TwoPersons    bool               `json:"two_persons"`              // permits only with two officers' signatures
	Types         []string           `json:"types,omitempty"`          // STIX types, any of them
	MinTLP        noroshi.TLP        `json:"min_tlp,omitempty"`        // 1 CLEAR to 5 RED
	MaxTLP        noroshi.TLP        `json:"max_tlp,omitempty"`        // the same; an object without a TLP passes
	MaxLevel      noroshi.Level      `json:"max_level,omitzero"`       // U, C, S, TS; an unclassified object passes
	Sources       []string           `json:"sources,omitempty"`        // self, partner, other: any of them
	MinPrecedence noroshi.Precedence `json:"min_precedence,omitempty"` // routine to flash
	MaxPrecedence noroshi.Precedence `json:"max_precedence,omitempty"`
	Warnings      Warnings           `json:"warnings,omitempty"`
	Sectors       []string           `json:"sectors,omitempty"` // it names at least one of them
	EmergencyOnly bool               `json:"emergency_only,omitempty"`
}

// Warnings says whether a form is about warnings.
type Warnings string

// The choices.
const (
	AllObjects   Warnings = ""     // whether it is one or not
	OnlyWarnings Warnings = "only" // warnings and their translations
	NoWarnings   Warnings = "none" // what is none
)

// Cedar writes the form as a policy, in one way only.
func (f ClauseForm) Cedar() string {
	action := "release"
	if f.TwoPersons {
		action = "releaseWithTwoPersons"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "permit (principal, action == Action::%q, resource)", action)
	if when := f.conditions(); len(when) > 0 {
		b.WriteString("\nwhen { " + strings.Join(when, " && ") + " }")
	}
	return b.String() + ";\n"
}

func (f ClauseForm) conditions() (when []string) {
	add := func(is bool, format string, args ...any) {
		if is {
			when = append(when, fmt.Sprintf(format, args...))
		}
	}
	add(f.EmergencyOnly, "context.emergency")
	add(f.MinTLP > 0, "resource.level >= %d", f.MinTLP)
	add(f.MaxTLP > 0, "resource.level <= %d", f.MaxTLP)
	add(f.MaxLevel > 0, "resource.classification <= %d", f.MaxLevel)
	add(f.MinPrecedence > 0, "resource.precedence >= %d", f.MinPrecedence)
	add(f.MaxPrecedence > 0, "resource.precedence <= %d", f.MaxPrecedence)
	add(len(f.Types) > 0, "%s.contains(resource.type)", cedarSet(f.Types))
	add(len(f.Sources) > 0, "%s.contains(resource.source)", cedarSet(f.Sources))
	add(len(f.Sectors) > 0, "%s.containsAny(resource.sectors)", cedarSet(f.Sectors))
	add(f.Warnings == OnlyWarnings, "resource.warning")
	add(f.Warnings == NoWarnings, "!resource.warning")
	return when
}

func cedarSet(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = string(cedar.String(w).MarshalCedar())
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// FormsCedar writes the policies of a clause.
func FormsCedar(forms ...ClauseForm) string {
	var b strings.Builder
	for _, f := range forms {
		b.WriteString(f.Cedar())
	}
	return b.String()
}

// FormsOf reads a clause's policies back into forms. It returns false where one
// of them says what no form says (a forbid, an or, an attribute that forms do
// not have): such a clause is shown and edited as Cedar only. What it returns
// means exactly what the policies mean.
func FormsOf(text string) ([]ClauseForm, bool) {
	list, err := cedar.NewPolicyListFromBytes("clause", []byte(text))
	if err != nil || len(list) == 0 {
		return nil, false
	}
	var forms []ClauseForm
	for _, p := range list {
		raw, err := p.MarshalJSON()
		if err != nil {
			return nil, false
		}
		f, ok := formOf(raw)
		if !ok {
			return nil, false
		}
		forms = append(forms, f)
	}
	return forms, true
}

// policy is a Cedar policy in its JSON form, as far as forms go.
type policy struct {
	Effect      string            `json:"effect"`
	Annotations map[string]string `json:"annotations"`
	Principal   scope             `json:"principal"`
	Action      scope             `json:"action"`
	Resource    scope             `json:"resource"`
	Conditions  []struct {
		Kind string         `json:"kind"`
		Body map[string]any `json:"body"`
	} `json:"conditions"`
}

type scope struct {
	Op     string `json:"op"`
	Entity struct {
		Type string `json:"type"`
		ID   string `json:"id"`
	} `json:"entity"`
}

func formOf(raw []byte) (f ClauseForm, ok bool) {
	var p policy
	if json.Unmarshal(raw, &p) != nil || p.Effect != "permit" || len(p.Annotations) > 0 || p.Principal.Op != "All" || p.Resource.Op != "All" ||
		p.Action.Op != "==" || p.Action.Entity.Type != "Action" || len(p.Conditions) > 1 {
		return f, false
	}
	switch p.Action.Entity.ID {
	case "release":
	case "releaseWithTwoPersons":
		f.TwoPersons = true
	default:
		return f, false
	}
	if len(p.Conditions) == 0 {
		return f, true
	}
	if p.Conditions[0].Kind != "when" {
		return f, false
	}
	return f, f.read(p.Conditions[0].Body)
}

// read takes a condition in; false when no field says it, or one says it
// already otherwise.
func (f *ClauseForm) read(e map[string]any) bool {
	if len(e) != 1 {
		return false
	}
	for op, body := range e {
		x, _ := body.(map[string]any)
		switch op {
		case "&&":
			left, ok1 := x["left"].(map[string]any)
			right, ok2 := x["right"].(map[string]any)
			return ok1 && ok2 && f.read(left) && f.read(right)
		case "<=", "<", ">=", ">", "==":
			return f.compare(op, attribute(x["left"]), value(x["right"]))
		case "contains", "containsAny":
			return f.among(op, wordSet(x["left"]), attribute(x["right"]))
		case ".":
			switch attribute(map[string]any{".": body}) {
			case "context.emergency":
				f.EmergencyOnly = true
				return true
			case "resource.warning":
				return f.warnings(OnlyWarnings)
			}
		case "!":
			if attribute(x["arg"]) == "resource.warning" {
				return f.warnings(NoWarnings)
			}
		}
	}
	return false
}

func (f *ClauseForm) warnings(w Warnings) bool {
	ok := f.Warnings == AllObjects || f.Warnings == w
	f.Warnings = w
	return ok
}

// compare takes in a comparison of an attribute with a number or a word.
func (f *ClauseForm) compare(op, attr string, v any) bool {
	if word, ok := v.(string); ok {
		return op == "==" && f.among("contains", []string{word}, attr)
	}
	number, ok := v.(float64)
	n := int(number)
	if !ok || float64(n) != number {
		return false
	}
	low, high := n, n
	switch op {
	case "<=":
		low = 0
	case "<":
		low, high = 0, n-1
	case ">=":
		high = 0
	case ">":
		low, high = n+1, 0
	}
	if op != ">=" && op != ">" && high < 1 || op != "<=" && op != "<" && low < 1 || low > 5 || high > 5 {
		return false // a bound that forms do not have: 0 is none
	}
	switch attr {
	case "resource.level":
		return bound(&f.MinTLP, &f.MaxTLP, low, high)
	case "resource.precedence":
		return low <= int(noroshi.Flash) && high <= int(noroshi.Flash) && bound(&f.MinPrecedence, &f.MaxPrecedence, low, high)
	case "resource.classification":
		var none noroshi.Level
		return low == 0 && high <= int(noroshi.TopSecret) && bound(&none, &f.MaxLevel, 0, high)
	}
	return false
}

// bound sets a lower and an upper bound, 0 being none; false where there is one.
func bound[T ~uint8](min, max *T, low, high int) bool {
	if low > 0 && *min > 0 || high > 0 && *max > 0 {
		return false
	}
	if low > 0 {
		*min = T(low)
	}
	if high > 0 {
		*max = T(high)
	}
	return true
}

// among takes in that an attribute is one of some words.
func (f *ClauseForm) among(op string, list []string, attr string) bool {
	var to *[]string
	switch {
	case op == "contains" && attr == "resource.type":
		to = &f.Types
	case op == "contains" && attr == "resource.source":
		to = &f.Sources
	case op == "containsAny" && attr == "resource.sectors":
		to = &f.Sectors
	}
	if to == nil || len(list) == 0 || *to != nil {
		return false
	}
	*to = list
	return true
}

// attribute returns an attribute of a variable as "resource.level", or "".
func attribute(e any) string {
	access, _ := e.(map[string]any)
	x, _ := access["."].(map[string]any)
	of, _ := x["left"].(map[string]any)
	name, _ := x["attr"].(string)
	v, _ := of["Var"].(string)
	if len(access) != 1 || len(of) != 1 || v == "" {
		return ""
	}
	return v + "." + name
}

// value returns a literal, or nil.
func value(e any) any {
	x, _ := e.(map[string]any)
	if len(x) != 1 {
		return nil
	}
	return x["Value"]
}

// wordSet returns a set of words, or nil.
func wordSet(e any) (list []string) {
	x, _ := e.(map[string]any)
	items, _ := x["Set"].([]any)
	for _, item := range items {
		w, ok := value(item).(string)
		if !ok {
			return nil
		}
		list = append(list, w)
	}
	return list
}

// CheckForms says what is wrong with the forms of a clause that a person filled
// in, naming form and field, or nil. The words of their lists are not judged: a
// type nobody knows permits nothing.
func CheckForms(forms ...ClauseForm) error {
	if len(forms) == 0 {
		return noroshi.Errorf(noroshi.Invalid, "agreement.form-none", "a clause needs one form at least")
	}
	for i, f := range forms {
		if code := f.fault(); code != "" {
			return noroshi.Errorf(noroshi.Invalid, code, "form %d: %s", i+1, code)
		}
	}
	return nil
}

// fault returns the code of what is wrong with a form, or "".
func (f ClauseForm) fault() string {
	notWord := func(w string) bool { return w == "" || strconv.Quote(w) != `"`+w+`"` }
	switch {
	case f.MinTLP > noroshi.Red:
		return "agreement.form-min-tlp"
	case f.MaxTLP > noroshi.Red || f.MaxTLP > 0 && f.MinTLP > f.MaxTLP:
		return "agreement.form-max-tlp"
	case f.MaxLevel > noroshi.TopSecret:
		return "agreement.form-max-level"
	case f.MinPrecedence > noroshi.Flash:
		return "agreement.form-min-precedence"
	case f.MaxPrecedence > noroshi.Flash || f.MaxPrecedence > 0 && f.MinPrecedence > f.MaxPrecedence:
		return "agreement.form-max-precedence"
	case !slices.Contains([]Warnings{AllObjects, OnlyWarnings, NoWarnings}, f.Warnings):
		return "agreement.form-warnings"
	case slices.ContainsFunc(f.Sources, func(s string) bool { return !slices.Contains(origins, s) }):
		return "agreement.form-sources"
	case slices.ContainsFunc(f.Types, notWord):
		return "agreement.form-types"
	case slices.ContainsFunc(f.Sectors, notWord):
		return "agreement.form-sectors"
	}
	return ""
}

// PutForms returns the text of an agreement with the policies of one clause as
// forms write them, and nothing else changed. Only what stands in the file as it
// is and once can be replaced: not a policy written with escapes, nor one that
// two clauses have.
func PutForms(file []byte, clause string, forms []ClauseForm) ([]byte, error) {
	if err := CheckForms(forms...); err != nil {
		return nil, err
	}
	old, err := noroshi.ParseAgreement(file)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(old.Clauses, func(c noroshi.Clause) bool { return c.ID == clause })
	if i < 0 {
		return nil, noroshi.Errorf(noroshi.NotFound, "agreement.no-clause", "the agreement has no clause %s", clause)
	}
	was := []byte(old.Clauses[i].Cedar)
	if n := bytes.Count(file, was); n != 1 {
		return nil, noroshi.Errorf(noroshi.Invalid, "agreement.clause-place", "the cedar of clause %s stands in the file %d times as it is, not once", clause, n)
	}
	text := FormsCedar(forms...)
	inLine := strings.TrimSpace(strings.ReplaceAll(text, "\n", " ")) // some quotes of TOML hold one line only
	for _, text := range []string{text, inLine} {
		fresh := bytes.Replace(file, was, []byte(text), 1)
		now, err := noroshi.ParseAgreement(fresh)
		if err != nil || !onlyCedar(old, now, clause, text) {
			continue
		}
		if err := CheckClauses(now); err != nil {
			return nil, err
		}
		return fresh, nil
	}
	return nil, noroshi.Errorf(noroshi.Invalid, "agreement.clause-quotes", "the new cedar of clause %s does not fit the quotes around the old one: put that in triple apostrophes", clause)
}

// onlyCedar reports whether two agreements differ in nothing but that the
// policies of a clause are a text now.
func onlyCedar(old, now *noroshi.Agreement, clause, text string) bool {
	for _, d := range noroshi.DiffAgreements(old, now) {
		if d.Of != "clause" || d.Name != clause || d.Key != "cedar" {
			return false
		}
	}
	return slices.ContainsFunc(now.Clauses, func(c noroshi.Clause) bool { return c.ID == clause && c.Cedar == text })
}
