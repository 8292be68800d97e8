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
	Static       image.Properties // the node's configuration file: defaults of topic configurations
	Key          [32]byte         // of the generator of topic ids
}

// PartitionsPerRequestMax bounds the partitions that one request may make: its records are one batch.
const PartitionsPerRequestMax = 10000

// recordBytesMax bounds the records of one decision: they are one batch of the metadata log, which takes 8 MiB.
const recordBytesMax = 7 << 20

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
}

// New makes a controller that knows nothing yet: Reset gives it an image.
func New(cfg Config) *Controller {
	return &Controller{cfg: cfg, rand: core.NewRand(cfg.Key), img: image.Empty()}
}

// Reset makes the committed image the newest: at boot, and when what was appended after it was lost.
func (c *Controller) Reset(img *image.Image) { c.img = img }

// Image is the newest image: what the next decision will be based on. It may be ahead of what is committed.
func (c *Controller) Image() *image.Image { return c.img }

// Appended takes in records that were decided here and are now in the log below end.
func (c *Controller) Appended(records []wire.Record, end core.Offset, epoch core.Epoch) {
	img, _, err := c.img.Apply(records, end, epoch)
	core.Must(err == nil, "the controller's own records apply to the image that they were decided on")
	c.img = img
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
