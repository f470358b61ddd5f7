"""Which devices are there, as it changes: phones by the word of the adb server, the others by asking each every few seconds.

A device that somebody measures on is not asked: its lock says that it is used, and its worker whether it answers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from device_runner import device_lock, probing
from device_runner.inventory.device import Device
from device_runner.inventory.discover import Phone
from device_runner.lab.queue import Presence, Queue
from device_runner.transports.adb.server_link import is_network
from device_runner.transports.adb.tracking import tracked
from edgedeploy.errors import EdgedeployError

#: between two looks at a device; more where there are so many that looking would keep the host busy
LOOK_SEC, LOOK_EACH_SEC = 5.0, 0.25
_AGAIN_SEC = 2.0
_QUIET_SEC = 1.0
_STATES: dict[str, Presence] = {
    "reachable": "present", "unreachable": "dead", "unauthorised": "unauthorised", "unknown": "unknown",
}  # fmt: skip


class Watch:
    """Tells the queue what becomes of the devices, from threads of its own. Called again with `follow`, of those too."""

    def __init__(self, queue: Queue, woken: Callable[[], None]) -> None:
        self._queue, self._woken = queue, woken
        self._ended = threading.Event()
        self._alone = threading.Lock()
        self._said: dict[str, tuple[Presence, str]] = {}
        #: by device: set when it is to be looked at now
        self._now: dict[str, threading.Event] = {}
        self._phones: dict[str, list[Device]] = {}
        self._attached: dict[str, str] | None = None
        self._tracking = False

    def follow(self, devices: Iterable[Device]) -> None:
        """Watch these too, from now on."""
        for device in devices:
            if device.name in self._now:
                continue
            self._now[device.name] = threading.Event()
            if device.target.transport == "adb" and device.target.settings.get("server") is None:
                self._phones.setdefault(device.target.address, []).append(device)
                if not self._tracking:
                    self._tracking = True
                    threading.Thread(target=self._track, daemon=True).start()
            threading.Thread(target=self._look, args=(device,), daemon=True).start()

    def end(self) -> None:
        self._ended.set()
        for now in list(self._now.values()):
            now.set()

    def _track(self) -> None:
        """Phones, as the adb server tells of them; while it does not, `_look` asks each."""
        while not self._ended.is_set():
            try:
                for attached in tracked(_QUIET_SEC):
                    if self._ended.is_set():
                        return
                    if attached is not None:
                        before, self._attached = self._attached or {}, attached
                        self._tell_of_phones(before, attached)
            except EdgedeployError:
                self._attached = None
            self._ended.wait(_AGAIN_SEC)

    def _tell_of_phones(self, before: dict[str, str], attached: dict[str, str]) -> None:
        for serial, devices in list(self._phones.items()):
            state = attached.get(serial, "")
            # "device" is adb's word, and `_look` finds out whether a program runs there
            came_or_went = (state == "device") != (before.get(serial) == "device")
            for device in devices:
                if state == "unauthorized":
                    self._tell(device, "unauthorised", "accept this host's key on the phone's screen")
                # over the network "offline" is one that went away and one that is just being connected to
                elif state != "device" and not is_network(serial):
                    self._tell(device, "dead", f"adb says {state}" if state else "not attached")
                if came_or_went:
                    self._now[device.name].set()

    def _look(self, device: Device) -> None:
        """From one thread for each device: an answer that took long does not come after a newer one."""
        now = self._now[device.name]
        while not self._ended.is_set():
            now.clear()
            self._ask(device)
            now.wait(max(LOOK_SEC, LOOK_EACH_SEC * len(self._now)))

    def _ask(self, device: Device) -> None:
        serial = device.target.address
        attached = self._attached if device in self._phones.get(serial, []) else None
        # adb's, "" for a phone that it does not have; None for what it is not asked about
        word = attached.get(serial, "") if attached is not None else None
        if word == "" and not is_network(serial):
            self._tell(device, "dead", "not attached")
            return
        if device_lock.in_use(device) is not None:
            # its worker, or somebody else, has it, and knows better; it was there when it was taken
            said = self._said.get(device.name, ("unknown", ""))[0]
            if word == "offline":
                self._tell(device, "dead", "adb says offline")
            elif said == "unknown" or (said == "dead" and word == "device"):
                self._tell(device, "present", "in use")
            return
        # over the network the server forgets a phone that went away, and connecting to it is how it comes back
        told = word and (word == "unauthorized" or not is_network(serial))
        found = probing.probe(device, [Phone(serial, word)] if word and told else [])
        if found.state != "unknown":
            self._tell(device, _STATES[found.state], found.detail)

    def _tell(self, device: Device, presence: Presence, detail: str) -> None:
        with self._alone:
            before = self._said.get(device.name)
            self._said[device.name] = (presence, detail)
        try:
            self._queue.seen(device.name, presence, detail)
        except EdgedeployError:
            # told again with the next look
            self._said.pop(device.name, None)
            return
        if before is None or before[0] != presence:
            self._woken()
