package console

import (
	"strings"
	"time"

	"github.com/noroshi-cti/noroshi"
	"github.com/noroshi-cti/noroshi/internal/door"
	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// sensorsData is what the node hears from inside the organisation, and what it
// gives there.
type sensorsData struct {
	Sensors []watch.Source
	SIEM    []siemLine
	Files   []fileLine

	Formats     []string
	Collections []string // of this organisation
}

// siemLine is how a SIEM stands.
type siemLine struct {
	State, Name, Address, Format, Max string
	Sent, Withheld                    uint64
	Behind                            int64
	Last                              time.Time
	Why                               string
}

// fileLine is a file kept for sensors.
type fileLine struct {
	State, File, Why string
	Looked           time.Time
}

func settingSensors(v *visit) error {
	d := sensorsData{}
	status, err := ask[web.Status](v, "status", struct{}{})
	if err != nil {
		return err
	}
	if d.Sensors, err = ask[[]watch.Source](v, "sensor.list", struct{}{}); err != nil {
		return err
	}
	for _, s := range status.SIEM {
		l := siemLine{State: "ok", Name: s.Name, Address: s.Address, Format: string(s.Format), Max: s.Max, Sent: s.Sent, Withheld: s.Withheld, Behind: s.Behind, Last: s.Settled}
		if s.Error.Message != "" {
			l.State, l.Why = "crit", v.toldText(s.Error)
		}
		d.SIEM = append(d.SIEM, l)
	}
	for _, x := range status.Exports {
		l := fileLine{State: "ok", File: x.File, Looked: x.Looked}
		if x.Error.Message != "" {
			l.State, l.Why = "crit", v.toldText(x.Error)
		}
		d.Files = append(d.Files, l)
	}
	d.Formats = door.Formats()
	collections, err := ask[[]web.CollectionRow](v, "collection.list", struct{}{})
	if err != nil {
		return err
	}
	for _, c := range collections {
		if c.CallSign == "" {
			d.Collections = append(d.Collections, c.Name)
		}
	}
	return v.show("settings-sensors", d)
}

// settingExport hands out what is held as a file for a sensor or a tool, which stays
// inside the organisation. It is one file: Suricata gets a rule for each value.
func settingExport(v *visit) error {
	in := web.ExportRef{Export: door.Export{Format: v.r.PostFormValue("format"), Collection: v.r.PostFormValue("collection"),
		Max: strings.Fields(v.r.PostFormValue("max")), Zone: strings.TrimSpace(v.r.PostFormValue("zone"))}}
	in.Individual = in.Format == "suricata"
	if _, err := noroshi.ParseCeiling(in.Max); err != nil {
		return v.again(err, settingSensors) // without one, all would be in it
	}
	if err := stream[door.Exported](v, "export", in, in.Format+door.Ending(in.Format)); err != nil {
		return v.again(err, settingSensors)
	}
	return nil
}
