package locale

import (
	"fmt"
	"strings"
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

// Day returns the day of an instant in its own zone as the clocks in the head of
// a page have it: "Tue 24 Nov" or "11月24日(火)".
func Day(l Lang, t time.Time) string {
	if l == JA {
		return fmt.Sprintf("%d月%d日(%s)", t.Month(), t.Day(), weekdaysJA[t.Weekday()])
	}
	return t.Format("Mon 2 Jan")
}

// OtherDay returns the day of an instant in JST where it is another than that of
// now, with its year where that is another too, and "" where it is the same: "Tue
// 24 Nov", "2025年11月24日(月)".
func OtherDay(l Lang, t, now time.Time) string {
	t, now = t.In(JST), now.In(JST)
	switch {
	case t.Year() == now.Year() && t.YearDay() == now.YearDay():
		return ""
	case t.Year() == now.Year():
		return Day(l, t)
	case l == JA:
		return fmt.Sprintf("%d年%s", t.Year(), Day(l, t))
	}
	return Day(l, t) + t.Format(" 2006")
}

// List joins words: "a, b" or "a、b".
func List(l Lang, words []string) string {
	if l == JA {
		return strings.Join(words, "、")
	}
	return strings.Join(words, ", ")
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
