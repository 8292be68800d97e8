package core

// Bounds of queues, tables and loops. Each name says of what; what happens when one is reached stands
// beside its use. Those that Kafka lets an operator set are configuration, not here.
const (
	// FrameBytesMax is the default of socket.request.max.bytes.
	FrameBytesMax = 100 << 20
	// OpsMax bounds the effects in flight of one room of one machine.
	OpsMax = 1 << 20
	// RequestsPerConnMax bounds unanswered requests of one connection; then it is paused.
	RequestsPerConnMax = 64
	// UnsentBytesPerConnMax bounds bytes given to Send and SendRange of one connection that the kernel has
	// not taken; then its requests wait.
	UnsentBytesPerConnMax = 16 << 20
)
