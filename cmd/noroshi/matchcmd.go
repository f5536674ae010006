package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/internal/web"
)

type matchCmd struct {
	File   string   `arg:"" placeholder:"FILE" help:"help.match-file"`
	Record bool     `help:"help.match-record"`
	Sensor string   `placeholder:"NAME" help:"help.match-sensor"`
	List   []string `placeholder:"FILE" help:"help.match-list"`
	Exact  bool     `help:"help.match-exact"`
	NoWeak bool     `help:"help.match-no-weak"`

	partly bool // not every line of a list is an entry
}

// hitRow is a hit as match prints it, with the warning-lists that know its value.
type hitRow struct {
	detect.Hit
	KnownGood []string `json:"known_good,omitempty"`
}

// Run matches a file of events: against lists when --list names some, else
// against what the node holds.
func (x *matchCmd) Run(c *cli) error {
	if x.Record && x.Sensor == "" {
		return noroshi.Errorf(noroshi.Invalid, "cli.record-needs-sensor", "--record needs --sensor NAME")
	}
	index, lists, err := x.index(c)
	if err != nil {
		return err
	}
	f, _, err := c.openInput(x.File)
	if err != nil {
		return err
	}
	defer f.Close()
	var hits []hitRow
	start := time.Now()
	report, broken := index.Run(f, func(h detect.Hit) error {
		hits = append(hits, hitRow{h, lists.Check(h.Value)})
		return nil
	})
	if broken != nil && report.Events == 0 {
		return noroshi.Errorf(noroshi.Invalid, "events.unreadable", "read events: %w", broken)
	}
	m := matched{Data: hits, Report: report, Seconds: time.Since(start).Seconds()}
	if x.Record {
		m.Handed = time.Now()
		if m.Recorded, err = x.record(c, hits); err != nil {
			return err
		}
	}
	c.say("cli.matched", n(report.Events), n(report.Hits), n(report.Strong), n(report.Weak), n(report.Bad), n(int64(float64(report.Events)/m.Seconds)))
	for _, p := range report.Problems {
		c.say("cli.bad-line", n(p.Line), c.textOr("problem."+p.Code, p.Msg))
	}
	if broken != nil {
		c.say("cli.events-broken", broken.Error())
	}
	if err = m.print(c); err == nil && (report.Bad > 0 || x.partly || broken != nil) {
		err = errPartly
	}
	return err
}

// matched is what match prints under json.
type matched struct {
	Data     []hitRow        `json:"data"`
	Report   detect.Report   `json:"report"`
	Seconds  float64         `json:"seconds"`
	Handed   time.Time       `json:"handed,omitzero"` // when the hits were handed to the node
	Recorded *watch.Observed `json:"recorded,omitempty"`
}

func (m matched) print(c *cli) error {
	if c.Output == "json" {
		return printJSON(c.io.out, m)
	}
	return list(c, m.Data,
		column[hitRow]{"time", func(h hitRow) string { return h.Time.UTC().Format(time.RFC3339) }},
		column[hitRow]{"value", func(h hitRow) string { return h.Value.String() }},
		column[hitRow]{"observed", func(h hitRow) string { return h.Observed }},
		column[hitRow]{"field", func(h hitRow) string { return h.Log + "." + h.Field }},
		column[hitRow]{"strength", func(h hitRow) string { return c.word("strength." + string(h.Strength)) }},
		column[hitRow]{"flags", func(h hitRow) string { return join(h.KnownGood) }},
		column[hitRow]{"line", func(h hitRow) string { return n(h.Line) }})
}

// index arms what is to be matched against.
func (x *matchCmd) index(c *cli) (*detect.Index, *intake.WarningLists, error) {
	realm, err := c.realm()
	if err != nil {
		return nil, nil, err
	}
	if len(x.List) == 0 {
		nd, err := node.Open(c.ctx, c.Dir, realm, node.Options{ReadOnly: true})
		if err != nil {
			return nil, nil, err
		}
		defer nd.Close()
		if err := nd.MayArm(c.ctx); err != nil {
			return nil, nil, err
		}
		o := nd.DetectOptions()
		o.ExactDomains = o.ExactDomains || x.Exact
		o.NoWeak = o.NoWeak || x.NoWeak
		index := detect.NewIndex(o)
		return index, nd.Lists(), watch.Load(c.ctx, nd.Store, index)
	}
	index := detect.NewIndex(detect.Options{ExactDomains: x.Exact, NoWeak: x.NoWeak, Early: true})
	lists, err := node.WarningLists("")
	if err != nil {
		return nil, nil, err
	}
	var entries []detect.Entry
	for _, path := range x.List {
		if entries, err = x.readList(c, entries, path); err != nil {
			return nil, nil, err
		}
	}
	next := 0
	return index, lists(), index.Load(func() (detect.Entry, error) {
		if next == len(entries) {
			return detect.Entry{}, io.EOF
		}
		next++
		return entries[next-1], nil
	})
}

// readList reads a list. Lines that are no entries are told and left out.
func (x *matchCmd) readList(c *cli, entries []detect.Entry, path string) ([]detect.Entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	defer f.Close()
	err = intake.ReadList(f, filepath.Base(path), func(e detect.Entry) error {
		e.Seq = int64(len(entries) + 1)
		entries = append(entries, e)
		return nil
	})
	var e *noroshi.Error
	if errors.As(err, &e) && e.Code == "list.lines" {
		c.say("cli.list-lines", c.t("error.list.lines", e.Args...))
		x.partly, err = true, nil
	}
	return entries, err
}

// record hands the hits to the node, which alone makes sightings and warnings.
func (x *matchCmd) record(c *cli, hits []hitRow) (*watch.Observed, error) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	var errs []error
	for _, h := range hits {
		errs = append(errs, enc.Encode(h.Hit))
	}
	var o watch.Observed
	if err := errors.Join(append(errs, c.callBody("hits", web.HitsRef{Sensor: x.Sensor}, &body, nil, &o))...); err != nil {
		return nil, err
	}
	// The whole log was read: its hours are written with their final counts, and
	// the same log again counts nothing, whether the node runs on or not.
	if err := c.call("hits.finish", web.HitsRef{Sensor: x.Sensor}, nil); err != nil {
		return nil, err
	}
	c.say("cli.recorded", n(len(o.Sightings)), n(len(o.Warnings)), n(len(o.Explained)))
	if o.Repeated > 0 {
		c.say("cli.recorded-before", n(o.Repeated))
	}
	return &o, nil
}
