package node_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door/siem/siemtest"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// TestSIEMConfigIsChecked: what is wrong is named by its field.
func TestSIEMConfigIsChecked(t *testing.T) {
	fine := node.SIEMConfig{Name: "soc", Address: "siem.example:6514", Format: "cef", Max: []string{"TLP:AMBER", "JPN:部内限り"}}
	for field, change := range map[string]func(*node.SIEMConfig){
		"":                   func(c *node.SIEMConfig) {},
		"siem[1].name":       func(c *node.SIEMConfig) { c.Name = "SOC 1" },
		"siem[1].address":    func(c *node.SIEMConfig) { c.Address = "siem.example" },
		"siem[1].format":     func(c *node.SIEMConfig) { c.Format = "leef" },
		"siem[1].max":        func(c *node.SIEMConfig) { c.Max = nil },
		"siem[1].cert_file":  func(c *node.SIEMConfig) { c.CertFile = "cert.pem" },
		"siem[1].what[2]":    func(c *node.SIEMConfig) { c.What = []string{"audit", "audit"} },
		"siem[1].what[1]":    func(c *node.SIEMConfig) { c.What = []string{"all"} },
		"siem[1].lang":       func(c *node.SIEMConfig) { c.Lang = "fr" },
		"siem[1].address 0":  func(c *node.SIEMConfig) { c.Address = "siem.example:0" },
		"siem[1].address :1": func(c *node.SIEMConfig) { c.Address = ":6514" },
	} {
		c := fine
		change(&c)
		err := node.Init(t.Context(), filepath.Join(t.TempDir(), "jpn"), node.Config{CallSign: "JPN-01", SIEM: []node.SIEMConfig{c}})
		var e *noroshi.Error
		name, _, _ := strings.Cut(field, " ")
		if field == "" && err != nil || field != "" && (!errors.As(err, &e) || e.Code != "config.field" || len(e.Args) < 2 || e.Args[1] != name) {
			t.Errorf("%s: %v", field, err)
		}
	}
	err := node.Init(t.Context(), filepath.Join(t.TempDir(), "jpn"), node.Config{CallSign: "JPN-01", SIEM: []node.SIEMConfig{fine, fine}})
	if err == nil || !strings.Contains(err.Error(), "siem[2].name") {
		t.Errorf("two of one name: %v", err)
	}
}

// TestSIEMOfAnExercise: a node that serves an exercise marks everything it tells
// the SIEM as of the exercise; status, doctor and metrics say how each SIEM
// stands, and one that is not there stops nothing.
func TestSIEMOfAnExercise(t *testing.T) {
	r := siemtest.New(t)
	metrics, gone := free(t), free(t)
	dir := filepath.Join(t.TempDir(), "jpn")
	err := node.Init(t.Context(), dir, node.Config{CallSign: "JPN-01", Metrics: metrics, SIEM: []node.SIEMConfig{
		{Name: "soc", Address: r.Addr, Format: "syslog", CAFile: r.CAFile, Max: []string{"TLP:AMBER"}},
		{Name: "gone", Address: gone, Format: "cef", CAFile: r.CAFile, Max: []string{"TLP:AMBER"}},
		{Name: "wrong", Address: gone, Format: "cef", CAFile: r.CAFile + ".none", Max: []string{"TLP:AMBER"}}}})
	if err != nil {
		t.Fatal(err)
	}
	realm, err := noroshi.ParseRealm("exercise:kibou-26")
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.Open(t.Context(), dir, realm, node.Options{Serving: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Serve(ctx, nil) }()
	r.Until("an act", func(got []string) bool { return len(got) > 0 })
	for _, want := range []string{`noroshi_siem_failing{siem="gone"} 1`, `noroshi_siem_sent_total{siem="soc"}`, `noroshi_siem_withheld_total{siem="soc"} 0`, `noroshi_siem_behind{siem="gone"}`} {
		for !strings.Contains(get(t, "http://"+metrics+"/metrics"), want) {
			if t.Context().Err() != nil {
				t.Fatalf("metrics never say %s", want)
			}
		}
	}
	checks := map[string]string{}
	result, err := web.Invoke(t.Context(), n.Services(), "doctor", nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range result.([]web.Check) {
		if c.Name == "siem" {
			checks[c.Args[0]] = c.Code
		}
	}
	if checks["soc"] != "siem-sends" || checks["gone"] != "siem-error" || checks["wrong"] != "siem-files" {
		t.Errorf("doctor says %v", checks)
	}
	stop()
	if err := errors.Join(<-done, n.Close()); err != nil {
		t.Errorf("serve: %v", err)
	}
	for _, m := range r.Messages() {
		if !strings.Contains(m, `realm="exercise:kibou-26" exercise="kibou-26"`) || !strings.Contains(m, "] EXERCISE EXERCISE EXERCISE ") {
			t.Errorf("not marked as of the exercise: %s", m)
		}
	}
}

// free returns an address nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
