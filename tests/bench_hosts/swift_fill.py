"""Objects straight onto the disk of a Swift that is there for a benchmark.

    /usr/bin/python3 -P swift_fill.py DIRECTORY BUCKET ACCOUNT < LINES

Each line of stdin is JSON, [object, file that has its content]. Needs Debian's Python, which has Swift's own packages: the
object server's writer and the container's database are used as the servers use them, only without a request for each, of which
two cores answer some dozen a second. The servers answer for what is there as for any other object.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
import time
from pathlib import Path

from swift.common.ring import Ring
from swift.common.storage_policy import POLICIES
from swift.common.utils import Timestamp, hash_path, storage_directory
from swift.container.backend import ContainerBroker
from swift.obj.diskfile import DiskFileRouter


def main(directory: Path, bucket: str, account: str) -> None:
    """Write every object, then list them all in the container."""
    logger = logging.getLogger("swift")
    conf = {"devices": str(directory / "devices"), "mount_check": "false", "disable_fallocate": "true"}
    disk = DiskFileRouter(conf, logger)[POLICIES[0]]
    ring = Ring(str(directory), ring_name="object")
    listed, contents = [], {}
    for line in sys.stdin:
        name, file = json.loads(line)
        if file not in contents:
            contents[file] = Path(file).read_bytes()
        content, stamp = contents[file], Timestamp(time.time())
        tag = hashlib.md5(content).hexdigest()  # noqa: S324 - what S3 calls an object's tag
        part, _ = ring.get_nodes(account, bucket, name)
        place = disk.get_diskfile("disk", part, account, bucket, name, policy=POLICIES[0])
        kind = "application/octet-stream"
        with place.create(size=len(content)) as writer:
            writer.write(content)
            about = {"X-Timestamp": stamp.internal, "Content-Type": kind, "ETag": tag, "Content-Length": str(len(content))}
            writer.put(about)
            writer.commit(stamp)
        listed.append({
            "name": name, "created_at": stamp.internal, "size": len(content), "content_type": kind, "etag": tag, "deleted": 0,
            "storage_policy_index": 0,
        })  # fmt: skip
    part, _ = Ring(str(directory), ring_name="container").get_nodes(account, bucket)
    hashed = hash_path(account, bucket)
    database = directory / "devices/disk" / storage_directory("containers", part, hashed) / f"{hashed}.db"
    broker = ContainerBroker(str(database), account=account, container=bucket)
    for at in range(0, len(listed), 1000):
        broker.merge_items(listed[at : at + 1000])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
