package siem

import (
	"strconv"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/stix"
)

// Event is one thing told to a SIEM: pure, and no more in it than the
// destination may have. The formats write what is there and nothing else.
type Event struct {
	ID       string // a UUID: the same whenever and wherever the event is sent
	Kind     Kind
	Time     time.Time // when the act that brought it was entered in the ledger
	Realm    noroshi.Realm
	Node     noroshi.NodeID
	CallSign noroshi.CallSign // of this node
	Source   string           // whose word it is: a call sign, or the name of a file or feed
	Label    noroshi.Label    // of everything below, joined
	Severity int              // 0 to 10, as CEF has it: see severityOf
	Title    string           // one line
	Text     string           // may have several

	// Of warnings and sightings.
	Object     stix.ID
	Revoked    bool
	Precedence noroshi.Precedence
	Asked      string    // action code of a warning
	Due        time.Time // of a warning
	Indicator  stix.ID   // the first that may be named
	Value      noroshi.Value
	Count      int // of a sighting; of an act how many things it concerns
	First      time.Time
	Last       time.Time

	// Of acts.
	Action  noroshi.Action
	Index   uint64   // in the node's ledger; the first is 0
	Persons []string // ids
	Subject string   // an id, a hash or a code
	Partner string   // call sign
	Agreed  noroshi.Hash
}

// Is returns what happened as one word: the kind, of acts the action.
func (e *Event) Is() string {
	switch {
	case e.Kind == Audit:
		return string(e.Action)
	case e.Revoked:
		return string(e.Kind) + "-revoked"
	}
	return string(e.Kind)
}

// head returns the title as every format shows it: in an exercise it says so,
// whatever else a receiver shows of an event.
func (e *Event) head() string {
	if e.Realm != noroshi.Real {
		return "EXERCISE EXERCISE EXERCISE " + e.Title
	}
	return e.Title
}

// eventID derives the id of an event from what it tells of.
func eventID(node noroshi.NodeID, realm noroshi.Realm, parts ...string) string {
	id := stix.DeriveID("event", node, "siem\x00"+realm.String()+"\x00"+strings.Join(parts, "\x00"))
	return strings.TrimPrefix(string(id), "event--")
}

func actID(node noroshi.NodeID, realm noroshi.Realm, index uint64) string {
	return eventID(node, realm, string(Audit), strconv.FormatUint(index, 10))
}

// severityOf puts a warning's severity onto the scale of CEF, where 9 and 10 are
// very high, 7 and 8 high, 4 to 6 medium.
func severityOf(s noroshi.Severity) int {
	switch s {
	case noroshi.Low:
		return 3
	case noroshi.High:
		return 8
	case noroshi.Critical:
		return 10
	}
	return 5
}

// Severities of what has none of its own.
const (
	sightingSeverity = 4
	actSeverity      = 1
)

// actSeverities are those of acts a SOC should look at.
var actSeverities = map[noroshi.Action]int{
	noroshi.ActAlarm: 9, noroshi.ActRefuse: 5, noroshi.ActQuarantine: 4, noroshi.ActDeclareEmergency: 4, noroshi.ActRecall: 4,
	noroshi.ActAddPerson: 3, noroshi.ActRemovePerson: 3, noroshi.ActKeys: 3,
}
