package main

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/png"
	"os"
	"slices"
)

// colours is how many a picture keeps: a screen has few, and edges of letters.
const colours = 160

// write writes a picture with the colours it has most of.
func write(path string, picture []byte) error {
	full, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		return err
	}
	var b bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&b, reduced(full)); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// reduced is an image in which every pixel has the nearest of the palette's
// colours.
func reduced(full image.Image) *image.Paletted {
	r := full.Bounds()
	many := palette(full)
	out := image.NewPaletted(r, many)
	near := map[color.Color]uint8{}
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			c := full.At(x, y)
			i, known := near[c]
			if !known {
				i = uint8(many.Index(c))
				near[c] = i
			}
			out.SetColorIndex(x, y, i)
		}
	}
	return out
}

// apart is how far two colours of the palette are at least, so that it does not
// fill up with shades of the commonest.
const apart = 5

// palette returns the colours a picture has most of, each apart from the others.
func palette(full image.Image) color.Palette {
	count := map[color.RGBA]int{}
	r := full.Bounds()
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			count[color.RGBAModel.Convert(full.At(x, y)).(color.RGBA)]++
		}
	}
	all := make([]color.RGBA, 0, len(count))
	for c := range count {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b color.RGBA) int {
		return cmp.Or(count[b]-count[a], int(a.R)-int(b.R), int(a.G)-int(b.G), int(a.B)-int(b.B))
	})
	var out color.Palette
	for _, c := range all {
		if len(out) < colours && !slices.ContainsFunc(out, func(o color.Color) bool { return distance(o.(color.RGBA), c) < apart }) {
			out = append(out, c)
		}
	}
	return out
}

// distance is the largest difference of two colours in one of red, green, blue.
func distance(a, b color.RGBA) int {
	d := func(x, y uint8) int { return max(int(x)-int(y), int(y)-int(x)) }
	return max(d(a.R, b.R), d(a.G, b.G), d(a.B, b.B))
}
