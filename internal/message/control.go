package message

import (
	"github.com/noroshi-cti/noroshi"
)

// Bounds of control bodies; each list is at most this long.
const (
	maxTombstones = 1024
	maxOutcomes   = 1024
	maxCodes      = MaxBatch
	maxParents    = 16
	maxRanges     = 256
	maxEpochs     = 16
)

// EpochBody is the first message of each epoch: the lives it takes over from
// and why it began.
type EpochBody struct {
	Parents []Parent
	Reason  EpochReason
}

// Parent is a former epoch of the sender, with the last of its log that the
// sender knows of.
type Parent struct {
	Epoch Epoch
	Seq   uint64
	Chain noroshi.Hash
}

// EpochReason says why an epoch began.
type EpochReason uint8

// The reasons for an epoch.
const (
	FirstEpoch   EpochReason = 1
	Restored     EpochReason = 2 // from a backup
	RolledBack   EpochReason = 3 // the partner knew more of our log than we
	OrderedEpoch EpochReason = 4 // a person asked for it
)

// FromEarlier reports whether the node began anew from an earlier state: the new
// epoch may know less than the one before.
func (r EpochReason) FromEarlier() bool { return r == Restored || r == RolledBack }

type wireTombstone struct {
	_            struct{} `cbor:",toarray"`
	Epoch        [16]byte
	Seq          uint64
	ID           [32]byte
	Reason       uint8
	SupersededBy uint64
}

// EncodeTombstones makes the content of a TOMBSTONE.
func EncodeTombstones(list []TombstoneBody) []byte {
	w := make([]wireTombstone, len(list))
	for i, t := range list {
		w[i] = wireTombstone{Epoch: t.Epoch, Seq: t.Seq, ID: t.ID, Reason: t.Reason, SupersededBy: t.SupersededBy}
	}
	return encode(w)
}

// DecodeTombstones reads the content of a TOMBSTONE.
func DecodeTombstones(b []byte) ([]TombstoneBody, error) {
	var w []wireTombstone
	if err := decode("tombstone", b, &w); err != nil {
		return nil, err
	}
	if err := sized("tombstone", len(w), 1, maxTombstones); err != nil {
		return nil, err
	}
	list := make([]TombstoneBody, len(w))
	for i, t := range w {
		if t.Seq == 0 || t.Reason < 1 || t.Reason > 3 {
			return nil, malformed("tombstone", "sequence or reason is out of range")
		}
		list[i] = TombstoneBody{Epoch: t.Epoch, Seq: t.Seq, ID: t.ID, Reason: t.Reason, SupersededBy: t.SupersededBy}
	}
	return list, nil
}

type wireOutcome struct {
	_     struct{} `cbor:",toarray"`
	Epoch [16]byte
	Seq   uint64
	Codes []wireCode
}

type wireCode struct {
	_     struct{} `cbor:",toarray"`
	Index uint32
	Code  uint8
}

// EncodeOutcomes makes the content of an OUTCOME.
func EncodeOutcomes(list []OutcomeBody) []byte {
	w := make([]wireOutcome, len(list))
	for i, o := range list {
		w[i] = wireOutcome{Epoch: o.Epoch, Seq: o.Seq}
		for _, c := range o.Codes {
			w[i].Codes = append(w[i].Codes, wireCode{Index: c.Index, Code: c.Code})
		}
	}
	return encode(w)
}

// DecodeOutcomes reads the content of an OUTCOME.
func DecodeOutcomes(b []byte) ([]OutcomeBody, error) {
	var w []wireOutcome
	if err := decode("outcome", b, &w); err != nil {
		return nil, err
	}
	if err := sized("outcome", len(w), 1, maxOutcomes); err != nil {
		return nil, err
	}
	list := make([]OutcomeBody, len(w))
	for i, o := range w {
		if err := sized("outcome codes", len(o.Codes), 1, maxCodes); err != nil {
			return nil, err
		}
		list[i] = OutcomeBody{Epoch: o.Epoch, Seq: o.Seq}
		for _, c := range o.Codes {
			if o.Seq == 0 || c.Code < 1 || c.Code > 5 || c.Index >= MaxBatch {
				return nil, malformed("outcome", "sequence, index or code is out of range")
			}
			list[i].Codes = append(list[i].Codes, OutcomeCode{Index: c.Index, Code: c.Code})
		}
	}
	return list, nil
}

type wireRead struct {
	_     struct{} `cbor:",toarray"`
	Epoch [16]byte
	Seq   uint64
	Role  string
	Time  uint64
}

// EncodeRead makes the content of a READ.
func EncodeRead(r ReadBody) []byte {
	return encode(wireRead{Epoch: r.Epoch, Seq: r.Seq, Role: string(r.Role), Time: unix(r.Time)})
}

// DecodeRead reads the content of a READ; the role is one of noroshi.Roles, so
// that no free text can ride in it.
func DecodeRead(b []byte) (ReadBody, error) {
	var w wireRead
	if err := decode("read", b, &w); err != nil {
		return ReadBody{}, err
	}
	for _, r := range noroshi.Roles {
		if string(r) == w.Role && w.Seq > 0 {
			at, err := fromUnix("read", w.Time)
			return ReadBody{Epoch: w.Epoch, Seq: w.Seq, Role: r, Time: at}, err
		}
	}
	return ReadBody{}, malformed("read", "sequence or role is unknown")
}

type wireParent struct {
	_     struct{} `cbor:",toarray"`
	Epoch [16]byte
	Seq   uint64
	Chain [32]byte
}

type wireEpoch struct {
	_       struct{} `cbor:",toarray"`
	Parents []wireParent
	Reason  uint8
}

// EncodeEpoch makes the content of an EPOCH.
func EncodeEpoch(e EpochBody) []byte {
	w := wireEpoch{Reason: uint8(e.Reason)}
	for _, p := range e.Parents {
		w.Parents = append(w.Parents, wireParent{Epoch: p.Epoch, Seq: p.Seq, Chain: p.Chain})
	}
	return encode(w)
}

// DecodeEpoch reads the content of an EPOCH.
func DecodeEpoch(b []byte) (EpochBody, error) {
	var w wireEpoch
	if err := decode("epoch", b, &w); err != nil {
		return EpochBody{}, err
	}
	if err := sized("epoch parents", len(w.Parents), 0, maxParents); err != nil {
		return EpochBody{}, err
	}
	e := EpochBody{Reason: EpochReason(w.Reason)}
	if e.Reason < FirstEpoch || e.Reason > OrderedEpoch {
		return EpochBody{}, malformed("epoch", "reason is out of range")
	}
	for _, p := range w.Parents {
		e.Parents = append(e.Parents, Parent{Epoch: p.Epoch, Seq: p.Seq, Chain: p.Chain})
	}
	return e, nil
}

func sized(what string, n, least, most int) error {
	if n < least || n > most {
		return noroshi.Errorf(noroshi.Invalid, "message.size", "%s has %d entries, must be %d to %d", what, n, least, most)
	}
	return nil
}
