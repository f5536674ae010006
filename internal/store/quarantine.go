package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
)

// Quarantined is a thing kept for a person: never dropped, never guessed.
type Quarantined struct {
	Seq    int64 // set by the store
	Source noroshi.Source
	Run    string
	Code   string       // why
	Place  string       // "line 12", "bundle element 5", member path
	Detail string       // English, for the log
	Why    noroshi.Told // instead of Detail, where the reason has words of its own
	Raw    []byte       // at most 64 KiB of it
	Size   int64        // of the whole
	Time   time.Time
}

// maxQuarantined bounds what is kept of one thing.
const maxQuarantined = 64 << 10

// Quarantine keeps what was not understood, for a person.
func (t *Tx) Quarantine(q Quarantined) error {
	if !q.Source.Valid() {
		return noroshi.Errorf(noroshi.Invalid, "store.source", "quarantine %s: its source says too little to be one", q.Place)
	}
	source, err := t.source(q.Source)
	if err != nil {
		return err
	}
	run, err := t.word(q.Run)
	if err != nil {
		return err
	}
	detail, err := q.told()
	if err != nil {
		return err
	}
	keep := q.Raw[:min(len(q.Raw), maxQuarantined)]
	return t.add(quarantineTable, t.next(quarantineTable), source, run, q.Code, q.Place, detail, blob(keep), q.Size)
}

// told is how the reason is kept: as plain text, or, where it has a code or would
// be taken for that, in JSON.
func (q Quarantined) told() (string, error) {
	if q.Why.Code == "" && !strings.HasPrefix(q.Detail, "{") {
		return q.Detail, nil
	}
	if q.Why.Code == "" {
		q.Why.Message = q.Detail
	}
	b, err := json.Marshal(q.Why)
	return string(b), err
}

// tell takes the reason as it was kept.
func (q *Quarantined) tell(detail string) {
	if !strings.HasPrefix(detail, "{") || json.Unmarshal([]byte(detail), &q.Why) != nil {
		q.Why = noroshi.Told{Message: detail}
	}
	q.Detail = q.Why.Message
}

// QuarantineList returns quarantined things after a sequence; theirs is a
// sequence of its own.
func (r Reads) QuarantineList(ctx context.Context, after int64, limit int) (list []Quarantined, err error) {
	err = r.on(ctx, func(c *conn) error {
		type origin struct{ source, run int64 }
		var origins []origin
		err := c.each(ctx, func(rows *sql.Rows) error {
			var q Quarantined
			var o origin
			var at int64
			var detail string
			if err := rows.Scan(&q.Seq, &o.source, &o.run, &q.Code, &q.Place, &detail, &q.Raw, &q.Size, &at); err != nil {
				return err
			}
			q.tell(detail)
			q.Time = fromMicros(at)
			list, origins = append(list, q), append(origins, o)
			return nil
		}, `SELECT q.n, q.source, q.run, q.code, q.place, q.detail, q.raw, q.size, coalesce(a.time, 0)
			FROM quarantine q LEFT JOIN act a ON a.idx = q.act WHERE q.n > $1 ORDER BY q.n LIMIT $2`, after, page(limit))
		if err != nil {
			return err
		}
		for i, o := range origins {
			if list[i].Source, err = r.source(c, o.source); err != nil {
				return err
			}
			if list[i].Run, err = r.text(c, o.run); err != nil {
				return err
			}
		}
		return nil
	})
	return list, err
}
