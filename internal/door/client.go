package door

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/store"
	"github.com/noroshi-cti/noroshi/taxii"
)

// DocClient is the kind of document that keeps a Client; its key is the name.
const DocClient = "client"

// Client is who may come to a door, and what it may do there.
type Client struct {
	Name    string         `json:"name"`
	Partner noroshi.NodeID `json:"partner,omitzero"` // whose it is; zero = one of our own tools
	Read    []string       `json:"read,omitempty"`   // ids of shelves
	Write   []string       `json:"write,omitempty"`  // ids of shelves
	Max     []string       `json:"max,omitempty"`    // the highest label it may read (noroshi.ParseCeiling); none = no bound
	Token   noroshi.Hash   `json:"token"`            // SHA-256 of its token
	Pin     noroshi.Hash   `json:"pin,omitzero"`     // SHA-256 of the public key of its certificate; zero = none
	Revoked bool           `json:"revoked,omitempty"`
}

// Clients lists the clients by name, revoked ones included.
func (d *Door) Clients(ctx context.Context) ([]Client, error) {
	all, err := store.DocsOf[Client](ctx, d.store.Reads, DocClient)
	if err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(all), func(a, b Client) int { return cmp.Compare(a.Name, b.Name) }), nil
}

// Visitors reports whether there is any client that is let in.
func (d *Door) Visitors(ctx context.Context) (bool, error) {
	all, err := d.Clients(ctx)
	return slices.ContainsFunc(all, func(c Client) bool { return !c.Revoked }), err
}

// NewClient says whom to let in.
type NewClient struct {
	Name        string
	Partner     *noroshi.Partner // nil = one of our own tools
	Read, Write []string         // names or ids of shelves
	Max         []string
	Certificate []byte // PEM; none = by token alone
}

// AddClient makes a client and returns its token, which is kept nowhere: only
// its hash is. A name that was revoked may be given again.
func (d *Door) AddClient(ctx context.Context, n NewClient) (token string, err error) {
	c, err := d.drawClient(ctx, n)
	if err != nil {
		return "", err
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	token = "noroshi_" + base64.RawURLEncoding.EncodeToString(secret)
	c.Token = noroshi.Sum([]byte(token))
	body, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	_, err = d.store.Do(ctx, noroshi.Act{Action: noroshi.ActConfigure, Subject: "client " + c.Name}, func(tx *store.Tx) error {
		all, err := store.DocsOf[Client](ctx, tx.Reads, DocClient)
		if err != nil {
			return err
		}
		for _, have := range all {
			if err := c.beside(have); err != nil {
				return err
			}
		}
		return tx.PutDoc(DocClient, c.Name, body)
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

// beside says why a client cannot be let in beside another.
func (c Client) beside(have Client) error {
	switch {
	case have.Revoked:
		return nil
	case have.Name == c.Name:
		return noroshi.Errorf(noroshi.Conflict, "door.client-exists", "there is a client %q already: revoke it first", c.Name)
	case !c.Pin.IsZero() && have.Pin == c.Pin:
		return noroshi.Errorf(noroshi.Conflict, "door.client-certificate", "client %q has this certificate's key already", have.Name)
	}
	return nil
}

func (d *Door) drawClient(ctx context.Context, n NewClient) (c Client, err error) {
	if err := noroshi.CheckName(n.Name); err != nil {
		return c, err
	}
	c = Client{Name: n.Name, Max: n.Max}
	if len(n.Max) > 0 {
		if _, err := noroshi.ParseCeiling(n.Max); err != nil {
			return c, err
		}
	}
	if n.Certificate != nil {
		if c.Pin, err = pinOf(n.Certificate); err != nil {
			return c, err
		}
	}
	if n.Partner != nil {
		if len(n.Read)+len(n.Write)+len(n.Max) > 0 {
			return c, noroshi.Errorf(noroshi.Invalid, "door.client-partner", "a partner's client reads what is released to the partner, and nothing else: give it no collections and no highest label")
		}
		c.Partner = n.Partner.Node
		_, err := d.collectionOf(ctx, *n.Partner)
		return c, err
	}
	if len(n.Read)+len(n.Write) == 0 {
		return c, noroshi.Errorf(noroshi.Invalid, "door.client-nothing", "client %q may do nothing: name a collection it reads or writes, or the partner it is for", n.Name)
	}
	if c.Read, err = d.shelves(ctx, n.Read); err != nil {
		return c, err
	}
	c.Write, err = d.shelves(ctx, n.Write)
	return c, err
}

// shelves returns the ids of shelves.
func (d *Door) shelves(ctx context.Context, names []string) (ids []string, err error) {
	for _, name := range names {
		c, err := d.Collection(ctx, name)
		if err != nil {
			return nil, err
		}
		if c.Partner != (noroshi.NodeID{}) {
			return nil, noroshi.Errorf(noroshi.Refused, "door.not-a-shelf", "collection %q is a partner's: only the partner's own clients read it", name)
		}
		ids = append(ids, c.ID)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

func pinOf(certificate []byte) (noroshi.Hash, error) {
	block, _ := pem.Decode(certificate)
	if block == nil || block.Type != "CERTIFICATE" {
		return noroshi.Hash{}, noroshi.Errorf(noroshi.Invalid, "door.certificate", "the file is no PEM certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return noroshi.Hash{}, noroshi.Errorf(noroshi.Invalid, "door.certificate", "the file is no PEM certificate: %w", err)
	}
	return noroshi.Sum(cert.RawSubjectPublicKeyInfo), nil
}

// RevokeClient lets a client in no more, from the next request on.
func (d *Door) RevokeClient(ctx context.Context, name string) error {
	all, err := store.DocsOf[Client](ctx, d.store.Reads, DocClient)
	if err != nil {
		return err
	}
	c, ok := all[name]
	if !ok || c.Revoked {
		return noroshi.Errorf(noroshi.NotFound, "door.no-client", "there is no client %q", name)
	}
	c.Revoked = true
	return d.keep(ctx, "client "+name, DocClient, name, c)
}

// client says who sends a request: by bearer token, by name and token as HTTP
// Basic has them, or by the key of the certificate it connected with.
func (d *Door) client(r *http.Request) (Client, error) {
	all, err := d.Clients(r.Context())
	if err != nil {
		return Client{}, err
	}
	name, token, basic := r.BasicAuth()
	scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") || strings.EqualFold(scheme, "Token") { // as old Python clients write it
		token = strings.TrimSpace(rest)
	}
	secret := noroshi.Sum([]byte(token))
	var pin noroshi.Hash
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		pin = noroshi.Sum(r.TLS.PeerCertificates[0].RawSubjectPublicKeyInfo)
	}
	for _, c := range all {
		byToken := token != "" && subtle.ConstantTimeCompare(c.Token[:], secret[:]) == 1 && (!basic || name == c.Name)
		byKey := token == "" && !pin.IsZero() && c.Pin == pin
		if !c.Revoked && (byToken || byKey) {
			return c, nil
		}
	}
	return Client{}, taxii.ErrUnauthorized
}
