package store

import (
	"fmt"
	"strings"

	"github.com/noroshi-cti/noroshi/internal/ledger"
)

// table is one evidential table: append-only, each row bound to one act. Its
// key is dense from 1 (object and notice share one sequence).
type table struct {
	ord     int      // place among the tables, and in an act's root
	name    string   //
	key     string   // primary key
	columns []string // after key and act
	kinds   string   // per column: i integer, t text, b binary, h binary hashed in the row, x not in the row (another column is its hash)
	insert  *insert  //
	scan    string   // rows from a key on, in key order
}

// tables in the fixed order in which an act's root takes them.
var tables = func() []*table {
	list := []*table{
		{name: "word", columns: []string{"text"}, kinds: "t"},
		{name: "object", key: "seq", columns: []string{"sid", "type", "source", "run", "view", "bits", "modified", "hash", "meta", "words", "body"}, kinds: "tiiiiitbbtx"},
		{name: "notice", key: "seq", columns: []string{"kind", "id"}, kinds: "tt"},
		{name: "assigned", columns: []string{"seq", "marking"}, kinds: "it"},
		{name: "withdrawn", columns: []string{"sid", "owner", "upto"}, kinds: "ttt"},
		{name: "quarantine", columns: []string{"source", "run", "code", "place", "detail", "raw", "size"}, kinds: "iittthi"},
		{name: "doc", columns: []string{"kind", "id", "body"}, kinds: "tth"},
		{name: "hold_log", columns: []string{"hold", "what", "body", "lo", "hi", "members"}, kinds: "tibiih"},
		{name: "approval", columns: []string{"hold", "person", "root", "digest", "signature", "time"}, kinds: "ttbbbi"},
		{name: "batch", columns: []string{"id", "partner", "agreement", "clause", "label", "prec", "count", "root", "hold", "approvals"}, kinds: "tbbttiibth"},
		{name: "batch_rows", columns: []string{"batch", "first", "count", "cuts", "members"}, kinds: "iiiih"},
		{name: "out_message", columns: []string{"partner", "epoch", "seq", "id", "kind", "prec", "created", "ttl", "signed", "content", "has_content", "batch", "first", "count", "chain"}, kinds: "bbibiiiihhitiib"},
		{name: "out_event", columns: []string{"partner", "epoch", "state", "how", "seqs"}, kinds: "bbith"},
		{name: "in_message", columns: []string{"partner", "epoch", "seq", "id", "kind", "prec", "created", "signed", "content_hash", "channel", "state", "second"}, kinds: "bbibiiihbtii"},
		{name: "in_event", columns: []string{"partner", "epoch", "seq", "state"}, kinds: "bbii"},
		{name: "evidence", columns: []string{"partner", "kind", "epoch", "counter", "signed"}, kinds: "bibih"},
		{name: "signer", columns: []string{"node", "pubkey"}, kinds: "bb"},
		{name: "shelf", columns: []string{"collection", "what", "added", "members"}, kinds: "tiih"},
	}
	for i, t := range list {
		t.ord = i
		if t.key == "" {
			t.key = "n"
		}
		if len(t.columns) != len(t.kinds) {
			panic("store: columns of table " + t.name)
		}
		cols := append([]string{t.key, "act"}, t.columns...)
		t.insert = insertInto(t.name, cols...)
		t.scan = fmt.Sprintf("SELECT %s FROM %s WHERE %s >= $1 ORDER BY %s", strings.Join(cols, ", "), t.name, t.key, t.key)
	}
	return list
}()

const tableCount = 18

// The tables by name.
var (
	wordTable       = tables[0]
	objectTable     = tables[1]
	noticeTable     = tables[2]
	assignedTable   = tables[3]
	withdrawnTable  = tables[4]
	quarantineTable = tables[5]
	docTable        = tables[6]
	holdTable       = tables[7]
	approvalTable   = tables[8]
	batchTable      = tables[9]
	batchRowsTable  = tables[10]
	outTable        = tables[11]
	outEventTable   = tables[12]
	inTable         = tables[13]
	inEventTable    = tables[14]
	evidenceTable   = tables[15]
	signerTable     = tables[16]
	shelfTable      = tables[17]
)

// encode puts a row into its one form: the table's name, the key and the
// columns; long binary columns by their SHA-256.
func (t *table) encode(r *ledger.Row, key int64, values []any) {
	n := 1
	for i := range values {
		if t.kinds[i] != 'x' {
			n++
		}
	}
	r.Begin(t.name, n)
	r.Int(key)
	for i, v := range values {
		switch t.kinds[i] {
		case 'i':
			r.Int(v.(int64))
		case 't':
			r.Text(v.(string))
		case 'b':
			r.Bytes(v.([]byte))
		case 'h':
			h := sum(v.([]byte))
			r.Bytes(h[:])
		}
	}
}
