package detect_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/stix"
)

// The entries of the scale list, and those of them that nothing can meet: their
// port is beyond 65535. ParseKindValue refuses these twelve.
const (
	scaleEntries = 1_612_056
	scaleWrong   = 12
)

// trails returns the entries of the scale list that can be read, one an
// indicator.
func trails(t testing.TB) func() (detect.Entry, error) {
	t.Helper()
	s := bufio.NewScanner(open(t, "scale/trails.tsv.gz"))
	var seq int64
	return func() (detect.Entry, error) {
		for s.Scan() {
			kind, text, _ := strings.Cut(s.Text(), "\t")
			v, err := detect.ParseKindValue(kind, text)
			seq++
			var e *noroshi.Error
			if errors.As(err, &e) && e.Code == "value.port" {
				continue
			}
			return detect.Entry{Seq: seq, ID: id(seq), Values: []noroshi.Value{v}}, err
		}
		return detect.Entry{}, io.EOF
	}
}

var namespace = uuid.MustParse("6ba7b810-9dad-11d1-80b4-00c04fd430c8")

func id(n int64) stix.ID {
	return stix.ID("indicator--" + uuid.NewSHA1(namespace, fmt.Appendf(nil, "%d", n)).String())
}

// whole returns one index of all 1,612,056 entries for all tests that need it.
func whole(t testing.TB) *detect.Index {
	t.Helper()
	x, err := wholeIndex()
	if err != nil {
		t.Fatal(err)
	}
	return x
}

var wholeIndex = sync.OnceValues(func() (*detect.Index, error) {
	x := detect.NewIndex(detect.Options{})
	var t testing.B
	return x, x.Load(trails(&t))
})

// TestFacts compares with the facts of testdata/SOURCES.md, all entries armed.
func TestFacts(t *testing.T) {
	x := whole(t)
	s := x.Stats()
	if want := scaleEntries - scaleWrong; s.Indicators != want || s.Values != want {
		t.Errorf("got %+v, want %d indicators and values", s, want)
	}
	if per := float64(s.Bytes) / float64(s.Values); per > 48 {
		t.Errorf("got %.1f bytes an entry, want at most 48", per)
	}
	got := map[string]int{}
	var total detect.Report
	for _, log := range []string{"dns", "ssl", "smtp"} {
		rep, err := x.Run(open(t, "telemetry/zeek/"+log+".json.gz"), func(h detect.Hit) error {
			if h.Log != log || h.Time.Year() != 2018 {
				t.Errorf("hit of log %s at %v, want %s in 2018", h.Log, h.Time, log)
			}
			text := h.Value.Text
			if h.Value.Port != 0 {
				text = fmt.Sprintf("%s:%d", text, h.Value.Port)
			}
			got[fmt.Sprintf("%s %s %s %s", log, h.Field, h.Strength, text)]++
			return nil
		})
		if err != nil || rep.Bad != 0 {
			t.Errorf("%s: got %+v, %v", log, rep, err)
		}
		total.Events += rep.Events
		total.Strong += rep.Strong
		total.Weak += rep.Weak
	}
	want := map[string]int{
		"dns query strong whatismyipaddress.com": 34, "ssl server_name strong whatismyipaddress.com": 50,
		"ssl server_name strong mydomain.com": 13, "dns query strong mydomain.com": 4,
		"dns query strong weebly.com": 6, "dns query strong freegeoip.net": 2,
		"ssl id.resp_h strong 204.79.197.200:443": 11,
		"dns answers weak 204.79.197.200:443":     34,
		"dns answers weak 199.59.150.11:9003":     2,
		"dns answers weak 72.21.81.240:80":        2,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if total.Events != 104_277 || total.Strong != 120 || total.Weak != 38 {
		t.Errorf("got %d events, %d strong, %d weak, want 104277, 120, 38", total.Events, total.Strong, total.Weak)
	}
}
