package shard

// Record is one record of a coordinator's log. A nil Value is a tombstone.
type Record struct{ Key, Value []byte }
