"""How podium's processes talk: frames on socket pairs, control messages with descriptors, the replica's board."""
