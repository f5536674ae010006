package web

// EachHits is eachHits.
var EachHits = eachHits
