"""`ray start` in a process of its own: `python -m device_runner.lab.cluster.launch --head …`.

`ray start` takes 127.0.0.1 for a slip and puts the machine's outward address in its place, where Ray listens on all interfaces.
Here a loopback address stays one. Whoever started it holds the other end of its stdin: when that closes, the node ends.
"""

from __future__ import annotations

import os
import signal
import sys
import threading


def keep_loopback() -> None:
    """In this process, Ray takes the addresses that it is given."""
    from ray._private import services

    services.resolve_ip_for_localhost = lambda host: host


def _stop_when_we_are_gone() -> None:
    # not sys.stdin: a thread that waits in it keeps the interpreter from ending
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    threading.Thread(target=_stop_when_we_are_gone, daemon=True).start()
    keep_loopback()
    from ray.scripts.scripts import main as ray_command

    sys.argv = ["ray", "start", *sys.argv[1:]]
    ray_command()


if __name__ == "__main__":
    main()
