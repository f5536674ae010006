package console

import (
	"slices"
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/partner"
)

var keyRoutes = []Route{
	{"GET /settings/keys", noroshi.ActRead, false, keys},
	{"POST /settings/keys/rotate", noroshi.ActRotateKey, false, keyRotate},
	{"GET /settings/keys/revoke/{key}", noroshi.ActRevokeKey, false, keyRevokeForm},
	{"POST /settings/keys/revoke/{key}", noroshi.ActRevokeKey, false, keyRevoke},
}

// keysData are this node's keys, which version of them each partner holds, and
// the orders about keys that wait.
type keysData struct {
	Own    []keyLine
	Held   []heldLine
	Orders []orderLine
	Uses   []choice // that can be rotated
}

// keyLine is one key of this node.
type keyLine struct {
	partner.KeyRow
	Name, Shape, Word string
	Revoke            bool // it can be revoked
}

// heldLine is what a partner holds of this node's keys.
type heldLine struct {
	partner.HeldRow
	Shape, Word string
}

// keyShapes are the states of keys as shapes.
var keyShapes = map[string]string{"good": "ok", "current": "ok", "early": "stby", "over": "off", "revoked": "crit", "stale": "cau", "frozen": "crit", "waits": "cau",
	"older": "cau", "other": "crit", "unknown": "off"}

// rotated are the uses of keys that are made anew from the screens. The root's
// takes a file that is kept elsewhere: that is the command line's.
var rotated = []noroshi.KeyWord{noroshi.KeyRelease, noroshi.KeyControl, noroshi.KeyKEM, noroshi.KeyTLS, noroshi.KeyLink}

func keys(v *visit) error {
	list, err := ask[partner.KeyList](v, "key.list", struct{}{})
	if err != nil {
		return err
	}
	d := keysData{}
	for _, k := range list.Keys {
		if k.Own {
			d.Own = append(d.Own, keyLine{k, v.t("key.use-" + string(k.Use)), keyShapes[k.State], v.t("key." + k.State), k.Use != noroshi.KeyRoot && k.State != "revoked"})
		}
	}
	for _, h := range list.Held {
		d.Held = append(d.Held, heldLine{h, keyShapes[h.State], v.t("key." + h.State)})
	}
	for _, use := range rotated {
		d.Uses = append(d.Uses, choice{string(use), v.t("key.use-" + string(use))})
	}
	if d.Orders, err = v.orders(noroshi.ActRotateKey, noroshi.ActRevokeKey); err != nil {
		return err
	}
	return v.show("settings-keys", d)
}

// keyRotate shows the order to make keys of a use anew.
func keyRotate(v *visit) error {
	use := noroshi.KeyWord(v.r.PostFormValue("use"))
	if !slices.Contains(rotated, use) {
		return nowhere(v)
	}
	if err := v.draw(noroshi.Order{Action: noroshi.ActRotateKey, Key: &noroshi.KeyOrder{Use: use}}); err != nil {
		return v.again(err, keys)
	}
	return nil
}

// revokeData is a key that is to be revoked.
type revokeData struct{ keyLine }

func keyRevokeForm(v *visit) error {
	list, err := ask[partner.KeyList](v, "key.list", struct{}{})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list.Keys, func(k partner.KeyRow) bool { return k.Own && k.Use != noroshi.KeyRoot && k.Key == v.r.PathValue("key") })
	if i < 0 {
		return nowhere(v)
	}
	k := list.Keys[i]
	return v.show("settings-revoke", revokeData{keyLine{k, v.t("key.use-" + string(k.Use)), keyShapes[k.State], v.t("key." + k.State), true}})
}

// keyRevoke shows the order to end trust in a key: from now on, or since a moment
// of Japan.
func keyRevoke(v *visit) error {
	k := &noroshi.KeyOrder{ID: v.r.PathValue("key")}
	if text := strings.TrimSpace(v.r.PostFormValue("since")); text != "" {
		since, err := time.ParseInLocation("2006-01-02 15:04", strings.Replace(text, "T", " ", 1), locale.JST)
		if err != nil {
			return v.again(noroshi.Errorf(noroshi.Invalid, "console.settings-since", "%q is no moment: write it as 2026-11-29 14:30, in JST", text), keyRevokeForm)
		}
		k.Since = since.UTC()
	}
	if err := v.draw(noroshi.Order{Action: noroshi.ActRevokeKey, Key: k}); err != nil {
		return v.again(err, keyRevokeForm)
	}
	return nil
}
