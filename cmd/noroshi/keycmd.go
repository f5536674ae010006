package main

import (
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/web"
)

type keyCmd struct {
	List    keyListCmd    `cmd:"" help:"help.key-list"`
	Rotate  keyRotateCmd  `cmd:"" help:"help.key-rotate"`
	Revoke  keyRevokeCmd  `cmd:"" help:"help.key-revoke"`
	Effects keyEffectsCmd `cmd:"" help:"help.key-effects"`
	Drill   keyDrillCmd   `cmd:"" help:"help.key-drill"`
}

type keyListCmd struct {
	Held bool `help:"help.key-held"`
}

// Run lists keys, ours and our partners'; with --held what partners hold of ours.
func (x *keyListCmd) Run(c *cli) error {
	var k partner.KeyList
	if err := c.call("key.list", nil, &k); err != nil {
		return err
	}
	if x.Held {
		return list(c, k.Held,
			column[partner.HeldRow]{"partner", func(r partner.HeldRow) string { return string(r.CallSign) }},
			column[partner.HeldRow]{"version", func(r partner.HeldRow) string { return n(r.Version) }},
			column[partner.HeldRow]{"state", func(r partner.HeldRow) string { return c.word("key." + r.State) }},
			column[partner.HeldRow]{"until", func(r partner.HeldRow) string { return utc(r.Confirms) }})
	}
	return list(c, k.Keys,
		column[partner.KeyRow]{"node", func(r partner.KeyRow) string { return string(r.CallSign) }},
		column[partner.KeyRow]{"use", func(r partner.KeyRow) string { return c.word("key.use-" + string(r.Use)) }},
		column[partner.KeyRow]{"key-id", func(r partner.KeyRow) string { return r.Key }},
		column[partner.KeyRow]{"valid-from", func(r partner.KeyRow) string { return utc(r.From) }},
		column[partner.KeyRow]{"until", func(r partner.KeyRow) string { return utc(r.Until) }},
		column[partner.KeyRow]{"state", func(r partner.KeyRow) string { return c.word("key." + r.State) }},
		column[partner.KeyRow]{"version", func(r partner.KeyRow) string { return n(r.Version) }})
}

type keyRotateCmd struct {
	Use      string `required:"" enum:"release,control,kem,tls,root,link" placeholder:"USE" help:"help.key-use"`
	With     string `placeholder:"CALLSIGN" help:"help.key-with"`
	NextFile string `placeholder:"FILE" help:"help.key-next-file"`
	Alone    bool   `help:"help.key-alone"`
	asPerson
}

// Run makes a new key of a use.
func (x *keyRotateCmd) Run(c *cli) error {
	k := &noroshi.KeyOrder{Use: noroshi.KeyWord(x.Use), NextFile: x.NextFile, Alone: x.Alone}
	if err := c.with(x.With, k); err != nil {
		return err
	}
	return x.order(c, "key.rotate", noroshi.Order{Action: noroshi.ActRotateKey, Key: k})
}

// with has an order about keys be of one partner, where one is named.
func (c *cli) with(callSign string, k *noroshi.KeyOrder) error {
	if callSign == "" {
		return nil
	}
	var p partner.Row
	err := c.call("partner.show", web.PartnerRef{Partner: noroshi.CallSign(callSign)}, &p)
	k.Partner = p.Node
	return err
}

type keyRevokeCmd struct {
	Key      string `arg:"" placeholder:"KEY" help:"help.key-id"`
	Since    string `placeholder:"TIME" help:"help.key-since"`
	LastGood uint64 `placeholder:"N" help:"help.key-last-good"`
	With     string `placeholder:"CALLSIGN" help:"help.key-with-good"`
	Stranger bool   `help:"help.key-stranger"`
	asPerson
}

// Run ends trust in a key.
func (x *keyRevokeCmd) Run(c *cli) error {
	k := &noroshi.KeyOrder{ID: x.Key, LastGood: x.LastGood, Stranger: x.Stranger}
	if x.Since != "" {
		since, err := moment(x.Since)
		if err != nil {
			return err
		}
		k.Since = since.UTC()
	}
	if err := c.with(x.With, k); err != nil {
		return err
	}
	return x.order(c, "key.revoke", noroshi.Order{Action: noroshi.ActRevokeKey, Key: k})
}

type keyEffectsCmd struct {
	Partner string `arg:"" placeholder:"CALLSIGN" help:"help.partner-arg"`
}

// Run lists what a partner's revoked keys had done here.
func (x *keyEffectsCmd) Run(c *cli) error {
	var reports []courier.Doubted
	if err := c.call("key.effects", web.PartnerRef{Partner: noroshi.CallSign(x.Partner)}, &reports); err != nil {
		return err
	}
	if c.Output == "json" {
		return one(c, reports)
	}
	return list(c, effectRows(reports),
		column[effectRow]{"key-id", func(r effectRow) string { return r.key }},
		column[effectRow]{"object", func(r effectRow) string { return string(r.ID) }},
		column[effectRow]{"matched", func(r effectRow) string { return n(r.Matched) }},
		column[effectRow]{"alerted", func(r effectRow) string { return n(len(r.Alerted)) }},
		column[effectRow]{"forwarded", func(r effectRow) string { return n(len(r.Forwarded)) }})
}

type effectRow struct {
	courier.DoubtedObject
	key string
}

func effectRows(reports []courier.Doubted) []effectRow {
	rows := []effectRow{}
	for _, d := range reports {
		for _, o := range d.Objects {
			rows = append(rows, effectRow{o, d.Key})
		}
	}
	return rows
}

type keyDrillCmd struct {
	Key   string `arg:"" placeholder:"KEY" help:"help.key-id"`
	Since string `placeholder:"TIME" help:"help.key-since"`
	With  string `placeholder:"CALLSIGN" help:"help.key-drill-with"`
}

// Run plays that a key was stolen, and changes nothing.
func (x *keyDrillCmd) Run(c *cli) error {
	since := time.Now()
	if x.Since != "" {
		var err error
		if since, err = moment(x.Since); err != nil {
			return err
		}
	}
	var r web.KeyDrilled
	if err := c.call("key.drill", web.KeyDrill{Key: x.Key, Since: since.UTC(), Partner: noroshi.CallSign(x.With)}, &r); err != nil {
		return err
	}
	rows := [][2]string{{"key-id", r.Key}, {"took", r.Took}}
	if r.Effects == nil {
		rows = append(rows, [2]string{"logs", n(r.Logs)}, [2]string{"doubted", n(r.Doubted)}, [2]string{"partners", n(len(r.Held))})
	} else {
		matched, alerted, forwarded := 0, 0, 0
		for _, o := range r.Effects.Objects {
			matched, alerted, forwarded = matched+o.Matched, alerted+len(o.Alerted), forwarded+len(o.Forwarded)
		}
		rows = append(rows, [2]string{"doubted", n(r.Effects.Count)}, [2]string{"objects", n(len(r.Effects.Objects))},
			[2]string{"matched", n(matched)}, [2]string{"alerted", n(alerted)}, [2]string{"forwarded", n(forwarded)})
	}
	return one(c, r, rows...)
}
