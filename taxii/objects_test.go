package taxii_test

import (
	"slices"
	"testing"
)

// TestBytesAsTheyCame: an object comes back as the bytes it was posted in.
func TestBytesAsTheyCame(t *testing.T) {
	t.Parallel()
	s := newService(t)
	odd := `{ "id" : "indicator--3600ad1b-fff1-4c98-bcc9-4de3bc2e2ffb", "type":"indicator","modified":"2024-01-01T00:00:00Z" ,"created":"2024-01-01T00:00:00.000000Z",` +
		`"x_big":12345678901234567890.100,"x_e":1E-7,"_date_added":"never","version":"16.0.1-beta","name":"\u65e5本<>&","z":[],"a":{} }`
	if st := s.post(odd); st.SuccessCount != 1 || st.Successes[0].Version != "2024-01-01T00:00:00Z" {
		t.Fatalf("status %+v", st)
	}
	e := s.get(objectsPath).page(t)
	if len(e.Objects) != 1 || string(e.Objects[0]) != odd {
		t.Errorf("got %s, want %s", e.Objects, odd)
	}
}

// TestPaging walks by next, by added_after and with no limit beside next.
func TestPaging(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.fill(25)
	for _, walk := range []string{"next", "next alone", "added_after"} {
		for _, path := range []string{objectsPath, manifestPath} {
			var got []string
			for query := "?limit=10"; query != ""; {
				r := s.get(path + query)
				e := r.page(t)
				got = append(got, e.ids(t)...)
				query = ""
				if e.More {
					query = map[string]string{
						"next":        "?limit=10&next=" + e.Next,
						"next alone":  "?next=" + e.Next,
						"added_after": "?limit=10&added_after=" + r.Header.Get("X-TAXII-Date-Added-Last"),
					}[walk]
				}
			}
			var want []string
			for i := range 25 {
				want = append(want, indicatorID(i))
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s %s: got %d ids %v", walk, path, len(got), got)
			}
		}
	}
}
