"""Ports that an SSH connection leads on, both ways, and again on each new connection after one was lost."""

from __future__ import annotations

import asyncssh

from edgedeploy.errors import UserError

_LOOPBACK = "127.0.0.1"


class Ports:
    """To be used in the loop's thread. A port keeps its number over connections."""

    def __init__(self) -> None:
        #: (reverse, port that is listened on) -> the port that it leads to
        self._targets: dict[tuple[bool, int], int] = {}
        self._listeners: dict[tuple[bool, int], asyncssh.SSHListener] = {}

    async def again(self, connection: asyncssh.SSHClientConnection) -> None:
        """Open them all on a new connection."""
        for (reverse, listened), target in self._targets.items():
            self._listeners[reverse, listened] = await _listen(connection, reverse, listened, target)

    async def open(self, connection: asyncssh.SSHClientConnection, reverse: bool, target: int) -> int:
        """A free port (reverse: of the board, else of this host) that leads to `target` of the other side's loopback."""
        listener = await _listen(connection, reverse, 0, target)
        listened = listener.get_port()
        self._targets[reverse, listened], self._listeners[reverse, listened] = target, listener
        return listened

    async def take_back(self, reverse: bool, listened: int) -> None:
        """Listen there no more; fine where nobody did."""
        self._targets.pop((reverse, listened), None)
        listener = self._listeners.pop((reverse, listened), None)
        if listener is not None:
            listener.close()
            await listener.wait_closed()


async def _listen(
    connection: asyncssh.SSHClientConnection, reverse: bool, listened: int, target: int
) -> asyncssh.SSHListener:  # fmt: skip
    try:
        if reverse:
            return await connection.forward_remote_port(_LOOPBACK, listened, _LOOPBACK, target)
        return await connection.forward_local_port(_LOOPBACK, listened, _LOOPBACK, target)
    except asyncssh.ChannelListenError as error:
        raise UserError(f"the board leads no port on: {error}; its sshd needs AllowTcpForwarding yes") from None
