package broker

import "klamm/core/log"

// Store lets a simulator look at the logs between two Steps. It only looks: nil before boot has come to the logs.
func (b *Broker) Store() *log.Store { return b.store }
