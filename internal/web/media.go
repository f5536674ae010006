package web

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/courier"
	"github.com/noroshi-cti/noroshi/internal/message"
)

// MediaPack asks for what a medium for a partner is to carry.
type MediaPack struct {
	To   string `json:"to"`
	Room int64  `json:"room,omitempty"` // bytes of envelopes at most
	Anew bool   `json:"anew,omitempty"` // begin at the first message without a receipt
	Said bool   `json:"said,omitempty"` // no messages: a receipt
}

// MediaEnvelope is one envelope of a medium, told as progress.
type MediaEnvelope struct {
	Data []byte             `json:"data"`
	Prec noroshi.Precedence `json:"prec,omitempty"` // of a message; 0 of what is said, and of an EPOCH
}

// MediaPacked is what came of MediaPack.
type MediaPacked struct {
	CallSign noroshi.CallSign `json:"call_sign"`
	courier.PackReport
}

func mediaPack(ctx context.Context, c *Call) (any, error) {
	var in MediaPack
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	p, err := c.Office.Partner(ctx, in.To)
	if err != nil {
		return nil, err
	}
	out := MediaPacked{CallSign: p.Organisation.CallSign}
	err = c.Talking(ctx, func(ctx context.Context) (err error) {
		out.PackReport, err = c.Courier.Pack(ctx, courier.Packing{Partner: p.Node, Room: in.Room, Anew: in.Anew, Said: in.Said}, func(x courier.Packed) error {
			c.Progress(MediaEnvelope{x.Envelope, x.Prec})
			return ctx.Err()
		})
		return err
	})
	return out, err
}

// WriteEnvelope writes an envelope as media.unpack reads it from its body: its
// length in four bytes, then its bytes.
func WriteEnvelope(w io.Writer, envelope []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(envelope))), envelope...))
	return err
}

// readEnvelope reads what WriteEnvelope wrote; io.EOF at the end.
func readEnvelope(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = noroshi.Errorf(noroshi.Invalid, "api.input", "input: %w", err)
		}
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > message.MaxEnvelope {
		return nil, noroshi.Errorf(noroshi.Invalid, "api.input", "input: an envelope of %d bytes", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, noroshi.Errorf(noroshi.Invalid, "api.input", "input: %w", err)
	}
	return b, nil
}

func mediaUnpack(ctx context.Context, c *Call) (any, error) {
	body := bufio.NewReader(c.Body)
	var out courier.UnpackReport
	err := c.Talking(ctx, func(ctx context.Context) (err error) {
		out, err = c.Courier.Unpack(ctx, func() ([]byte, error) { return readEnvelope(body) })
		return err
	})
	return out, err
}

// MediaReceipt asks for a receipt that a person reads out.
type MediaReceipt struct {
	From string `json:"from"` // the partner whose messages are receipted
}

func mediaReceipt(ctx context.Context, c *Call) (any, error) {
	var in MediaReceipt
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	p, err := c.Office.Partner(ctx, in.From)
	if err != nil {
		return nil, err
	}
	var out courier.PaperReceipt
	err = c.Talking(ctx, func(ctx context.Context) (err error) {
		out, err = c.Courier.PaperReceipt(ctx, p.Node)
		return err
	})
	return out, err
}

// MediaEnter hands in a receipt that a partner read out.
type MediaEnter struct {
	Groups string `json:"groups"`
}

func mediaEnter(ctx context.Context, c *Call) (any, error) {
	var in MediaEnter
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	var out courier.PaperEntered
	err := c.Talking(ctx, func(ctx context.Context) (err error) {
		out, err = c.Courier.EnterPaper(ctx, in.Groups)
		return err
	})
	return out, err
}
