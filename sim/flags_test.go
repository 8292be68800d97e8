package sim_test

import "flag"

var manySeeds = flag.Bool("many", false, "replay 200 seeds of each kind instead of 4")
