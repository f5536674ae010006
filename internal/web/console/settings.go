package console

import (
	"slices"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/locale"
	"github.com/noroshi-cti/noroshi/internal/web"
)

var settingRoutes = slices.Concat([]Route{
	{"GET /settings", noroshi.ActRead, false, settings},
	{"GET /settings/orders/{bound}", noroshi.ActRead, false, settingOrder},
	{"POST /settings/orders", noroshi.ActRead, false, settingOrderSign},
	{"GET /settings/backup", noroshi.ActBackup, false, settingBackup},
	{"POST /settings/backup", noroshi.ActBackup, false, settingBackupMake},
	{"GET /settings/sensors", noroshi.ActRead, false, settingSensors},
	{"POST /settings/sensors/export", noroshi.ActRead, false, settingExport},
	{"GET /settings/tokens", noroshi.ActRead, false, settingTokens},
}, peopleRoutes, feedRoutes, taxiiRoutes, keyRoutes)

// settingsData is the state of the node, and what to do about what is not as it
// should be.
type settingsData struct {
	Status web.Status
	Checks []checkLine // what asks for something comes first
}

// checkLine is one check of the node with its text.
type checkLine struct {
	State, Name, Text string
}

// settings is the first page of the settings.
func settings(v *visit) error {
	d := settingsData{}
	var err error
	if d.Status, err = ask[web.Status](v, "status", struct{}{}); err != nil {
		return err
	}
	checks, err := ask[[]web.Check](v, "doctor", struct{}{})
	if err != nil {
		return err
	}
	for _, c := range checks {
		d.Checks = append(d.Checks, v.checkLine(c))
	}
	order := []string{"crit", "cau", "ok"}
	slices.SortStableFunc(d.Checks, func(a, b checkLine) int { return slices.Index(order, a.State) - slices.Index(order, b.State) })
	return v.show("settings", d)
}

// shapes are the states of checks as shapes.
var shapes = map[string]string{"ok": "ok", "warn": "cau", "fail": "crit"}

func (v *visit) checkLine(c web.Check) checkLine {
	args := slices.Clone(c.Args)
	if i := slices.Index(args, c.Why.Message); i >= 0 {
		args[i] = v.toldText(c.Why)
	}
	return checkLine{shapes[c.State], locale.Or(v.lang, "check."+c.Name, c.Name), v.t("doctor."+c.Code, locale.Strings(args)...)}
}

// toldText is an error that was kept, in the reader's words where there are some.
func (v *visit) toldText(t noroshi.Told) string {
	if t.Code == "" || !locale.Has("error."+t.Code) {
		return t.Message
	}
	args := slices.Clone(t.Args)
	if t.Cause != nil {
		if i := slices.Index(args, t.Cause.Message); i >= 0 {
			args[i] = v.toldText(*t.Cause)
		}
	}
	return v.t("error."+t.Code, locale.Strings(args)...)
}

// backupData is a backup that was made.
type backupData struct{ Made *web.BackedUp }

func settingBackup(v *visit) error { return v.show("settings-backup", backupData{}) }

// settingBackupMake writes a backup to a place of the node's machine: under a
// passphrase, or under the node's own sealing key where that lies elsewhere.
func settingBackupMake(v *visit) error {
	in := web.BackupOrder{File: v.r.PostFormValue("file")}
	if v.r.PostFormValue("seal") != "key" {
		first, again := v.r.PostFormValue("new-passphrase"), v.r.PostFormValue("new-passphrase-again")
		err := twice(first, again)
		if err == nil {
			in, err = v.Sealed(in.File, []byte(first))
		}
		if err != nil {
			return v.again(err, settingBackup)
		}
	}
	made, err := ask[web.BackedUp](v, "backup", in)
	if err != nil {
		return v.again(err, settingBackup)
	}
	return v.show("settings-backup", backupData{Made: &made})
}

// twice refuses a new passphrase that was not typed alike twice.
func twice(first, again string) error {
	switch {
	case first != again:
		return noroshi.Errorf(noroshi.Invalid, "console.twice", "the passphrase was not typed alike twice")
	case len(first) < 8:
		return noroshi.Errorf(noroshi.Invalid, "person.passphrase", "passphrase must have at least 8 bytes")
	}
	return nil
}
