package detect_test

import (
	"bufio"
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/detect"
)

// The rows of the budget on matching (make bench), each a ratio within one
// run. CPU time is measured, not wall time, so that a busy machine tells the
// same; rounds are interleaved and the median counts.

// cpu returns user and system time.
func cpu(who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// telemetry returns the dns and ssl lines.
func telemetry(b *testing.B) [][]byte {
	b.Helper()
	var lines [][]byte
	for _, log := range []string{"dns", "ssl"} {
		for s := bufio.NewScanner(open(b, "telemetry/zeek/"+log+".json.gz")); s.Scan(); {
			lines = append(lines, bytes.Clone(s.Bytes()))
		}
	}
	return lines
}

// unseen returns lines in which no name and no responder's address repeats:
// every label of a random listed domain altered but the last.
func unseen(b *testing.B, lines [][]byte) [][]byte {
	b.Helper()
	var names []string
	for next := trails(b); ; {
		e, err := next()
		if err == io.EOF {
			break
		}
		if e.Values[0].Kind == noroshi.DomainName {
			names = append(names, e.Values[0].Text)
		}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	out := make([][]byte, len(lines))
	for i, l := range lines {
		name := []byte(names[rnd.IntN(len(names))])
		last := bytes.LastIndexByte(name, '.')
		for j := range name[:last] {
			if name[j] != '.' && (j == 0 || name[j-1] == '.' || rnd.IntN(3) == 0) {
				name[j] = "abcdefghijklmnopqrstuvwxyz0123456789"[rnd.IntN(36)]
			}
		}
		addr := fmt.Sprintf("%d.%d.%d.%d", 11+rnd.IntN(200), rnd.IntN(256), rnd.IntN(256), rnd.IntN(256))
		out[i] = replaceMember(replaceMember(replaceMember(l, "query", string(name)), "server_name", string(name)), "id.resp_h", addr)
	}
	return out
}

func replaceMember(line []byte, name, value string) []byte {
	key := []byte(`"` + name + `":"`)
	at := bytes.Index(line, key)
	if at < 0 {
		return line
	}
	at += len(key)
	end := at + bytes.IndexByte(line[at:], '"')
	return slices.Concat(line[:at], []byte(value), line[end:])
}

// sample returns an index of n random entries of the list.
func sample(b *testing.B, n int) *detect.Index {
	b.Helper()
	keep := make([]bool, scaleEntries)
	for _, i := range rand.New(rand.NewPCG(3, 4)).Perm(scaleEntries)[:n] {
		keep[i] = true
	}
	x := detect.NewIndex(detect.Options{})
	next := trails(b)
	if err := x.Load(func() (detect.Entry, error) {
		for {
			e, err := next()
			if err != nil || keep[e.Seq-1] {
				return e, err
			}
		}
	}); err != nil {
		b.Fatal(err)
	}
	return x
}

// zeekLine is the reference: encoding/json into a struct of the same fields.
type zeekLine struct {
	Path       string   `json:"_path"`
	TS         string   `json:"ts"`
	OrigH      string   `json:"id.orig_h"`
	OrigP      int      `json:"id.orig_p"`
	RespH      string   `json:"id.resp_h"`
	RespP      int      `json:"id.resp_p"`
	Query      string   `json:"query"`
	Answers    []string `json:"answers"`
	ServerName string   `json:"server_name"`
	Proto      string   `json:"proto"`
}

// contender is one way to go through the lines.
type contender struct {
	name  string
	lines [][]byte
	step  func([]byte)
	took  []float64 // nanoseconds of CPU a line
}

// race lets all go through their lines, interleaved, and returns the medians.
func race(cs []*contender, rounds int) map[string]float64 {
	out := map[string]float64{}
	for range rounds {
		for _, c := range cs {
			from := cpu(syscall.RUSAGE_SELF)
			for _, l := range c.lines {
				c.step(l)
			}
			c.took = append(c.took, float64(cpu(syscall.RUSAGE_SELF)-from)/float64(len(c.lines)))
		}
	}
	for _, c := range cs {
		out[c.name] = median(c.took)
	}
	return out
}

func median(took []float64) float64 {
	took = slices.Sorted(slices.Values(took))
	return took[len(took)/2]
}

// BenchmarkBudgetMatch reports decode+match over decode only, on real lines and
// on lines where nothing repeats, with a thousand and with all entries.
func BenchmarkBudgetMatch(b *testing.B) {
	real := telemetry(b)
	fresh := unseen(b, real)
	small, all := sample(b, 1000), whole(b)
	decode := detect.Decoder()
	matchSmall, matchAll := detect.Stepper(small), detect.Stepper(all)
	var slow [][]byte
	for i := 0; i < len(real); i += 10 {
		slow = append(slow, real[i])
	}
	cs := []*contender{
		{name: "encoding/json", lines: slow, step: func(l []byte) {
			var z zeekLine
			_ = stdjson.Unmarshal(l, &z)
		}},
		{name: "decode", lines: real, step: func(l []byte) { decode(l) }},
		{name: "decode unseen", lines: fresh, step: func(l []byte) { decode(l) }},
		{name: "1k", lines: real, step: func(l []byte) { matchSmall(l) }},
		{name: "1k unseen", lines: fresh, step: func(l []byte) { matchSmall(l) }},
		{name: "all", lines: real, step: func(l []byte) { matchAll(l) }},
		{name: "all unseen", lines: fresh, step: func(l []byte) { matchAll(l) }},
	}
	race(cs, 1)
	for _, c := range cs {
		c.took = nil
	}
	for b.Loop() {
		ns := race(cs, 21)
		b.ReportMetric(ns["all"]/ns["decode"], "x-decode-real")
		b.ReportMetric(ns["all unseen"]/ns["decode unseen"], "x-decode-unseen")
		b.ReportMetric(ns["all"]/ns["1k"], "x-1k-to-all-real")
		b.ReportMetric(ns["all unseen"]/ns["1k unseen"], "x-1k-to-all-unseen")
		b.ReportMetric(ns["encoding/json"]/ns["all"], "x-faster-than-encoding/json")
		b.ReportMetric(1e3/ns["all"], "M-events/cpu-s-real")
		b.ReportMetric(1e3/ns["all unseen"], "M-events/cpu-s-unseen")
	}
	s := all.Stats()
	b.ReportMetric(float64(s.Bytes)/float64(s.Values), "B/entry")
	quiet := fresh[0]
	b.ReportMetric(testing.AllocsPerRun(1000, func() { matchAll(quiet) }), "allocs/event")
}

// BenchmarkBudgetLoad reports what building the index of all entries costs,
// reading the list included.
func BenchmarkBudgetLoad(b *testing.B) {
	for b.Loop() {
		from := cpu(syscall.RUSAGE_SELF)
		x := detect.NewIndex(detect.Options{})
		if err := x.Load(trails(b)); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric((cpu(syscall.RUSAGE_SELF) - from).Seconds(), "cpu-s")
	}
}

// BenchmarkPut reports what arming one more indicator costs, merges included.
func BenchmarkPut(b *testing.B) {
	x := whole(b)
	n := int64(10_000_000)
	for b.Loop() {
		n++
		put(x, n, fmt.Sprintf("n%d.example", n))
	}
	x.Settle()
}

// BenchmarkBudgetGrep compares with grep -F -f over the same domains and lines.
// grep's steady rate is the difference of a short and a long run, as seconds of
// either go into building its machine. How many varies, so the long run is long
// beside that, both are repeated, interleaved with ours, and the medians count.
func BenchmarkBudgetGrep(b *testing.B) {
	grep, err := exec.LookPath("grep")
	if err != nil {
		b.Fatalf("the comparison needs grep: %v", err)
	}
	const times, rounds = 21, 3
	dir := b.TempDir()
	lines := telemetry(b)
	once := append(bytes.Join(lines, []byte("\n")), '\n')
	names := filepath.Join(dir, "names")
	write(b, names, domains(b))
	write(b, filepath.Join(dir, "once"), once)
	write(b, filepath.Join(dir, "many"), bytes.Repeat(once, times))
	step := detect.Stepper(whole(b))
	ours := &contender{name: "ours", lines: lines, step: func(l []byte) { step(l) }}
	for b.Loop() {
		var first, many []float64
		for range rounds {
			first = append(first, grepTime(b, grep, names, filepath.Join(dir, "once")))
			race([]*contender{ours}, 5)
			many = append(many, grepTime(b, grep, names, filepath.Join(dir, "many")))
			race([]*contender{ours}, 5)
		}
		steady := (median(many) - median(first)) / float64((times-1)*len(lines))
		b.ReportMetric(steady/median(ours.took), "x-faster-than-grep")
		b.ReportMetric(steady/1e3, "grep-us/line")
		b.ReportMetric(median(ours.took)/1e3, "us/line")
	}
}

func write(b *testing.B, name string, data []byte) {
	b.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		b.Fatal(err)
	}
}

// domains returns the list's domains, one a line.
func domains(b *testing.B) []byte {
	b.Helper()
	var out bytes.Buffer
	for s := bufio.NewScanner(open(b, "scale/trails.tsv.gz")); s.Scan(); {
		if name, ok := strings.CutPrefix(s.Text(), "domain-name\t"); ok {
			fmt.Fprintln(&out, name)
		}
	}
	return out.Bytes()
}

// grepTime returns the nanoseconds of CPU of one run.
func grepTime(b *testing.B, grep, names, file string) float64 {
	b.Helper()
	c := exec.Command(grep, "-c", "-F", "-f", names, file)
	c.Env = append(os.Environ(), "LC_ALL=C")
	if out, err := c.CombinedOutput(); err != nil {
		b.Fatalf("grep: %v: %s", err, out)
	}
	return float64(c.ProcessState.UserTime() + c.ProcessState.SystemTime())
}
