package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/courier/media"
	"github.com/noroshi-cti/noroshi/internal/web"
)

type mediaCmd struct {
	Pack    mediaPackCmd    `cmd:"" help:"help.media-pack"`
	Unpack  mediaUnpackCmd  `cmd:"" help:"help.media-unpack"`
	Receipt mediaReceiptCmd `cmd:"" help:"help.media-receipt"`
	QR      mediaQRCmd      `cmd:"" name:"qr" help:"help.media-qr"`
}

type mediaPackCmd struct {
	To           string        `required:"" placeholder:"PARTNER" help:"help.media-to"`
	Out          string        `required:"" placeholder:"FOLDER|FILE" help:"help.media-out"`
	Size         string        `placeholder:"64MB" help:"help.media-size"`
	SinceReceipt bool          `help:"help.media-since"`
	OneWay       bool          `help:"help.media-one-way"`
	Every        time.Duration `default:"1m" placeholder:"1m" help:"help.media-every"`
	Cycles       int           `placeholder:"N" help:"help.media-cycles"`
}

// packedMedium is what came of packing, as one object.
type packedMedium struct {
	web.MediaPacked
	Medium string `json:"medium"`
	Code   string `json:"code"`
	Size   int64  `json:"medium_bytes"`
}

// Run packs what has no receipt, reads the medium back, and prints its code.
func (x *mediaPackCmd) Run(c *cli) error {
	if x.OneWay {
		return x.carousel(c)
	}
	limit, err := sizeOf(x.Size)
	if err != nil {
		return err
	}
	packed, err := packMedium(c, x.Out, limit, web.MediaPack{To: x.To, Anew: x.SinceReceipt})
	if err != nil {
		return err
	}
	if packed.Messages > 0 {
		c.say("cli.media-unconfirmed", n(packed.Messages))
	}
	err = one(c, packed, [2]string{"medium", packed.Medium}, [2]string{"code", packed.Code}, [2]string{"partner", string(packed.CallSign)},
		[2]string{"unconfirmed", n(packed.Messages)}, [2]string{"packed-again", c.some(packed.Again)}, [2]string{"left-over", c.some(packed.Left)},
		[2]string{"barred", c.some(packed.Barred)}, [2]string{"withheld", c.some(packed.Withheld)}, [2]string{"size", n(int(packed.Size))})
	if err == nil && packed.Left > 0 {
		return errPartly
	}
	return err
}

// packMedium fills a medium with what the node gives out, and reads it back.
func packMedium(c *cli, path string, limit int64, in web.MediaPack) (packedMedium, error) {
	out := packedMedium{Medium: path}
	w, err := media.Create(path, limit)
	if err != nil {
		return out, err
	}
	if in.Room = w.Room(); in.Room < leastRoom {
		return out, errors.Join(noroshi.Errorf(noroshi.Invalid, "media.full", "%s has no room left: take another medium, or allow more with --size", path), w.Abandon())
	}
	if limit == 0 {
		in.Room = 0
	}
	if err := c.envelopes(in, &out.MediaPacked, func(e web.MediaEnvelope) error { return w.Add(e.Data) }); err != nil {
		return out, errors.Join(err, w.Abandon())
	}
	if err := w.Close(); err != nil {
		return out, err
	}
	m, err := media.Open(path)
	if err != nil {
		return out, err
	}
	defer m.Close()
	found, err := m.Each(func([]byte) error { return nil })
	if err == nil && len(found.Lost) > 0 {
		err = noroshi.Errorf(noroshi.Broken, "media.bad", "%s does not give back what was written to it: take another medium", path)
	}
	out.Code, out.Size = found.Code, m.Size()
	return out, err
}

// leastRoom is what keys and state take, and a message beside them.
const leastRoom = 24 << 10

// envelopes has the node pack and hands each envelope on as it comes; when that
// fails the node is told to stop.
func (c *cli) envelopes(in web.MediaPack, out *web.MediaPacked, give func(web.MediaEnvelope) error) error {
	ctx, stop := context.WithCancel(c.ctx)
	defer stop()
	sub := *c
	sub.ctx = ctx
	var failed error
	err := sub.callBody("media.pack", in, nil, func(b json.RawMessage) {
		var e web.MediaEnvelope
		if failed != nil {
			return
		}
		if failed = json.Unmarshal(b, &e); failed == nil {
			failed = give(e)
		}
		if failed != nil {
			stop()
		}
	}, out)
	if failed != nil {
		return failed
	}
	return err
}

// sizeOf reads a size such as 64MB or 700k; "" is 0, no limit.
func sizeOf(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	digits := strings.TrimRight(strings.ToUpper(s), "IB")
	scale := int64(1)
	if i := strings.IndexAny(digits, "KMGT"); i >= 0 && i == len(digits)-1 {
		scale = map[byte]int64{'K': 1e3, 'M': 1e6, 'G': 1e9, 'T': 1e12}[digits[i]]
		digits = digits[:i]
	}
	v, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
	if err != nil || v <= 0 || v > 1e15/scale {
		return 0, noroshi.Errorf(noroshi.Invalid, "media.size", "--size: %q is no size such as 64MB", s)
	}
	return v * scale, nil
}

type mediaUnpackCmd struct {
	Medium string        `arg:"" placeholder:"FOLDER|FILE" help:"help.media-medium"`
	Follow time.Duration `placeholder:"10s" help:"help.media-follow"`
	Remove bool          `help:"help.media-remove"`
}

// unpackedMedium is what came of unpacking, as one object.
type unpackedMedium struct {
	media.Found
	courier.UnpackReport
	Medium string `json:"medium"`
}

// Run takes in what is on a medium and says what is missing; with --follow again
// and again.
func (x *mediaUnpackCmd) Run(c *cli) error {
	for {
		done, err := x.unpack(c)
		if err != nil {
			return err
		}
		if x.Follow == 0 && done.Files == 0 {
			return noroshi.Errorf(noroshi.Invalid, "media.nothing", "%s holds nothing of noroshi, and %d other files", x.Medium, done.Other)
		}
		partly := len(done.Lost)+done.Damaged > 0
		for _, g := range done.Gaps {
			partly = partly || len(g.Missing) > 0
		}
		if x.Follow == 0 || done.Files > 0 {
			if err := x.print(c, done); err != nil {
				return err
			}
		}
		switch {
		case x.Follow == 0 && partly:
			return errPartly
		case x.Follow == 0:
			return nil
		}
		select {
		case <-c.ctx.Done():
			return nil
		case <-time.After(x.Follow):
		}
	}
}

func (x *mediaUnpackCmd) print(c *cli, d unpackedMedium) error {
	var gaps []string
	for _, g := range d.Gaps {
		line := c.line("media.whole", string(g.CallSign), n(g.Head))
		if len(g.Missing) > 0 {
			line = c.line("media.gap", string(g.CallSign), n(g.Head), missing(courier.LinkStatus{Missing: g.Missing}))
		}
		gaps = append(gaps, line)
	}
	return one(c, d, [2]string{"medium", d.Medium}, [2]string{"code", d.Code}, [2]string{"new", n(d.New)}, [2]string{"doubled", c.some(d.Doubled)},
		[2]string{"strangers", c.some(d.Strangers)}, [2]string{"repaired", c.some(d.Repaired)}, [2]string{"lost-parts", c.some(len(d.Lost))},
		[2]string{"damaged", c.some(d.Damaged)}, [2]string{"other-files", c.some(d.Other)}, [2]string{"stream", strings.Join(gaps, "\n")})
}

// unpack restores the envelopes of a medium and hands them to the node.
func (x *mediaUnpackCmd) unpack(c *cli) (done unpackedMedium, err error) {
	done.Medium = x.Medium
	m, err := media.Open(x.Medium)
	if err != nil {
		return done, err
	}
	defer m.Close()
	r, w := io.Pipe()
	restored := make(chan error, 1)
	go func() {
		var err error
		done.Found, err = m.Each(func(e []byte) error { return web.WriteEnvelope(w, e) })
		w.CloseWithError(err)
		restored <- err
	}()
	err = c.callBody("media.unpack", nil, r, nil, &done.UnpackReport)
	r.CloseWithError(io.ErrClosedPipe)
	if rerr := <-restored; err == nil && rerr != nil {
		err = rerr
	}
	if err == nil && x.Remove {
		err = m.Remove(done.Found, done.Left)
	}
	return done, err
}

type mediaReceiptCmd struct {
	From  string `xor:"what" placeholder:"PARTNER" help:"help.media-from"`
	Out   string `placeholder:"FILE" help:"help.media-receipt-out"`
	Enter string `xor:"what" placeholder:"DIGITS" help:"help.media-enter"`
}

// Run writes a receipt for paper and voice or to a file, or takes one that was
// read out.
func (x *mediaReceiptCmd) Run(c *cli) error {
	switch {
	case x.Enter != "":
		var r courier.PaperEntered
		if err := c.call("media.enter", web.MediaEnter{Groups: x.Enter}, &r); err != nil {
			return err
		}
		if r.Outdated {
			c.say("cli.media-outdated", string(r.Partner))
		}
		return one(c, r, [2]string{"partner", string(r.Partner)}, [2]string{"upto", n(int(r.Upto))}, [2]string{"receipted", n(r.Moved)}, [2]string{"waiting", n(r.Waiting)})
	case x.From == "":
		return noroshi.Errorf(noroshi.Invalid, "media.receipt", "say whose messages are receipted with --from PARTNER, or give the digits you heard with --enter")
	case x.Out != "":
		packed, err := packMedium(c, x.Out, 0, web.MediaPack{To: x.From, Said: true})
		if err != nil {
			return err
		}
		return one(c, packed, [2]string{"medium", packed.Medium}, [2]string{"code", packed.Code}, [2]string{"partner", string(packed.CallSign)})
	}
	var r courier.PaperReceipt
	if err := c.call("media.receipt", web.MediaReceipt{From: x.From}, &r); err != nil {
		return err
	}
	return one(c, r, [2]string{"receipt", r.Groups}, [2]string{"upto", n(int(r.Upto))})
}
