package nodetest_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// TestKeptExportThatFails: a sensor does not see that its file is old, so doctor
// and status say it, until the file is what it should be.
func TestKeptExportThatFails(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "usa")
	file := filepath.Join(t.TempDir(), "feeds", "block.txt")
	err := node.Init(t.Context(), dir, node.Config{CallSign: "USA-01", Exports: []node.ExportConfig{{File: file, Format: "domains", Every: time.Second}}})
	if err != nil {
		t.Fatal(err)
	}
	usa := nodetest.In(t, dir, "USA-01", noroshi.Real)
	stands := func(state string, failing bool) func() (bool, error) {
		return func() (bool, error) {
			var checks []web.Check
			var s web.Status
			usa.Must("doctor", nil, &checks)
			usa.Must("status", nil, &s)
			said := slices.ContainsFunc(checks, func(c web.Check) bool { return c.Name == "export" && c.State == state && c.Args[0] == file })
			return said && len(s.Exports) == 1 && (s.Exports[0].Error.Message != "") == failing, nil
		}
	}
	usa.Until("the failure is told", stands("fail", true))
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	usa.Until("it is over", stands("ok", false))
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}
