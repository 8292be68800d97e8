// Package wire is what the Kafka protocol needs around its messages, which are kmsg's: frames and their limits,
// request and response headers, which versions are served, error codes, and the records of the metadata log with
// the small files beside it.
//
// A world cuts a connection's bytes into frames by Split; a broker reads a request by ParseRequest and writes its
// response by AppendResponse; a client uses AppendRequest and ParseResponse. The frames and records come from
// anywhere: nothing here panics on them.
package wire

//go:generate go run ./gen
