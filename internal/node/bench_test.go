package node_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/stix"
)

// The rows of the budget (make bench) that need whole nodes. Two nodes run in
// this process, over real HTTPS on loopback and files on this disk; what is
// said of one process is measured on the program itself.

// wrongPort is what a few entries of the list end with; they are quarantined.
var wrongPort = regexp.MustCompile(`:([7-9]\d{4}|6[6-9]\d{3}|65[6-9]\d{2}|655[4-9]\d|6553[6-9]|\d{6,})$`)

// listEntries is how many entries of the list are none of those.
const listEntries = 1_612_044

// trails returns n entries of the list of 1,612,056 known-bad values, after
// the first skip of them.
func trails(b *testing.B, skip, n int) io.Reader {
	b.Helper()
	f, err := os.Open("../../testdata/scale/trails.tsv.gz")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		b.Fatal(err)
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

// pair is two allied nodes and how much was done with them.
type pair struct {
	usa, jpn  *nodetest.Party
	published int
}

// publish imports one GREEN indicator at USA-01 and returns how long it took
// from handing it to the entry gate until JPN-01 was armed.
func (p *pair) publish(b *testing.B) time.Duration {
	b.Helper()
	p.published++
	id := stix.DeriveID("indicator", [16]byte{7}, fmt.Sprint(p.published))
	body := fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z",`+
		`"pattern":"[domain-name:value = 'p%d.example']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"}`, id, p.published)
	start := time.Now()
	p.usa.Import(fmt.Sprintf("p%d.json", p.published), "tlp:green", strings.NewReader(body))
	var a web.ArmedState
	p.jpn.Must("indicator.armed", web.ArmedRef{ID: id, Wait: 60_000}, &a)
	if !a.IsArmed {
		b.Fatalf("indicator %d was not armed at %s", p.published, p.jpn.Sign)
	}
	return time.Since(start)
}

// percentiles reports p50 and p99 in milliseconds under a name.
func percentiles(b *testing.B, name string, took []time.Duration) {
	slices.Sort(took)
	for _, p := range []int{50, 99} {
		b.ReportMetric(float64(took[len(took)*p/100].Microseconds())/1000, fmt.Sprintf("ms-p%d-%s", p, name))
	}
}

// commits reports what one durable write of a page costs on this disk: what
// the times of the same run are to be compared with.
func commits(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "page"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, 4096)
	var took []time.Duration
	for range 200 {
		start := time.Now()
		if _, err := f.Write(page); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	percentiles(b, "page-sync", took)
}

// idle measures publishing with nothing else under way.
func (p *pair) idle(b *testing.B, name string) {
	for range 20 {
		p.publish(b)
	}
	took := make([]time.Duration, 500)
	for i := range took {
		took[i] = p.publish(b)
	}
	percentiles(b, name, took)
}

// busy measures publishing while the receiver imports a list of n entries.
func (p *pair) busy(b *testing.B, name string, list io.Reader) {
	done := make(chan struct{})
	var importing sync.WaitGroup
	importing.Go(func() {
		defer close(done)
		p.jpn.Import("busy.tsv", "tlp:red", list)
	})
	var took []time.Duration
	for under := true; under; {
		took = append(took, p.publish(b))
		select {
		case <-done:
			under = false
		default:
		}
	}
	importing.Wait()
	percentiles(b, name, took)
	b.ReportMetric(float64(len(took)), "trials-"+name)
}

// catchUp imports n objects at USA-01, has two officers release them, and waits
// until JPN-01 has applied all: rates, bytes and ledger entries. Then both tell
// each other that there is nothing new.
func (p *pair) catchUp(b *testing.B, list io.Reader, n int) {
	acts := p.acts(b)
	start := time.Now()
	run := p.usa.Import("release.tsv", "tlp:amber", list).Run
	admission := float64(n) / time.Since(start).Seconds()
	b.ReportMetric(admission, "objects/s-import-empty")
	before := p.usa.Node.Courier.Counters().BytesSent
	if holds, count := p.usa.Approve(); holds != 1 || count != n {
		b.Fatalf("%d holds of %d objects, want 1 of %d", holds, count, n)
	}
	start = time.Now()
	nodetest.Whole(b, p.usa, p.jpn)
	if err := p.jpn.Node.Watch.ArmedUpTo(b.Context(), p.jpn.Head()); err != nil {
		b.Fatal(err)
	}
	took := time.Since(start)
	b.ReportMetric(took.Seconds(), "s-approve-to-armed")
	b.ReportMetric(float64(n)/took.Seconds()/admission, "x-catch-up-of-import")
	b.ReportMetric(float64(p.acts(b)-acts), "entries-import-and-send")
	p.overWire(b, run, p.usa.Node.Courier.Counters().BytesSent-before, "x-json-over-wire")
	before = p.jpn.Node.Courier.Counters().BytesReceived
	if _, err := p.usa.Node.Courier.Test(b.Context(), p.jpn.Node.Keys.NodeID(), ""); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(p.jpn.Node.Courier.Counters().BytesReceived-before), "B-second-sync")
}

// overWire reports how many times what a run brought is as large as what carried
// it.
func (p *pair) overWire(b *testing.B, run string, sent int64, name string) {
	b.Helper()
	size := 0
	if err := p.usa.Node.Store.Each(b.Context(), "indicator", 0, func(r store.Record) error {
		if r.Run == run {
			size += len(r.Object.Bytes())
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(size)/float64(sent), name)
}

// outage sends a list from USA-01 to JPN-01 that was imported and released by two
// officers while JPN-01 was gone, until JPN-01, back again, is armed with all of
// it.
func (p *pair) outage(b *testing.B, skip, n int) {
	lines := n
	p.jpn.Stop()
	p.jpn.Quota = 4096 // what follows is of the same day
	start := time.Now()
	r := p.usa.Import("trails.tsv", "tlp:amber", trails(b, skip, n))
	if n = r.New; n+r.Unchanged != lines || r.Unchanged > lines/1000 {
		b.Fatalf("import of %d lines: %+v", lines, r) // some name a value of another line in another spelling
	}
	admission := float64(n) / time.Since(start).Seconds()
	if holds, count := p.usa.Approve(); holds != 1 || count != n {
		b.Fatalf("%d holds of %d objects, want 1 of %d", holds, count, n)
	}
	before := p.usa.Node.Courier.Counters().BytesSent
	p.jpn.Start()
	start = time.Now()
	nodetest.Whole(b, p.usa, p.jpn)
	if err := p.jpn.Node.Watch.ArmedUpTo(b.Context(), p.jpn.Head()); err != nil {
		b.Fatal(err)
	}
	rate := float64(n) / time.Since(start).Seconds()
	b.ReportMetric(rate, "objects/s-after-outage")
	b.ReportMetric(rate/admission, "x-after-outage-of-import")
	p.overWire(b, r.Run, p.usa.Node.Courier.Counters().BytesSent-before, "x-json-over-wire-outage")
	b.ReportMetric(float64(n), "objects-after-outage")
}

// acts counts a party's ledger entries.
func (p *pair) acts(b *testing.B) uint64 {
	b.Helper()
	at, err := p.usa.Node.Store.Do(b.Context(), noroshi.Act{Action: noroshi.ActImport, Subject: "count"}, func(*store.Tx) error { return nil })
	if err != nil {
		b.Fatal(err)
	}
	return at.Index
}

// fill sends the rest of the list from USA-01 to JPN-01, released as one hold
// by two officers, until JPN-01 is armed with all of it; then JPN-01 imports as
// many new entries as a tenth of the list, and reports the rate of that.
func (p *pair) fill(b *testing.B, skip, n int) {
	lines := n
	r := p.usa.Import("trails.tsv", "tlp:amber", trails(b, skip, n))
	if n = r.New; n+r.Unchanged != lines || r.Unchanged > lines/1000 {
		b.Fatalf("import of %d lines: %+v", lines, r) // some name a value of another line in another spelling
	}
	armed := func() (int, error) {
		a, err := p.jpn.Node.Watch.Armed(b.Context())
		return a.Indicators, err
	}
	before, err := armed()
	if err != nil {
		b.Fatal(err)
	}
	if holds, count := p.usa.Approve(); holds != 1 || count != n {
		b.Fatalf("%d holds of %d objects, want 1 of %d", holds, count, n)
	}
	start := time.Now()
	if err := crew.Until(b.Context(), 15*time.Minute, "all armed at JPN-01", func() (bool, error) {
		now, err := armed()
		return now == before+n, err
	}); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(n)/time.Since(start).Seconds(), "objects/s-approve-to-armed")
	nodetest.Whole(b, p.usa, p.jpn)
	start = time.Now()
	p.jpn.Import("tenth.tsv", "tlp:red", fresh("tenth", n/10))
	b.ReportMetric(float64(n/10)/time.Since(start).Seconds(), "objects/s-import-full")
	p.jpn.Settle()
	start = time.Now()
	if err := crew.Until(b.Context(), 5*time.Minute, "full text of all", func() (bool, error) {
		_, behind, err := p.jpn.Node.Store.Search(b.Context(), "trails", store.Along{Limit: 1})
		return behind == 0, err
	}); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(time.Since(start).Seconds(), "s-text-behind")
}

// facts matches the real logs against what a folder holds, and compares with
// the facts of testdata/SOURCES.md.
func facts(b *testing.B, exe, dir string) {
	b.Helper()
	got := map[string]int64{}
	for _, log := range []string{"dns", "ssl", "smtp"} {
		out, err := exec.Command(exe, "match", "../../testdata/telemetry/zeek/"+log+".json.gz", "--dir", dir, "-o", "json", "-q").Output()
		if err != nil {
			b.Fatalf("match %s: %v", log, err)
		}
		var m struct {
			Data []struct {
				Value    noroshi.Value `json:"value"`
				Strength string        `json:"strength"`
			} `json:"data"`
		}
		if err := json.Unmarshal(out, &m); err != nil {
			b.Fatal(err)
		}
		for _, h := range m.Data {
			got[h.Strength]++
		}
	}
	if want := map[string]int64{"strong": 120, "weak": 38}; !maps.Equal(got, want) {
		b.Errorf("the receiver's index meets %v, want %v", got, want)
	}
	b.ReportMetric(float64(got["strong"]), "hits-strong")
	b.ReportMetric(float64(got["weak"]), "hits-weak")
}

// program runs the built program on a folder until stop is called, and returns
// how long its socket took to answer and how long it took to be armed.
func program(b *testing.B, exe, dir string) (answers, armed time.Duration, status func(string) float64, stop func()) {
	b.Helper()
	c := exec.Command(exe, "serve", "--dir", dir)
	start := time.Now()
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	client := web.NewClient(node.SocketPath(dir, noroshi.Real))
	for answers == 0 {
		if client.Call(b.Context(), "indicator.armed", web.ArmedRef{}, nil, nil, nil) == nil {
			answers = time.Since(start)
		} else if time.Since(start) > time.Minute {
			b.Fatal("the program does not answer within a minute")
		}
		time.Sleep(time.Millisecond)
	}
	for armed == 0 {
		var a web.ArmedState
		if err := client.Call(b.Context(), "indicator.armed", web.ArmedRef{}, nil, nil, &a); err != nil {
			b.Fatal(err)
		}
		if a.Seq > 0 {
			armed = time.Since(start)
		}
		time.Sleep(5 * time.Millisecond)
	}
	status = func(field string) float64 {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.Process.Pid))
		if err != nil {
			b.Fatal(err)
		}
		m := regexp.MustCompile(`(?m)^` + field + `:\s+(\d+) kB`).FindSubmatch(text)
		if m == nil {
			b.Fatalf("no %s of the program", field)
		}
		kb, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			b.Fatal(err)
		}
		return kb * 1024 / 1e6
	}
	stop = func() {
		if err := c.Process.Signal(os.Interrupt); err != nil {
			b.Fatal(err)
		}
		if err := c.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	return answers, armed, status, stop
}

// settledRSS waits until a process' memory has not shrunk for a while.
func settledRSS(status func(string) float64) float64 {
	least, since := status("VmRSS"), time.Now()
	for time.Since(since) < 3*time.Second {
		time.Sleep(100 * time.Millisecond)
		if now := status("VmRSS"); now < least-1 {
			least, since = now, time.Now()
		}
	}
	return least
}

// BenchmarkBudgetNodes tells the rows in one story: two new nodes, a list
// released between them, then all the rest of it, the receiver started on it.
func BenchmarkBudgetNodes(b *testing.B) {
	small, missed, whole := tier.N(20_000, 100_000), tier.N(20_000, 1_000_000), tier.N(60_000, listEntries)
	exe := filepath.Join(b.TempDir(), "noroshi")
	if out, err := exec.Command("go", "build", "-o", exe, "../../cmd/noroshi").CombinedOutput(); err != nil {
		b.Fatalf("go build: %v: %s", err, out)
	}
	var empty float64
	b.Run("Start", func(b *testing.B) {
		commits(b)
		dir := filepath.Join(b.TempDir(), "empty")
		if err := node.Init(b.Context(), dir, node.Config{CallSign: "USA-01", Tokens: []string{"USA.MOD"}}); err != nil {
			b.Fatal(err)
		}
		answers, _, status, stop := program(b, exe, dir)
		empty = settledRSS(status)
		stop()
		b.ReportMetric(float64(answers.Milliseconds()), "ms-start")
		b.ReportMetric(empty, "MB-idle")
	})
	p := &pair{}
	p.usa, p.jpn = nodetest.Alliance(b, noroshi.Real)
	b.Run("PublishSmall", func(b *testing.B) { p.idle(b, "small-idle") })
	b.Run("CatchUp", func(b *testing.B) { p.catchUp(b, trails(b, 0, small), small) })
	b.Run("PublishSmallBusy", func(b *testing.B) { p.busy(b, "small-busy", fresh("small", small)) })
	b.Run("Outage", func(b *testing.B) { p.outage(b, small, missed) })
	b.Run("Fill", func(b *testing.B) { p.fill(b, small+missed, whole-small-missed) })
	b.Run("Arm", func(b *testing.B) {
		p.jpn.Stop()
		_, armed, status, stop := program(b, exe, p.jpn.Dir)
		peak := status("VmHWM")
		settled := settledRSS(status)
		stop()
		if whole == listEntries {
			facts(b, exe, p.jpn.Dir)
		}
		p.jpn.Start()
		nodetest.Whole(b, p.usa, p.jpn)
		b.ReportMetric(armed.Seconds(), "s-armed-at-start")
		b.ReportMetric(peak, "MB-armed-peak")
		b.ReportMetric(settled-empty, "MB-armed-settled-over-empty")
	})
	b.Run("S1H", func(b *testing.B) {
		hard := &pair{usa: nodetest.New(b, "USA-02", noroshi.Real), jpn: nodetest.New(b, "JPN-02", noroshi.Real)}
		nodetest.Harden(b, hard.usa, hard.jpn)
		hard.catchUp(b, trails(b, 0, small), small)
	})
	b.Run("Publish", func(b *testing.B) { p.idle(b, "full-idle") })
	b.Run("PublishBusy", func(b *testing.B) { p.busy(b, "full-busy", fresh("full", small)) })
	b.Run("Console", func(b *testing.B) { p.console(b, whole, tier.N(2000, 60_000), small) })
}

// fresh returns n entries that are in no list.
func fresh(name string, n int) io.Reader {
	var out bytes.Buffer
	for i := range n {
		fmt.Fprintf(&out, "domain-name\t%s-%d-%d.example\n", name, i*7919%n, i)
	}
	return &out
}
