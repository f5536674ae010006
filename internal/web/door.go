package web

import (
	"context"
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door"
)

// Certificate is what clients see of a node when they connect.
type Certificate struct {
	PEM   string   `json:"pem"`
	Pin   string   `json:"pin"`   // of its public key alone, as curl --pinnedpubkey wants it
	Names []string `json:"names"` // host names and addresses it is good for
}

func certificate(_ context.Context, c *Call) (any, error) { return c.Services.Certificate() }

// CollectionAdd names a shelf to be made, and what is laid there of all that is
// held (door.ParseSelection).
type CollectionAdd struct {
	Name        string   `json:"name"`
	Title       string   `json:"title,omitempty"`
	Description string   `json:"description,omitempty"`
	Select      []string `json:"select,omitempty"`
}

func collectionAdd(ctx context.Context, c *Call) (any, error) {
	var in CollectionAdd
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	return c.Door.AddCollection(ctx, door.Collection{Name: in.Name, Title: in.Title, Description: in.Description, Select: in.Select})
}

// CollectionRef names a collection.
type CollectionRef struct {
	Name string `json:"name"` // or its id
}

// CollectionRemoved says who can do nothing there any more.
type CollectionRemoved struct {
	Clients []string `json:"clients"`
}

func collectionRemove(ctx context.Context, c *Call) (any, error) {
	var in CollectionRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	clients, err := c.Door.RemoveCollection(ctx, in.Name)
	return CollectionRemoved{append([]string{}, clients...)}, err
}

// CollectionRow is one collection as lists show it.
type CollectionRow struct {
	door.Collection
	CallSign noroshi.CallSign `json:"call_sign,omitempty"` // of the partner whose it is
	Objects  int              `json:"objects"`             // versions that lie there
}

func collectionList(ctx context.Context, c *Call) (any, error) {
	all, err := c.Door.Collections(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]CollectionRow, len(all))
	for i, col := range all {
		rows[i].Collection = col
		if rows[i].Objects, err = c.Store.Shelves(ctx, col.ID); err != nil {
			return nil, err
		}
		if col.Partner != (noroshi.NodeID{}) {
			rows[i].CallSign = c.callSign(ctx, col.Partner)
		}
	}
	return rows, nil
}

// ClientAdd names a client to be let in. Of one that is a partner's, Partner
// names the partner and it has nothing else.
type ClientAdd struct {
	Name        string   `json:"name"`
	Partner     string   `json:"partner,omitempty"`
	Read        []string `json:"read,omitempty"`
	Write       []string `json:"write,omitempty"`
	Max         []string `json:"max,omitempty"`
	Certificate []byte   `json:"certificate,omitempty"` // PEM
}

// ClientToken is a new client and its token, which is shown once.
type ClientToken struct {
	Name  string `json:"name"`
	Token string `json:"token"`
}

func clientAdd(ctx context.Context, c *Call) (any, error) {
	var in ClientAdd
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	n := door.NewClient{Name: in.Name, Read: in.Read, Write: in.Write, Max: in.Max, Certificate: in.Certificate}
	if in.Partner != "" {
		p, err := c.Office.Partner(ctx, in.Partner)
		if err != nil {
			return nil, err
		}
		n.Partner = &noroshi.Partner{Node: p.Node, Organisation: p.Organisation}
	}
	token, err := c.Door.AddClient(ctx, n)
	return ClientToken{in.Name, token}, err
}

// ClientRow is one client as lists show it: collections by name.
type ClientRow struct {
	Name        string           `json:"name"`
	CallSign    noroshi.CallSign `json:"for,omitempty"`
	Read        []string         `json:"read,omitempty"`
	Write       []string         `json:"write,omitempty"`
	Max         []string         `json:"max,omitempty"`
	Certificate bool             `json:"certificate,omitempty"`
	Revoked     bool             `json:"revoked,omitempty"`
}

func clientList(ctx context.Context, c *Call) (any, error) {
	all, err := c.Door.Clients(ctx)
	if err != nil {
		return nil, err
	}
	collections, err := c.Door.Collections(ctx)
	if err != nil {
		return nil, err
	}
	names := func(ids []string) (list []string) {
		for _, col := range collections {
			if slices.Contains(ids, col.ID) {
				list = append(list, col.Name)
			}
		}
		return list
	}
	rows := make([]ClientRow, len(all))
	for i, cl := range all {
		rows[i] = ClientRow{Name: cl.Name, Read: names(cl.Read), Write: names(cl.Write), Max: cl.Max, Certificate: !cl.Pin.IsZero(), Revoked: cl.Revoked}
		if cl.Partner != (noroshi.NodeID{}) {
			rows[i].CallSign = c.callSign(ctx, cl.Partner)
		}
	}
	return rows, nil
}

// ClientRef names a client.
type ClientRef struct {
	Name string `json:"name"`
}

func clientRevoke(ctx context.Context, c *Call) (any, error) {
	var in ClientRef
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	return nil, c.Door.RevokeClient(ctx, in.Name)
}
