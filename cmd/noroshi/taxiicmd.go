package main

import (
	"io"
	"os"
	"strings"

	"github.com/noroshi-cti/noroshi/internal/web"
)

type taxiiCmd struct {
	Collection  taxiiCollectionCmd  `cmd:"" help:"help.taxii-collection"`
	Client      taxiiClientCmd      `cmd:"" help:"help.taxii-client"`
	Certificate taxiiCertificateCmd `cmd:"" help:"help.taxii-certificate"`
}

type taxiiCertificateCmd struct{}

// Run prints the node's certificate, so that a file of it is whole, and says
// beside it what a client that pins the key or names the node needs to know.
func (x *taxiiCertificateCmd) Run(c *cli) error {
	var cert web.Certificate
	if err := c.call("certificate", nil, &cert); err != nil {
		return err
	}
	if c.Output != "table" {
		return one(c, cert, [2]string{"pem", cert.PEM}, [2]string{"pin", cert.Pin}, [2]string{"names", join(cert.Names)})
	}
	if len(cert.Names) == 0 {
		c.say("cli.certificate-nameless", cert.Pin)
	} else {
		c.say("cli.certificate", strings.Join(cert.Names, ", "), cert.Pin)
	}
	_, err := io.WriteString(c.io.out, cert.PEM)
	return err
}

type taxiiCollectionCmd struct {
	Add  collectionAddCmd  `cmd:"" help:"help.taxii-collection-add"`
	List collectionListCmd `cmd:"" help:"help.taxii-collection-list"`

	Remove collectionRemoveCmd `cmd:"" help:"help.taxii-collection-remove"`
}

type collectionAddCmd struct {
	Name        string   `arg:"" placeholder:"NAME" help:"help.taxii-collection-name"`
	Title       string   `placeholder:"TEXT" help:"help.taxii-collection-title"`
	Description string   `placeholder:"TEXT" help:"help.taxii-collection-description"`
	Select      []string `sep:"none" placeholder:"type=|source=|marking=" help:"help.taxii-collection-select"`
}

// Run makes a shelf and prints its id.
func (x *collectionAddCmd) Run(c *cli) error {
	var col web.CollectionRow
	in := web.CollectionAdd{Name: x.Name, Title: x.Title, Description: x.Description, Select: x.Select}
	if err := c.call("collection.add", in, &col.Collection); err != nil {
		return err
	}
	return one(c, col.Collection, [2]string{"id", col.ID}, [2]string{"name", col.Name})
}

type collectionListCmd struct{}

func (x *collectionListCmd) Run(c *cli) error {
	var rows []web.CollectionRow
	if err := c.call("collection.list", nil, &rows); err != nil {
		return err
	}
	return list(c, rows,
		column[web.CollectionRow]{"id", func(r web.CollectionRow) string { return r.ID }},
		column[web.CollectionRow]{"name", func(r web.CollectionRow) string { return r.Name }},
		column[web.CollectionRow]{"partner", func(r web.CollectionRow) string { return string(r.CallSign) }},
		column[web.CollectionRow]{"select", func(r web.CollectionRow) string { return join(r.Select) }},
		column[web.CollectionRow]{"objects", func(r web.CollectionRow) string { return n(r.Objects) }})
}

type collectionRemoveCmd struct {
	Name string `arg:"" placeholder:"NAME" help:"help.taxii-collection-name"`
}

// Run takes a shelf away, and says which clients that concerns.
func (x *collectionRemoveCmd) Run(c *cli) error {
	var gone web.CollectionRemoved
	if err := c.call("collection.remove", web.CollectionRef{Name: x.Name}, &gone); err != nil {
		return err
	}
	if len(gone.Clients) > 0 {
		c.say("cli.collection-clients", strings.Join(gone.Clients, ", "))
	}
	return nil
}

type taxiiClientCmd struct {
	Add    clientAddCmd    `cmd:"" help:"help.taxii-client-add"`
	List   clientListCmd   `cmd:"" help:"help.taxii-client-list"`
	Revoke clientRevokeCmd `cmd:"" help:"help.taxii-client-revoke"`
}

type clientAddCmd struct {
	Name        string   `arg:"" placeholder:"NAME" help:"help.taxii-client-name"`
	Read        []string `sep:"none" placeholder:"COLLECTION" help:"help.taxii-client-read"`
	Write       []string `sep:"none" placeholder:"COLLECTION" help:"help.taxii-client-write"`
	Max         []string `sep:"none" placeholder:"LABEL" help:"help.taxii-client-max"`
	For         string   `placeholder:"PARTNER" help:"help.taxii-client-for"`
	Certificate string   `placeholder:"FILE" help:"help.taxii-client-certificate"`
}

// Run lets a client in and prints its token, this once.
func (x *clientAddCmd) Run(c *cli) error {
	in := web.ClientAdd{Name: x.Name, Partner: x.For, Read: x.Read, Write: x.Write, Max: x.Max}
	if x.Certificate != "" {
		pem, err := os.ReadFile(x.Certificate)
		if err != nil {
			return unreadable(x.Certificate, err)
		}
		in.Certificate = pem
	}
	var token web.ClientToken
	if err := c.call("client.add", in, &token); err != nil {
		return err
	}
	c.say("cli.token-once")
	return one(c, token, [2]string{"name", token.Name}, [2]string{"token", token.Token})
}

type clientListCmd struct{}

func (x *clientListCmd) Run(c *cli) error {
	var rows []web.ClientRow
	if err := c.call("client.list", nil, &rows); err != nil {
		return err
	}
	return list(c, rows,
		column[web.ClientRow]{"name", func(r web.ClientRow) string { return r.Name }},
		column[web.ClientRow]{"partner", func(r web.ClientRow) string { return string(r.CallSign) }},
		column[web.ClientRow]{"reads", func(r web.ClientRow) string { return join(r.Read) }},
		column[web.ClientRow]{"writes", func(r web.ClientRow) string { return join(r.Write) }},
		column[web.ClientRow]{"highest-label", func(r web.ClientRow) string { return strings.Join(r.Max, " ") }},
		column[web.ClientRow]{"state", func(r web.ClientRow) string {
			if r.Revoked {
				return c.word("client.revoked")
			}
			return c.word("client.let-in")
		}})
}

type clientRevokeCmd struct {
	Name string `arg:"" placeholder:"NAME" help:"help.taxii-client-name"`
}

func (x *clientRevokeCmd) Run(c *cli) error {
	return c.call("client.revoke", web.ClientRef{Name: x.Name}, nil)
}
