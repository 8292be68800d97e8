package core

// Broken is what a failed Must panics with: a belief of our own code turned out false. A world stops the
// machine and says why; nothing recovers from it.
type Broken struct{ Belief string }

func (b Broken) Error() string { return "broken belief: " + b.Belief }

// Must states a belief that our own code should have made true, as a positive sentence. It holds in
// production too: a machine that is wrong about itself stops before it acts on it.
func Must(ok bool, belief string) {
	if !ok {
		panic(Broken{belief})
	}
}
