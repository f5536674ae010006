package node

// Scratch makes a folder to work in.
func Scratch(parent, prefix string) (dir string, done func(), err error) {
	return scratch(parent, prefix)
}
