package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

type releaseCmd struct {
	List     releaseListCmd     `cmd:"" help:"help.release-list"`
	Show     releaseShowCmd     `cmd:"" help:"help.release-show"`
	Approve  releaseApproveCmd  `cmd:"" help:"help.release-approve"`
	Return   releaseReturnCmd   `cmd:"" help:"help.release-return"`
	Defer    releaseDeferCmd    `cmd:"" help:"help.release-defer"`
	Preview  releasePreviewCmd  `cmd:"" help:"help.release-preview"`
	Explain  releaseExplainCmd  `cmd:"" help:"help.release-explain"`
	Test     releaseTestCmd     `cmd:"" help:"help.release-test"`
	Standing releaseStandingCmd `cmd:"" help:"help.release-standing"`
}

type releaseListCmd struct {
	All bool `help:"help.release-all"`
}

func (x *releaseListCmd) Run(c *cli) error {
	state := ""
	if x.All {
		state = "all"
	}
	var rows []web.HoldRow
	if err := c.call("release.list", web.HoldRef{State: state}, &rows); err != nil {
		return err
	}
	return list(c, rows,
		column[web.HoldRow]{"hold", func(r web.HoldRow) string { return r.ID }},
		column[web.HoldRow]{"partner", func(r web.HoldRow) string { return string(r.Partner) }},
		column[web.HoldRow]{"count", func(r web.HoldRow) string { return n(r.Count) }},
		column[web.HoldRow]{"label", func(r web.HoldRow) string { return r.Label }},
		column[web.HoldRow]{"precedence", func(r web.HoldRow) string { return r.Precedence.Prosign() }},
		column[web.HoldRow]{"key", func(r web.HoldRow) string { return c.word("hold." + string(r.Key)) }},
		column[web.HoldRow]{"clause", func(r web.HoldRow) string { return r.Clause }},
		column[web.HoldRow]{"state", func(r web.HoldRow) string { return holdState(c, r.State) }},
		column[web.HoldRow]{"approved-by", func(r web.HoldRow) string { return strings.Join(r.Approvals, " ") }},
		column[web.HoldRow]{"left-waiting", func(r web.HoldRow) string { return c.leftWaiting(r.Deferred) }})
}

// leftWaiting says who left a hold waiting, why and until when.
func (c *cli) leftWaiting(d *release.Deferred) string {
	switch {
	case d == nil:
		return ""
	case d.Until.IsZero():
		return c.line("cli.left-waiting", d.Person, d.Why)
	}
	return c.line("cli.left-waiting-until", d.Person, d.Why, d.Until.UTC().Format(time.RFC3339))
}

// holdState says how far a hold is; an open one waits for a person.
func holdState(c *cli, state string) string {
	if state == "open" && !c.forScripts() {
		return c.word("state.waiting")
	}
	return c.word("state." + state)
}

// holdArg is the argument of commands about one hold.
type holdArg struct {
	Hold string `arg:"" placeholder:"HOLD" help:"help.hold"`
}

// signedHold is a hold to be decided, as it was shown.
type signedHold struct {
	holdArg
	Digest string `placeholder:"HEX" help:"help.digest"`
}

type releaseShowCmd struct{ holdArg }

// Run shows what the partner would get, and every reason of the hold.
func (x *releaseShowCmd) Run(c *cli) error {
	var d web.HoldDetail
	if err := c.call("release.show", web.HoldRef{Hold: x.Hold}, &d); err != nil {
		return err
	}
	pairs := [][2]string{{"hold", d.ID}, {"partner", string(d.Partner)}, {"count", n(d.Count)}, {"label", d.Label}, {"banner", d.Banner.In(c.cellLang())}, {"precedence", d.Precedence.Prosign() + " " + c.word("precedence."+d.Precedence.String())},
		{"key", c.word("hold." + string(d.Key))}, {"clause", d.Clause}, {"state", holdState(c, d.State)}, {"approved-by", strings.Join(d.Approvals, " ")},
		{"left-waiting", c.leftWaiting(d.Deferred)}, {"digest", shown(d.Digest)}}
	for _, r := range d.Reasons {
		pairs = append(pairs, [2]string{"reason", c.reason(r)})
	}
	for _, w := range d.OldWords {
		pairs = append(pairs, [2]string{"old-translation", string(w.ID) + " " + string(w.Of) + ": " + c.line("cli.old-translation", w.Version, w.Now)})
	}
	for _, s := range d.Sample {
		for _, w := range s.Cut {
			if w.How == "" {
				pairs = append(pairs, [2]string{"cut-out", string(s.ID) + " " + w.Selector + ": " + w.Value})
			} else {
				pairs = append(pairs, [2]string{"generalised", string(s.ID) + " " + w.Selector + ": " + w.Value + " → " + strconv.Quote(w.Sees)})
			}
		}
		for _, r := range s.Rules {
			if strings.HasPrefix(r.Code, "text.") {
				pairs = append(pairs, [2]string{"reason", string(s.ID) + " " + c.rule(r)})
			}
		}
		pairs = append(pairs, [2]string{"partner-gets", s.JSON})
	}
	return one(c, d, pairs...)
}

// shown is a hash, or "" (not shown) for none.
func shown(h noroshi.Hash) string {
	if h == (noroshi.Hash{}) {
		return ""
	}
	return h.String()
}

// reason says in the user's language what a rule said.
func (c *cli) reason(r noroshi.Reason) string {
	var args []string
	if r.Clause != "" {
		args = append(args, r.Clause)
	}
	if r.Marking != "" {
		args = append(args, r.Marking)
	}
	args = append(args, r.Args...)
	return c.wordOr("reason."+r.Code, strings.Join(append([]string{r.Code}, args...), " "), args...)
}

type releaseApproveCmd struct {
	signedHold
	WithoutTranslation []string `sep:"none" placeholder:"ID" help:"help.release-without"`
	asPerson
}

// Run says what it is about to sign and signs that; with --digest only what
// release show showed.
func (x *releaseApproveCmd) Run(c *cli) error {
	var without []stix.ID
	for _, id := range x.WithoutTranslation {
		without = append(without, stix.ID(id))
	}
	s, err := x.over(c, x.asPerson, noroshi.ActApprove, func(shown noroshi.Hash) noroshi.Hash { return release.ApproveBound(shown, without) })
	if err != nil {
		return err
	}
	var a web.Approved
	if err := c.call("release.approve", web.HoldSigned{SignedRef: web.SignedRef{Subject: x.Hold, By: s}, Without: without}, &a); err != nil {
		return err
	}
	if a.Waiting > 0 {
		c.say("cli.approved-waiting", n(a.Waiting))
	} else {
		c.say("cli.approved", a.Batch)
	}
	if c.Output != "table" {
		return one(c, a)
	}
	return nil
}

// shortDigest is how many digits name what is signed at least.
const shortDigest = 12

// over shows what the partner will see, and signs an act bound to what bound makes
// of the hold's digest.
func (x signedHold) over(c *cli, by asPerson, a noroshi.Action, bound func(noroshi.Hash) noroshi.Hash) (noroshi.Signed, error) {
	if n := len(x.Digest); n > 0 && n < shortDigest {
		return noroshi.Signed{}, noroshi.Errorf(noroshi.Invalid, "hold.digest-short", "--digest needs %d digits at least", shortDigest)
	}
	var d web.HoldDetail
	if err := c.call("release.show", web.HoldRef{Hold: x.Hold}, &d); err != nil {
		return noroshi.Signed{}, err
	}
	digest := d.Digest.String()
	if !strings.HasPrefix(digest, strings.ToLower(x.Digest)) {
		return noroshi.Signed{}, noroshi.Errorf(noroshi.Refused, "hold.changed", "hold %s is not what was shown: it has digest %s now", x.Hold, digest)
	}
	if a == noroshi.ActApprove {
		c.willSee(d)
	}
	c.say("cli.signing", x.Hold, n(d.Count), d.Label, string(d.Partner), digest[:shortDigest])
	return by.sign(c, a, x.Hold, bound(d.Digest))
}

// willSee shows a person who is to approve a hold what the partner will see of
// its first objects, and how many are not shown.
func (c *cli) willSee(d web.HoldDetail) {
	if c.Quiet {
		return
	}
	for _, s := range d.Sample {
		c.diff(c.io.err, web.Previewed{ID: s.ID, Outcome: noroshi.Hold.String(), Label: d.Label, Sees: s.JSON, Cut: s.Cut, Rules: s.Rules})
	}
	for _, w := range d.OldWords {
		c.say("cli.signing-old-translation", string(w.ID), string(w.Of))
	}
	more := d.Count
	for _, s := range d.Sample {
		if s.Type != "marking-definition" { // those leave with the members
			more--
		}
	}
	if more > 0 {
		c.say("cli.signing-more", n(more), d.ID, string(d.Partner))
	}
	if d.CutOut+d.Less > 0 {
		c.say("cli.signing-cuts", n(d.Count), n(d.CutOut), n(d.Less))
	}
}

type releaseReturnCmd struct {
	signedHold
	Why string `required:"" placeholder:"TEXT" help:"help.release-why"`
	asPerson
}

func (x *releaseReturnCmd) Run(c *cli) error {
	s, err := x.over(c, x.asPerson, noroshi.ActReturn, func(shown noroshi.Hash) noroshi.Hash { return release.ReturnBound(shown, x.Why) })
	if err != nil {
		return err
	}
	return c.call("release.return", web.HoldSigned{SignedRef: web.SignedRef{Subject: x.Hold, By: s}, Why: x.Why}, nil)
}

type releaseDeferCmd struct {
	signedHold
	Why   string `required:"" placeholder:"TEXT" help:"help.release-why-left"`
	Until string `placeholder:"TIME" help:"help.release-left-until"`
	asPerson
}

// Run leaves a hold waiting, on record.
func (x *releaseDeferCmd) Run(c *cli) error {
	until, err := moment(x.Until)
	if err != nil {
		return err
	}
	s, err := x.over(c, x.asPerson, noroshi.ActDefer, func(shown noroshi.Hash) noroshi.Hash { return release.DeferBound(shown, x.Why, until) })
	if err != nil {
		return err
	}
	return c.call("release.defer", web.HoldSigned{SignedRef: web.SignedRef{Subject: x.Hold, By: s}, Why: x.Why, Until: until}, nil)
}

type releaseExplainCmd struct {
	Subject string `arg:"" placeholder:"ID|FILE" help:"help.release-subject"`
	To      string `required:"" placeholder:"CALLSIGN" help:"help.partner-arg"`
	Marking string `placeholder:"MARKING" help:"help.release-as-if"`
	profileFlag
}

// Run explains the decision on an object held here, or on every object of a
// file as if it were imported.
func (x *releaseExplainCmd) Run(c *cli) error {
	if _, err := stix.ParseID(x.Subject); err != nil {
		return x.file(c)
	}
	var e web.Explained
	if err := c.call("release.explain", web.ExplainRef{Object: stix.ID(x.Subject), Partner: noroshi.CallSign(x.To)}, &e); err != nil {
		return err
	}
	pairs := [][2]string{{"outcome", c.word("outcome." + e.Outcome)}}
	for _, r := range e.Reasons {
		pairs = append(pairs, [2]string{"reason", c.reason(r)})
	}
	return one(c, e, pairs...)
}

// file prints how many objects of a file have which outcome and why; as json,
// jsonl or csv every object.
func (x *releaseExplainCmd) file(c *cli) error {
	profile, err := x.ref()
	if err != nil {
		return err
	}
	f, _, err := c.openInput(x.Subject)
	if err != nil {
		return err
	}
	defer f.Close()
	var w web.Weighed
	if err := c.callBody("release.weigh", web.WeighRef{Partner: noroshi.CallSign(x.To), Name: fileName(x.Subject), Marking: x.Marking, ProfileRef: profile}, f, nil, &w); err != nil {
		return err
	}
	if w.Unreadable > 0 {
		c.say("cli.weighed-unreadable", n(w.Unreadable))
	}
	switch c.Output {
	case "json":
		return printJSON(c.io.out, w)
	case "table":
		return c.weighed(w)
	}
	return list(c, w.Objects,
		column[web.Previewed]{"id", func(p web.Previewed) string { return string(p.ID) }},
		column[web.Previewed]{"outcome", func(p web.Previewed) string { return c.word("outcome." + p.Outcome) }},
		column[web.Previewed]{"label", func(p web.Previewed) string { return p.Label }},
		column[web.Previewed]{"reason", func(p web.Previewed) string { return c.rules(p.Rules) }})
}

// weighed prints the summary, and below it what the profile made of the file.
func (c *cli) weighed(w web.Weighed) error {
	err := list(c, w.Summary,
		column[web.WeighedRow]{"count", func(r web.WeighedRow) string { return n(r.Count) }},
		column[web.WeighedRow]{"outcome", func(r web.WeighedRow) string { return c.t("outcome." + r.Outcome) }},
		column[web.WeighedRow]{"key", func(r web.WeighedRow) string {
			if r.Key == "" {
				return ""
			}
			return c.t("hold." + string(r.Key))
		}},
		column[web.WeighedRow]{"reason", func(r web.WeighedRow) string { return c.rule(r.Reason) }})
	for _, m := range w.Mapped {
		fmt.Fprintln(c.io.out, clean(c.mapped(m)))
	}
	return err
}

// rules says what rules said, the strictest outcome's first.
func (c *cli) rules(list []web.Spoken) string {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b web.Spoken) int { return cmp.Compare(b.Outcome, a.Outcome) })
	said := make([]string, len(list))
	for i, r := range list {
		said[i] = c.rule(r)
	}
	return strings.Join(said, "; ")
}

// rule says what a rule said, with its number.
func (c *cli) rule(r web.Spoken) string {
	text := c.reason(r.Reason)
	if r.Rule > 0 {
		text = c.line("cli.rule", n(r.Rule), text)
	}
	return text
}

type releasePreviewCmd struct {
	Subject string `arg:"" placeholder:"ID|HOLD" help:"help.release-previewed"`
	As      string `required:"" placeholder:"CALLSIGN" help:"help.release-preview-as"`
	Diff    bool   `help:"help.release-diff"`
}

// Run shows what the partner would see: the text, what nobody can see in it as
// escapes of JSON, or with --diff what is held here beside it, part by part; as
// json, jsonl or csv the exact bytes.
func (x *releasePreviewCmd) Run(c *cli) error {
	var all []web.Previewed
	for after := int64(0); ; {
		var page []web.Previewed
		if err := c.call("release.preview", web.PreviewRef{Partner: noroshi.CallSign(x.As), Subject: x.Subject, After: after}, &page); err != nil {
			return err
		}
		all = append(all, page...)
		if _, err := stix.ParseID(x.Subject); err == nil || len(page) == 0 {
			break
		}
		after = page[len(page)-1].Seq
	}
	switch {
	case c.Output != "table":
		return list(c, all,
			column[web.Previewed]{"id", func(p web.Previewed) string { return string(p.ID) }},
			column[web.Previewed]{"outcome", func(p web.Previewed) string { return p.Outcome }},
			column[web.Previewed]{"label", func(p web.Previewed) string { return p.Label }},
			column[web.Previewed]{"sees", func(p web.Previewed) string { return p.Sees }})
	case x.Diff:
		for _, p := range all {
			c.diff(c.io.out, p)
		}
	default:
		for _, p := range all {
			if p.Sees != "" {
				fmt.Fprintln(c.io.out, cleanLines(p.Sees))
				c.readAs(c.io.out, p.Rules)
			}
		}
	}
	return nil
}

// diff prints an object part by part: what the partner sees as it is, what is
// cut out behind a minus and what is said less exactly behind a tilde, with the
// rule that says so, and why nothing leaves.
func (c *cli) diff(out io.Writer, p web.Previewed) {
	fmt.Fprintf(out, "%s  %s  %s\n", p.ID, c.t("outcome."+p.Outcome), clean(p.Label))
	why := map[string]string{}
	for _, r := range p.Rules {
		if r.Outcome != noroshi.Redact {
			fmt.Fprintf(out, "  * %s\n", clean(c.rule(r)))
		} else if len(r.Args) > 0 {
			why[r.Args[0]] = c.rule(r)
		} else {
			why["created_by_ref"] = c.rule(r)
		}
	}
	whole := map[string]bool{}
	for _, w := range p.Cut {
		whole[w.Selector] = true
		if w.How == "" {
			fmt.Fprintf(out, "  - %s: %s  [%s]\n", clean(w.Selector), clean(w.Value), clean(why[w.Selector]))
		} else {
			fmt.Fprintf(out, "  ~ %s: %s → %s  [%s]\n", clean(w.Selector), clean(w.Value), clean(strconv.Quote(w.Sees)), clean(why[w.Selector]))
		}
	}
	o, err := stix.Parse([]byte(p.Sees))
	if err != nil {
		return // nothing leaves
	}
	for name, v := range o.Root().Members() {
		if !whole[name] {
			fmt.Fprintf(out, "    %s: %s\n", clean(name), clean(string(v)))
		}
	}
}

// readAs prints how a reader sees a portion mark that stands in the text in
// other letters.
func (c *cli) readAs(out io.Writer, rules []web.Spoken) {
	for _, r := range rules {
		if r.Code == release.ReadAs {
			fmt.Fprintf(out, "  * %s\n", clean(c.rule(r)))
		}
	}
}

type releaseTestCmd struct {
	Folder string `arg:"" placeholder:"FOLDER" help:"help.release-folder"`
}

// Run decides a folder of samples and compares; leaks come first.
func (x *releaseTestCmd) Run(c *cli) error {
	s, err := release.OpenSamples(os.DirFS(x.Folder))
	if err != nil {
		return err
	}
	r, err := s.Run()
	if err != nil {
		return err
	}
	if c.Output == "json" || c.Output == "jsonl" {
		if err := printJSON(c.io.out, r); err != nil {
			return err
		}
	} else {
		c.sampleLines(r)
	}
	if len(r.Leaks) > 0 || r.Failed > 0 {
		return errSamples
	}
	return nil
}

func (c *cli) sampleLines(r release.SampleReport) {
	line := func(key string, args ...string) { fmt.Fprintln(c.io.out, clean(c.t(key, args...))) }
	for _, f := range r.Leaks {
		line("cli.sample-leak", f.File, f.Partner, strconv.Quote(f.Leak))
	}
	for _, f := range r.Faults {
		line("cli.sample-fault", f.File, f.Partner, string(f.Object), f.Got, f.Want)
	}
	for _, f := range r.Advisory {
		line("cli.sample-advisory", f.File, f.Partner, string(f.Object), f.Got, f.Want)
	}
	if len(r.Leaks) > 0 {
		line("cli.sample-leaks", n(len(r.Leaks)))
	}
	fmt.Fprintf(c.io.out, "%d passed, %d failed\n", r.Passed, r.Failed)
}
