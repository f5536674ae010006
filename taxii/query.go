package taxii

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/noroshi-cti/noroshi/stix"
)

// fields are the match fields an endpoint knows; it ignores others.
type fields uint8

const (
	matchID fields = 1 << iota
	matchType
	matchVersion
	matchSpec
	paging // added_after, limit and next, which DELETE has not
)

// What the endpoints know (sections 5.3, 5.4, 5.6 to 5.8).
const (
	objectsFields  = matchID | matchType | matchVersion | matchSpec | paging
	objectFields   = matchVersion | matchSpec | paging
	versionsFields = matchSpec | paging
	deleteFields   = matchVersion | matchSpec
)

// maxValues bounds the values of one match field: a backend asks for each.
const maxValues = 1000

// maxInteger is the largest integer of TAXII (section 2).
const maxInteger = 1<<53 - 1

// parsed is a query string that was read.
type parsed struct {
	Query
	next string // "" when not given
}

// parseQuery reads the parameters of section 3.4. What the standard forbids a
// request to have is an error: a parameter or match field given twice, a version
// keyword or value named twice, "all" beside other versions. Parameters and match
// fields that the endpoint does not know are ignored, whatever they hold.
func parseQuery(raw string, known fields) (parsed, error) {
	var q parsed
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, badParameter("query", "is not well encoded")
	}
	for _, p := range parameters {
		all := values[p.name]
		if known&p.field == 0 || len(all) == 0 {
			continue
		}
		if len(all) > 1 {
			return q, badParameter(p.name, "is given more than once")
		}
		if err := p.read(&q, all[0]); err != nil {
			return q, badParameter(p.name, err.Error())
		}
	}
	return q, nil
}

var parameters = []struct {
	name  string
	field fields
	read  func(*parsed, string) error
}{
	{"added_after", paging, (*parsed).readAfter},
	{"limit", paging, (*parsed).readLimit},
	{"next", paging, (*parsed).readNext},
	{"match[id]", matchID, (*parsed).readIDs},
	{"match[type]", matchType, (*parsed).readTypes},
	{"match[version]", matchVersion, (*parsed).readVersions},
	{"match[spec_version]", matchSpec, (*parsed).readSpecs},
}

func badParameter(name, why string) error {
	return refuse(400, "malformed parameter", fmt.Sprintf("the parameter %s %s", name, why))
}

func (q *parsed) readAfter(s string) error {
	t, err := stix.ParseTime(s)
	if err != nil {
		return fmt.Errorf("is no timestamp of the form 2006-01-02T15:04:05.000000Z")
	}
	q.After = t.Time()
	return nil
}

func (q *parsed) readLimit(s string) error {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n == 0 || n > maxInteger {
		return fmt.Errorf("is no integer greater than zero")
	}
	q.Limit = int(min(n, 1<<31-1))
	return nil
}

func (q *parsed) readNext(s string) error {
	if s == "" {
		return fmt.Errorf("is empty")
	}
	q.next = s
	return nil
}

// commaList reads a comma list, sorted and each value once.
func commaList(s string, good func(string) bool, what string) ([]string, error) {
	if strings.Count(s, ",") >= maxValues {
		return nil, fmt.Errorf("has more than %d values", maxValues)
	}
	values := strings.Split(s, ",")
	for i, v := range values {
		if !good(v) {
			return nil, fmt.Errorf("has a value that is no %s (number %d)", what, i+1)
		}
	}
	slices.Sort(values)
	return slices.Compact(values), nil
}

func (q *parsed) readIDs(s string) error {
	ids, err := commaList(s, func(v string) bool { _, err := stix.ParseID(v); return err == nil }, "STIX identifier")
	for _, id := range ids {
		q.IDs = append(q.IDs, stix.ID(id))
	}
	return err
}

func (q *parsed) readTypes(s string) (err error) {
	q.Types, err = commaList(s, isType, "name of an object type")
	return err
}

// isType takes the names of types of STIX of any version.
func isType(s string) bool {
	return s != "" && len(s) <= 250 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

func (q *parsed) readSpecs(s string) (err error) {
	q.Specs, err = commaList(s, isSpec, "specification version such as 2.1")
	return err
}

func isSpec(s string) bool {
	major, minor, ok := strings.Cut(s, ".")
	digits := func(s string) bool { return s != "" && len(s) <= 9 && strings.Trim(s, "0123456789") == "" }
	return ok && digits(major) && digits(minor)
}

func (q *parsed) readVersions(s string) error {
	given := strings.Count(s, ",") + 1
	values, err := commaList(s, isVersion, "version: first, last, all or a timestamp")
	if err != nil {
		return err
	}
	if len(values) < given {
		return fmt.Errorf("names a version twice")
	}
	for _, v := range values {
		switch v {
		case "last":
			q.Version = append(q.Version, VersionMatch{Kind: Last})
		case "first":
			q.Version = append(q.Version, VersionMatch{Kind: First})
		case "all":
			if len(values) > 1 {
				return fmt.Errorf("has other versions beside all")
			}
			q.Version = []VersionMatch{{Kind: All}}
		default:
			t, _ := stix.ParseTime(v) // isVersion has read it
			q.Version = append(q.Version, VersionMatch{Kind: Exactly, At: t})
		}
	}
	return nil
}

func isVersion(s string) bool {
	if s == "last" || s == "first" || s == "all" {
		return true
	}
	_, err := stix.ParseTime(s)
	return err == nil
}

// exact reports whether the query asks for exact versions and for nothing else.
func (q Query) exact() bool {
	return len(q.Version) > 0 && !slices.ContainsFunc(q.Version, func(v VersionMatch) bool { return v.Kind != Exactly })
}
