package wire

type api struct {
	name      string
	min, max  int16 // of Apache Kafka 4.3.1; -1: no longer there
	forwarded bool
}

// Range is the versions of one API, both ends inclusive.
type Range struct {
	Min, Max   int16
	Advertised int16 // what ApiVersions says instead of Min
}

// servedKeys are the APIs of the broker listener, sorted.
var servedKeys = [...]int16{
	KeyProduce, KeyFetch, KeyListOffsets, KeyMetadata, KeyOffsetCommit, KeyOffsetFetch, KeyFindCoordinator, KeyJoinGroup,
	KeyHeartbeat, KeyLeaveGroup, KeySyncGroup, KeyDescribeGroups, KeyListGroups, KeyApiVersions, KeyCreateTopics,
	KeyDeleteTopics, KeyDeleteRecords, KeyInitProducerId, KeyOffsetForLeaderEpoch, KeyDescribeConfigs, KeyAlterConfigs,
	KeyDescribeLogDirs, KeyCreatePartitions, KeyDeleteGroups, KeyIncrementalAlterConfigs, KeyOffsetDelete,
	KeyDescribeCluster, KeyDescribeProducers, KeyDescribeTopicPartitions,
}

// Keys returns the API keys that are served on the broker listener, sorted. The slice is the caller's.
func Keys() []int16 { return append([]int16(nil), servedKeys[:]...) }

// Served says which versions of an API the broker listener serves now.
func Served(key int16) (r Range, ok bool) {
	for _, k := range servedKeys {
		if k != key {
			continue
		}
		r = Range{Min: apis[k].min, Max: apis[k].max, Advertised: apis[k].min}
		if k == KeyProduce {
			r.Advertised = 0 // librdkafka before 2.x probes version 0 to learn what the broker can do
		}
		return r, true
	}
	return r, false
}

// Serves reports whether the broker listener serves one version of an API.
func Serves(key, version int16) bool {
	r, ok := Served(key)
	return ok && version >= r.Min && version <= r.Max
}

// Name is Kafka's name of an API, or empty.
func Name(key int16) string {
	if key < 0 || int(key) >= len(apis) {
		return ""
	}
	return apis[key].name
}

// KeyOf is the key of the API with that name.
func KeyOf(name string) (key int16, ok bool) {
	for i := range apis {
		if apis[i].name == name {
			return int16(i), true
		}
	}
	return -1, false
}

// Oldest and Newest are the versions of an API that Apache Kafka 4.3.1 has, whoever serves it; -1 if it has none.
func Oldest(key int16) int16 {
	if Name(key) == "" {
		return -1
	}
	return apis[key].min
}

// Newest is explained at Oldest.
func Newest(key int16) int16 {
	if Name(key) == "" {
		return -1
	}
	return apis[key].max
}

// Forwarded reports whether brokers pass requests of that key on to the controller (KIP-590).
func Forwarded(key int16) bool { return Name(key) != "" && apis[key].forwarded }
