"""What the supervisor has of the machine: its sockets, processors, memory, logs, and the folders of running servers."""
