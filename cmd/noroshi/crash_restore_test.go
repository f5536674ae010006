package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/backup"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/tier"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// putBack puts the first node back to before what both did last, recalls among it,
// and has it die at every point at which it has not died since, until it has taken
// back what it lost. It returns how often it died.
func (x *exchange) putBack() (died int) {
	x.t.Helper()
	m, file := x.usa, filepath.Join(x.t.TempDir(), "before")
	calm(x.t, x.usa.site, x.jpn.site)
	m.save(file, x.seal)
	known := m.named(x.listed[0]-1, x.listed[0]) // recalled when the backup is made already
	for i, side := range []*mortal{x.usa, x.jpn} {
		from := x.listed[i]
		x.listed[i] += 8
		if err := side.take("lost", listOf(string(side.Sign), from, from+8), nil); err != nil {
			x.t.Fatalf("%s: %v", side.Sign, err)
		}
		calm(x.t, x.usa.site, x.jpn.site)
		for _, id := range append(known, side.named(from, from+1)...) {
			side.recall(id)
			x.recalled[id] = true
		}
		known = nil
	}
	calm(x.t, x.usa.site, x.jpn.site)

	m.end()
	m.restore(file)
	m.revive(x.recovery())
	x.patiently("what was lost is back", func() (bool, error) {
		l, err := m.link()
		return err == nil && l.Confirmed && l.Recovering == "", err
	})
	x.patiently("both streams whole", func() (bool, error) {
		is, _, err := whole(x.t.Context(), x.usa.site, x.jpn.site)
		return is, err
	})
	struck := m.struck()
	m.disarm()
	for _, act := range []noroshi.Action{noroshi.ActEpoch, noroshi.ActRecovered} {
		if !slices.ContainsFunc(struck, func(s string) bool { return strings.Contains(s, string(act)+" commit (") }) {
			x.t.Errorf("it did not die in an act of %s", act)
		}
	}
	x.t.Logf("put back:\n%s", strings.Join(struck, "\n"))
	return len(struck)
}

// patiently waits until something is so, for as long as the nodes get on: how many
// deaths it takes, and how long each, no clock can say.
func (x *exchange) patiently(what string, so func() (bool, error)) {
	x.t.Helper()
	for was := x.reached(); ; {
		err := crew.Until(x.t.Context(), crew.Patience, what, so)
		if err == nil {
			return
		}
		now := x.reached()
		if now == was {
			x.t.Fatalf("%v, and nothing got on meanwhile\n%sput back:\n%s", err, now, strings.Join(x.usa.struck(), "\n"))
		}
		was = now
	}
}

// reached tells how far both nodes have got, of what does not change by time alone.
func (x *exchange) reached() (told string) {
	x.t.Helper()
	for _, m := range []*mortal{x.usa, x.jpn} {
		l, err := m.link()
		told += fmt.Sprintf("%s: %d points passed, %d indicators, waits for %q, sent %d, of them %d stored and %d applied there, applied %d of %d, missing %v, %v\n", m.Sign,
			len(m.points()), m.indicators(), l.Recovering, l.OutHead, l.OutStored, l.OutApplied, l.InApplied, l.InHead, l.Missing, err)
	}
	return told
}

// indicators is how many indicators a node has, or -1.
func (m *mortal) indicators() int {
	var a web.ArmedState
	if err := m.call(m.t.Context(), "indicator.armed", web.ArmedRef{}, &a); err != nil {
		return -1
	}
	return a.Indicators
}

// recovery is where a node that was put back dies: in the small story in the acts of
// its new epoch and of what it takes back.
func (x *exchange) recovery() plan {
	p := plan{Times: tier.N(2, 8)}
	if tier.N(0, 1) == 0 {
		p.Steps = []string{"epoch commit", "epoch committed", "recover commit", "recover committed"}
	}
	return p
}

// restore puts a node that has ended back from a backup, in its place. Two officers
// sign.
func (m *mortal) restore(file string) {
	m.t.Helper()
	f, err := os.Open(file)
	if err != nil {
		m.t.Fatal(err)
	}
	defer f.Close()
	r, err := node.BeginRestore(m.t.Context(), m.dir, f, func(backup.How) ([]byte, error) { return []byte(backupKey), nil })
	if err != nil {
		m.t.Fatal(err)
	}
	var by []noroshi.Signed
	for _, id := range []string{"release1", "release2"} {
		person, err := r.Person(id)
		if err != nil {
			m.t.Fatal(err)
		}
		key, err := person.Unseal([]byte(passphrase))
		if err != nil {
			m.t.Fatal(err)
		}
		by = append(by, noroshi.SignAct(id, key, r.Digest()))
	}
	if _, err := r.Commit(m.t.Context(), by); err != nil {
		m.t.Fatal(err)
	}
	if err := r.Abandon(); err != nil {
		m.t.Fatal(err)
	}
}

// revive runs a node that has ended again, by a plan.
func (m *mortal) revive(p plan) {
	m.t.Helper()
	m.arm(p, nil)
	m.mu.Lock()
	m.over = false
	m.mu.Unlock()
	m.start()
}
