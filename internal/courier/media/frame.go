package media

import (
	"bytes"
	"encoding/base32"
	"fmt"
	"image"
	_ "image/jpeg" // photos
	_ "image/png"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	qr "github.com/piglig/go-qr"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/durable"
)

// A frame is a block as a QR code: its bytes in base 32 (RFC 4648 §6, without
// padding), which a code holds in its alphanumeric mode and a person can send on
// as text. Frames need no numbers but those of the block.
var frameText = base32.StdEncoding.WithPadding(base32.NoPadding)

// Bounds of what a frame is read from.
const (
	maxFrames = 4096     // lines of a text
	maxPixels = 16 << 20 // of a picture
	pngMagic  = "\x89PNG\r\n\x1a\n"
	jpegMagic = "\xff\xd8\xff"
)

// FrameText is the text of a block's frame.
func FrameText(encoded []byte) string { return frameText.EncodeToString(encoded) }

// FramePNG draws a block's frame: black on white, with the quiet zone of four
// modules that readers need (ISO/IEC 18004 §6.3.8).
func FramePNG(encoded []byte) ([]byte, error) {
	code, err := frameCode(encoded)
	if err != nil {
		return nil, err
	}
	return code.ToPNGBytes(qr.NewQrCodeImgConfig(6, 4))
}

// FrameLines draws a block's frame for a terminal: two modules in a character,
// light on dark turned round, so that it reads on a dark ground.
func FrameLines(encoded []byte) (string, error) {
	code, err := frameCode(encoded)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	dark := func(x, y int) bool {
		return x >= 0 && y >= 0 && x < code.Size() && y < code.Size() && code.Module(x, y)
	}
	for y := -4; y < code.Size()+4; y += 2 {
		for x := -4; x < code.Size()+4; x++ {
			b.WriteString([]string{"█", "▀", "▄", " "}[pair(dark(x, y), dark(x, y+1))])
		}
		b.WriteByte('\n')
	}
	return b.String(), nil
}

func pair(upper, lower bool) (n int) {
	if upper {
		n += 2
	}
	if lower {
		n++
	}
	return n
}

// WriteFrames draws the frames of a part into a folder that is there, in order,
// and returns how many.
func WriteFrames(folder string, p Part) (int, error) {
	for i, b := range p.Blocks {
		picture, err := FramePNG(b)
		if err != nil {
			return i, err
		}
		name := fmt.Sprintf("%0*d-%d.png", len(strconv.Itoa(len(p.Blocks))), i+1, len(p.Blocks))
		f, err := durable.New(filepath.Join(folder, name))
		if err == nil {
			err = durable.Finish("medium", f, picture)
		}
		if err != nil {
			return i, unwritten(folder, err)
		}
	}
	return len(p.Blocks), nil
}

func frameCode(encoded []byte) (*qr.QrCode, error) {
	code, err := qr.EncodeText(FrameText(encoded), qr.Medium)
	if err != nil {
		return nil, noroshi.Errorf(noroshi.Invalid, "media.frame", "a block of %d bytes fits no QR code: %w", len(encoded), err)
	}
	return code, nil
}

// decodeFrames returns the blocks of a picture of one frame, or of a text of
// one frame a line, as bytes; nothing for what is neither. Of pixels no more are
// looked at than are left, which it counts down.
func decodeFrames(b []byte, pixels *int) (list [][]byte) {
	if bytes.HasPrefix(b, []byte(pngMagic)) || bytes.HasPrefix(b, []byte(jpegMagic)) {
		text, err := readPicture(b, pixels)
		if err != nil {
			return nil
		}
		b = []byte(text)
	}
	for line := range strings.Lines(string(b)) {
		raw, err := frameText.DecodeString(strings.Map(frameRune, line))
		if err == nil && len(raw) >= minBlock && len(list) < maxFrames {
			list = append(list, raw)
		}
	}
	return list
}

// frameRune drops blanks and takes small letters for large ones.
func frameRune(r rune) rune {
	if unicode.IsSpace(r) || r == '\ufeff' {
		return -1
	}
	return unicode.ToUpper(r)
}

// readPicture reads the QR code of a PNG or JPEG, once its size is known to be
// bounded.
func readPicture(b []byte, pixels *int) (text string, err error) {
	c, _, err := image.DecodeConfig(bytes.NewReader(b))
	if err != nil || c.Width <= 0 || c.Height <= 0 || c.Width > maxPixels/c.Height || c.Width*c.Height > *pixels {
		return "", noroshi.Errorf(noroshi.Invalid, "media.picture", "the picture is none, or too large")
	}
	*pixels -= c.Width * c.Height
	img, _, err := image.Decode(bytes.NewReader(b))
	if err != nil {
		return "", err
	}
	return readImage(img)
}

// readImage finds a QR code in a picture. The decoder is not ours: what it does
// with a picture made to break it must not end the program.
func readImage(img image.Image) (text string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = noroshi.Errorf(noroshi.Invalid, "media.picture", "the picture cannot be read: %v", r)
		}
	}()
	bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		return "", err
	}
	r, err := qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]interface{}{gozxing.DecodeHintType_TRY_HARDER: true})
	if err != nil {
		return "", err
	}
	return r.GetText(), nil
}
