"""`python -m podium.serving.asgi_host.handover`: stands where a gateway process stands, and hands its sockets on.

For the supervisor it is the gateway: started, watched, killed. The gateway itself lives in an ASGI server, which gets the
descriptors over the front socket. Each holds one end of a leash: when the other is gone, so is what was handed over.
"""

import argparse
import json
import socket
import sys

FIELDS = ("control_fd", "listen_fd", "slots_fd")
CHANNELS = ("exports_fd", "remembered_fd")
"""What a gateway may have beside these; the message names those that come last."""


def main(arguments: list[str] | None = None) -> int:
    """Hand over, and end when the gateway over there has ended; 1 where nobody takes it."""
    parser = argparse.ArgumentParser(prog="python -m podium.serving.asgi_host.handover", description=__doc__)
    for flag in (*FIELDS, "front_fd", "slot"):
        parser.add_argument(f"--{flag.replace('_', '-')}", type=int, required=True)
    for channel in CHANNELS:
        parser.add_argument(f"--{channel.replace('_', '-')}", type=int)
    parser.add_argument("--settings", default="{}")
    parser.add_argument("--grpc-address")
    chosen = vars(parser.parse_args(arguments))
    leash, theirs = socket.socketpair()
    given = [socket.socket(fileno=chosen[name]) for name in FIELDS[:2]]
    more = {name: chosen[name] for name in CHANNELS if chosen[name] is not None}
    told = json.dumps({each: chosen[each] for each in ("slot", "settings", "grpc_address")} | {"channels": list(more)})
    with socket.socket(fileno=chosen["front_fd"]) as front, theirs:
        try:
            descriptors = [*(chosen[name] for name in FIELDS), theirs.fileno(), *more.values()]
            socket.send_fds(front, [told.encode()], descriptors)
        except OSError as error:
            print(f"nobody takes the gateway over: {error}", file=sys.stderr)
            return 1
    for sock in given:
        sock.close()  # the supervisor has to see when the gateway's end of the control socket closes
    leash.recv(1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
