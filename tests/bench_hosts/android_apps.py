"""Apps on the phone of adbd.py: stand-ins for Android's `pm`, `am` and `run-as`, and a JVM in the place of Android's runtime.

`pm` keeps what it is given and makes the app a directory that only the app's own user enters. `am instrument` starts the app's
Java core with its JNI library, this host's builds of both, as that user, and prints what Android prints; there is no screen, no
service and no heat. What an installed APK holds is never looked at: nothing here can run it.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from device_runner import bundles
from device_runner.app import desktop, native, tools
from device_runner.app.sources import ID
from tests.bench_hosts.adbd import Phone

_RUN_AS = Path(__file__).with_name("run_as.cpp")
_UID = 10123
_LOG = "/data/calls.log"
#: what a JVM opens by itself, which its program does not name
_JVM_LIBRARIES = ("libjava.so", "libjli.so", "libnio.so", "libnet.so", "libzip.so", "libverify.so", "server/libjvm.so")

_PM = f"""#!/system/bin/sh
echo "pm $*" >> {_LOG}
package={ID}
case "$1" in
install)
  [ ! -f /data/refuse ] || {{ read -r why < /data/refuse; echo "Failure [$why]"; exit 1; }}
  size=; while [ $# -gt 0 ]; do [ "$1" = -S ] && size=$2; shift; done
  mkdir -p /data/app && cat > /data/app/base.apk
  set -- $(ls -ln /data/app/base.apk)
  [ "$5" = "$size" ] || {{ echo "Failure [INSTALL_PARSE_FAILED_NOT_APK: $5 of $size bytes]"; exit 1; }}
  mkdir -p /data/data/$package/files
  touch /data/data/$package/debuggable
  chmod 700 /data/data/$package && chown -R {_UID}:{_UID} /data/data/$package
  [ ! -f /data/release ] || rm /data/data/$package/debuggable
  echo Success ;;
path) [ -d /data/data/$2 ] && echo "package:/data/app/base.apk" ;;
uninstall)
  [ -d /data/data/$2 ] || {{ echo "Failure [DELETE_FAILED_INTERNAL_ERROR]"; exit 1; }}
  am force-stop $2
  rm -rf /data/data/$2 /data/app/base.apk; echo Success ;;
*) echo "Unknown command: $1" >&2; exit 255 ;;
esac
"""
_AM = f"""#!/system/bin/sh
echo "am $*" >> {_LOG}
package={ID}
case "$1" in
force-stop)
  for status in /proc/[0-9]*/status; do
    pid=${{status#/proc/}}; pid=${{pid%/status}}
    case "$(grep '^Uid:' $status 2>/dev/null)" in *{_UID}*) kill -9 $pid ;; esac
  done
  exit 0 ;;
instrument) ;;
*) echo "Unknown command: $1" >&2; exit 255 ;;
esac
shift
command=plan
while [ $# -gt 1 ]; do
  case "$1" in
  -w|-r) shift ;;
  -e) eval "$2=\\$3"; shift 3 ;;
  *) exit 255 ;;
  esac
done
if [ "$1" != "$package/.BenchInstrumentation" ] || [ ! -d /data/data/$package ]; then
  echo "INSTRUMENTATION_STATUS: id=ActivityManagerService"
  echo "INSTRUMENTATION_STATUS: Error=Unable to find instrumentation info for: ComponentInfo{{$1}}"
  echo "INSTRUMENTATION_STATUS_CODE: -1"
  echo "android.util.AndroidException: INSTRUMENTATION_FAILED: $1" >&2
  exit 1
fi
work=/data/data/$package/files/edgedeploy
run-as $package mkdir -p $work/$directory
[ "$command" != describe ] || set -- "$work/$model" "$runtime"
[ "$command" = describe ] || set --
set -o pipefail
run-as $package /app/jre/bin/java -XX:-UsePerfData -XX:+UseSerialGC -Xmx64m -cp /app/classes {ID}.desktop.Desktop \\
  /app/{native.NAME} /app/lib $work/$directory "$command" "$@" 2>/data/app.log | while read -r line; do
  echo "INSTRUMENTATION_STATUS: line=$line"
  echo "INSTRUMENTATION_STATUS_CODE: 0"
done
code=$?
if [ "$code" -gt 128 ]; then
  echo "INSTRUMENTATION_RESULT: shortMsg=Process crashed."
  echo "INSTRUMENTATION_CODE: 0"
else
  echo "INSTRUMENTATION_RESULT: exit=$code"
  echo "INSTRUMENTATION_CODE: -1"
fi
"""


def jre(directory: Path) -> Path:
    """A JVM with nothing that the core does not need."""
    made = directory / "jre"
    if not made.is_dir():
        subprocess.run([tools.jdk("jlink"), "--add-modules", "java.base", "--no-header-files", "--output", made], check=True)
    return made


def guest_files(directory: Path) -> list[Path]:
    """ELF files whose libraries the phone has to have."""
    java = jre(directory)
    runner = bundles.build(bundles.host_abi()).root
    return [java / "bin/java", *(java / "lib" / name for name in _JVM_LIBRARIES), *(runner / "lib").glob("*.so*")]


def put(phone: Phone, directory: Path) -> None:
    """Make of a phone that was built with `guest_files` one that has apps."""
    runner = bundles.build(bundles.host_abi())
    place, programs = phone.inside("/app"), phone.inside("/system/bin")
    place.mkdir()
    shutil.copytree(jre(directory), place / "jre")
    shutil.copytree(desktop.classes(), place / "classes")
    shutil.copytree(runner.lib_dir, place / "lib")
    shutil.copyfile(native.library(runner.manifest.abi, lambda said: None), place / native.NAME)
    subprocess.run(["g++", "-static", "-o", programs / "run-as", _RUN_AS], check=True)
    for name, text in (("pm", _PM), ("am", _AM)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    # by which an Android is known
    (programs / "linker64").touch()
    for found in (place, *place.rglob("*")):
        found.chmod(found.stat().st_mode | (0o055 if found.is_dir() else 0o044))


def calls(phone: Phone) -> list[str]:
    """What pm and am were called with."""
    log = phone.inside(_LOG)
    return log.read_text().splitlines() if log.exists() else []
