package broker

import (
	"slices"
	"strconv"

	"klamm/core"
	"klamm/core/controller"
	"klamm/core/image"
	"klamm/core/wire"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ConfigRowsMax bounds the configurations that one reply tells, but for those of its last resource; what is asked for
// beyond gets an error in its place. A resource takes a few bytes to ask for, and fills tens of kilobytes.
const ConfigRowsMax = 1 << 17

// describeConfigs serves DescribeConfigs v1-v4 for topics, brokers, the default of all brokers, and groups. Loggers and client
// metrics have nothing to tell here. Documentation is null but for topics. What is asked for twice is told once.
func (b *Broker) describeConfigs(now core.Now, r request, q *kmsg.DescribeConfigsRequest, out *core.Out) {
	resp := kmsg.NewPtrDescribeConfigsResponse()
	seen := make(map[image.Resource]bool, len(q.Resources))
	rows := 0
	for i := range q.Resources {
		want := &q.Resources[i]
		res := image.Resource{Kind: image.ResourceKind(want.ResourceType), Name: want.ResourceName}
		if seen[res] {
			continue
		}
		seen[res] = true
		row := kmsg.NewDescribeConfigsResponseResource()
		row.ResourceType, row.ResourceName = want.ResourceType, want.ResourceName
		row.Configs = []kmsg.DescribeConfigsResponseResourceConfig{}
		c := configRows{view: b.view().Held(), synonyms: q.IncludeSynonyms, docs: q.IncludeDocumentation}
		if len(want.ConfigNames) > 0 {
			c.names = slices.Clone(want.ConfigNames)
			slices.Sort(c.names)
		}
		code, text := wire.InvalidRequest, "Too many configurations are asked for at once"
		if rows < ConfigRowsMax {
			code, text = b.describeResource(res, &c)
		}
		rows += len(c.rows)
		row.ErrorCode, row.ErrorMessage = int16(code), &text
		if code == wire.None {
			row.Configs = append(row.Configs, c.rows...)
		}
		resp.Resources = append(resp.Resources, row)
	}
	b.reply(now, r, resp, out)
}

// describeResource gathers the configurations of one resource.
func (b *Broker) describeResource(res image.Resource, c *configRows) (wire.Code, string) {
	switch res.Kind {
	case image.TopicResource:
		if why := controller.BadTopicName(res.Name); why != "" {
			return wire.InvalidTopicException, why
		}
		if b.img.Topic(res.Name) == nil {
			return wire.UnknownTopicOrPartition, ""
		}
		for i := range image.TopicDefs() {
			c.inheriting(&image.TopicDefs()[i], res, image.SourceTopic)
		}
	case image.GroupResource:
		if res.Name == "" {
			return wire.InvalidRequest, "Group name must not be empty"
		}
		for i := range image.GroupDefs() {
			c.inheriting(&image.GroupDefs()[i], res, image.SourceGroup)
		}
	case image.BrokerResource:
		id, err := strconv.ParseInt(res.Name, 10, 32)
		switch {
		case res.Name == "":
			c.clusterDefault()
		case err != nil:
			return wire.InvalidRequest, "Broker id must be an integer, but it is: " + res.Name
		case core.NodeID(id) != b.cfg.NodeID:
			return wire.InvalidRequest, "Unexpected broker id, expected " + strconv.Itoa(int(b.cfg.NodeID)) + " or empty string, but received " + res.Name
		default:
			c.broker()
		}
	case image.LoggerResource:
		return wire.InvalidRequest, "This broker has no loggers that can be set one by one"
	case image.ClientMetricsResource:
		return wire.InvalidRequest, "This broker does not collect client metrics"
	default:
		return wire.InvalidRequest, "Unknown resource type " + strconv.Itoa(int(res.Kind))
	}
	return wire.None, ""
}

// configRows gathers the configurations of one resource.
type configRows struct {
	view     image.View
	names    []string // what is asked for, sorted; nil: all
	synonyms bool
	docs     bool
	rows     []kmsg.DescribeConfigsResponseResourceConfig
}

func (c *configRows) wants(name string) bool {
	if c.names == nil {
		return true
	}
	_, ok := slices.BinarySearch(c.names, name)
	return ok
}

// inheriting adds a configuration of a topic or group: its own value, and behind it those of the broker that stand in for it.
func (c *configRows) inheriting(d *image.Def, res image.Resource, own image.Source) {
	if d.Internal || !c.wants(d.Name) {
		return
	}
	var values []image.Value
	value := c.view.Inherited(d)
	if text, ok := c.view.Image.Config(res).Get(d.Name); ok {
		value = image.Value{Name: d.Name, Text: d.Shown(text), Source: own}
		values = append(values, value)
	}
	for i, name := range d.Synonyms {
		for _, v := range c.view.BrokerValues(image.BrokerDef(name)) {
			if i == 0 || v.Source != image.SourceDefault {
				values = append(values, v)
			}
		}
	}
	if own == image.SourceGroup && len(d.Synonyms) == 0 { // told for groups, not for topics
		values = append(values, image.Value{Name: d.Name, Text: d.Default, Source: image.SourceDefault})
	}
	c.add(d, value, values, false)
}

// broker adds every configuration of this broker, those of no known name among them.
func (c *configRows) broker() {
	for i := range image.BrokerDefs() {
		d := &image.BrokerDefs()[i]
		if set := c.view.Broker(d.Name).Source; d.Internal && set != image.SourceDynamicBroker && set != image.SourceDynamicDefault || !c.wants(d.Name) {
			continue
		}
		c.add(d, c.view.Broker(d.Name), c.view.BrokerValues(d), d.Mode == image.ReadOnly)
	}
	self := c.view.Image.Config(image.Resource{Kind: image.BrokerResource, Name: strconv.Itoa(int(c.view.Node))})
	all := c.view.Image.Config(image.Resource{Kind: image.BrokerResource})
	for _, kv := range self {
		_, both := all.Get(kv.Name)
		c.unknown(kv.Name, image.SourceDynamicBroker, both)
	}
	for _, kv := range all {
		if _, told := self.Get(kv.Name); !told {
			c.unknown(kv.Name, image.SourceDynamicDefault, false)
		}
	}
}

// clusterDefault adds what was set for all brokers.
func (c *configRows) clusterDefault() {
	for _, kv := range c.view.Image.Config(image.Resource{Kind: image.BrokerResource}) {
		d := image.BrokerDef(kv.Name)
		if d == nil {
			c.unknown(kv.Name, image.SourceDynamicDefault, false)
			continue
		}
		if c.wants(kv.Name) {
			v := image.Value{Name: kv.Name, Text: d.Shown(kv.Value), Source: image.SourceDynamicDefault}
			c.add(d, v, []image.Value{v}, d.Mode == image.ReadOnly)
		}
	}
}

// unknown adds a broker setting that no definition knows. It may be a secret of a plug-in, so its value is not told.
func (c *configRows) unknown(name string, from image.Source, alsoDefault bool) {
	if image.BrokerDef(name) != nil || !c.wants(name) {
		return
	}
	d := image.Def{Name: name, Type: image.Password}
	values := []image.Value{{Name: name, Source: from}}
	if alsoDefault {
		values = append(values, image.Value{Name: name, Source: image.SourceDynamicDefault})
	}
	c.add(&d, values[0], values, true)
	c.rows[len(c.rows)-1].ConfigType = 0
}

// add adds a row. A password's value is null wherever it stands.
func (c *configRows) add(d *image.Def, v image.Value, values []image.Value, readOnly bool) {
	row := kmsg.NewDescribeConfigsResponseResourceConfig()
	row.Name, row.ReadOnly, row.Source = d.Name, readOnly, kmsg.ConfigSource(v.Source)
	row.IsSensitive, row.ConfigType = d.Type == image.Password, kmsg.ConfigType(d.Type)
	if !v.Null && !row.IsSensitive {
		row.Value = &v.Text
	}
	row.ConfigSynonyms = []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{}
	if c.synonyms {
		for i := range values {
			k := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
			k.Name, k.Source = values[i].Name, kmsg.ConfigSource(values[i].Source)
			if !row.IsSensitive {
				k.Value = &values[i].Text
			}
			row.ConfigSynonyms = append(row.ConfigSynonyms, k)
		}
	}
	if doc := image.Doc(d.Name); c.docs && doc != "" {
		row.Documentation = &doc
	}
	c.rows = append(c.rows, row)
}
