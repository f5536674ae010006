package watch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// docNumber keeps which warning has a number; key: the number; body: the warning's
// id.
const docNumber = "warning-number"

// triedNumbers bounds how many numbers are tried for one warning, longer ones after
// shortNumbers.
const (
	triedNumbers = 32
	shortNumbers = 16
)

// numberOf is the k-th number that a warning may have: the node's call sign, the
// year and five digits, seven where many are taken. It is drawn, not counted: of
// numbers that count a partner would learn how many warnings it did not get.
func numberOf(salt [16]byte, sign noroshi.CallSign, year int, id stix.ID, k int) string {
	h := sha256.Sum256(fmt.Appendf(slices.Clone(salt[:]), "number\x00%d\x00%s\x00%d", year, id, k))
	from := uint64(10_000)
	if k >= shortNumbers {
		from = 1_000_000
	}
	return fmt.Sprintf("%s/%d/%d", sign, year, from+binary.BigEndian.Uint64(h[:])%(9*from))
}

// number chooses a number for a warning that is being made, none of those chosen
// for others that are made with it. It is the warning's once it is taken.
func (w *Watch) number(ctx context.Context, salt [16]byte, id stix.ID, now time.Time, chosen ...string) (string, error) {
	for k := range triedNumbers {
		n := numberOf(salt, w.o.Self.CallSign, now.UTC().Year(), id, k)
		if slices.Contains(chosen, n) {
			continue
		}
		_, err := w.store.Doc(ctx, docNumber, n)
		if noroshi.KindOf(err) == noroshi.NotFound {
			return n, nil
		}
		if err != nil {
			return "", err
		}
	}
	return "", noroshi.Errorf(noroshi.Broken, "watch.numbers", "no number is free for warning %s", string(id))
}

// errNumberTaken says that another warning got a number between its being chosen
// and the act.
var errNumberTaken = noroshi.Errorf(noroshi.Conflict, "watch.number-taken", "another warning has got the number")

// numbering makes warnings, anew where another one got a number of theirs meanwhile:
// three times at most.
func numbering(do func() error) (err error) {
	for range 3 {
		if err = do(); !errors.Is(err, errNumberTaken) {
			break
		}
	}
	return err
}

// takeNumber gives a warning its number.
func takeNumber(ctx context.Context, tx *store.Tx, n string, id stix.ID) error {
	if _, err := tx.Doc(ctx, docNumber, n); err == nil {
		return errNumberTaken
	} else if noroshi.KindOf(err) != noroshi.NotFound {
		return err
	}
	return tx.PutDoc(docNumber, n, []byte(id))
}

// spoken is how a number may be typed: with blanks or slashes, and without the
// call sign.
var spoken = regexp.MustCompile(`^(?:([A-Z]{3}-[0-9]{2})[/ ]+)?([0-9]{4})[/ ]+([0-9]{1,9})$`)

// Meant is the warning that is meant: by its id or, where one alone has it, by its number
// as it may be typed. Whatever is neither is returned as it stands.
func (w *Watch) Meant(ctx context.Context, typed stix.ID) (stix.ID, error) {
	rows, err := w.Numbered(ctx, string(typed))
	switch {
	case err != nil || len(rows) == 0:
		return typed, err
	case len(rows) > 1:
		return "", noroshi.Errorf(noroshi.Conflict, "watch.numbers-several", "%d warnings have the number %s: put the call sign before it, or give the id", len(rows), string(typed))
	}
	return rows[0].ID, nil
}

// Numbered returns the warnings that say they have a number, as it may be typed,
// the newest first: without a call sign those of every node. Nothing for what is no
// number.
func (w *Watch) Numbered(ctx context.Context, typed string) (rows []Row, err error) {
	m := spoken.FindStringSubmatch(strings.ToUpper(strings.TrimSpace(typed)))
	if m == nil {
		return nil, nil
	}
	tail := "/" + m[2] + "/" + m[3]
	w.board.mu.Lock()
	defer w.board.mu.Unlock()
	if err := w.catchUp(ctx); err != nil {
		return nil, err
	}
	for _, row := range w.board.rows {
		if sign, ok := strings.CutSuffix(row.Number, tail); ok && (m[1] == "" || m[1] == sign) {
			rows = append(rows, row.clone())
		}
	}
	slices.SortFunc(rows, func(a, b Row) int { return cmp.Compare(b.Seq, a.Seq) })
	return rows, nil
}
