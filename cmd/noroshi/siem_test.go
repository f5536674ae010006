package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi/internal/demodata"
	"github.com/noroshi-cti/noroshi/internal/door/siem/siemtest"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/store"
)

// TestConnectSIEM runs the commands of docs/connect/siem.md: what is typed on
// the node's side makes a warning arrive at a SIEM.
func TestConnectSIEM(t *testing.T) {
	t.Parallel()
	r := siemtest.New(t)
	doc, err := os.ReadFile("../../docs/connect/siem.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := block.FindAllStringSubmatch(string(doc), -1)
	if len(blocks) != 3 {
		t.Fatalf("%d story blocks, want 3", len(blocks))
	}
	here := strings.NewReplacer("siem.example:6514", r.Addr, "/etc/noroshi/siem-ca.pem", r.CAFile)
	var script strings.Builder
	script.WriteString("set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\nnoroshi init --yes --org JPN-01 --dir JPN\n")
	for _, b := range blocks {
		script.WriteString("echo '== " + b[1] + "'\n" + here.Replace(b[2]))
		if b[1] == "siem" {
			script.WriteString("noroshi serve --dir JPN 2> jpn.log &\nnoroshi status --wait --dir JPN -q\n")
		}
	}
	script.WriteString("until noroshi status --dir JPN | grep -Eq 'soc .* [1-9][0-9]* read'; do sleep 0.1; done\nnoroshi status --dir JPN --lang ja\n")
	out := runStory(t, script.String())
	for _, want := range []string{"soc", "TLP:AMBER", "the SIEM soc has read", "読取り"} {
		if !strings.Contains(out, want) {
			t.Errorf("the story's output lacks %q:\n%s", want, out)
		}
	}
	r.Until("the warning", func(got []string) bool {
		return slices.ContainsFunc(got, func(m string) bool {
			return strings.Contains(m, `"kind":"alert"`) && strings.Contains(m, `"domain":"wiper-control.example"`) && strings.Contains(m, `"marking":"TLP:AMBER"`)
		})
	})
	for _, m := range r.Messages() {
		for _, victim := range []string{"10.0.0.5", `"try"`} {
			if strings.Contains(m, victim) {
				t.Errorf("%s is in %s", victim, m)
			}
		}
	}
}

// odd are names that a real log of a network asks for and no warning-list knows.
var odd = []string{"wj32.org", "www.techentice.com", "www.qualityology.com", "www.itstuff.ca", "www.brandonpadgett.com", "www.clubpenguinisland.com",
	"www.devconnections.com", "www.fraudlabspro.com", "www.gonitro.com", "www.shouldiblockit.com", "www.openvas.org", "www.unrealircd.com",
	"www.techieshelp.com", "www.itmanagerdaily.com", "www.draw.io", "utmain.wpengine.com"}

// TestKilledNodeAndItsSIEM: a real log is matched against a node that is killed
// with SIGKILL again and again while its SIEM breaks connections off in the
// middle of frames. In the end every act of the record and every warning and
// sighting has arrived at the SIEM, each under one id.
func TestKilledNodeAndItsSIEM(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	r := siemtest.New(t)
	s := newSite(t, "JPN-01", func(c *node.Config) {
		c.SIEM = []node.SIEMConfig{{Name: "soc", Address: r.Addr, Format: "syslog", CAFile: r.CAFile, Max: []string{"TLP:AMBER"}}}
	})
	log := unpack(t, "dns.json.gz")
	for n, name := range odd {
		r.Behave([]siemtest.Manner{{}, {BreakAfter: 1 + random.IntN(4000)}, {Deaf: true}}[random.IntN(3)])
		if err := s.take(fmt.Sprintf("list-%d", n), name+"\n", nil); err != nil {
			t.Fatal(err)
		}
		if n%4 == 3 {
			match(t, s, log, random)
		}
		s.signal(syscall.SIGKILL)
	}
	r.Behave(siemtest.Manner{})
	match(t, s, log, nil)
	acts, objects := told(t, s)
	if len(objects) < len(odd) {
		t.Fatalf("only %d warnings and sightings of %d names", len(objects), len(odd))
	}
	r.Until("everything", func(got []string) bool {
		all := strings.Join(got, "\n")
		return !slices.ContainsFunc(append(acts, objects...), func(x string) bool { return !strings.Contains(all, x) })
	})
	events := map[string]string{}
	whole := regexp.MustCompile(`id="([0-9a-f-]{36})".*?(index="\d+"|object="[^"]+".*?count="\d+"|object="[^"]+")`)
	for _, m := range r.Messages() {
		e := whole.FindStringSubmatch(m)
		if events[e[2]] != "" && events[e[2]] != e[1] {
			t.Errorf("%s came as %s and as %s", e[2], events[e[2]], e[1])
		}
		events[e[2]] = e[1]
	}
	t.Logf("%d kills, %d acts, %d warnings and sightings, %d messages over %d connections", s.killed(), len(acts), len(objects), len(r.Messages()), r.Connections())
}

// unpack writes a real log into the test's folder.
func unpack(t *testing.T, name string) string {
	t.Helper()
	f, err := demodata.Telemetry().Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), strings.TrimSuffix(name, ".gz"))
	b, err := io.ReadAll(z)
	if err == nil {
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// match matches a log until it gets through; with random, the node is killed
// under it once.
func match(t *testing.T, s *site, log string, random *rand.Rand) {
	t.Helper()
	err := crew.Until(t.Context(), crew.Patience, "the log is matched", func() (bool, error) {
		cmd := exec.CommandContext(t.Context(), s.exe, "match", log, "--record", "--sensor", "tokyo-dns", "--dir", s.dir, "--lang", "en")
		if random != nil {
			kill := time.AfterFunc(time.Duration(200+random.IntN(1500))*time.Millisecond, func() { s.signal(syscall.SIGKILL) })
			defer kill.Stop()
			random = nil
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		return err == nil, err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// told lists, as the SIEM must have read them, the acts and objects of a node
// that goes on running: what comes later is not asked for.
func told(t *testing.T, s *site) (acts, objects []string) {
	t.Helper()
	n := s.store(t)
	next, err := n.Store.NextAct(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range next {
		acts = append(acts, fmt.Sprintf("index=%q", fmt.Sprint(i)))
	}
	for _, typ := range []string{"report", "sighting"} {
		list, err := n.Store.List(t.Context(), store.Filter{Type: typ, Limit: 1000, All: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list {
			objects = append(objects, fmt.Sprintf("object=%q", r.Object.ID))
		}
	}
	return acts, objects
}
