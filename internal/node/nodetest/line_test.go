package nodetest_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/node"
	"github.com/noroshi-cti/noroshi/internal/node/crew"
	"github.com/noroshi-cti/noroshi/internal/node/nodetest"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/internal/store/storetest"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// TestALineIsAllThereIs: two nodes that have nothing but a line between them
// meet, agree and exchange.
func TestALineIsAllThereIs(t *testing.T) {
	t.Parallel()
	at := nodetest.Free(t)
	onLine := func(sign noroshi.CallSign, pipe string) *nodetest.Party {
		t.Helper()
		config := node.Config{CallSign: sign, Heartbeat: time.Second,
			Lines: []node.LineConfig{{Name: "hf1", Pipe: pipe, Rate: 1_000_000, Turn: 100 * time.Millisecond}}}
		if storetest.Engine() == storetest.Postgres {
			config.Store.DSN = storetest.DSN(t)
		}
		dir := filepath.Join(t.TempDir(), strings.ToLower(string(sign)))
		if err := node.Init(t.Context(), dir, config); err != nil {
			t.Fatal(err)
		}
		return nodetest.In(t, dir, sign, noroshi.Real)
	}
	usa, jpn := onLine("USA-01", "listen:"+at), onLine("JPN-01", "tcp:"+at)
	if _, err := crew.Introduce(t.Context(), &usa.Crew, &jpn.Crew); err != nil {
		t.Fatal(err)
	}
	var draft string
	usa.Must("agreement.draft", web.DraftRef{With: "JPN-01", Days: 365}, &draft)
	file := strings.Replace(draft, `channels = ["https"]`, `channels = ["line"]`, 1)
	if file == draft {
		t.Fatalf("the draft names other channels:\n%s", draft)
	}
	if _, err := crew.Sign(t.Context(), &usa.Crew, &jpn.Crew, []byte(file)); err != nil {
		t.Fatal(err)
	}
	usa.Import("list.txt", "tlp:green", strings.NewReader("c2.example.net\n198.51.100.7\n"))
	usa.Settle()
	nodetest.Whole(t, usa, jpn)
	recs, err := jpn.Node.Store.List(t.Context(), store.Filter{Type: "indicator", Limit: 10})
	if err != nil || len(recs) != 2 {
		t.Errorf("%d indicators came over the line: %v", len(recs), err)
	}
}
