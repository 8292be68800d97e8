package checker

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// What compaction may do, and what it may not.
func TestCheckCompacted(t *testing.T) {
	at := func(offsets ...int64) (list []Record) {
		for _, o := range offsets {
			list = append(list, Record{Offset: o, Value: Value(o + 1)})
		}
		return list
	}
	put := func(o int64, key int32, tombstone bool) KeyedRecord {
		return KeyedRecord{Offset: o, Value: Value(o + 1), Key: key, Tombstone: tombstone, Sent: 10 * o}
	}
	records := []KeyedRecord{put(0, 1, false), put(1, 2, false), put(2, 1, false), put(3, 3, true), put(4, 2, false), put(5, 3, true)}
	fated := func(o int64, f KeyedFate) []KeyedRecord { // one of them belongs to a transaction
		list := slices.Clone(records)
		list[o].Fate = f
		return list
	}
	for name, x := range map[string]struct {
		log  CompactedLog
		want string
	}{
		"nothing was cleaned":                       {CompactedLog{Final: at(0, 1, 2, 3, 4, 5)}, ""},
		"the last of each key is there":             {CompactedLog{Final: at(2, 4, 5)}, ""},
		"tombstones are gone, and were old enough":  {CompactedLog{Final: at(2, 4), Read: 100, Retention: 50}, ""},
		"clocks jumped":                             {CompactedLog{Final: at(2, 4), Read: 51, Retention: None}, ""},
		"a tombstone is gone too early":             {CompactedLog{Final: at(2, 4), Read: 60, Retention: 50}, "I70"},
		"the last value is gone":                    {CompactedLog{Final: at(0, 1, 4, 5)}, "I67"},
		"an older value of a key is the last":       {CompactedLog{Final: at(1, 2, 5)}, "I67"},
		"a tombstone is gone before an older one":   {CompactedLog{Final: at(2, 3, 4), Read: 1000, Retention: 50}, "I70"},
		"below the log's start":                     {CompactedLog{Final: at(4, 5), Start: 3}, ""},
		"an old value below the start is no matter": {CompactedLog{Final: at(3, 2, 4), Start: 4, Read: 1000, Retention: 5}, ""},
		"a value that was superseded by one whose place nobody knows": {CompactedLog{Final: at(0, 2, 5), Unplaced: []KeyedRecord{{Offset: -1, Key: 2, Value: 77, Tombstone: true}},
			Read: 100, Retention: 50}, ""},
		"such a one that is no tombstone is there itself":                  {CompactedLog{Final: at(2, 5), Unplaced: []KeyedRecord{{Offset: -1, Key: 2, Value: 77}}}, "I67"},
		"a reader passed over what was removed":                            {CompactedLog{Final: at(2, 4, 5), Passes: []Pass{{From: 0, To: 2}, {From: 3, To: 4}}}, ""},
		"a reader passed over what is there":                               {CompactedLog{Final: at(2, 4, 5), Passes: []Pass{{From: 0, To: 4}}, Begun: 1}, "I74"},
		"another copy had lost it":                                         {CompactedLog{Final: at(0, 2, 4, 5), Passes: []Pass{{From: 0, To: 2}}, Begun: 1, Copies: true}, ""},
		"no copy may lose the last value":                                  {CompactedLog{Final: at(0, 2, 4, 5), Passes: []Pass{{From: 0, To: 4}}, Begun: 1, Copies: true}, "I74"},
		"a reader passed over what was removed when the audit had read it": {CompactedLog{Final: at(2, 4, 5), Passes: []Pass{{From: 0, To: 4, At: 7}}, Begun: 7}, ""},
		"an aborted record is gone":                                        {CompactedLog{Final: at(2, 4), Records: fated(5, Aborted), Read: 1000}, ""},
		"an aborted record took the place of a committed one":              {CompactedLog{Final: at(0, 1, 2, 4), Records: fated(5, Aborted), Read: 40, Retention: 50}, "I70"},
		"an aborted value took the place of a committed one":               {CompactedLog{Final: at(0, 1, 4, 5), Records: fated(2, Aborted)}, ""},
		"the committed value before an aborted one is gone":                {CompactedLog{Final: at(1, 2, 4, 5), Records: fated(2, Aborted)}, "I67"},
		"nobody knows whether the last value was committed":                {CompactedLog{Final: at(0, 4, 5), Records: fated(2, Doubtful)}, ""},
		"an aborted value was read with read_committed":                    {CompactedLog{Final: at(0, 1, 2, 4, 5), Records: fated(2, Aborted), Seen: at(0, 2)}, "I75"},
		"a reader with read_committed has not the last value":              {CompactedLog{Final: at(2, 4, 5), Committed: at(4, 5), Complete: true}, "I67"},
		"a reader with read_committed has the last of all":                 {CompactedLog{Final: at(0, 2, 4, 5), Records: fated(2, Aborted), Committed: at(0, 4, 5), Complete: true}, ""},
		"a reader with read_committed has not come to the end":             {CompactedLog{Final: at(2, 4, 5), Committed: at(2)}, ""},
	} {
		if x.log.Records == nil {
			x.log.Records = records
		}
		if x.log.Read == 0 {
			x.log.Read, x.log.Retention = 100, 50
		}
		found := CheckCompacted(&x.log)
		if x.want == "" {
			require.Empty(t, found, name)
			continue
		}
		require.NotEmpty(t, found, name)
		require.Equal(t, x.want, found[0].Invariant, name)
	}
}
