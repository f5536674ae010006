package door

// TakeRenders takes every turn there is of rendering for our own sensors, until
// free is called.
func (d *Door) TakeRenders() (free func()) {
	for range cap(d.renders) {
		d.renders <- struct{}{}
	}
	return func() {
		for range cap(d.renders) {
			<-d.renders
		}
	}
}

// TakePages takes every turn there is of clearing pages for partners, until free
// is called.
func (d *Door) TakePages() (free func()) {
	for range cap(d.clears) {
		d.clears <- struct{}{}
	}
	return func() {
		for range cap(d.clears) {
			<-d.clears
		}
	}
}
