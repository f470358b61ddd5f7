"""A phone on USB: Debian's adbd on a USB gadget of a virtual machine, at the end of a cable that the machine's kernel emulates.

Both ends are in the machine: what is tried against the phone has to be run there.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.bench_hosts import android_root
from tests.bench_hosts.vm import Vm

SERIAL = "EDGEUSB0001"
_GADGET = "/sys/kernel/config/usb_gadget/phone"
#: the phone's files, in the machine
ROOT = "/run/phone"
#: there while the cable is out
_PULLED = "/run/pulled"
#: held for looking whether the cable is in and binding, so that it is not pulled in between
_LOCK = "/run/cable.lock"
#: a port that no adb server takes for an emulator's
_PROPERTIES = android_root.PROPERTIES | {"service.adb.listen_addrs": "tcp:6999"}

#: Google's numbers, which Android's own udev rules and adb know
_SET_UP = f"""
set -e
mount -t configfs none /sys/kernel/config
mkdir -p {_GADGET}/strings/0x409 {_GADGET}/configs/c.1/strings/0x409 {_GADGET}/functions/ffs.adb
cd {_GADGET}
echo 0x18D1 > idVendor
echo 0x0100 > idProduct
echo {SERIAL} > strings/0x409/serialnumber
echo Nobody > strings/0x409/manufacturer
echo "Edge Phone 7" > strings/0x409/product
echo ADB > configs/c.1/strings/0x409/configuration
ln -s functions/ffs.adb configs/c.1
cp -a /run/shared/phone {ROOT}
mount -t proc proc {ROOT}/proc
mount -t tmpfs tmpfs {ROOT}/dev
for node in null zero urandom random; do : > {ROOT}/dev/$node; mount --bind /dev/$node {ROOT}/dev/$node; done
mkdir -p {ROOT}/dev/usb-ffs/adb
mount -t functionfs adb {ROOT}/dev/usb-ffs/adb
setsid chroot {ROOT} /system/bin/init > /dev/null 2>&1 < /dev/null &
"""
#: as Android's init: whenever adbd has described itself anew, the gadget is bound again. The kernel unbinds it when adbd closes
#: the control end point, as it does in ending
_REBIND = f"""
while :; do
  (
    flock 9
    [ ! -e {_PULLED} ] && [ -z "$(cat {_GADGET}/UDC)" ] && ls /sys/class/udc | head -n 1 > {_GADGET}/UDC
  ) 9> {_LOCK}
  sleep 0.2
done
"""
#: adbd has described itself when its end points are there
_READY = f"i=0; while [ ! -e {ROOT}/dev/usb-ffs/adb/ep2 ]; do sleep 0.1; i=$((i+1)); [ $i -lt 600 ] || exit 1; done"


class UsbPhone:
    """guest_files: ELF files of this host that will be run on the phone."""

    def __init__(self, vm: Vm, guest_files: Iterable[Path] = ()) -> None:
        self._vm = vm
        android_root.build(vm.shared / "phone", properties=_PROPERTIES, guest_files=guest_files)

    def boot(self) -> None:
        """The machine has to be up. The cable is plugged in."""
        self._vm.modprobe("dummy_hcd", "usb_f_fs")
        self._sh(_SET_UP)
        self._sh(_READY)
        self._vm.start(["sh", "-c", _REBIND])
        self._bound()

    def restart_adbd(self) -> None:
        """As a phone's own restart of it. Debian's at times hangs in closing a connection whose host was ended."""
        self._sh(
            "old=$(pgrep -f ^/system/bin/adbd); kill -KILL $old; i=0; "
            "while [ -e /proc/$old ]; do sleep 0.1; i=$((i+1)); [ $i -lt 600 ] || exit 1; done"
        )
        # with the old one the kernel has unbound the gadget
        self._bound()

    def plug_in(self) -> None:
        self._sh(f"rm {_PULLED}")
        self._bound()

    def _bound(self) -> None:
        self._sh(f'i=0; while [ -z "$(cat {_GADGET}/UDC)" ]; do sleep 0.1; i=$((i+1)); [ $i -lt 600 ] || exit 1; done')

    def pull_out(self) -> None:
        self._sh(f"exec 9> {_LOCK}; flock 9; : > {_PULLED}; echo > {_GADGET}/UDC")

    def _sh(self, script: str) -> None:
        done = self._vm.run(["sh", "-c", script])
        assert done.exit_code == 0, f"{script}: {done.stderr}"
