"""`mpctl demo`: a true story on a real git repository, told by its event stream.

`repository` finds real work, `worker` and `lead` are the programs of the agents (each its own process, with nothing
but an agent token), `director` sets the scene and hosts the processes, `story` tells what the event stream says.
"""
