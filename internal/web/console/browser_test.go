package console_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/web"
	"github.com/noroshi-cti/noroshi/internal/web/console/consoletest"
)

func TestMain(m *testing.M) { consoletest.Main(m) }

func consoleOf(p *nodetest.Party) string {
	var st web.Status
	p.Must("status", nil, &st)
	return st.Console
}

// look keeps a picture of a page where NOROSHI_PICTURES names a folder, to be
// looked at by a person.
func look(t *testing.T, p *consoletest.Page, name string) {
	t.Helper()
	if dir := os.Getenv("NOROSHI_PICTURES"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), p.Picture(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
