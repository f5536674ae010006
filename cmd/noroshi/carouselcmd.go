package main

import (
	"fmt"
	"io"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier/media"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// carousel writes turns of a one-way link to a spool folder until it is told to
// end, or for a number of turns. Each turn is packed anew: what was recalled or
// receipted meanwhile is in it no more.
func (x *mediaPackCmd) carousel(c *cli) error {
	s, err := media.OpenSpool(x.Out)
	if err != nil {
		return err
	}
	last := &media.Cycle{}
	for turn := 1; ; turn++ {
		if waiting, err := s.Waiting(); err != nil {
			return err
		} else if waiting > 2*last.Files+crowded {
			c.say("cli.media-crowded", x.Out, n(waiting))
		} else {
			packed, cycle, err := x.turn(c, s, last.Bytes)
			if err != nil {
				return err
			}
			last = cycle
			c.say("cli.media-turn", n(turn), n(packed.Messages), n(cycle.Files), n(packed.Barred))
		}
		if turn == x.Cycles {
			return nil
		}
		select {
		case <-c.ctx.Done():
			return nil
		case <-time.After(x.Every):
		}
	}
}

// crowded is how many files may wait in a spool besides two turns, before no more
// are written.
const crowded = 64

// turn writes one turn. What is said and what is FLASH comes first and is
// gathered; the rest is written as it comes.
func (x *mediaPackCmd) turn(c *cli, s *media.Spool, bulk int64) (packed web.MediaPacked, cycle *media.Cycle, err error) {
	var said, urgent [][]byte
	begin := func() (err error) {
		if cycle == nil {
			cycle, err = s.Begin(said, urgent, bulk)
		}
		return err
	}
	err = c.envelopes(web.MediaPack{To: x.To, Anew: true}, &packed, func(e web.MediaEnvelope) error {
		switch {
		case e.Prec == 0 && cycle == nil:
			said = append(said, e.Data)
			return nil
		case e.Prec == noroshi.Flash && cycle == nil:
			urgent = append(urgent, e.Data)
			return nil
		}
		if err := begin(); err != nil {
			return err
		}
		return cycle.Add(e.Data)
	})
	if err == nil {
		err = begin()
	}
	if err == nil {
		err = cycle.End()
	}
	return packed, cycle, err
}

type mediaQRCmd struct {
	To   string `required:"" placeholder:"PARTNER" help:"help.media-to"`
	Out  string `placeholder:"FOLDER" help:"help.media-qr-out"`
	Size string `default:"24k" placeholder:"24k" help:"help.media-qr-size"`
	Show bool   `help:"help.media-qr-show"`
}

// Run draws what is most urgent as a sequence of QR codes.
func (x *mediaQRCmd) Run(c *cli) error {
	room, err := sizeOf(x.Size)
	if err != nil {
		return err
	}
	if x.Out == "" && !x.Show {
		return noroshi.Errorf(noroshi.Invalid, "media.qr", "say where the pictures go with --out FOLDER, or --show for this terminal")
	}
	var list [][]byte
	out := packedMedium{Medium: x.Out}
	err = c.envelopes(web.MediaPack{To: x.To, Room: min(room, maxFrames)}, &out.MediaPacked, func(e web.MediaEnvelope) error {
		list = append(list, e.Data)
		return nil
	})
	if err != nil {
		return err
	}
	p, err := media.NewPart(list, media.Frame)
	if err != nil {
		return err
	}
	if err := x.draw(c, p); err != nil {
		return err
	}
	if out.Messages > 0 {
		c.say("cli.media-unconfirmed", n(out.Messages))
	}
	out.Code = media.Code([]media.PartID{p.ID})
	sub := *c
	if x.Show { // what follows is for people
		sub.io.out = io.Writer(c.io.err)
	}
	err = one(&sub, out, [2]string{"medium", x.Out}, [2]string{"code", out.Code}, [2]string{"partner", string(out.CallSign)}, [2]string{"frames", n(len(p.Blocks))},
		[2]string{"unconfirmed", n(out.Messages)}, [2]string{"left-over", c.some(out.Left)}, [2]string{"barred", c.some(out.Barred)})
	if err == nil && out.Left > 0 {
		return errPartly
	}
	return err
}

// draw puts the codes into the folder and on the terminal.
func (x *mediaQRCmd) draw(c *cli, p media.Part) error {
	if x.Out != "" {
		if _, err := media.WriteFrames(x.Out, p); err != nil {
			return err
		}
	}
	if !x.Show {
		return nil
	}
	for i, b := range p.Blocks {
		lines, err := media.FrameLines(b)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(c.io.out, "%d/%d\n%s\n", i+1, len(p.Blocks), lines); err != nil {
			return err
		}
	}
	return nil
}

// maxFrames bounds what is drawn, in bytes of envelopes: some thousand codes are
// more than anybody photographs.
const maxFrames = 1 << 20
