package web

import (
	"context"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door"
)

// ExportRef asks for an export. To names the partner it goes to; without it the
// export stays inside the organisation.
type ExportRef struct {
	door.Export
	To string `json:"to,omitempty"`
}

// ExportPart is a piece of one file of an export, told as progress. The first
// file has no name of its own; those beside it do.
type ExportPart struct {
	File string `json:"file,omitempty"`
	Data []byte `json:"data"`
}

// parts tells what is written to it as progress.
type parts struct {
	c    *Call
	file string
}

// Write tells a copy.
func (p parts) Write(b []byte) (int, error) {
	p.c.Progress(ExportPart{p.file, b})
	return len(b), nil
}

func exportWrite(ctx context.Context, c *Call) (any, error) {
	var in ExportRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	if in.To != "" {
		p, err := c.Office.Partner(ctx, in.To)
		if err != nil {
			return nil, err
		}
		in.Partner = p.Node
	} else if in.Partner != (noroshi.NodeID{}) {
		return nil, noroshi.Errorf(noroshi.Invalid, "api.input", "input: a partner is named in to")
	}
	out, err := c.Door.Write(ctx, parts{c, ""}, in.Export)
	if err != nil {
		return nil, err
	}
	for _, s := range out.Sets {
		if err := c.Door.WriteSet(ctx, parts{c, s.File}, in.Export, out, s); err != nil {
			return nil, err
		}
	}
	return out, nil
}
