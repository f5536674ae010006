package media_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi/internal/courier/media"
)

// TestFrames: a fifth of the QR codes of a sequence is not photographed and the
// rest, as pictures or as the text a telephone reads, gives everything back. The
// reader is another's than the writer.
func TestFrames(t *testing.T) {
	t.Parallel()
	list := envelopes(1, 3, 2000)
	p, err := media.NewPart(list, media.Frame)
	if err != nil {
		t.Fatal(err)
	}
	pictures, texts := t.TempDir(), ""
	for i, b := range p.Blocks {
		if i%5 == 2 {
			continue
		}
		picture, err := media.FramePNG(b)
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			picture = photographed(t, picture)
		}
		if err := os.WriteFile(filepath.Join(pictures, fmt.Sprintf("%d.photo", i)), picture, 0o600); err != nil {
			t.Fatal(err)
		}
		texts += "  " + strings.ToLower(media.FrameText(b)) + "\r\n"
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("from a telephone\n"+texts), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pictures, text} {
		if got, found := unpack(t, path); !same(got, list) || found.Repaired != 1 || found.Code != media.Code([]media.PartID{p.ID}) {
			t.Errorf("%s: %d of %d envelopes, %+v", path, len(got), len(list), found)
		}
	}
	lines, err := media.FrameLines(p.Blocks[0])
	if n := strings.Count(lines, "\n"); err != nil || n < 40 || n > 70 {
		t.Errorf("%d lines on a terminal (%v)", n, err)
	}
	if _, err := media.FramePNG(make([]byte, 8000)); err == nil {
		t.Error("8,000 bytes fit a QR code")
	}
}

// photographed puts a picture at another size into a larger grey one, as a
// photo has it.
func photographed(t *testing.T, picture []byte) []byte {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	w := img.Bounds().Dx()
	photo := image.NewGray(image.Rect(0, 0, w*13/10+90, w*13/10+150))
	for y := range photo.Rect.Dy() {
		for x := range photo.Rect.Dx() {
			c := uint8(150)
			if p := image.Pt((x-40)*10/13, (y-70)*10/13); x >= 40 && y >= 70 && p.In(img.Bounds()) {
				c = 30 + color.GrayModel.Convert(img.At(p.X, p.Y)).(color.Gray).Y*3/4
			}
			photo.SetGray(x, y, color.Gray{Y: c})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, photo, &jpeg.Options{Quality: 60}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
