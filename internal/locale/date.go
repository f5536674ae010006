package locale

import (
	"fmt"
	"time"
	_ "time/tzdata" // US Eastern on machines without a zone database
)

// The three zones every screen shows. Japan has had no daylight saving since
// 1951, so JST is fixed; US Eastern follows the zone database.
var (
	JST     = time.FixedZone("JST", 9*3600)
	Eastern = mustZone("America/New_York")
)

func mustZone(name string) *time.Location {
	z, err := time.LoadLocation(name)
	if err != nil {
		panic("locale: " + err.Error())
	}
	return z
}

// Zone returns the zone a person's settings name: JST, UTC, ET or a name of the
// zone database.
func Zone(name string) (*time.Location, error) {
	switch name {
	case "JST":
		return JST, nil
	case "", "UTC", "Z":
		return time.UTC, nil
	case "ET", "EST", "EDT":
		return Eastern, nil
	}
	return time.LoadLocation(name)
}

var weekdaysJA = [...]string{"日", "月", "火", "水", "木", "金", "土"}

// Date returns an instant in full: "Tue 24 Nov 2026 14:37 JST" or
// "2026年11月24日(火)14:37 JST". The zero time is "–".
func Date(l Lang, t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return "–"
	}
	t = t.In(zone)
	if l == JA {
		return fmt.Sprintf("%d年%d月%d日(%s)%s", t.Year(), t.Month(), t.Day(), weekdaysJA[t.Weekday()], t.Format("15:04 MST"))
	}
	return t.Format("Mon 2 Jan 2006 15:04 MST")
}

// Hour returns an instant cut to the hour, in UTC, as texts that leave the node
// carry it: "24 Nov 2026 05:00Z" or "2026年11月24日05時台（UTC）".
func Hour(l Lang, t time.Time) string {
	t = t.UTC().Truncate(time.Hour)
	if l == JA {
		return fmt.Sprintf("%d年%d月%d日%02d時台（UTC）", t.Year(), t.Month(), t.Day(), t.Hour())
	}
	return t.Format("2 Jan 2006 15:04Z")
}

// Row returns an instant as list rows show it: "14:31" (JST) over "05:31Z".
func Row(t time.Time) (jst, utc string) {
	return t.In(JST).Format("15:04"), t.UTC().Format("15:04Z")
}

// Clocks returns an instant in the three zones of the page header, each with
// its own date, because Washington is often the day before.
func Clocks(l Lang, t time.Time) [3]string {
	return [3]string{Date(l, t, JST), Date(l, t, time.UTC), Date(l, t, Eastern)}
}

// Duration returns a time span in the largest two units, such as "1 h 5 min" or
// "1時間5分", and in milliseconds below a second.
func Duration(l Lang, d time.Duration) string {
	type unit struct {
		size   time.Duration
		en, ja string
	}
	units := []unit{{24 * time.Hour, " d", "日"}, {time.Hour, " h", "時間"}, {time.Minute, " min", "分"}, {time.Second, " s", "秒"}}
	if d < 0 {
		return "-" + Duration(l, -d)
	}
	if d < time.Second {
		if l == JA {
			return fmt.Sprintf("%dミリ秒", d.Milliseconds())
		}
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	out, parts := "", 0
	for _, u := range units {
		n := d / u.size
		if n > 0 && parts < 2 {
			if l == JA {
				out += fmt.Sprintf("%d%s", n, u.ja)
			} else {
				if parts > 0 {
					out += " "
				}
				out += fmt.Sprintf("%d%s", n, u.en)
			}
			parts++
		} else if parts > 0 {
			break
		}
		d -= n * u.size
	}
	return out
}
