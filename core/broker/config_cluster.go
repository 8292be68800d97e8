package broker

import (
	"slices"
	"strconv"
	"strings"

	"klamm/core"
	"klamm/core/image"
	"klamm/core/quorum"
	"klamm/core/wire"
)

// controllerWait bounds one request to the controller. A controller that is gone is noticed earlier: by its
// connection, or by the quorum's next leader.
const controllerWait = 10 * core.Second

// The defaults of broker.heartbeat.interval.ms and broker.session.timeout.ms, where neither is set.
const (
	heartbeatDefault = 400 * core.Millisecond
	sessionDefault   = 2 * core.Second
)

// VotersMax bounds the voters that a configuration may name.
const VotersMax = 99

// listeners reads where this node serves.
func (p *parser) listeners(c *Config) {
	for _, name := range p.list("controller.listener.names") {
		c.ControllerListeners = append(c.ControllerListeners, strings.ToUpper(name))
	}
	for _, text := range p.list("listeners") {
		l, why := parseListener(text)
		if why != "" {
			p.bad("listeners: " + text + ": " + why)
			continue
		}
		controller := slices.Contains(c.ControllerListeners, l.Name)
		if proto := p.protocol(l.Name, controller); proto != "PLAINTEXT" {
			p.bad("listeners: " + text + ": its security protocol is " + proto + ", and only PLAINTEXT is supported yet")
			continue
		}
		if l.Advertised = (image.Endpoint{Name: l.Name, Host: l.Host, Port: l.Port}); l.Host == "" || l.Host == "0.0.0.0" || l.Host == "::" {
			l.Advertised.Host = "localhost"
		}
		if controller {
			c.Controllers = append(c.Controllers, l)
		} else {
			c.Listeners = append(c.Listeners, l)
		}
	}
	p.advertised(c)
	if len(p.problems) > 0 {
		return
	}
	switch {
	case c.IsBroker && len(c.Listeners) == 0:
		p.bad("listeners has none for clients; add one, such as listeners=PLAINTEXT://:9092")
	case !c.IsBroker && len(c.Listeners) > 0:
		p.bad("listeners: " + c.Listeners[0].Name + " is no controller listener, and process.roles=controller serves no others; name it in controller.listener.names, or remove it")
	case !c.IsController && len(c.Controllers) > 0:
		p.bad("listeners: " + c.Controllers[0].Name + " is a controller listener by controller.listener.names, and process.roles=broker serves none; remove it from listeners")
	}
}

// advertised reads the addresses that others are told.
func (p *parser) advertised(c *Config) {
	for _, text := range p.list("advertised.listeners") {
		a, why := parseListener(text)
		of := &c.Listeners
		at := slices.IndexFunc(*of, func(l Listener) bool { return l.Name == a.Name })
		if at < 0 {
			of = &c.Controllers
			at = slices.IndexFunc(*of, func(l Listener) bool { return l.Name == a.Name })
		}
		switch {
		case why != "":
			p.bad("advertised.listeners: " + text + ": " + why)
		case a.Host == "0.0.0.0" || a.Host == "":
			p.bad("advertised.listeners: " + text + ": clients cannot connect to no address; name the host")
		case at < 0:
			p.bad("advertised.listeners: " + text + ": there is no listener of that name in listeners")
		default:
			(*of)[at].Advertised = image.Endpoint{Name: a.Name, Host: a.Host, Port: a.Port}
		}
	}
}

// cluster reads who the controllers are and how to reach the other nodes.
func (p *parser) cluster(c *Config) {
	for _, text := range p.list("controller.quorum.bootstrap.servers") {
		if _, _, why := parseHostPort(text); why != "" {
			p.bad("controller.quorum.bootstrap.servers: " + text + ": " + why)
		}
		c.Bootstrap = append(c.Bootstrap, text)
	}
	p.voters(c)
	c.AutoJoin = p.bool("controller.quorum.auto.join.enable")
	if c.AutoJoin && (!c.IsController || len(c.Bootstrap) == 0) {
		p.bad("controller.quorum.auto.join.enable=true is for controllers that find the quorum by controller.quorum.bootstrap.servers: add those, or set it to false")
	}
	if c.IsBroker && len(c.Listeners) > 0 {
		c.InterBroker = c.Listeners[0].Name
		for _, l := range c.Listeners {
			if l.Name == "PLAINTEXT" {
				c.InterBroker = l.Name // as Kafka takes the listener of security.inter.broker.protocol
			}
		}
		if name := p.text("inter.broker.listener.name"); p.given("inter.broker.listener.name") {
			c.InterBroker = strings.ToUpper(name)
			if !slices.ContainsFunc(c.Listeners, func(l Listener) bool { return l.Name == c.InterBroker }) {
				p.bad("inter.broker.listener.name=" + name + ": there is no listener of that name in listeners")
			}
		}
	}
	several := len(c.Voters) > 1 || !c.IsController || len(c.Voters) == 0 && len(c.Bootstrap) > 0 && !c.alone()
	if several && len(c.ControllerListeners) == 0 {
		p.bad("controller.listener.names is missing: name the listener over which controllers are reached, such as controller.listener.names=CONTROLLER")
	}
	if several && c.AutoFormat && c.ClusterID == "" {
		p.bad("klamm.auto.format=true needs klamm.cluster.id in a cluster of several nodes: each would draw an id of its own, and they would refuse each other; " +
			"give all of them the same, such as that of klamm storage random-uuid")
	}
	if c.Heartbeat <= 0 || c.Session <= c.Heartbeat {
		p.bad("broker.session.timeout.ms=" + strconv.FormatInt(c.Session.Millis(), 10) + " is no more than broker.heartbeat.interval.ms=" +
			strconv.FormatInt(c.Heartbeat.Millis(), 10) + ": every broker would be fenced between two heartbeats")
	}
}

// VoterEndpoints are the listeners of a controller as other voters see them.
func (c *Config) VoterEndpoints() (list []wire.VoterEndpoint) {
	for _, l := range c.Controllers {
		list = append(list, wire.VoterEndpoint{Name: l.Name, Host: l.Advertised.Host, Port: l.Advertised.Port})
	}
	return list
}

// alone reports whether a node that formats its own directory begins a quorum by itself: its one bootstrap server is
// that node.
func (c *Config) alone() bool {
	if len(c.Voters) > 0 || !c.IsController || len(c.Bootstrap) != 1 || len(c.Controllers) == 0 {
		return false
	}
	own := c.Controllers[0].Advertised
	return c.Bootstrap[0] == hostPort(own.Host, own.Port)
}

// voters reads controller.quorum.voters. Without it, a controller with no bootstrap servers is a quorum by itself.
func (p *parser) voters(c *Config) {
	for _, text := range p.list("controller.quorum.voters") {
		id, addr, ok := strings.Cut(text, "@")
		n, err := strconv.ParseInt(id, 10, 32)
		host, port, why := parseHostPort(addr)
		switch {
		case !ok || err != nil || n < 0:
			p.bad("controller.quorum.voters: " + text + ": not of the form id@host:port")
		case why != "":
			p.bad("controller.quorum.voters: " + text + ": " + why)
		case slices.ContainsFunc(c.Voters, func(v quorum.Voter) bool { return v.ID == core.NodeID(n) }):
			p.bad("controller.quorum.voters: node " + id + " is named twice")
		default:
			c.Voters = append(c.Voters, quorum.Voter{ID: core.NodeID(n), Host: host, Port: port})
		}
	}
	slices.SortFunc(c.Voters, func(a, b quorum.Voter) int { return int(a.ID) - int(b.ID) })
	self := slices.ContainsFunc(c.Voters, func(v quorum.Voter) bool { return v.ID == c.NodeID })
	switch {
	case len(c.Voters) == 0 && p.given("controller.quorum.voters"): // as was told
	case len(c.Voters) > VotersMax:
		p.bad("controller.quorum.voters names " + strconv.Itoa(len(c.Voters)) + " voters: more than " + strconv.Itoa(VotersMax))
	case len(c.Voters) > 0 && c.IsController && !self:
		p.bad("controller.quorum.voters does not name node " + strconv.Itoa(int(c.NodeID)) + ", whose process.roles include controller: add it, or set process.roles=broker")
	case len(c.Voters) > 0 && !c.IsController && self:
		p.bad("controller.quorum.voters names node " + strconv.Itoa(int(c.NodeID)) + ", whose process.roles are broker alone: add controller to its roles, or remove it from the voters")
	case len(c.Voters) == 0 && !c.IsController && len(c.Bootstrap) == 0:
		p.bad("process.roles=broker needs controllers: name them in controller.quorum.voters or controller.quorum.bootstrap.servers")
	case len(c.Voters) == 0 && c.IsController && len(c.Bootstrap) > 0: // those that the log names (KIP-853)
	case len(c.Voters) == 0 && c.IsController:
		v := quorum.Voter{ID: c.NodeID, Host: "localhost"}
		if len(c.Controllers) > 0 {
			v.Host, v.Port = c.Controllers[0].Advertised.Host, c.Controllers[0].Advertised.Port
		}
		c.Voters = []quorum.Voter{v}
	}
}

// protocol is the security protocol of a listener by listener.security.protocol.map.
func (p *parser) protocol(name string, controller bool) string {
	for _, m := range p.list("listener.security.protocol.map") {
		if k, v, ok := strings.Cut(m, ":"); ok && strings.EqualFold(k, name) {
			return v
		}
	}
	if controller && !p.given("listener.security.protocol.map") {
		return "PLAINTEXT"
	}
	return "none (listener.security.protocol.map does not name it)"
}

// parseListener reads NAME://host:port.
func parseListener(text string) (l Listener, why string) {
	name, addr, ok := strings.Cut(strings.TrimSpace(text), "://")
	at := strings.LastIndexByte(addr, ':')
	if !ok || at < 0 || name == "" {
		return l, "not of the form NAME://host:port"
	}
	port, err := strconv.ParseUint(addr[at+1:], 10, 16)
	if err != nil {
		return l, "its port is no number from 0 to 65535"
	}
	l.Name, l.Host, l.Port = strings.ToUpper(name), strings.Trim(addr[:at], "[]"), uint16(port)
	return l, ""
}

// parseHostPort reads host:port, both of which have to be there.
func parseHostPort(text string) (host string, port uint16, why string) {
	at := strings.LastIndexByte(text, ':')
	if at <= 0 {
		return "", 0, "not of the form host:port"
	}
	n, err := strconv.ParseUint(text[at+1:], 10, 16)
	if err != nil || n == 0 {
		return "", 0, "its port is no number from 1 to 65535"
	}
	return strings.Trim(text[:at], "[]"), uint16(n), ""
}

// replicaWaitDefault is that of replica.fetch.wait.max.ms. A follower that gets a new leader, whose parked request does not
// name the partition yet, asks for it no later than so: the time is part of that of a failover.
const replicaWaitDefault = 100

func (p *parser) replicaWait() int32 {
	if !p.given("replica.fetch.wait.max.ms") {
		return replicaWaitDefault
	}
	return int32(p.int("replica.fetch.wait.max.ms"))
}
