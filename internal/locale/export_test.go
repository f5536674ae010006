package locale

// Fill fills a text that is in no catalogue.
func Fill(text string, args ...any) string { return fill(text, args) }
