package image

import (
	"cmp"
	"strconv"
	"strings"

	"klamm/core/wire"
)

// kept is a record that this broker does not act on, but must not lose: a log that Apache Kafka began may hold
// credentials, ACLs and quotas, and a snapshot that left them out would delete them.
type kept struct {
	keptKey
	rec wire.Record
}

// keptKey says what a kept record replaces: the record's kind, and within it a name.
type keptKey struct {
	kind int16
	name string
}

func (k *kept) key() keptKey { return k.keptKey }

func (k *kept) compare(q keptKey) int {
	return cmp.Or(cmp.Compare(k.kind, q.kind), strings.Compare(k.name, q.name))
}

// keep takes in a record that is only kept.
func (b *Builder) keep(rec wire.Record) error {
	k := keptKey{kind: rec.Key()}
	remove := false
	switch r := rec.(type) {
	case *wire.AccessControlEntryRecord:
		k.name = string(r.ID[:])
	case *wire.RemoveAccessControlEntryRecord:
		k.kind, k.name, remove = (*wire.AccessControlEntryRecord)(nil).Key(), string(r.ID[:]), true
	case *wire.UserScramCredentialRecord:
		k.name = strconv.Itoa(int(r.Mechanism)) + r.Name
	case *wire.RemoveUserScramCredentialRecord:
		k.kind, k.name, remove = (*wire.UserScramCredentialRecord)(nil).Key(), strconv.Itoa(int(r.Mechanism))+r.Name, true
	case *wire.DelegationTokenRecord:
		k.name = r.TokenID
	case *wire.RemoveDelegationTokenRecord:
		k.kind, k.name, remove = (*wire.DelegationTokenRecord)(nil).Key(), r.TokenID, true
	case *wire.ClientQuotaRecord:
		k.name, remove = quotaName(r), r.Remove
	case *wire.ZkMigrationStateRecord:
	default:
		return Fault{"record " + strconv.Itoa(int(rec.Key())), "unknown kind"}
	}
	if remove {
		b.img.kept.remove(b.gen, k)
		return nil
	}
	b.img.kept.put(b.gen, &kept{k, rec})
	return nil
}

// quotaName names one limit of one entity; lengths keep names with any letters apart.
func quotaName(r *wire.ClientQuotaRecord) string {
	var s strings.Builder
	for _, e := range r.Entity {
		s.WriteString(strconv.Itoa(len(e.EntityType)) + ":" + e.EntityType)
		if e.EntityName != nil {
			s.WriteString(strconv.Itoa(len(*e.EntityName)) + "=" + *e.EntityName)
		}
		s.WriteByte(0)
	}
	s.WriteString(r.QuotaKey)
	return s.String()
}
