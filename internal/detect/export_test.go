package detect

// Merge merges the delta into the table, small as it may be.
func Merge(x *Index) {
	StartMerge(x)
	x.Settle()
}

// StartMerge begins a merge, which goes on in the background.
func StartMerge(x *Index) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.settle()
	x.startMerge(minDelta)
}
