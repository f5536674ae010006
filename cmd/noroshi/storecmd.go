package main

import (
	"strconv"

	"github.com/noroshi-cti/noroshi/internal/store"
)

type storeCmd struct {
	Copy storeCopyCmd `cmd:"" help:"help.store-copy"`
}

type storeCopyCmd struct {
	From string `required:"" placeholder:"PLACE" help:"help.store-from"`
	To   string `required:"" placeholder:"PLACE" help:"help.store-to"`
}

// copied is what a copy prints.
type copied struct {
	Acts   uint64        `json:"acts"`
	Head   string        `json:"head"`
	Tables []copiedTable `json:"tables"`
}

type copiedTable struct {
	Table  string `json:"table"`
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"`
}

// Run copies a realm's store to the other engine or another place, at rest, and
// prints what was compared in the end.
func (x *storeCopyCmd) Run(c *cli) error {
	realm, err := c.realm()
	if err != nil {
		return err
	}
	done, err := store.Copy(c.ctx, x.From, x.To, realm, nil)
	if err != nil {
		return err
	}
	out := copied{Acts: done.Acts, Head: done.Head.String()}
	for _, t := range done.Tables {
		out.Tables = append(out.Tables, copiedTable{t.Name, t.Rows, t.Sum.String()})
	}
	rows := int64(0)
	for _, t := range out.Tables {
		rows += t.Rows
	}
	if err := one(c, out, [2]string{"acts", n(out.Acts)}, [2]string{"rows", strconv.FormatInt(rows, 10)}, [2]string{"head", out.Head}); err != nil {
		return err
	}
	c.say("cli.copied")
	return nil
}
