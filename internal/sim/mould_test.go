package sim_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/intake"
	"github.com/noroshi-cti/noroshi/internal/message"
	"github.com/noroshi-cti/noroshi/internal/release"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/stix"
)

// began is the time at which a bubble begins, and every seed with it.
var began = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// party is what a node is before anything runs: the same in every seed.
type party struct {
	sign  noroshi.CallSign
	ident stix.ID
	keys  *message.Keyring
	high  *message.Keyring // the same with a key of suite S1H
}

// terms is what the agreements of a seed say beside what all say.
type terms int

const (
	plain  terms = iota
	packed       // the dictionaries: their tables are copied for each envelope, which takes most of the time of a seed
	high         // suite S1H, for which everybody has a key
	anyTerms
)

// ring are the keys that a party has under terms.
func (p *party) ring(t terms) *message.Keyring {
	if t == high {
		return p.high
	}
	return p.keys
}

func (p *party) id() noroshi.NodeID { return p.keys.NodeID() }

func (p *party) party() noroshi.Party {
	return noroshi.Party{CallSign: p.sign, Node: p.id(), Identity: p.ident}
}

func (p *party) organisation() noroshi.Organisation {
	return noroshi.Organisation{CallSign: p.sign, Identity: p.ident}
}

// mould is what every seed begins with, made once for a realm: three parties that
// have met, the persons they all have, and for each number of nodes the database
// files.
type mould struct {
	realm   noroshi.Realm
	parties [3]*party
	people  []noroshi.Person
	keys    map[string]ed25519.PrivateKey // of the people

	mu    sync.Mutex
	files map[string][]byte
}

// exercise is the id of the one there is.
const exercise = "keen-edge"

// cast are the moulds of the real realm and of the exercise: the same persons, and
// parties with keys of the realm's own.
var cast = sync.OnceValues(func() (list [2]*mould, err error) {
	drill, err := noroshi.ParseRealm("exercise:" + exercise)
	if err != nil {
		return list, err
	}
	people, keys, err := crew()
	if err != nil {
		return list, err
	}
	for i, r := range []noroshi.Realm{noroshi.Real, drill} {
		m := &mould{realm: r, people: people, keys: keys, files: map[string][]byte{}}
		for i, sign := range []noroshi.CallSign{"USA-01", "JPN-01", "KOR-01"} {
			if m.parties[i], err = newParty(r, sign, i+1); err != nil {
				return list, err
			}
		}
		list[i] = m
	}
	return list, nil
})

func newParty(r noroshi.Realm, sign noroshi.CallSign, n int) (*party, error) {
	keys, err := message.NewKeyringFrom(rand.Reader, r, began.Add(-time.Hour))
	if err != nil {
		return nil, err
	}
	p := &party{sign: sign, ident: stix.ID(fmt.Sprintf("identity--5a1f6c2e-2d3b-4c57-9a43-0d8a1f1a00%02d", n)), keys: keys, high: keys.Copy()}
	return p, p.high.Strengthen(rand.Reader, began.Add(-time.Hour))
}

// crew are the persons of every node, and their keys by id.
func crew() (people []noroshi.Person, keys map[string]ed25519.PrivateKey, err error) {
	keys = map[string]ed25519.PrivateKey{}
	for i, id := range []string{"smith", "jones", "sato"} {
		role := []noroshi.Role{noroshi.ReleaseOffice, noroshi.ReleaseOffice, noroshi.Duty}[i]
		const passphrase = "correct-horse-battery"
		p, err := noroshi.NewPerson(id, "", []noroshi.Role{role}, []byte(passphrase))
		if err != nil {
			return nil, nil, err
		}
		if keys[id], err = p.Unseal([]byte(passphrase)); err != nil {
			return nil, nil, err
		}
		people = append(people, p)
	}
	return people, keys, nil
}

// sign is a person's signature at a node.
func (m *mould) sign(person string, node noroshi.NodeID, a noroshi.Action, subject string, bound noroshi.Hash) noroshi.Signed {
	return noroshi.SignAct(person, m.keys[person], noroshi.ActDigest(m.realm, node, a, subject, bound))
}

// cardSecret is the gate secret of what goes from one party to another, of the
// cards they gave each other.
func cardSecret(from, to *party) []byte {
	return []byte(strings.Repeat(string(from.sign[:1]), 16) + strings.Repeat(string(to.sign[:1]), 16))
}

// flashes is how many FLASH a standing rule lets go in an hour.
const flashes = 5

var dictionaries = regexp.MustCompile(`(?m)^\[\[dictionary\]\]\nnumber = .*\nhash = .*\n`)

// agreement is the file two parties agreed on: every kind of channel, each for
// less than the one before, and a standing rule's FLASH.
func (m *mould) agreement(a, b *party, t terms) []byte {
	file := string(release.Template(release.Draft{Realm: m.realm, Self: a.party(), Partner: b.party(), From: began.AddDate(0, -1, 0), Until: began.AddDate(3, 0, 0)}))
	file = strings.Replace(file, `channels = ["https"]`, `channels = ["https", "mail", "media", "line"]`, 1)
	limits := ""
	for _, c := range [][2]string{{"mail", "tlp:green"}, {"media", "tlp:green"}, {"line", "tlp:clear"}} {
		limits += fmt.Sprintf("\n[[channel]]\nkind = %q\nmax_tlp = %q\n", c[0], c[1])
	}
	file = strings.Replace(file, "\n[[clock]]", limits+"\n[[clock]]", 1)
	if t != packed {
		file = dictionaries.ReplaceAllString(file, "")
	}
	if t == high {
		file = strings.Replace(file, `suites = ["S1", "S2"]`, `suites = ["S1", "S1H", "S2"]`, 1)
	}
	return fmt.Appendf(nil, "flash_per_hour = %d\n%s", flashes, file)
}

// exerciseID marks what belongs to the exercise.
const exerciseID = "marking-definition--0d0b4bd9-4b4b-4b0c-8d7e-6a7f0a4b1c12"

var exerciseMarking = fmt.Sprintf(`{"type":"marking-definition","spec_version":"2.1","id":%q,"created":"1999-12-31T00:00:00.000Z","extensions":{%q:{"extension_type":"property-extension","exercise_id":%q}}}`,
	exerciseID, noroshi.ExerciseExtension, exercise)

// marks are the markings of an object of the realm, as they stand in a list.
func (m *mould) marks(t noroshi.TLP) string {
	list := strconv.Quote(string(t.MarkingID()))
	if m.realm != noroshi.Real {
		list += "," + strconv.Quote(exerciseID)
	}
	return list
}

// file is the database of a node among so many that have met.
func (m *mould) file(t testing.TB, at, nodes int, of terms) []byte {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	key := m.key(at, nodes, of)
	if m.files[key] == nil {
		b, err := m.make(at, nodes, of)
		if err != nil {
			t.Fatal(err)
		}
		m.files[key] = b
	}
	return m.files[key]
}

func (m *mould) key(at, nodes int, of terms) string { return fmt.Sprint(at, nodes, of) }

func (m *mould) make(at, nodes int, t terms) ([]byte, error) {
	dir, err := os.MkdirTemp(memory(), "noroshi-sim-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	self, clock := m.parties[at], func() time.Time { return began.Add(-time.Minute) }
	public, sign := self.ring(t).Control()
	path := filepath.Join(dir, m.realm.File())
	s, err := store.Open(context.Background(), path, store.Options{Realm: m.realm, Node: self.id(), Sign: sign, Key: public, Now: clock})
	if err != nil {
		return nil, err
	}
	err = m.fill(s, at, nodes, t)
	if cerr := s.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// fill writes what an introduction and an agreement leave behind, on each side.
func (m *mould) fill(s *store.Store, at, nodes int, t terms) error {
	self, ctx := m.parties[at], context.Background()
	docs := map[[2]string][]byte{{noroshi.DocKeyset, self.id().String()}: self.ring(t).Keyset().Bytes()}
	put := func(kind, key string, v any) error {
		b, err := json.Marshal(v)
		docs[[2]string{kind, key}] = b
		return err
	}
	for _, p := range m.people {
		if err := put(noroshi.DocPerson, p.ID, p); err != nil {
			return err
		}
	}
	for i, o := range m.parties[:nodes] {
		if i == at {
			continue
		}
		file := m.agreement(m.parties[min(at, i)], m.parties[max(at, i)], t)
		a, err := noroshi.ParseAgreement(file)
		if err != nil {
			return err
		}
		if err := put(noroshi.DocPartner, o.id().String(), noroshi.Partner{Node: o.id(), Trust: noroshi.InForce, Agreement: a.Hash,
			GateOut: cardSecret(self, o), GateIn: cardSecret(o, self), Organisation: o.organisation()}); err != nil {
			return err
		}
		rule := noroshi.StandingRule{ID: "rule-" + strings.ToLower(string(o.sign)), Partner: o.id(), Agreement: a.Hash, MaxTLP: noroshi.Green, PerHour: flashes, Until: began.AddDate(2, 0, 0), By: []string{"smith", "jones"}}
		if err := put(noroshi.DocStanding, rule.ID, rule); err != nil {
			return err
		}
		docs[[2]string{noroshi.DocKeyset, o.id().String()}] = o.ring(t).Keyset().Bytes()
		docs[[2]string{noroshi.DocAgreement, a.Hash.String()}] = file
		for _, x := range []*party{self, o} {
			consent, err := message.ConsentAgreement(x.ring(t), file, began.Add(-time.Minute))
			if err != nil {
				return err
			}
			docs[[2]string{noroshi.DocSignature, a.Hash.String() + "/" + x.id().String()}] = consent
		}
	}
	identity, err := stix.Parse(fmt.Appendf(nil, `{"type":"identity","spec_version":"2.1","id":%q,"created":"1999-12-31T00:00:00.000Z","modified":"1999-12-31T00:00:00.000Z","name":%q,"identity_class":"organization","object_marking_refs":[%s]}`,
		self.ident, self.sign, m.marks(noroshi.Clear)))
	if err != nil {
		return err
	}
	gate := intake.New(s, intake.Options{Realm: m.realm, Node: self.id(), Self: self.organisation()})
	objects := []*stix.Object{identity}
	if m.realm != noroshi.Real {
		marking, err := stix.Parse([]byte(exerciseMarking))
		if err != nil {
			return err
		}
		objects = []*stix.Object{marking, identity}
	}
	ready, err := gate.PrepareObjects(noroshi.Source{Kind: noroshi.FromSelf}, "", objects)
	if err != nil {
		return err
	}
	_, err = s.Do(ctx, noroshi.Act{Action: noroshi.ActInit, Subject: self.id().String()}, func(tx *store.Tx) error {
		if _, err := gate.Admit(tx, ready); err != nil {
			return err
		}
		for _, key := range slices.SortedFunc(maps.Keys(docs), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
			if err := tx.PutDoc(key[0], key[1], docs[key]); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// memory is a folder in memory where there is one, "" elsewhere: what a disk
// forgets at a power cut is for the tests of the store.
func memory() string {
	const shm = "/dev/shm"
	if st, err := os.Stat(shm); err == nil && st.IsDir() {
		return shm
	}
	return ""
}
