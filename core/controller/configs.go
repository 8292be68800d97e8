package controller

import (
	"slices"
	"strconv"
	"strings"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// What an incremental change does to a value (KIP-339).
const (
	opSet      = 0
	opDelete   = 1
	opAppend   = 2
	opSubtract = 3
)

// edit is one change that a client asks for.
type edit struct {
	name  string
	op    int8
	value *string
}

// IncrementalAlterConfigs decides an IncrementalAlterConfigs request: each resource by itself.
func (c *Controller) IncrementalAlterConfigs(req *kmsg.IncrementalAlterConfigsRequest) (*kmsg.IncrementalAlterConfigsResponse, []wire.Record) {
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	var records []wire.Record
	bytes := 0
	names := tallied(len(req.Resources), func(i int) string {
		return string(rune(req.Resources[i].ResourceType)) + req.Resources[i].ResourceName
	})
	for i := range req.Resources {
		q := &req.Resources[i]
		row := kmsg.NewIncrementalAlterConfigsResponseResource()
		row.ResourceType, row.ResourceName = q.ResourceType, q.ResourceName
		r := refusal{wire.InvalidRequest, "Each resource must appear at most once."}
		var recs []wire.Record
		if _, several := names.repeated(i, string(rune(q.ResourceType))+q.ResourceName); !several {
			edits := make([]edit, len(q.Configs))
			for j := range q.Configs {
				edits[j] = edit{q.Configs[j].Name, int8(q.Configs[j].Op), q.Configs[j].Value}
			}
			if recs, r = c.alter(image.Resource{Kind: image.ResourceKind(q.ResourceType), Name: q.ResourceName}, edits, false); !r.bad() {
				r = fits(&bytes, recs)
			}
		}
		row.ErrorCode, row.ErrorMessage = int16(r.code), r.message()
		if !r.bad() {
			records = append(records, recs...)
		}
		resp.Resources = append(resp.Resources, row)
	}
	records, r := c.withSettled(records)
	if r.bad() {
		for i := range resp.Resources {
			resp.Resources[i].ErrorCode, resp.Resources[i].ErrorMessage = int16(r.code), r.message()
		}
	}
	if req.ValidateOnly {
		return resp, nil
	}
	return resp, records
}

// AlterConfigs decides an AlterConfigs request, which names all that a resource is to have: what is not named
// goes.
func (c *Controller) AlterConfigs(req *kmsg.AlterConfigsRequest) (*kmsg.AlterConfigsResponse, []wire.Record) {
	resp := req.ResponseKind().(*kmsg.AlterConfigsResponse)
	var records []wire.Record
	bytes := 0
	names := tallied(len(req.Resources), func(i int) string {
		return string(rune(req.Resources[i].ResourceType)) + req.Resources[i].ResourceName
	})
	for i := range req.Resources {
		q := &req.Resources[i]
		row := kmsg.NewAlterConfigsResponseResource()
		row.ResourceType, row.ResourceName = q.ResourceType, q.ResourceName
		r := refusal{wire.InvalidRequest, "Each resource must appear at most once."}
		var recs []wire.Record
		if _, several := names.repeated(i, string(rune(q.ResourceType))+q.ResourceName); !several {
			edits := make([]edit, len(q.Configs))
			for j := range q.Configs {
				edits[j] = edit{q.Configs[j].Name, opSet, q.Configs[j].Value}
			}
			if recs, r = c.alter(image.Resource{Kind: image.ResourceKind(q.ResourceType), Name: q.ResourceName}, edits, true); !r.bad() {
				r = fits(&bytes, recs)
			}
		}
		row.ErrorCode, row.ErrorMessage = int16(r.code), r.message()
		if !r.bad() {
			records = append(records, recs...)
		}
		resp.Resources = append(resp.Resources, row)
	}
	records, r := c.withSettled(records)
	if r.bad() {
		for i := range resp.Resources {
			resp.Resources[i].ErrorCode, resp.Resources[i].ErrorMessage = int16(r.code), r.message()
		}
	}
	if req.ValidateOnly {
		return resp, nil
	}
	return resp, records
}

// ConfigsPerResourceMax bounds what one resource may have, and what one request may change of it: no kind has as many
// that mean anything, though brokers keep those that nobody knows.
const ConfigsPerResourceMax = 1000

var tooManyConfigs = refusal{wire.InvalidConfig, "Too many configurations for one resource: the most allowed are " + strconv.Itoa(ConfigsPerResourceMax)}

// alter decides the changes of one resource: all of them or none. With whole, what is not named goes.
func (c *Controller) alter(res image.Resource, edits []edit, whole bool) ([]wire.Record, refusal) {
	if r := c.checkResource(res); r.bad() {
		return nil, r
	}
	if len(edits) > ConfigsPerResourceMax {
		return nil, tooManyConfigs
	}
	if r := checkEdits(res, edits); r.bad() {
		return nil, r
	}
	old := c.img.Config(res)
	set := old
	if whole {
		set = nil
	}
	var order []string
	for _, e := range edits {
		next, changed, r := c.edited(res, set, e)
		if r.bad() {
			return nil, r
		}
		if changed {
			order = append(order, e.name)
		}
		set = next
	}
	if len(set) > max(len(old), ConfigsPerResourceMax) {
		return nil, tooManyConfigs
	}
	if r := c.checkSet(res, set, edits); r.bad() {
		return nil, r
	}
	if r := c.checkELR(res, old, set); r.bad() {
		return nil, r
	}
	return configRecords(res, old, set, order, whole), refusal{}
}

// configRecords are what makes new out of old: in the order of the request, then what goes without being named.
func configRecords(res image.Resource, old, set image.Properties, order []string, whole bool) (records []wire.Record) {
	record := func(name string, value *string) {
		records = append(records, &wire.ConfigRecord{ResourceType: int8(res.Kind), ResourceName: res.Name, Name: name, Value: value})
	}
	for _, name := range order {
		value, ok := set.Get(name)
		switch was, had := old.Get(name); {
		case ok && (!had || was != value):
			record(name, &value)
		case !ok && had:
			record(name, nil)
		}
	}
	if whole {
		for _, kv := range old {
			if _, ok := set.Get(kv.Name); !ok && !slices.Contains(order, kv.Name) {
				record(kv.Name, nil)
			}
		}
	}
	return records
}

// checkResource checks that what is to be configured is there and can be.
func (c *Controller) checkResource(res image.Resource) refusal {
	bad := func(text string) refusal { return refusal{wire.InvalidRequest, text} }
	switch res.Kind {
	case image.TopicResource:
		switch why := BadTopicName(res.Name); {
		case res.Name == "":
			return bad("Default topic resources are not allowed.")
		case why != "":
			return refusal{wire.InvalidTopicException, why}
		case c.img.Topic(res.Name) == nil:
			return refusal{wire.UnknownTopicOrPartition, "The topic '" + res.Name + "' does not exist."}
		}
	case image.BrokerResource:
		if res.Name == "" {
			return refusal{}
		}
		id, err := strconv.ParseInt(res.Name, 10, 32)
		switch {
		case err != nil:
			return bad("Node id must be an integer, but it is: " + res.Name)
		case core.NodeID(id) != c.cfg.Node && c.img.Broker(core.NodeID(id)) == nil:
			return bad("Unexpected broker id, expected " + strconv.Itoa(int(c.cfg.Node)) + ", but received " + res.Name)
		}
	case image.GroupResource:
		if res.Name == "" {
			return bad("Default group resources are not allowed.")
		}
	case image.LoggerResource:
		return bad("This broker has no loggers that can be set one by one")
	case image.ClientMetricsResource:
		return bad("This broker does not collect client metrics")
	default:
		return bad("Unknown resource type " + strconv.Itoa(int(res.Kind)))
	}
	return refusal{}
}

// checkEdits checks what is wrong with the changes whatever the resource holds.
func checkEdits(res image.Resource, edits []edit) refusal {
	names := tallied(len(edits), func(i int) string { return edits[i].name })
	for i := range edits {
		if _, several := names.repeated(i, edits[i].name); several {
			return refusal{wire.InvalidRequest, "Error due to duplicate config keys"}
		}
	}
	var null []string
	for _, e := range edits {
		if e.value == nil && e.op != opDelete {
			null = append(null, e.name)
		}
	}
	if null != nil {
		return refusal{wire.InvalidRequest, "Null value not supported for : " + strings.Join(null, ", ")}
	}
	if res.Kind != image.BrokerResource {
		return refusal{}
	}
	var fixed, single []string
	for _, e := range edits {
		switch d := image.BrokerDef(e.name); {
		case d == nil: // custom settings are kept for plug-ins, as Kafka keeps them
		case d.Mode == image.PerBroker && res.Name == "":
			single = append(single, e.name)
		case d.Mode == image.ReadOnly, d.Mode == image.PerBroker && e.op != opDelete:
			fixed = append(fixed, e.name) // listeners and security are taken from the file only, so far
		}
	}
	switch {
	case fixed != nil:
		return refusal{wire.InvalidRequest, "Cannot update these configs dynamically: [" + strings.Join(fixed, ", ") + "]"}
	case single != nil:
		return refusal{wire.InvalidRequest, "Cannot update these configs at default cluster level, broker id must be specified: [" + strings.Join(single, ", ") + "]"}
	}
	return refusal{}
}

func defOf(kind image.ResourceKind, name string) *image.Def {
	switch kind {
	case image.TopicResource:
		return image.TopicDef(name)
	case image.BrokerResource:
		return image.BrokerDef(name)
	case image.GroupResource:
		return image.GroupDef(name)
	}
	return nil
}

// edited applies one change to what a resource has.
func (c *Controller) edited(res image.Resource, set image.Properties, e edit) (next image.Properties, changed bool, r refusal) {
	switch e.op {
	case opSet:
		return set.With(e.name, *e.value), true, refusal{}
	case opDelete:
		return slices.DeleteFunc(slices.Clone(set), func(kv image.Property) bool { return kv.Name == e.name }), true, refusal{}
	case opAppend, opSubtract:
	default:
		return nil, false, refusal{wire.InvalidRequest, "Unknown operation " + strconv.Itoa(int(e.op)) + " on " + e.name}
	}
	d := defOf(res.Kind, e.name)
	if d == nil || d.Type != image.List {
		verb := "APPEND to"
		if e.op == opSubtract {
			verb = "SUBTRACT from"
		}
		return nil, false, refusal{wire.InvalidConfig, "Can't " + verb + " key " + e.name + " because its type is not LIST."}
	}
	text, ok := set.Get(e.name)
	if !ok {
		text = c.inheritedText(res, e.name)
	}
	parts := image.SplitList(text)
	was := len(parts)
	for _, p := range image.SplitList(*e.value) {
		switch at := slices.Index(parts, p); {
		case e.op == opAppend && at < 0:
			parts = append(parts, p)
		case e.op == opSubtract && at >= 0:
			parts = slices.Delete(parts, at, at+1)
		}
	}
	if len(parts) == was { // nothing to add or to take away
		return set, false, refusal{}
	}
	return set.With(e.name, strings.Join(parts, ",")), true, refusal{}
}

// inheritedText is the value in force where the resource itself sets none: what an append adds to.
func (c *Controller) inheritedText(res image.Resource, name string) string {
	switch res.Kind {
	case image.TopicResource:
		return c.view().TopicDefault(name).Text
	case image.BrokerResource:
		return c.view().Broker(name).Text
	}
	return image.GroupDef(name).Default
}

// checkSet checks all that a resource would have. Broker configurations are checked where they were changed only:
// Kafka lets in what it does not know.
func (c *Controller) checkSet(res image.Resource, set image.Properties, edits []edit) refusal {
	switch res.Kind {
	case image.TopicResource:
		return c.checkTopic(set)
	case image.GroupResource:
		return c.checkGroup(set)
	}
	for _, e := range edits {
		value, ok := set.Get(e.name)
		if d := image.BrokerDef(e.name); d != nil && ok {
			if wrong := d.Validate(value); wrong != "" {
				return refusal{wire.InvalidRequest, wrong}
			}
		}
	}
	return refusal{}
}

// checkTopic checks the configurations of a topic, each and together.
func (c *Controller) checkTopic(set image.Properties) refusal {
	for _, kv := range set {
		d := image.TopicDef(kv.Name)
		if d == nil {
			return refusal{wire.InvalidConfig, "Unknown topic config name: " + kv.Name}
		}
		if wrong := d.Validate(kv.Value); wrong != "" {
			return refusal{wire.InvalidConfig, wrong}
		}
	}
	in := func(name string) image.Value {
		if text, ok := set.Get(name); ok {
			canon, _ := image.TopicDef(name).Canonical(text)
			return image.Value{Name: name, Text: canon, Source: image.SourceTopic}
		}
		return c.view().TopicDefault(name)
	}
	least, most := in("min.compaction.lag.ms"), in("max.compaction.lag.ms")
	switch {
	case in("remote.storage.enable").Bool():
		return refusal{wire.InvalidConfig, "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."}
	case least.Int() > most.Int():
		return refusal{wire.InvalidConfig, "conflict topic config setting min.compaction.lag.ms (" + least.Text + ") > max.compaction.lag.ms (" + most.Text + ")"}
	}
	return refusal{}
}

// checkGroup checks the configurations of a group, each by itself and against the bounds that the broker sets:
// group.consumer.min.session.timeout.ms and the like.
func (c *Controller) checkGroup(set image.Properties) refusal {
	for _, kv := range set {
		d := image.GroupDef(kv.Name)
		if d == nil {
			return refusal{wire.InvalidConfig, "Unknown group config name: " + kv.Name}
		}
		canon, wrong := d.Canonical(kv.Value)
		if wrong != "" {
			return refusal{wire.InvalidConfig, wrong}
		}
		kind, rest, _ := strings.Cut(kv.Name, ".")
		value, bound := image.Value{Text: canon}.Int(), "group."+kind+".min."+rest
		if image.BrokerDef(bound) != nil && value < c.view().Broker(bound).Int() {
			return refusal{wire.InvalidConfig, kv.Name + " must be greater than or equal to " + bound}
		}
		bound = "group." + kind + ".max." + rest
		if rest == "num.standby.replicas" {
			bound = "group.streams.max.standby.replicas"
		}
		if image.BrokerDef(bound) != nil && value > c.view().Broker(bound).Int() {
			return refusal{wire.InvalidConfig, kv.Name + " must be less than or equal to " + bound}
		}
	}
	return refusal{}
}

// checkELR guards min.insync.replicas while eligible leader replicas are in force (KIP-966): one cluster-wide value.
func (c *Controller) checkELR(res image.Resource, old, set image.Properties) refusal {
	const name = "min.insync.replicas"
	if res.Kind != image.BrokerResource || !elr(c.img.Feature(elrFeature)) {
		return refusal{}
	}
	was, had := old.Get(name)
	now, has := set.Get(name)
	switch {
	case res.Name != "" && has && (!had || was != now):
		return refusal{wire.InvalidConfig, "Broker-level min.insync.replicas cannot be altered while ELR is enabled."}
	case res.Name == "" && had && !has:
		return refusal{wire.InvalidConfig, "Cluster-level min.insync.replicas cannot be removed while ELR is enabled."}
	}
	return refusal{}
}
