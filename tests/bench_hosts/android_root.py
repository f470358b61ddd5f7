"""A directory that looks like an Android's root to what runs in it: /system/bin with mksh and toybox, no /usr, no coreutils."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.bench_hosts import debian

ADBD = Path("/usr/sbin/adbd")
#: of g++-aarch64-linux-gnu
_SYSROOT = Path("/usr/aarch64-linux-gnu/lib")
MKSH, TOYBOX = Path("/bin/mksh-static"), Path("/bin/toybox")
_SHIM, _SHA256SUM = (Path(__file__).with_name(name) for name in ("adbd_shim.cpp", "sha256sum.cpp"))

#: as `getprop` and adbd's banner say them
PROPERTIES = {
    "ro.product.name": "edgephone",
    "ro.product.model": "Edge Phone 7",
    "ro.product.device": "edgephone",
    "ro.product.manufacturer": "Nobody",
    "ro.build.version.release": "14",
    "ro.build.version.sdk": "34",
}

#: path -> content, in the words that a phone's kernel uses
_SYS = {
    "class/thermal/thermal_zone0/type": "cpu-0-0\n",
    "class/thermal/thermal_zone0/temp": "41500\n",
    "class/thermal/thermal_zone1/type": "battery\n",
    "class/thermal/thermal_zone1/temp": "30200\n",
    "class/power_supply/battery/type": "Battery\n",
    "class/power_supply/battery/capacity": "83\n",
    "class/power_supply/battery/status": "Discharging\n",
    "devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
    "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1401600\n",
    "devices/system/cpu/cpu0/cpufreq/scaling_min_freq": "300000\n",
    "devices/system/cpu/cpu0/cpufreq/scaling_max_freq": "1804800\n",
    "devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "1804800\n",
}

_GETPROP = """#!/system/bin/sh
# getprop [name]: of the same file that adbd reads
while IFS='=' read -r key value; do
  if [ -z "$1" ]; then echo "[$key]: [$value]"; elif [ "$1" = "$key" ]; then echo "$value"; exit 0; fi
done < /system/build.prop
[ -z "$1" ] || echo
"""

_DUMPSYS = """#!/system/bin/sh
# dumpsys thermalservice|battery, as Android 14 prints them
case "$1" in
thermalservice) cat <<'END'
IsStatusOverride: false
ThermalEventListeners:
Thermal Status: 0
Cached temperatures:
	Temperature{mValue=41.5, mType=0, mName=CPU0, mStatus=0}
	Temperature{mValue=30.2, mType=2, mName=battery, mStatus=0}
HAL Ready: true
Current temperatures from HAL:
	Temperature{mValue=41.5, mType=0, mName=CPU0, mStatus=0}
	Temperature{mValue=30.2, mType=2, mName=battery, mStatus=0}
END
;;
battery) cat <<'END'
Current Battery Service state:
  AC powered: false
  USB powered: false
  status: 3
  health: 2
  present: true
  level: 83
  scale: 100
  voltage: 4123
  temperature: 302
END
;;
*) echo "Can't find service: $1" >&2; exit 1;;
esac
"""

#: Android's init: adbd is started again whenever it ends, and orphans are waited for
_INIT = """#!/system/bin/sh
cd /
export PATH=/system/bin ANDROID_ROOT=/system ANDROID_DATA=/data
# where this is emulated: one with half as much to emulate as the newest
export QEMU_CPU=neoverse-n1
while :; do
  LD_PRELOAD=/system/lib64/adbd_shim.so /system/bin/adbd >>/data/adbd.log 2>&1 </dev/null &
  wait $!
  sleep 0.1
done
"""


def libraries_of(files: Iterable[Path]) -> set[Path]:
    """What the dynamic loader of this host opens for these ELF files, the loader itself included."""
    needed: set[Path] = set()
    for file in files:
        printed = subprocess.run(["ldd", file], capture_output=True, text=True).stdout
        needed.update(Path(match) for match in re.findall(r"(/[^\s()]+)", printed) if match.startswith(("/lib", "/usr/lib")))
    return needed


def build(root: Path, *, properties: Mapping[str, str], machine: str = "x86_64", guest_files: Iterable[Path] = ()) -> Path:
    """Fill `root`. guest_files: ELF files that will be run in it, whose libraries have to be there too.

    With `machine` "aarch64" everything but adbd is of that machine, and the phone that has this root emulates it.
    """
    bin_dir = root / "system" / "bin"
    for directory in (bin_dir, root / "system/lib64", root / "data/local/tmp", root / "data/misc/adb"):
        directory.mkdir(parents=True)
    for directory in ("proc", "dev", "sdcard", "tmp", "etc"):
        (root / directory).mkdir()
    (root / "bin").symlink_to("system/bin")
    shutil.copy2(ADBD, bin_dir / "adbd")
    shim = root / "system/lib64/adbd_shim.so"
    subprocess.run(["g++", "-std=c++17", "-O1", "-shared", "-fPIC", "-o", shim, _SHIM, "-ldl"], check=True)
    _copy_to(root, libraries_of([ADBD, shim]))
    if machine == "aarch64":
        _aarch64_tools(root)
    else:
        _native_tools(root)
        _copy_to(root, libraries_of(guest_files))
    for name in subprocess.run([TOYBOX], capture_output=True, text=True, check=True).stdout.split():
        if not (bin_dir / name).exists():
            (bin_dir / name).symlink_to("toybox")
    _script(bin_dir / "getprop", _GETPROP)
    _script(bin_dir / "dumpsys", _DUMPSYS)
    _script(bin_dir / "init", _INIT)
    (root / "etc/passwd").write_text("root:x:0:0::/data:/system/bin/sh\n")
    (root / "system/build.prop").write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
    for path, content in _SYS.items():
        file = root / "sys" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    for name in ("online", "present", "possible"):
        (root / "sys/devices/system/cpu" / name).write_text(Path("/sys/devices/system/cpu", name).read_text())
    return root


def _native_tools(root: Path) -> None:
    bin_dir = root / "system/bin"
    shutil.copy2(MKSH, bin_dir / "sh")
    shutil.copy2(TOYBOX, bin_dir / "toybox")
    (crypto,) = (path for path in libraries_of([ADBD]) if path.name.startswith("libcrypto"))
    digest = bin_dir / "sha256sum"
    subprocess.run(["g++", "-O2", "-o", digest, _SHA256SUM, crypto, f"-Wl,-rpath,{crypto.parent}"], check=True)
    _copy_to(root, libraries_of([TOYBOX, digest]))


def _aarch64_tools(root: Path) -> None:
    """The same tools of Debian's other architecture; the C library is the cross compiler's."""
    shutil.copy2(debian.unpacked("mksh", "arm64") / "bin/mksh-static", root / "system/bin/sh")
    shutil.copy2(debian.unpacked("toybox", "arm64") / "bin/toybox", root / "system/bin/toybox")
    libraries = root / "lib/aarch64-linux-gnu"
    libraries.mkdir(parents=True, exist_ok=True)
    for library in [*_SYSROOT.glob("lib*.so.*"), *debian.unpacked("libcrypt1", "arm64").glob("lib/*/libcrypt.so.1")]:
        shutil.copyfile(library, libraries / library.name)
    shutil.copyfile(_SYSROOT / "ld-linux-aarch64.so.1", root / "lib/ld-linux-aarch64.so.1")
    (root / "lib/ld-linux-aarch64.so.1").chmod(0o755)


def _copy_to(root: Path, files: Iterable[Path]) -> None:
    for file in files:
        target = root / file.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
        target.chmod(0o755)


def _script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def require_authorisation(root: Path) -> None:
    """Turn on what Debian compiled off: adbd asks for a key that is in /data/misc/adb/adb_keys.

    Debian's patch has main() store a 0 in `auth_required`, just before it looks for ADB_TRACE in the environment; the copy
    in `root` stores a 1. Raises AssertionError when the code does not look like that.
    """
    adbd = root / "system/bin/adbd"
    code = adbd.read_bytes()
    # lea auth_required(%rip),%rax · movb $0,(%rax) · lea name(%rip),%rdi · call getenv · test %rax,%rax · je
    store = rb"\x48\x8d\x05.{4}\xc6\x00(\x00)\x48\x8d\x3d.{4}\xe8.{4}\x48\x85\xc0\x74"
    places = [match.start(1) for match in re.finditer(store, code, re.DOTALL)]
    assert len(places) == 1, f"this adbd is another one: {len(places)} places look like Debian's switch for authorisation"
    patched = bytearray(code)
    patched[places[0]] = 1
    adbd.unlink()
    adbd.write_bytes(patched)
    os.chmod(adbd, 0o755)
