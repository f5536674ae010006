package node_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node"
)

// TestConfigIsChecked: what a file says wrongly is an error that names the
// field, never passed over.
func TestConfigIsChecked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "usa")
	if err := node.Init(t.Context(), dir, node.Config{CallSign: "USA-01", Listen: "127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "noroshi.toml")
	made, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(made), "heartbeat") {
		t.Errorf("init writes a heartbeat nobody asked for:\n%s", made)
	}
	for line, want := range map[string]string{
		`lang = "fr"`:               "config.field",
		`lang = "ja"`:               "",
		`heartbeat = "-5s"`:         "config.field",
		`heartbeat = "2h"`:          "config.field",
		`heartbeat = "1s"`:          "",
		`heartbeat = "abc"`:         "config.syntax",
		`warninglists = "/nowhere"`: "config.field",
		`metrics = "banana"`:        "config.field",
		`colour = 1`:                "config.unknown-key",
	} {
		t.Run(line, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(line+"\n"+string(made)), 0o600); err != nil {
				t.Fatal(err)
			}
			n, err := node.Open(t.Context(), dir, noroshi.Real, node.Options{ReadOnly: true})
			if err == nil {
				err = n.Close()
			}
			var e *noroshi.Error
			if errors.As(err, &e); want == "" && err != nil || want != "" && (e == nil || e.Code != want) {
				t.Errorf("opening says %v, want code %q", err, want)
			}
		})
	}
}

// TestSightingConfig: sectors and region are words of the STIX vocabularies, so
// that no name of an organisation or a town gets onto a sighting.
func TestSightingConfig(t *testing.T) {
	for _, c := range []struct {
		sighting node.SightingConfig
		fine     bool
	}{
		{node.SightingConfig{Sectors: []string{"energy", "defense"}, Region: "eastern-asia"}, true},
		{node.SightingConfig{Sectors: []string{"Energy"}}, false},
		{node.SightingConfig{Sectors: []string{"energy", "energy"}}, false},
		{node.SightingConfig{Sectors: []string{""}}, false},
		{node.SightingConfig{Region: "Tokyo"}, false},
	} {
		err := node.Init(t.Context(), filepath.Join(t.TempDir(), "jpn"), node.Config{CallSign: "JPN-01", Sighting: c.sighting})
		if (err == nil) != c.fine || err != nil && noroshi.KindOf(err) != noroshi.Invalid {
			t.Errorf("%+v: %v", c.sighting, err)
		}
	}
}

// TestLostSealingKey: what is missing is named, with what to do.
func TestLostSealingKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "usa")
	if err := node.Init(t.Context(), dir, node.Config{CallSign: "USA-01"}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "secret", "seal.key")); err != nil {
		t.Fatal(err)
	}
	var e *noroshi.Error
	if _, err := node.Open(t.Context(), dir, noroshi.Real, node.Options{}); !errors.As(err, &e) || e.Code != "seal.gone" {
		t.Errorf("opening says %v, want code seal.gone", err)
	}
}
