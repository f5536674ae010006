package main

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// byMedia makes two real nodes whose agreement lists media, and cuts the cables
// between them for good.
func byMedia(t *testing.T) (usa, jpn *site) {
	t.Helper()
	usa, jpn = newSite(t, "USA-01"), newSite(t, "JPN-01")
	if _, err := crew.Introduce(t.Context(), &usa.Crew, &jpn.Crew); err != nil {
		t.Fatal(err)
	}
	var draft string
	usa.must("agreement.draft", web.DraftRef{With: jpn.Sign, Days: 365}, &draft)
	draft = strings.Replace(draft, `channels = ["https"]`, `channels = ["https", "media"]`, 1)
	if _, err := crew.Sign(t.Context(), &usa.Crew, &jpn.Crew, []byte(draft)); err != nil {
		t.Fatal(err)
	}
	err := crew.Until(t.Context(), crew.Patience, "in touch", func() (bool, error) {
		a, err := usa.link()
		if err != nil {
			return false, err
		}
		b, err := jpn.link()
		return err == nil && a.Confirmed && b.Confirmed && len(a.Waiting)+len(b.Waiting) == 0, err
	})
	if err != nil {
		t.Fatal(err)
	}
	usa.cable.Cut()
	jpn.cable.Cut()
	return usa, jpn
}

// noroshi runs a command at a site and returns what it printed as one object.
func (s *site) noroshi(out any, args ...string) (code int) {
	s.t.Helper()
	cmd := exec.Command(s.exe, append(args, "--dir", s.dir, "-o", "json")...)
	var said strings.Builder
	cmd.Stderr = &said
	b, _ := cmd.Output()
	if code = cmd.ProcessState.ExitCode(); code != 0 && code != exitPartly {
		s.t.Logf("%s: %s: exit %d: %s", s.Sign, strings.Join(args, " "), code, said.String())
		return code
	}
	if err := json.Unmarshal(b, out); err != nil {
		s.t.Fatalf("%s: %s: exit %d: %v\n%s%s", s.Sign, strings.Join(args, " "), code, err, b, said.String())
	}
	return code
}

// dies runs a command and kills it after a while.
func (s *site) dies(after time.Duration, args ...string) {
	s.t.Helper()
	cmd := exec.Command(s.exe, append(args, "--dir", s.dir)...)
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	crew.Pause(s.t.Context(), after)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// TestByStick: the network is cut for good. 200 indicators go each way by stick,
// in a folder and in a file; packing and unpacking are killed with SIGKILL again
// and again, a fifth of the stick is damaged on the way, and a receipt read out by
// voice moves the sender's messages.
func TestByStick(t *testing.T) {
	t.Parallel()
	usa, jpn := byMedia(t)
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	for _, s := range []*site{usa, jpn} {
		if err := s.take("list", listOf(string(s.Sign), 0, 200), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Settled(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	stick := t.TempDir()
	for range tier.N(2, 30) {
		usa.dies(time.Duration(random.IntN(150))*time.Millisecond, "media", "pack", "--to", "JPN-01", "--out", stick)
	}
	var packed packedMedium
	if code := usa.noroshi(&packed, "media", "pack", "--to", "JPN-01", "--out", stick); code != 0 || packed.Messages < 2 || packed.Code == "" {
		t.Fatalf("pack: exit %d, %+v", code, packed)
	}
	harm(t, stick, random)
	for range tier.N(2, 30) {
		jpn.dies(time.Duration(random.IntN(150))*time.Millisecond, "media", "unpack", stick)
	}
	var got unpackedMedium
	if code := jpn.noroshi(&got, "media", "unpack", stick); code != 0 || got.Code != packed.Code || len(got.Lost) > 0 || got.Damaged > 0 || len(got.Gaps) != 1 {
		t.Fatalf("unpack: exit %d, %+v; packed %+v", code, got, packed)
	}
	jpn.has(t, 400)
	if code := jpn.noroshi(&got, "media", "unpack", stick); code != 0 || got.New != 0 {
		t.Errorf("the same stick again: exit %d, %+v", code, got)
	}
	said := jpn.prints("media", "receipt", "--from", "USA-01", "--lang", "ja")
	groups := digits.FindString(said)
	if !strings.Contains(said, "受領証") || groups == "" {
		t.Fatalf("receipt: %s", said)
	}
	link, err := usa.link()
	if err != nil || link.OutStored == link.OutHead || len(link.Waiting) == 0 {
		t.Errorf("before any receipt: %+v, %v", link, err)
	}
	if said := usa.prints("media", "receipt", "--enter", groups); !strings.Contains(said, "JPN-01") {
		t.Errorf("entered: %s", said)
	}
	if link, err = usa.link(); err != nil || link.OutStored != link.OutHead || len(link.Waiting) > 0 {
		t.Errorf("after the receipt: %+v, %v", link, err)
	}
	file := filepath.Join(t.TempDir(), "receipt")
	if code := jpn.noroshi(&packed, "media", "receipt", "--from", "USA-01", "--out", file); code != 0 || packed.Messages > 0 {
		t.Errorf("a receipt file: exit %d, %+v", code, packed)
	}
	if code := usa.noroshi(&got, "media", "unpack", file); code != exitPartly || got.New > 0 || got.Said < 2 || got.Code != packed.Code { // it shows the gap: JPN-01's own list
		t.Errorf("unpack a receipt file: exit %d, %+v", code, got)
	}
	file = filepath.Join(t.TempDir(), "disc")
	if code := jpn.noroshi(&packed, "media", "pack", "--to", "USA-01", "--out", file, "--size", "64MB"); code != 0 {
		t.Fatalf("pack to a file: exit %d", code)
	}
	harm(t, file, random)
	if code := usa.noroshi(&got, "media", "unpack", file); code != 0 || got.Code != packed.Code || got.Repaired != 1 {
		t.Errorf("unpack a file: exit %d, %+v", code, got)
	}
	usa.has(t, 400)
	if x := usa.exchanged(jpn); x.IndicatorsReceipted != 200 || x.ArmedFrom != 200 {
		t.Errorf("USA-01 counts %+v", x)
	}
	oneWay(t, usa, jpn, random)
	for _, s := range []*site{usa, jpn} {
		var v web.Audited
		s.must("audit.verify", nil, &v)
		for _, f := range v.Faults {
			t.Errorf("%s: audit: %s at %d in %s: %s", s.Sign, f.Code, f.Index, f.Table, f.Msg)
		}
	}
}

// oneWay sends a list over a diode that loses a fifth of its packets, and another
// by QR codes of which a fifth is not photographed.
func oneWay(t *testing.T, usa, jpn *site, random *rand.Rand) {
	t.Helper()
	more := func(from, to int) {
		if err := usa.take("more", listOf("usa-01", from, to), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := usa.Settled(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	more(200, 300)
	spool, dropped := t.TempDir(), t.TempDir()
	said := usa.prints("media", "pack", "--to", "JPN-01", "--one-way", "--cycles", "2", "--every", "1ms", "--out", spool)
	if !strings.Contains(said, "sent and unconfirmed") {
		t.Errorf("two turns: %s", said)
	}
	files, err := os.ReadDir(spool)
	if err != nil || len(files) < 4 {
		t.Fatalf("%d files in the spool (%v)", len(files), err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(spool, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		var came []byte
		for at := 0; at < len(b); at += 1408 {
			if random.IntN(5) > 0 {
				came = append(came, b[at:min(at+1408, len(b))]...)
			}
		}
		if err := os.WriteFile(filepath.Join(dropped, f.Name()), came, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var got unpackedMedium
	jpn.noroshi(&got, "media", "unpack", dropped, "--remove")
	jpn.has(t, 500)
	if left, err := os.ReadDir(dropped); err != nil || len(left) != len(got.Lost) {
		t.Errorf("%d files are left of which %d could not be restored (%v)", len(left), len(got.Lost), err)
	}
	usa.prints("media", "receipt", "--enter", digits.FindString(jpn.prints("media", "receipt", "--from", "USA-01")))
	more(300, 320)
	pictures := t.TempDir()
	var drawn packedMedium
	if code := usa.noroshi(&drawn, "media", "qr", "--to", "JPN-01", "--out", pictures); code != 0 || drawn.Messages == 0 {
		t.Fatalf("qr: exit %d, %+v", code, drawn)
	}
	frames, err := os.ReadDir(pictures)
	if err != nil {
		t.Fatal(err)
	}
	for i := 3; i < len(frames); i += 5 {
		if err := os.Remove(filepath.Join(pictures, frames[i].Name())); err != nil {
			t.Fatal(err)
		}
	}
	if code := jpn.noroshi(&got, "media", "unpack", pictures); code != 0 || got.Code != drawn.Code || got.New == 0 {
		t.Errorf("from %d pictures: exit %d, %+v, drawn %+v", len(frames), code, got, drawn)
	}
	jpn.has(t, 520)
}

// prints runs a command that must succeed and returns its output.
func (s *site) prints(args ...string) string {
	s.t.Helper()
	b, err := exec.Command(s.exe, append(args, "--dir", s.dir)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %s: %v\n%s", s.Sign, strings.Join(args, " "), err, b)
	}
	return string(b)
}

// has waits until so many indicators are armed.
func (s *site) has(t *testing.T, want int) {
	t.Helper()
	var a web.ArmedState
	err := crew.Until(t.Context(), 20*time.Second, "indicators armed", func() (bool, error) {
		err := s.call(t.Context(), "indicator.armed", web.ArmedRef{}, &a)
		return a.Indicators == want, err
	})
	if err != nil {
		t.Fatalf("%s has %d: %v", s.Sign, a.Indicators, err)
	}
}

// harm overwrites a sector of a file, or spoils a fifth of the files of a folder
// and puts a stranger among them.
func harm(t *testing.T, path string, random *rand.Rand) {
	t.Helper()
	spoil := func(name string, most int) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		at := random.IntN(len(b)) / most * most
		copy(b[at:], make([]byte, min(most, len(b)-at)))
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(path)
	if err != nil {
		spoil(path, 512)
		return
	}
	for i, f := range files {
		if i%5 == 0 {
			spoil(filepath.Join(path, f.Name()), 512)
		}
	}
	if err := os.WriteFile(filepath.Join(path, "autorun.inf"), []byte("[autorun]"), 0o600); err != nil {
		t.Fatal(err)
	}
}

var digits = regexp.MustCompile(`\d{5}( \d{5})+`)
