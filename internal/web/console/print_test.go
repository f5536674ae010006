package console_test

import (
	"bytes"
	"compress/zlib"
	"io"
	"regexp"
	"strconv"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web/console/consoletest"
)

// How Chromium writes a page of a PDF (ISO 32000-1 §7.7.3.3, §8.5, §9.4): the
// marking bands are the boxes filled with their colour, the band of an exercise is
// the box filled with a pattern.
var (
	sheetOf = regexp.MustCompile(`(?s)/Type /Page\n.*?/Contents (\d+) 0 R`)
	bandBox = regexp.MustCompile(`(?: 0 \.4784 \.2 rg|(scn))\n(?:/G\d+ gs\n)?(?:EMC\n)?/\w+ <</MCID \d+ >>BDC\n0 (\d+) \d+ (\d+) re\nf\n`)
	textAt  = regexp.MustCompile(`\n1 0 0 -1 [\d.]+ (\d+) Tm\n`)
)

// TestPrint: every sheet of a print has the marking at its top and its foot and
// the band of the exercise, in words and colour, whatever the reader's theme.
func TestPrint(t *testing.T) {
	t.Parallel()
	drill, err := noroshi.ParseRealm("exercise:keen-edge")
	if err != nil {
		t.Fatal(err)
	}
	p := consoletest.Open(t, consoleOf(nodetest.New(t, "JPN-01", drill)))
	p.SignIn("admin", nodetest.Passphrase, "en")
	p.Prefer("theme", "dark")
	p.Go("/audit")
	consoletest.Value(p, chromedp.Evaluate[bool](`(() => { const row = document.querySelector(".log tbody:last-of-type tr:last-child"); for (let i = 0; i < 60; i++) row.after(row.cloneNode(true)); return true })()`))
	pdf := consoletest.Value(p, chromedp.PrintToPDF())
	sheets := sheetOf.FindAllSubmatch(pdf, -1)
	if len(sheets) < 3 {
		t.Fatalf("%d sheets", len(sheets))
	}
	for i, m := range sheets {
		drawn := inflated(t, pdf, string(m[1]))
		said := map[string]bool{}
		for _, at := range textAt.FindAllSubmatch(drawn, -1) {
			said[string(at[1])] = true
		}
		markings, exercises := 0, 0
		for _, box := range bandBox.FindAllSubmatch(drawn, -1) {
			top, _ := strconv.Atoi(string(box[2]))
			height, _ := strconv.Atoi(string(box[3]))
			worded := false
			for y := top; y < top+height; y++ {
				worded = worded || said[strconv.Itoa(y)]
			}
			switch {
			case !worded:
				t.Errorf("sheet %d has a band without words", i+1)
			case len(box[1]) > 0:
				exercises++
			default:
				markings++
			}
		}
		if markings != 2 || exercises != 1 {
			t.Errorf("sheet %d of %d has %d marking bands and %d of the exercise", i+1, len(sheets), markings, exercises)
		}
	}
}

// inflated is what an object of a PDF holds.
func inflated(t *testing.T, pdf []byte, object string) []byte {
	t.Helper()
	_, rest, _ := bytes.Cut(pdf, []byte("\n"+object+" 0 obj\n"))
	_, rest, found := bytes.Cut(rest, []byte("stream\n"))
	if !found {
		t.Fatalf("the print has no object %s", object)
	}
	z, err := zlib.NewReader(bytes.NewReader(rest))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
