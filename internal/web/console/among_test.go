package console_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/internal/web/console/consoletest"
)

// wrongPort is what a few entries of the list end with; they are quarantined.
var wrongPort = regexp.MustCompile(`:([7-9]\d{4}|6[6-9]\d{3}|65[6-9]\d{2}|655[4-9]\d|6553[6-9]|\d{6,})$`)

// trails returns n entries of the list of known-bad values that are none of those,
// after the first skip.
func trails(t *testing.T, skip, n int) io.Reader {
	t.Helper()
	f, err := os.Open("../../../testdata/scale/trails.tsv.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for s := bufio.NewScanner(z); n > 0 && s.Scan(); skip-- {
		if skip <= 0 && !wrongPort.Match(s.Bytes()) {
			out.Write(append(s.Bytes(), '\n'))
			n--
		}
	}
	return &out
}

// TestFindAmongMany: an officer finds one indicator among all of a list, in whose
// midst it came, by its value, by a network around it, by a part of it and by
// Japanese words, in either language, from the head of any page.
func TestFindAmongMany(t *testing.T) {
	t.Parallel()
	party := nodetest.New(t, "JPN-01", noroshi.Real)
	half := tier.N(4_000, 806_000) // of 1,612,044
	party.Import("first.tsv", "tlp:green", trails(t, 0, half))
	party.Import("port.json", "", strings.NewReader(known()))
	party.Import("second.tsv", "tlp:green", trails(t, half, half))
	if err := crew.Until(t.Context(), 10*time.Minute, "all texts are found, all values matched", func() (bool, error) {
		var f web.Found
		party.Must("indicator.find", web.FindRef{Query: "遠隔接続"}, &f)
		return f.Behind == 0 && f.About >= 2*half-half/100, nil // a few of the list say the same in another spelling
	}); err != nil {
		t.Fatal(err)
	}
	sought := `a.vl[href="/indicators/` + string(objectOf("indicator", 1)) + `"]`
	for _, lang := range []string{"en", "ja"} {
		t.Run(lang, func(t *testing.T) {
			p := consoletest.Open(t, consoleOf(party))
			p.SignIn("duty", nodetest.Passphrase, lang)
			for _, query := range []string{"c2.port.example", "198.51.100.0/24", "*.port.ex*", "遠隔接続 監視装置", "ｃ２．ｐｏｒｔ．ｅｘａｍｐｌｅ"} {
				p.Go("/")
				p.Type(".search input", query+"\r")
				p.Shows(sought)
				if got := p.Text("table.ft tbody"); strings.Count(got, "c2.port.example") != 1 {
					t.Errorf("%s finds %s", query, got)
				}
			}
			look(t, p, "among-many-"+lang)
			p.Go("/indicators?q=" + url.QueryEscape("*no-such-value*"))
			p.Shows("p.empty") // it looked on by itself, to the end
			p.Leave(".brand")
			p.Type(".search input", "c2.port.example\r")
			p.Click(sought)
			p.Shows("#drawer h1")
		})
	}
}
