// Package controller decides changes of the cluster's metadata.
//
// A decision reads the newest image, that of all records appended so far, committed or not, and returns two
// things: the response, and the records that make it true. It changes nothing. Whoever asked appends the records through
// core/quorum and, if they were taken, tells the controller with Appended, which is the only way that
// its image moves; the response may leave once the records are committed. So a decision whose records could not be
// appended has never been.
//
// What the room may assume: decisions are asked for on the leader of the metadata quorum only, one at a time,
// each followed by its Appended before the next. What it owes: records that core/image takes without a fault, and
// Kafka's answers, to the letter where a client could see it.
package controller

import (
	"klamm/core"
	"klamm/core/image"
	"klamm/core/wire"
)

// Config is what a controller is told at its start.
type Config struct {
	Node         core.NodeID
	Partitions   int32            // num.partitions
	Replication  int16            // default.replication.factor
	DeleteTopics bool             // delete.topic.enable
	ClusterID    string           // of meta.properties: a registration that names another is refused
	Session      core.Time        // broker.session.timeout.ms; 0: as configured
	Static       image.Properties // the node's configuration file: defaults of topic configurations
	Key          [32]byte         // of the generator of topic ids

	ProducerIDBlock int64 // how many producer ids a broker gets at a time; 0: Kafka's 1000
	StepBytes       int   // of the records of one step of a decision that may take several; 0: as many as a batch takes
}

// PartitionsPerRequestMax bounds the partitions that one request may make: its records are one batch.
const PartitionsPerRequestMax = 10000

// recordBytesMax bounds the records of one decision: they are one batch of the metadata log, which takes 8 MiB.
const recordBytesMax = 7 << 20

// stepBytes bounds the changes of partitions in one decision.
func (c *Controller) stepBytes() int {
	if c.cfg.StepBytes > 0 {
		return min(c.cfg.StepBytes, recordBytesMax)
	}
	return recordBytesMax
}

var tooLarge = refusal{wire.PolicyViolation, "The request makes more metadata than fits in one batch."}

// weight is no less than the bytes of records in a batch.
func weight(records []wire.Record) (n int) {
	for _, r := range records {
		n += 64
		switch r := r.(type) {
		case *wire.TopicRecord:
			n += len(r.Name)
		case *wire.ConfigRecord:
			n += len(r.ResourceName) + len(r.Name)
			if r.Value != nil {
				n += len(*r.Value)
			}
		case *wire.PartitionRecord:
			n += 24*len(r.Replicas) + 4*len(r.ISR)
		case *wire.PartitionChangeRecord:
			n += 5*(len(r.ISR)+len(r.Replicas)+len(r.AddingReplicas)+len(r.RemovingReplicas)+len(r.EligibleLeaderReplicas)+len(r.LastKnownELR)) + 16*len(r.Directories)
		case *wire.RegisterBrokerRecord:
			n += 16 * len(r.LogDirs)
			for _, e := range r.EndPoints {
				n += 16 + len(e.Name) + len(e.Host)
			}
			for _, f := range r.Features {
				n += 16 + len(f.Name)
			}
			if r.Rack != nil {
				n += len(*r.Rack)
			}
		case *wire.RegisterControllerRecord:
			for _, e := range r.EndPoints {
				n += 16 + len(e.Name) + len(e.Host)
			}
			for _, f := range r.Features {
				n += 16 + len(f.Name)
			}
		case *wire.BrokerRegistrationChangeRecord:
			n += 16 * (len(r.LogDirs) + len(r.CordonedLogDirs))
		}
	}
	return n
}

// fits adds the weight of records to what a decision has so far, and refuses what would be too much.
func fits(sum *int, records []wire.Record) refusal {
	w := weight(records)
	if *sum+w > recordBytesMax {
		return tooLarge
	}
	*sum += w
	return refusal{}
}

// Controller decides. It is part of the machine's state.
type Controller struct {
	cfg  Config
	rand core.Rand
	img  *image.Image // with every record appended so far

	active    bool      // TakeOver was called, and Reset was not since
	sessions  []session // while active; sorted by id, one for each broker that registered or was heard
	sweep     bool      // there may be partitions without a leader that could have one
	ticked    core.Time // when Tick last came
	balanceAt core.Time // of the next look at the preferred leaders
}

// New makes a controller that knows nothing yet: Reset gives it an image.
func New(cfg Config) *Controller {
	return &Controller{cfg: cfg, rand: core.NewRand(cfg.Key), img: image.Empty()}
}

// Image is the newest image: what the next decision will be based on. It may be ahead of what is committed.
func (c *Controller) Image() *image.Image { return c.img }

// Appended takes in records that were decided here and are now in the log below end.
func (c *Controller) Appended(records []wire.Record, end core.Offset, epoch core.Epoch) {
	img, _, err := c.img.Apply(records, end, epoch)
	core.Must(err == nil, "the controller's own records apply to the image that they were decided on")
	c.img = img
	c.settleSessions(records, end)
}

// Level is the metadata version in force, which says in which versions records are written.
func (c *Controller) Level() int16 {
	if level := c.img.Feature(MetadataVersion); level > 0 {
		return level
	}
	return MetadataLevel
}

func (c *Controller) view() image.View {
	return image.View{Image: c.img, Node: c.cfg.Node, Static: c.cfg.Static}
}

// newID draws a topic id: none that is reserved, and none that begins with a dash, which command lines
// take for an option.
func (c *Controller) newID() core.TopicID {
	for {
		if id := c.rand.ID(); id.String()[0] != '-' && c.img.TopicByID(id) == nil {
			return id
		}
	}
}

// refusal is a client's mistake. The zero value is none.
type refusal struct {
	code wire.Code
	text string
}

func (r refusal) bad() bool { return r.code != wire.None }

// message is the text as a response carries it: null where there is nothing to say.
func (r refusal) message() *string {
	if r.text == "" {
		return nil
	}
	return &r.text
}
