package console

import (
	"strings"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door"
	"github.com/noroshi-cti/noroshi/internal/partner"
	"github.com/noroshi-cti/noroshi/internal/web"
)

var taxiiRoutes = []Route{
	{"GET /settings/taxii", noroshi.ActRead, false, shelves},
	{"POST /settings/taxii/collections", noroshi.ActConfigure, false, collectionAdd},
	{"POST /settings/taxii/collections/{name}/remove", noroshi.ActConfigure, false, collectionRemove},
	{"POST /settings/taxii/clients", noroshi.ActConfigure, false, clientAdd},
	{"POST /settings/taxii/clients/{name}/revoke", noroshi.ActConfigure, false, clientRevoke},
}

// taxiiData is what TAXII clients find here, and who they are.
type taxiiData struct {
	Collections []web.CollectionRow
	Clients     []web.ClientRow
	Partners    []partner.Row
	Certificate *web.Certificate // nil where there is none to be shown
	Token       *web.ClientToken // of a client that was just let in: shown once
}

func shelves(v *visit) error {
	d, err := v.shelves()
	if err != nil {
		return err
	}
	return v.show("settings-taxii", d)
}

func (v *visit) shelves() (d taxiiData, err error) {
	if d.Collections, err = ask[[]web.CollectionRow](v, "collection.list", struct{}{}); err != nil {
		return d, err
	}
	if d.Clients, err = ask[[]web.ClientRow](v, "client.list", struct{}{}); err != nil {
		return d, err
	}
	if cert, err := ask[web.Certificate](v, "certificate", struct{}{}); err == nil {
		d.Certificate = &cert
	}
	d.Partners, err = ask[[]partner.Row](v, "partner.list", struct{}{})
	return d, err
}

func collectionAdd(v *visit) error {
	in := web.CollectionAdd{Name: strings.TrimSpace(v.r.PostFormValue("name")), Title: strings.TrimSpace(v.r.PostFormValue("title")), Select: strings.Fields(v.r.PostFormValue("select"))}
	if _, err := ask[door.Collection](v, "collection.add", in); err != nil {
		return v.again(err, shelves)
	}
	return v.goTo("/settings/taxii", "collection-added")
}

func collectionRemove(v *visit) error {
	if _, err := ask[web.CollectionRemoved](v, "collection.remove", web.CollectionRef{Name: v.r.PathValue("name")}); err != nil {
		return v.again(err, shelves)
	}
	return v.goTo("/settings/taxii", "collection-removed")
}

// clientAdd lets a client in. Its token is in this answer and nowhere else.
func clientAdd(v *visit) error {
	in := web.ClientAdd{Name: strings.TrimSpace(v.r.PostFormValue("client")), Partner: v.r.PostFormValue("for"), Read: v.r.PostForm["read"], Write: v.r.PostForm["write"],
		Max: strings.Fields(v.r.PostFormValue("max"))}
	token, err := ask[web.ClientToken](v, "client.add", in)
	if err != nil {
		return v.again(err, shelves)
	}
	d, err := v.shelves()
	if err != nil {
		return err
	}
	d.Token = &token
	return v.show("settings-taxii", d)
}

func clientRevoke(v *visit) error {
	if _, err := ask[any](v, "client.revoke", web.ClientRef{Name: v.r.PathValue("name")}); err != nil {
		return v.again(err, shelves)
	}
	return v.goTo("/settings/taxii", "client-revoked")
}
