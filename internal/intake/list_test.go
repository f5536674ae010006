package intake_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
	"github.com/noroshi-cti/noroshi/internal/intake"
)

// entries reads a list and returns its values.
func entries(t *testing.T, text string) (values []noroshi.Value, err error) {
	t.Helper()
	err = intake.ReadList(strings.NewReader(text), "test.txt", func(e detect.Entry) error {
		values = append(values, e.Values...)
		return nil
	})
	return values, err
}

func TestReadListForms(t *testing.T) {
	got, err := entries(t, "\ufeff# comment\r\n\r\nBad.Example \t\r\n192.0.2.7\n192.0.2.7:8080 # a server\n"+
		"198.51.100.0/24\nhxxp://bad[.]example/x\nbad.example/a#b\n/path/x.php\n"+
		"d41d8cd98f00b204e9800998ecf8427e\nuser@bad.example\ndomain-name\tother.example\nbad.example# glued comment\n"+
		"ipv4-port\t192.0.2.8:53\nurl-part\tbad.example/q\nmd5\td41d8cd98f00b204e9800998ecf84270")
	if err != nil {
		t.Fatal(err)
	}
	want := []noroshi.Value{
		{Kind: noroshi.DomainName, Text: "bad.example"},
		{Kind: noroshi.IPv4, Text: "192.0.2.7"},
		{Kind: noroshi.AddrPort, Text: "192.0.2.7", Port: 8080},
		{Kind: noroshi.CIDR, Text: "198.51.100.0/24"},
		{Kind: noroshi.URL, Text: "http://bad.example/x"},
		{Kind: noroshi.URLPart, Text: "bad.example/a"},
		{Kind: noroshi.URLPart, Text: "/path/x.php"},
		{Kind: noroshi.MD5, Text: "d41d8cd98f00b204e9800998ecf8427e"},
		{Kind: noroshi.EmailAddr, Text: "user@bad.example"},
		{Kind: noroshi.DomainName, Text: "other.example"},
		{Kind: noroshi.DomainName, Text: "bad.example"},
		{Kind: noroshi.AddrPort, Text: "192.0.2.8", Port: 53},
		{Kind: noroshi.URLPart, Text: "bad.example/q"},
		{Kind: noroshi.MD5, Text: "d41d8cd98f00b204e9800998ecf84270"},
	}
	if len(got) != len(want) {
		t.Fatalf("read %d entries %v, want %d", len(got), got, len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("entry %d = %v, want %v", i, got[i], want[i])
		}
	}
}

func TestReadListRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"bad UTF-8":    "good.example\nb\xffd.example\n",
		"long line":    "good.example\n" + strings.Repeat("a", 1<<20+1) + "\n",
		"no value":     "good.example\nnot a value\n",
		"unknown kind": "good.example\ncolour\tred\n",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := entries(t, text+"192.0.2.1\n")
			if len(got) != 2 || noroshi.KindOf(err) != noroshi.Invalid || !strings.Contains(err.Error(), "line 2") {
				t.Errorf("read %d entries, error %v; want 2 and an Invalid error naming line 2", len(got), err)
			}
		})
	}
}

// TestReadListCounts holds the counts of testdata/SOURCES.md. In the big list 12
// ports lie above 65535: those lines are refused by name, not guessed.
func TestReadListCounts(t *testing.T) {
	for name, want := range map[string][2]int{
		"indicators/lists/apt_kimsuky.txt":      {26_493, 0},
		"indicators/lists/apt_lazarus.txt":      {5_573, 0},
		"indicators/lists/apt_bluenoroff.txt":   {2_140, 0},
		"indicators/lists/apt_sandworm.txt":     {816, 0},
		"indicators/lists/apt_mustangpanda.txt": {525, 0},
		"scale/trails.tsv.gz":                   {1_612_056 - 12, 12},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := os.Open(testdata + name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var n, refused int
			err = intake.ReadList(f, name, func(detect.Entry) error { n++; return nil })
			var e *noroshi.Error
			if errors.As(err, &e) && e.Code == "list.lines" {
				refused, err = strconv.Atoi(e.Args[0])
			}
			if got := [2]int{n, refused}; err != nil || got != want {
				t.Errorf("read and refused %v, error %v; want %v", got, err, want)
			}
		})
	}
}

func FuzzReadList(f *testing.F) {
	f.Add([]byte("# c\nbad.example\n192.0.2.1:80\n"))
	f.Add([]byte("domain-name\tbad.example\nurl-part\t/x\n"))
	f.Add([]byte("\xef\xbb\xbfhxxp://a[.]b/c\r\n\x00\xff\n"))
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write([]byte("bad.example\n"))
	z.Close()
	f.Add(packed.Bytes())
	f.Fuzz(func(t *testing.T, text []byte) {
		n := 0
		err := intake.ReadList(bytes.NewReader(text), "fuzz.txt", func(e detect.Entry) error {
			n++
			v := e.Values[0]
			again, err := detect.ParseKindValue(string(v.Kind), v.String())
			if err != nil || again != v {
				t.Errorf("%v reads back as %v, %v", v, again, err)
			}
			return nil
		})
		packed := bytes.HasPrefix(text, []byte{0x1f, 0x8b})
		if lines := bytes.Count(text, []byte("\n")) + 1; !packed && (n > lines || err != nil && noroshi.KindOf(err) != noroshi.Invalid) {
			t.Errorf("%d entries from %d lines, error %v", n, lines, err)
		}
	})
}
