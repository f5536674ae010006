package message

import (
	"slices"

	"github.com/noroshi-cti/noroshi"
)

// Bounds of RETURN and RECALLS.
const (
	maxReturned   = 256     // messages of one RETURN
	maxRecallPart = 512     // entries of one RECALLS: ids and times of any length fit a statement
	maxParts      = 1 << 16 // of one list of recalls
)

// maxReturn bounds the body of a RETURN: one largest message, and what is
// signed of it.
const maxReturn = MaxContent + 16<<10

type wireReturned struct {
	_       struct{} `cbor:",toarray"`
	Signed  []byte
	Content []byte
}

// EncodeReturn makes the body of a RETURN: messages of the partner that it has
// lost, as they were signed. A message whose content is not at hand any more
// goes without it.
func EncodeReturn(list []*Message) []byte {
	w := make([]wireReturned, len(list))
	for i, m := range list {
		w[i] = wireReturned{Signed: m.EncodeSigned(), Content: m.Content}
	}
	return encode(w)
}

// DecodeReturn reads the body of a RETURN, in a realm the caller knows: 1 to 256
// messages, at most MaxBatchLen bytes together unless one is alone. A message
// that came without its content has a nil one. Signatures are not checked: they
// must be the reader's own (Message.Verify).
func DecodeReturn(realm noroshi.Realm, b []byte) ([]*Message, error) {
	var w []wireReturned
	if err := decode("return", b, &w); err != nil {
		return nil, err
	}
	if err := sized("return", len(w), 1, maxReturned); err != nil {
		return nil, err
	}
	if len(b) > MaxBatchLen && len(w) > 1 {
		return nil, malformed("return", "several messages are at most 1 MiB")
	}
	list := make([]*Message, len(w))
	for i, r := range w {
		m, err := DecodeSigned(realm, r.Signed)
		if err != nil {
			return nil, err
		}
		if len(r.Content) > 0 || m.Header.Len == 0 {
			if m, err = m.WithContent(r.Content); err != nil {
				return nil, err
			}
		}
		list[i] = m
	}
	return list, nil
}

// labelsReturned are those of the DATA in the body of a RETURN, each once.
func labelsReturned(realm noroshi.Realm, body []byte) (labels []string, err error) {
	list, err := DecodeReturn(realm, body)
	for _, m := range list {
		if m.Header.Kind == Data && !slices.Contains(labels, m.label()) {
			labels = append(labels, m.label())
		}
	}
	return labels, err
}

// UnreadLabel stands for a label that cannot be read: no channel is admitted for it.
const UnreadLabel = "?"

// label is that of a DATA; where its header has but an index, one that is not read.
func (m *Message) label() string {
	if m.Header.Label == "" {
		return UnreadLabel
	}
	return m.Header.Label
}

// RecallsBody is a RECALLS: one part of the list of recalls in force, which a
// node that was put back from a backup reads whole before it arms anything.
type RecallsBody struct {
	List    noroshi.Hash // SHA-256 of the whole list (SplitRecalls)
	Part    uint32       // from 1
	Parts   uint32
	Entries []RecallEntry // in the order of the list; none only where the list is empty
}

type wireRecalls struct {
	_       struct{} `cbor:",toarray"`
	List    [32]byte
	Part    uint32
	Parts   uint32
	Entries []wireRecall
}

// SplitRecalls makes the parts of a list of recalls, of at most 512 entries
// each; an empty list is one part too, for silence would say nothing.
func SplitRecalls(list []RecallEntry) []RecallsBody {
	sum := noroshi.Sum(EncodeRecall(list))
	var parts []RecallsBody
	for chunk := range slices.Chunk(list, maxRecallPart) {
		parts = append(parts, RecallsBody{List: sum, Entries: chunk})
	}
	if len(parts) == 0 {
		parts = []RecallsBody{{List: sum}}
	}
	for i := range parts {
		parts[i].Part, parts[i].Parts = uint32(i+1), uint32(len(parts))
	}
	return parts
}

// JoinRecalls puts the parts of one list together, in any order and each any
// number of times. whole is false while parts are missing; parts of another
// list, and a list that is not what its hash says, are refused.
func JoinRecalls(parts []RecallsBody) (list []RecallEntry, whole bool, err error) {
	by := map[uint32]RecallsBody{}
	for _, p := range parts {
		if p.List != parts[0].List || p.Parts != parts[0].Parts {
			return nil, false, malformed("recalls", "parts are of two lists")
		}
		by[p.Part] = p
	}
	if len(parts) == 0 || len(by) < int(parts[0].Parts) {
		return nil, false, nil
	}
	for i := range parts[0].Parts {
		list = append(list, by[i+1].Entries...)
	}
	if noroshi.Sum(EncodeRecall(list)) != parts[0].List {
		return nil, false, malformed("recalls", "list is not what its hash says")
	}
	return list, true, nil
}

// EncodeRecalls makes the body of a RECALLS.
func EncodeRecalls(r RecallsBody) []byte {
	return encode(wireRecalls{List: r.List, Part: r.Part, Parts: r.Parts, Entries: wireRecallsOf(r.Entries)})
}

// DecodeRecalls reads the body of a RECALLS.
func DecodeRecalls(b []byte) (RecallsBody, error) {
	var w wireRecalls
	if err := decode("recalls", b, &w); err != nil {
		return RecallsBody{}, err
	}
	least := 1
	if w.Parts == 1 {
		least = 0
	}
	if err := sized("recalls", len(w.Entries), least, maxRecallPart); err != nil {
		return RecallsBody{}, err
	}
	if w.Part == 0 || w.Part > w.Parts || w.Parts > maxParts {
		return RecallsBody{}, malformed("recalls", "part is out of range")
	}
	r := RecallsBody{List: w.List, Part: w.Part, Parts: w.Parts}
	for _, x := range w.Entries {
		e, err := x.entry()
		if err != nil {
			return RecallsBody{}, err
		}
		r.Entries = append(r.Entries, e)
	}
	return r, nil
}
