package message

import (
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// maxRecalls bounds the entries of one RECALL, and so of its RECALL_DONE.
const maxRecalls = 1024

// maxModified bounds a time as spelled; ids bound themselves.
const maxModified = 128

// RecallReason says why an object is taken back.
type RecallReason uint8

// The reasons for a recall.
const (
	RecallMistaken   RecallReason = 1 // it is wrong
	RecallSpill      RecallReason = 2 // it should not have gone
	RecallSource     RecallReason = 3 // its source took it back
	RecallRelabelled RecallReason = 4 // its marking is stricter now
	RecallOver       RecallReason = 5 // it is of no more use
)

// RecallScope says what is asked of whoever has it.
type RecallScope uint8

// The scopes of a recall. Each stops the use of the object at once.
const (
	RecallStopUse RecallScope = 1 // use it no more, for good
	RecallDelete  RecallScope = 2 // also delete what is outside the record: prints, exports
	RecallReMark  RecallScope = 3 // it may be held no more up to this version; a later one may come
)

// RecallEntry takes one object back. Nothing of its content is in it.
type RecallEntry struct {
	Message  noroshi.Hash `json:"message,omitzero"` // that brought it; zero = not named
	Object   stix.ID      `json:"object"`
	Modified string       `json:"modified,omitempty"` // the newest version it is about, as spelled; "" = the object has none
	Reason   RecallReason `json:"reason"`
	Scope    RecallScope  `json:"scope"`
	Deadline time.Time    `json:"deadline,omitzero"` // by when it is to be answered; zero = none
}

type wireRecall struct {
	_        struct{} `cbor:",toarray"`
	Message  []byte
	Object   string
	Modified string
	Reason   uint8
	Scope    uint8
	Deadline uint64
}

// EncodeRecall makes the content of a RECALL.
func EncodeRecall(list []RecallEntry) []byte { return encode(wireRecallsOf(list)) }

func wireRecallsOf(list []RecallEntry) []wireRecall {
	w := make([]wireRecall, len(list))
	for i, r := range list {
		w[i] = wireRecall{Object: string(r.Object), Modified: r.Modified, Reason: uint8(r.Reason), Scope: uint8(r.Scope)}
		if !r.Message.IsZero() {
			w[i].Message = r.Message[:]
		}
		if !r.Deadline.IsZero() {
			w[i].Deadline = unix(r.Deadline)
		}
	}
	return w
}

// DecodeRecall reads the content of a RECALL. Ids and times are checked by
// their grammar, so that no free text rides in them.
func DecodeRecall(b []byte) ([]RecallEntry, error) {
	var w []wireRecall
	if err := decode("recall", b, &w); err != nil {
		return nil, err
	}
	if err := sized("recall", len(w), 1, maxRecalls); err != nil {
		return nil, err
	}
	list := make([]RecallEntry, len(w))
	for i, r := range w {
		e, err := r.entry()
		if err != nil {
			return nil, err
		}
		list[i] = e
	}
	return list, nil
}

func (r wireRecall) entry() (RecallEntry, error) {
	e := RecallEntry{Modified: r.Modified, Reason: RecallReason(r.Reason), Scope: RecallScope(r.Scope)}
	switch len(r.Message) {
	case 0:
	case len(e.Message):
		copy(e.Message[:], r.Message)
		if e.Message.IsZero() {
			return e, malformed("recall", "a message of zeros is written as none")
		}
	default:
		return e, malformed("recall", "message id has neither 0 nor 32 bytes")
	}
	var err error
	if e.Object, err = stix.ParseID(r.Object); err != nil {
		return e, malformed("recall", "object is not a STIX id")
	}
	if r.Modified != "" {
		if _, err := stix.ParseTime(r.Modified); err != nil || len(r.Modified) > maxModified {
			return e, malformed("recall", "modified is not a STIX time")
		}
	}
	if e.Reason < RecallMistaken || e.Reason > RecallOver || e.Scope < RecallStopUse || e.Scope > RecallReMark {
		return e, malformed("recall", "reason or scope is out of range")
	}
	if r.Deadline > 0 {
		e.Deadline, err = fromUnix("recall", r.Deadline)
	}
	return e, err
}

// Refusal is why a node does not do all that a recall asks; 0 is none: it is
// done. Use stops at once all the same.
type Refusal uint8

// The refusals.
const (
	NotRefused    Refusal = 0
	RefusedLaw    Refusal = 1 // it must be kept by law or order
	RefusedDuty   Refusal = 2 // a running operation or inquiry needs it
	RefusedReview Refusal = 3 // it is looked at; an answer follows
	RefusedOther  Refusal = 4 // told by voice
)

// RecallResult is what one entry of a RECALL came to. Counts only: an
// attestation, no proof.
type RecallResult struct {
	Refusal      Refusal `json:"refusal"`
	Found        uint32  `json:"found"`         // versions and views kept that came from the recaller
	ActiveBefore uint32  `json:"active_before"` // of them in use before
	ActiveAfter  uint32  `json:"active_after"`  // and now
	Onward       uint32  `json:"onward"`        // partners it was passed on to, who are told too
	Answered     uint32  `json:"answered"`      // of them those who have answered
}

// RecallDoneBody answers a RECALL; a later one for the same RECALL replaces it.
type RecallDoneBody struct {
	Recall  noroshi.Hash   // id of the RECALL
	Results []RecallResult // one for each of its entries, in their order
	Until   time.Time      // until when backups hold copies; zero = not known
}

type wireResult struct {
	_            struct{} `cbor:",toarray"`
	Refusal      uint8
	Found        uint32
	ActiveBefore uint32
	ActiveAfter  uint32
	Onward       uint32
	Answered     uint32
}

type wireRecallDone struct {
	_       struct{} `cbor:",toarray"`
	Recall  [32]byte
	Results []wireResult
	Until   uint64
}

// EncodeRecallDone makes the content of a RECALL_DONE.
func EncodeRecallDone(d RecallDoneBody) []byte {
	w := wireRecallDone{Recall: d.Recall, Results: make([]wireResult, len(d.Results))}
	if !d.Until.IsZero() {
		w.Until = unix(d.Until)
	}
	for i, r := range d.Results {
		w.Results[i] = wireResult{Refusal: uint8(r.Refusal), Found: r.Found, ActiveBefore: r.ActiveBefore, ActiveAfter: r.ActiveAfter, Onward: r.Onward, Answered: r.Answered}
	}
	return encode(w)
}

// DecodeRecallDone reads the content of a RECALL_DONE.
func DecodeRecallDone(b []byte) (d RecallDoneBody, err error) {
	var w wireRecallDone
	if err := decode("recall done", b, &w); err != nil {
		return d, err
	}
	if err := sized("recall done", len(w.Results), 1, maxRecalls); err != nil {
		return d, err
	}
	d.Recall = w.Recall
	for _, r := range w.Results {
		if Refusal(r.Refusal) > RefusedOther || r.ActiveBefore > r.Found || r.ActiveAfter > r.Found || r.Answered > r.Onward {
			return d, malformed("recall done", "refusal or counts are out of range")
		}
		d.Results = append(d.Results, RecallResult{Refusal: Refusal(r.Refusal), Found: r.Found, ActiveBefore: r.ActiveBefore, ActiveAfter: r.ActiveAfter, Onward: r.Onward, Answered: r.Answered})
	}
	if w.Until > 0 {
		d.Until, err = fromUnix("recall done", w.Until)
	}
	return d, err
}
