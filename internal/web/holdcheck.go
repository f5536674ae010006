package web

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// Finding is what one check found: nothing, something a person should look at,
// or something wrong. It decides nothing; the desk does.
type Finding struct {
	Code  string   `json:"code"`            // what was looked for
	State string   `json:"state"`           // "ok", "look", "wrong"
	Args  []string `json:"args,omitempty"`  // of a text about it: counts, a label and its clause
	About []string `json:"about,omitempty"` // what it was found in, a few of them
}

// maxAbout bounds what a finding names.
const maxAbout = 5

// in notes what something was found in: what is wrong drives out the rest.
func (f *Finding) in(state, what string) {
	switch {
	case f.State == "wrong" && state != "wrong":
		return
	case f.State != state:
		f.State, f.About = state, nil
	}
	if len(f.About) < maxAbout && !slices.Contains(f.About, what) {
		f.About = append(f.About, what)
	}
}

// checks looks at the final bytes of some objects of a hold.
func (c *Call) checks(ctx context.Context, g store.HoldGroup, objects []Compared) ([]Finding, error) {
	inside, err := c.insideTerms(ctx)
	if err != nil {
		return nil, err
	}
	known := Finding{Code: "known-good", State: "ok"}
	left := Finding{Code: "inside", State: "ok", Args: []string{fmt.Sprint(len(inside)), fmt.Sprint(len(insideRanges))}}
	consent := Finding{Code: "originator", State: "ok", Args: []string{fmt.Sprint(len(objects))}}
	for _, o := range objects {
		for _, list := range o.record.Flags {
			known.in("look", named(o)+": "+list)
		}
		for _, found := range leftInside(o.Sees, inside) {
			left.in("wrong", named(o)+": "+found)
		}
		for _, r := range o.Rules {
			if r.Code == "onward.ask" {
				consent.in("look", r.Args[0])
			}
		}
	}
	words, err := c.translated(ctx, objects)
	return append([]Finding{known, c.permitted(ctx, g), left, consent}, words...), err
}

// named says which object: by its pattern, its name, or else its id.
func named(o Compared) string {
	return cmp.Or(o.Pattern, o.Name, string(o.ID))
}

// permitted says whether the agreement the hold was decided under is in force and
// a clause of it permits the marking.
func (c *Call) permitted(ctx context.Context, g store.HoldGroup) Finding {
	f := Finding{Code: "permitted", State: "wrong", Args: []string{g.Label}}
	a, err := c.agreement(ctx, g.Agreement)
	if err == nil && a != nil && a.InForce(c.Now()) && g.Clause != "" {
		f.State = "ok"
		f.Args = append(f.Args, g.Clause)
	}
	return f
}

// insideTerms are names that are known inside alone: those of persons of this
// node. Ids of persons are ordinary words.
func (c *Call) insideTerms(ctx context.Context) (terms []string, err error) {
	register, err := c.Store.Persons(ctx)
	for _, p := range register {
		if name := strings.ToLower(p.Name); len(name) >= minTerm && p.Name != p.ID {
			terms = append(terms, name)
		}
	}
	slices.Sort(terms)
	return slices.Compact(terms), err
}

// minTerm is how long a name is at least, in bytes, to be searched for: two
// characters in Japanese.
const minTerm = 4

// insideRanges are addresses that mean something only inside (RFC 1918, 6598,
// 3927, 4193, 4291).
var insideRanges = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("::1/128"),
}

var (
	addressLike = regexp.MustCompile(`[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}`)
	hostInside  = regexp.MustCompile(`(?i)\b[a-z0-9-]+\.(?:local|internal|lan|intranet|corp|home\.arpa)\b`) // RFC 6762, 8375 and what sites call theirs
)

// leftInside returns what of the inside stands in the texts of exact bytes.
func leftInside(sees string, terms []string) (found []string) {
	o, err := stix.Parse([]byte(sees))
	if err != nil {
		return nil
	}
	for name, v := range o.Root().Members() {
		if slices.Contains(aside, name) {
			continue
		}
		for _, l := range leavesOf(name, v) {
			found = append(found, insideIn(l.text, terms)...)
		}
	}
	return found
}

func insideIn(text string, terms []string) (found []string) {
	lower := strings.ToLower(text)
	for _, t := range terms {
		if strings.Contains(lower, t) {
			found = append(found, t)
		}
	}
	for _, s := range addressLike.FindAllString(text, maxAbout) {
		a, err := netip.ParseAddr(s)
		if err == nil && slices.ContainsFunc(insideRanges, func(p netip.Prefix) bool { return p.Contains(a) }) {
			found = append(found, s)
		}
	}
	return append(found, hostInside.FindAllString(text, maxAbout)...)
}

// SignedBy is a person's approval that counts.
type SignedBy struct {
	Person string `json:"person"`
	Name   string `json:"name,omitempty"`
	Time   string `json:"time"`
}

// standing fills in who has approved so that it counts, and why one more approval
// by a person would be refused.
func (c *Call) standing(ctx context.Context, g store.HoldGroup, person string, d *HoldDetail) error {
	count, err := c.Desk.Counting(ctx, g)
	if err != nil {
		return err
	}
	if d.Signed, err = c.signers(ctx, count); err != nil || person == "" {
		return err
	}
	refused, err := c.Desk.Refuses(ctx, g, person)
	if refused != nil {
		d.Refused = &Problem{noroshi.Tell(refused), refused.Kind}
	}
	return err
}

func (c *Call) signers(ctx context.Context, approvals []store.Approval) (list []SignedBy, err error) {
	register, err := c.Store.Persons(ctx)
	for _, a := range approvals {
		list = append(list, SignedBy{a.Person, register[a.Person].Name, rfc(a.Time)})
	}
	return list, err
}
