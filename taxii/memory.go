package taxii

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/noroshi-cti/noroshi/stix"
)

// Memory is a Backend that keeps everything in memory: for tests of clients and as
// an example of what a Backend does. Objects and statuses are kept until the
// process ends.
type Memory struct {
	now func() time.Time

	mu       sync.RWMutex // guards what follows
	shelves  []*shelf
	clients  map[string]*memoryClient
	statuses map[string]memoryStatus
}

type memoryClient struct {
	secret [32]byte // SHA-256: a secret is random and long, so no slow hash
	grants map[string]grant
}

type grant struct{ read, write bool }

type memoryStatus struct {
	client string
	status Status
}

// NewMemory returns an empty Memory. now may be nil.
func NewMemory(now func() time.Time) *Memory {
	if now == nil {
		now = time.Now
	}
	return &Memory{now: now, clients: map[string]*memoryClient{}, statuses: map[string]memoryStatus{}}
}

// AddCollection adds a collection and returns its id. CanRead and CanWrite of c
// have no meaning: Grant says them for each client. An empty ID is made.
func (m *Memory) AddCollection(c Collection) string {
	c.ID = or(c.ID, uuid.NewString())
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shelves = append(m.shelves, newShelf(c))
	return c.ID
}

// AddClient makes a client known by its name and secret (Basic), or by the secret
// alone (Bearer).
func (m *Memory) AddClient(name, secret string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clients[name] = &memoryClient{secret: sha256.Sum256([]byte(secret)), grants: map[string]grant{}}
}

// Grant lets a client see a collection, and read and write it as said.
func (m *Memory) Grant(client, collection string, read, write bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.clients[client]; c != nil {
		c.grants[collection] = grant{read, write}
	}
}

// Authenticate knows Basic and Bearer.
func (m *Memory) Authenticate(_ context.Context, r *http.Request) (string, error) {
	name, secret, basic := r.BasicAuth()
	if !basic {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return "", ErrUnauthorized
		}
		secret = strings.TrimSpace(token)
	}
	hash := sha256.Sum256([]byte(secret))
	m.mu.RLock()
	defer m.mu.RUnlock()
	for known, c := range m.clients {
		if (!basic || known == name) && subtle.ConstantTimeCompare(hash[:], c.secret[:]) == 1 {
			return known, nil
		}
	}
	return "", ErrUnauthorized
}

// Collections lists what Grant let the client see, in the order they were added.
func (m *Memory) Collections(_ context.Context, client string) ([]Collection, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var seen []Collection
	for _, s := range m.shelves {
		g, ok := m.grant(client, s.collection.ID)
		if !ok {
			continue
		}
		c := s.collection
		c.CanRead, c.CanWrite = g.read, g.write
		seen = append(seen, c)
	}
	return seen, nil
}

// grant says what a client may do; the caller holds the lock.
func (m *Memory) grant(client, collection string) (grant, bool) {
	c := m.clients[client]
	if c == nil {
		return grant{}, false
	}
	g, ok := c.grants[collection]
	return g, ok
}

// shelf returns the shelf of a collection the client can see.
func (m *Memory) shelf(client, collection string) (*shelf, grant, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	g, ok := m.grant(client, collection)
	for _, s := range m.shelves {
		if ok && s.collection.ID == collection {
			return s, g, nil
		}
	}
	return nil, g, ErrNotFound
}

// Page returns records of a collection.
func (m *Memory) Page(_ context.Context, client, collection string, q Query) ([]Record, bool, error) {
	s, g, err := m.shelf(client, collection)
	if err != nil {
		return nil, false, err
	}
	if !g.read {
		return nil, false, ErrForbidden
	}
	records, more := s.page(q)
	return records, more, nil
}

// Add puts objects into a collection. An object that is there already succeeds
// without being added again; one with the same version and other bytes fails.
func (m *Memory) Add(_ context.Context, client, collection string, posted []Posted) (Status, error) {
	s, g, err := m.shelf(client, collection)
	if err != nil {
		return Status{}, err
	}
	if !g.write {
		return Status{}, ErrForbidden
	}
	now := m.now()
	st := Status{ID: uuid.NewString(), Status: Complete, RequestTimestamp: Timestamp(now), TotalCount: len(posted)}
	s.mu.Lock()
	for _, p := range posted {
		detail, ok := s.put(p, now)
		if ok {
			st.Successes = append(st.Successes, detail)
		} else {
			st.Failures = append(st.Failures, detail)
		}
	}
	s.mu.Unlock()
	st.SuccessCount, st.FailureCount = len(st.Successes), len(st.Failures)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.statuses[st.ID] = memoryStatus{client, st}
	return st, nil
}

// Remove takes versions of an object off a collection.
func (m *Memory) Remove(_ context.Context, client, collection string, id stix.ID, q Query) error {
	s, g, err := m.shelf(client, collection)
	if err != nil {
		return err
	}
	if !g.read || !g.write {
		return ErrForbidden
	}
	if !s.remove(id, q) {
		return ErrNotFound
	}
	return nil
}

// Status returns a status to the client whose request it tells of.
func (m *Memory) Status(_ context.Context, client, id string) (Status, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	s, ok := m.statuses[id]
	if !ok || s.client != client {
		return Status{}, ErrNotFound
	}
	return s.status, nil
}
