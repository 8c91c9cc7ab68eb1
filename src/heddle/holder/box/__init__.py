"""A box: namespaces with a file system of their own, whose init starts every process that works in it.

`kernel` speaks to the system, `filter` says which calls nobody inside may make, `rooms` builds the file system, `groups`
bounds what all of it takes,
`init` is pid 1 inside, `minder` looks after one command, `entry` is how a holder outside has a command started,
`frames` what the two say to each other.
"""
