package main

import (
	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/web"
)

type quarantineHeldCmd struct{}

// Run lists the messages that are kept and had no effect, and why.
func (x *quarantineHeldCmd) Run(c *cli) error {
	var rows []web.HeldRow
	if err := c.call("quarantine.held", nil, &rows); err != nil {
		return err
	}
	return list(c, rows,
		column[web.HeldRow]{"message", func(r web.HeldRow) string { return r.Message.String() }},
		column[web.HeldRow]{"partner", func(r web.HeldRow) string { return string(r.From) }},
		column[web.HeldRow]{"sequences", func(r web.HeldRow) string { return n(r.Seq) }},
		column[web.HeldRow]{"kind", func(r web.HeldRow) string { return c.messageKind(r.Kind) }},
		column[web.HeldRow]{"came", func(r web.HeldRow) string { return stamp(r.Came) }},
		column[web.HeldRow]{"why", func(r web.HeldRow) string {
			if r.Why == "" {
				return c.word("heldfor.nothing")
			}
			return c.word("heldfor." + r.Why)
		}})
}

// messageKinds are the codes of the kinds of messages.
var messageKinds = map[message.Kind]string{message.Data: "data", message.Recall: "recall", message.RecallDone: "recall-done", message.Tombstone: "tombstone",
	message.Outcome: "outcome", message.Read: "read", message.EpochStart: "epoch", message.Link: "link"}

// messageKind names a kind of message; one not known here by its number.
func (c *cli) messageKind(k message.Kind) string {
	code, ok := messageKinds[k]
	if !ok {
		return n(int(k))
	}
	return c.wordOr("message."+code, code)
}

type quarantineDecideCmd struct {
	Message string `arg:"" placeholder:"MESSAGE" help:"help.quarantine-message"`
	Apply   bool   `xor:"decision" required:"" help:"help.quarantine-apply"`
	Close   bool   `xor:"decision" required:"" help:"help.quarantine-close"`
	asPerson
}

// Run has a person decide of a held message.
func (x *quarantineDecideCmd) Run(c *cli) error {
	d := courier.HeldDecision{Apply: x.Apply}
	if err := messageID(x.Message, &d.Message); err != nil {
		return err
	}
	var err error
	if d.By, err = x.sign(c, noroshi.ActDecideHeld, d.Message.String(), courier.HeldBound(d.Message, d.Apply)); err != nil {
		return err
	}
	return c.call("quarantine.decide", d, nil)
}
