package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

type recallCmd struct {
	Send   recallSendCmd   `cmd:"" help:"help.recall-send"`
	List   recallListCmd   `cmd:"" help:"help.recall-list"`
	Find   recallFindCmd   `cmd:"" help:"help.recall-find"`
	Refuse recallRefuseCmd `cmd:"" help:"help.recall-refuse"`
}

type recallSendCmd struct {
	ID       string        `arg:"" placeholder:"ID" help:"help.object-id"`
	Reason   string        `enum:"mistaken,spill,source,over" default:"mistaken" placeholder:"mistaken|spill|source|over" help:"help.recall-reason"`
	Scope    string        `enum:"stop-use,delete" default:"stop-use" placeholder:"stop-use|delete" help:"help.recall-scope"`
	Deadline time.Duration `placeholder:"24h" help:"help.recall-deadline"`
	asPerson
}

// Run signs the recall as the node would do it, and says who is told.
func (x *recallSendCmd) Run(c *cli) error {
	o := courier.RecallOrder{Object: stix.ID(x.ID)}
	if err := o.Reason.UnmarshalText([]byte(x.Reason)); err != nil {
		return err
	}
	if err := o.Scope.UnmarshalText([]byte(x.Scope)); err != nil {
		return err
	}
	if x.Deadline > 0 {
		o.Deadline = time.Now().Add(x.Deadline)
	}
	var plan web.RecallPlanned
	if err := c.call("recall.plan", o, &plan); err != nil {
		return err
	}
	by, err := x.sign(c, noroshi.ActRecall, x.ID, plan.Bound)
	if err != nil {
		return err
	}
	var sent web.RecallSent
	if err := c.call("recall.send", web.RecallSend{Order: plan.Order, By: by}, &sent); err != nil {
		return err
	}
	switch {
	case sent.ID == "":
		c.say("cli.recall-second", x.ID)
	case len(sent.From) == 0:
		c.say("cli.recall-nobody", x.ID)
	default:
		c.say("cli.recall-sent", join(sent.From))
	}
	if sent.Withheld > 0 {
		c.say("cli.recall-withheld", n(sent.Withheld))
	}
	return nil
}

type recallListCmd struct {
	All bool `help:"help.recall-all"`
}

// Run shows who has confirmed, who refused and who is silent.
func (x *recallListCmd) Run(c *cli) error {
	var rows []web.RecallRow
	if err := c.call("recall.list", web.RecallListRef{All: x.All}, &rows); err != nil {
		return err
	}
	return list(c, rows, recallColumns(c)...)
}

func recallColumns(c *cli) []column[web.RecallRow] {
	return []column[web.RecallRow]{
		{"recall", func(r web.RecallRow) string { return r.Recall[:min(len(r.Recall), 16)] }},
		{"direction", func(r web.RecallRow) string { return c.wordOr("recall.direction."+r.Direction, r.Direction) }},
		{"partner", func(r web.RecallRow) string { return string(r.Partner) }},
		{"state", func(r web.RecallRow) string { return recallState(c, r) }},
		{"since", func(r web.RecallRow) string { return stamp(r.Since) }},
		{"due", func(r web.RecallRow) string { return stamp(r.Deadline) }},
		{"scope", func(r web.RecallRow) string { return c.wordOr("recall.scope."+r.Scope.String(), r.Scope.String()) }},
		{"reason", func(r web.RecallRow) string { return c.wordOr("recall.reason."+r.Reason.String(), r.Reason.String()) }},
		{"in-use", func(r web.RecallRow) string { return n(r.InUse) + "/" + n(r.Found) }},
		{"onward", func(r web.RecallRow) string { return n(r.Answered) + "/" + n(r.Onward) }},
		{"id", func(r web.RecallRow) string { return oneID(r.Objects) }},
	}
}

func oneID(ids []stix.ID) string {
	switch len(ids) {
	case 0:
		return ""
	case 1:
		return string(ids[0])
	}
	return fmt.Sprintf("%s +%d", ids[0], len(ids)-1)
}

// stamp is a time in UTC, "" for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// recallState says how far a recall is: who is silent also how far the RECALL
// has got, who refuses also why.
func recallState(c *cli, r web.RecallRow) string {
	text := c.wordOr("recall.state."+r.State, r.State)
	switch {
	case c.forScripts():
	case r.Refusal != message.NotRefused:
		text += " · " + c.t("recall.refusal."+r.Refusal.String())
	case r.Late:
		text += " · " + c.t("state.late")
	case r.Delivery != "" && r.State == "silent":
		text += " · " + c.t("recall.delivery."+r.Delivery)
	}
	return text
}

type recallFindCmd struct {
	ID string `arg:"" placeholder:"ID" help:"help.object-id"`
}

// Run shows every place an object is known to be: versions with where they
// came from, what went to whom and how far, exports and reads of clients that
// had it, and the recalls of it.
func (x *recallFindCmd) Run(c *cli) error {
	var t web.Traced
	if err := c.call("recall.find", web.ObjectRef{ID: stix.ID(x.ID)}, &t); err != nil {
		return err
	}
	pairs := [][2]string{{"id", string(t.ID)}}
	pairs = append(pairs, originPairs(c, t.Origins)...)
	for _, k := range t.Copies {
		pairs = append(pairs, [2]string{"copy", copyLine(c, k)})
	}
	for _, x := range t.Exports {
		to := string(x.Partner)
		if to == "" {
			to = c.t("recall.inside")
		}
		pairs = append(pairs, [2]string{"export", strings.Join([]string{to, x.Format, x.Marking, stamp(x.Made), x.ID}, " · ")})
	}
	for _, r := range t.Reads {
		parts := []string{r.Client, r.Collection, r.Format, c.t("recall.read", n(r.Count)), stamp(r.Time)}
		pairs = append(pairs, [2]string{"read", strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " · ")})
	}
	for _, r := range t.Recalls {
		pairs = append(pairs, [2]string{"recall", strings.Join([]string{r.Recall[:min(len(r.Recall), 16)], c.t("recall.direction." + r.Direction), string(r.Partner), recallState(c, r), stamp(r.Since)}, " · ")})
	}
	for _, id := range t.Referrers {
		pairs = append(pairs, [2]string{"referrers", string(id)})
	}
	for _, q := range t.Quarantined {
		pairs = append(pairs, [2]string{"quarantined", fmt.Sprint(q)})
	}
	return one(c, t, pairs...)
}

// originPairs says of each version where it came from and by which path.
func originPairs(c *cli, origins []web.Origin) (pairs [][2]string) {
	for _, o := range origins {
		parts := []string{o.From, stamp(o.Time), c.t("recall.version." + o.State), o.Marking}
		if o.View > 0 {
			parts = append(parts, c.t("recall.view", fmt.Sprint(o.View)))
		}
		switch {
		case o.Kind == noroshi.FromPartner && !o.Borne && o.Creator != "":
			parts = append(parts, c.t("recall.maker-says", o.From, string(o.Creator)))
		case o.Kind == noroshi.FromPartner:
			parts = append(parts, c.t("recall.by-message", o.Message.String()[:16]))
		case o.Run != "":
			parts = append(parts, c.t("recall.by-run", o.Run))
		}
		pairs = append(pairs, [2]string{"origin", strings.Join(append(parts, o.Modified), " · ")})
	}
	return pairs
}

func copyLine(c *cli, k web.Copy) string {
	parts := []string{string(k.Partner), c.t("recall.delivery." + k.State), stamp(k.Since)}
	if k.Number > 0 {
		parts = append(parts, c.t("recall.by-message", k.Message.String()[:16]))
	}
	if k.View > 0 || len(k.Cut) > 0 {
		parts = append(parts, c.t("recall.view", fmt.Sprint(k.View)))
	}
	return strings.Join(append(parts, k.Batch+k.Hold), " · ")
}

type recallRefuseCmd struct {
	Recall string `arg:"" placeholder:"RECALL" help:"help.recall-arg"`
	Why    string `enum:"law,duty,review,other" required:"" placeholder:"law|duty|review|other" help:"help.recall-why"`
	asPerson
}

// Run refuses, for a reason, what a recall that came asks beyond the stop.
func (x *recallRefuseCmd) Run(c *cli) error {
	var why message.Refusal
	if err := why.UnmarshalText([]byte(x.Why)); err != nil {
		return err
	}
	var rows []web.RecallRow
	if err := c.call("recall.list", web.RecallListRef{All: true}, &rows); err != nil {
		return err
	}
	var found []string
	for _, r := range rows {
		if r.Direction == "came" && strings.HasPrefix(r.Recall, strings.ToLower(x.Recall)) {
			found = append(found, r.Recall)
		}
	}
	if len(found) != 1 {
		return noroshi.Errorf(noroshi.NotFound, "recall.none", "no recall %s came here", x.Recall)
	}
	by, err := x.sign(c, noroshi.ActRefuseRecall, found[0], courier.RefusalBound(why))
	if err != nil {
		return err
	}
	in := web.RecallRefuse{Why: why, By: by}
	if err := in.Message.UnmarshalText([]byte(found[0])); err != nil {
		return err
	}
	return c.call("recall.refuse", in, nil)
}
