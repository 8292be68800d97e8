// Command gen writes core/wire's generated files from the tables beside it, which hold facts of Apache Kafka 4.3.1:
//
//	apis.tsv     API keys, their names and versions, and whether a broker forwards them to the controller
//	errors.tsv   error codes
//	records.tsv  the fields of every record of the metadata log, in wire order
//	messages.tsv the fields of every request and response, in wire order; a message begins with its versions
//
// Run it by go generate in core/wire. A test compares what it writes with what is there.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	dir := "gen"
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	for _, f := range Files(dir) {
		if f.Err != nil {
			fmt.Fprintln(os.Stderr, "gen:", f.Name, f.Err)
			os.Exit(1)
		}
		if err := os.WriteFile(filepath.Join(dir, "..", f.Name), f.Text, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "gen:", err)
			os.Exit(1)
		}
	}
}
