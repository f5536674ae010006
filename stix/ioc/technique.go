package ioc

// techniques returns the ATT&CK ids of an entry that are ones.
func techniques(e *Entry) []string {
	var list []string
	for _, t := range e.Techniques {
		if isTechnique(t) {
			list = append(list, t)
		}
	}
	return list
}

// isTechnique reports whether s is T and four digits, and a dot and three more
// for a sub-technique.
func isTechnique(s string) bool {
	if len(s) != 5 && len(s) != 9 || s[0] != 'T' {
		return false
	}
	for i := 1; i < len(s); i++ {
		if i == 5 {
			if s[i] != '.' {
				return false
			}
		} else if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
