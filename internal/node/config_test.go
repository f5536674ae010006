package node_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node"
)

// aMail is a configuration of mail.
func aMail(endpoint, fields string) string {
	return fmt.Sprintf("endpoints = [%q]\nmail = {%s}", endpoint, fields)
}

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
		`lang = "fr"`:                            "config.field",
		`lang = "ja"`:                            "",
		`heartbeat = "-5s"`:                      "config.field",
		`heartbeat = "2h"`:                       "config.field",
		`heartbeat = "1s"`:                       "",
		`checkpoint = "1ms"`:                     "config.field",
		`checkpoint = "1s"`:                      "",
		`heartbeat = "abc"`:                      "config.syntax",
		`warninglists = "/nowhere"`:              "config.field",
		`metrics = "banana"`:                     "config.field",
		`colour = 1`:                             "config.unknown-key",
		`names = ["a.example:443"]`:              "config.field",
		`names = ["日本.example"]`:                 "config.field",
		`names = ["0.0.0.0"]`:                    "config.field",
		`names = ["soc.example", "2001:db8::1"]`: "",
		`translate = {url = "https://t.example/translate"}`:                                                      "",
		`translate = {url = "http://t.example/"}`:                                                                "config.field",
		`translate = {url = "http://127.0.0.1:5000/translate", nets = ["127.0.0.0/8"], inside = true}`:           "",
		`translate = {url = "ftp://t.example/"}`:                                                                 "config.field",
		`translate = {url = "https://u@t.example/"}`:                                                             "config.field",
		`translate = {url = "https://t.example/", up_to = ["TLP:GREEN"]}`:                                        "config.field", // of somebody else
		`translate = {url = "https://t.example/", up_to = ["TLP:AMBER", "JPN:部内限り"], inside = true}`:             "",
		`translate = {url = "https://t.example/", up_to = ["UNMARKED"], inside = true}`:                          "config.field",
		`translate = {url = "https://t.example/", languages = ["ja"]}`:                                           "config.field",
		`translate = {url = "https://t.example/", languages = ["ja", "xx-"]}`:                                    "config.field",
		`translate = {url = "https://t.example/", timeout = "1ms"}`:                                              "config.field",
		`translate = {url = "https://t.example/", nets = ["here"]}`:                                              "config.field",
		aMail("mailto:n@usa.example", `from = "n@usa.example", spool = "/var/spool/noroshi"`):                    "",
		aMail("mailto:n@usa.example", `from = "n@usa.example", spool = "spool"`):                                 "config.field",
		aMail("mailto:m@usa.example", `from = "n@usa.example", spool = "/var/spool/noroshi"`):                    "config.field", // not among the endpoints
		aMail("mailto:n@usa.example", `from = "n@usa.example", relay = "mail.example:25"`):                       "config.field", // nothing comes in
		aMail("mailto:n@usa.example", `spool = "/var/spool/noroshi"`):                                            "config.field",
		aMail("mailto:n@usa.example", `from = "n@usa.example", spool = "/x", pin = "12"`):                        "", // of no relay
		aMail("mailto:n@usa.example", `from = "n@usa.example", spool = "/x", relay = "a:25", pin = "12"`):        "config.field",
		aMail("mailto:n@usa.example", `from = "n@usa.example", spool = "/x", relay = "a:25", security = "some"`): "config.field",
		aMail("mailto:n@usa.example", `from = "n@usa.example", spool = "/x", listen = "25"`):                     "config.field",
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

// TestMisplacedKey: who adds a key at the end of the file, where a section has
// begun, is told where it belongs.
func TestMisplacedKey(t *testing.T) {
	dir := t.TempDir()
	text := "call_sign = \"JPN-01\"\nlisten = \"127.0.0.1:0\"\n[sighting]\n%s = \"127.0.0.1:7443\"\n"
	for key, want := range map[string]string{"tools": "config.misplaced-key", "colour": "config.unknown-key"} {
		if err := os.WriteFile(filepath.Join(dir, "noroshi.toml"), fmt.Appendf(nil, text, key), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := node.ReadConfig(dir)
		var e *noroshi.Error
		if !errors.As(err, &e) || e.Code != want {
			t.Errorf("%s below [sighting]: %v, want code %q", key, err, want)
		}
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

// TestLineConfig: what is wrong with a line is said when the file is read, not
// when the line is opened.
func TestLineConfig(t *testing.T) {
	good := node.LineConfig{Name: "hf1", Pipe: "serial:/dev/ttyS0", Rate: 300, Turn: 2e9}
	change := func(f func(*node.LineConfig)) node.LineConfig { x := good; f(&x); return x }
	for name, c := range map[string]struct {
		lines []node.LineConfig
		fine  bool
	}{
		"good":          {[]node.LineConfig{good}, true},
		"of a drill":    {[]node.LineConfig{change(func(x *node.LineConfig) { x.Realm = "exercise:kaminari-1" })}, true},
		"no realm":      {[]node.LineConfig{change(func(x *node.LineConfig) { x.Realm = "drill" })}, false},
		"one name":      {[]node.LineConfig{good, good}, false},
		"another name":  {[]node.LineConfig{change(func(x *node.LineConfig) { x.Name = "HF 1" })}, false},
		"cable speed":   {[]node.LineConfig{change(func(x *node.LineConfig) { x.Pipe = "serial:/dev/ttyS0@9601" })}, false},
		"no pipe":       {[]node.LineConfig{change(func(x *node.LineConfig) { x.Pipe = "ttyS0" })}, false},
		"no rate":       {[]node.LineConfig{change(func(x *node.LineConfig) { x.Rate = 0 })}, false},
		"too long turn": {[]node.LineConfig{change(func(x *node.LineConfig) { x.Turn = 3600e9 })}, false},
	} {
		err := node.Init(t.Context(), filepath.Join(t.TempDir(), "jpn"), node.Config{CallSign: "JPN-01", Lines: c.lines})
		if (err == nil) != c.fine || err != nil && noroshi.KindOf(err) != noroshi.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestExportMode: who may read a kept file is said in octal, and nobody may run
// it or write to it but its owner and group.
func TestExportMode(t *testing.T) {
	dir := t.TempDir()
	for mode, fine := range map[string]bool{"": true, "0640": true, "600": true, "0644": true, "0664": true, "0666": false, "0755": false, "0040": false, "rw-r-----": false, "0o640": false, "-1": false} {
		text := fmt.Sprintf("call_sign = \"JPN-01\"\nlisten = \"127.0.0.1:0\"\n[[export]]\nfile = \"/x/a.csv\"\nformat = \"csv\"\nmode = %q\n", mode)
		if err := os.WriteFile(filepath.Join(dir, "noroshi.toml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := node.ReadConfig(dir); (err == nil) != fine {
			t.Errorf("%q: %v", mode, err)
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

// TestInitAgain: where the database did not answer, nothing is a node yet, and
// Init once more makes it.
func TestInitAgain(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "jpn")
	c := node.Config{CallSign: "JPN-01", Store: node.StoreConfig{DSN: "postgres://nobody@127.0.0.1:1/none?connect_timeout=1"}}
	if err := node.Init(t.Context(), dir, c); err == nil {
		t.Fatal("a node was made without its database")
	}
	if _, err := node.ReadConfig(dir); noroshi.KindOf(err) != noroshi.NotFound {
		t.Errorf("after that: %v, want no node", err)
	}
	c.Store = node.StoreConfig{}
	if err := node.Init(t.Context(), dir, c); err != nil {
		t.Error(err)
	}
}
