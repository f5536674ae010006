package console

import (
	"time"

	"github.com/noroshi-cti/noroshi/internal/watch"
	"github.com/noroshi-cti/noroshi/internal/web"
)

// sensorsData is what the node hears from inside the organisation, and what it
// gives there.
type sensorsData struct {
	Sensors []watch.Source
	SIEM    []siemLine
	Files   []fileLine
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
	return v.show("settings-sensors", d)
}
