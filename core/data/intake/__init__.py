"""From files that a person brings to a data set: kept aside, read in a child process with limits, then named."""
