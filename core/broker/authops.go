package broker

// Without an authorizer everyone may do everything: these are the bits of all operations that make sense
// for a resource (KIP-430), 1 << the operation's number.
const (
	opRead = 1 << 3 << iota
	opWrite
	opCreate
	opDelete
	opAlter
	opDescribe
	opClusterAction
	opDescribeConfigs
	opAlterConfigs
	opIdempotentWrite

	topicOperations   = opRead | opWrite | opCreate | opDelete | opAlter | opDescribe | opDescribeConfigs | opAlterConfigs
	clusterOperations = opCreate | opAlter | opDescribe | opClusterAction | opDescribeConfigs | opAlterConfigs | opIdempotentWrite
	groupOperations   = opRead | opDelete | opDescribe | opDescribeConfigs | opAlterConfigs
)
