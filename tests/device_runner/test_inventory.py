"""devices.yaml: errors that help, edits that lose nothing somebody wrote; and devices found by what they are called."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from device_runner.inventory import discover, edit, file, known, resolve
from device_runner.inventory.address import identity, parse
from device_runner.inventory.schema import Entry
from device_runner.transports.base import Target
from edgedeploy.errors import TransientError, UserError

WRITTEN = """\
# our lab

devices:
    # on the window sill
    pixel7:   # Anna's
        transport: adb
        address: "28251FDH2000AB"
        tier: mobile
        labels: [arm64, "lab:3"]
        limits: {max_temperature_c: 38, min_battery_percent: 40}
        # it swells when it is hot

    # the board
    rpi5:
        transport: ssh
        address: pi@192.168.1.20:2222
        settings: {strict: true, port: 22}
        cores: [2, 3]
        threads: 2
# the end
"""


@pytest.fixture
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "devices.yaml"
    path.write_text(WRITTEN)
    monkeypatch.setenv("EDGEDEPLOY_DEVICES", str(path))
    return path


Attach = Callable[..., None]


@pytest.fixture
def attach(monkeypatch: pytest.MonkeyPatch) -> Attach:
    """What adb says is attached; the adb transport's own tests have it from a real server."""

    def set_to(*phones: discover.Phone) -> None:
        monkeypatch.setattr(discover, "attached", lambda: list(phones))

    set_to()
    return set_to


def test_a_device_is_what_the_file_says_of_it(inventory: Path) -> None:
    pixel = resolve("pixel7")
    assert (pixel.target, pixel.tier, pixel.labels) == (Target("adb", "28251FDH2000AB"), "mobile", ("arm64", "lab:3"))
    assert (pixel.gates.max_temperature_c, pixel.gates.min_battery_percent, pixel.gates.max_load) == (38, 40, None)
    board = resolve("rpi5")
    # numbers and truths of YAML are the text that was meant
    assert board.target == Target("ssh", "pi@192.168.1.20:2222", {"strict": "true", "port": "22"})
    assert (board.cores, board.threads) == ((2, 3), 2)


def test_where_the_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, here, stated, variable = (
        tmp_path / name for name in ("home/.config/edgedeploy", "here", "stated.yaml", "variable.yaml")
    )
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("EDGEDEPLOY_DEVICES", raising=False)
    for directory in (home, here):
        directory.mkdir(parents=True)
    monkeypatch.chdir(here)
    assert file.locate() is None
    assert file.to_write() == home / "devices.yaml"
    (home / "devices.yaml").write_text("devices:\n")
    assert file.locate() == home / "devices.yaml"
    (here / "devices.yaml").write_text("devices:\n")
    assert file.locate() == Path("devices.yaml")
    monkeypatch.setenv("EDGEDEPLOY_DEVICES", str(variable))
    with pytest.raises(UserError, match=r"EDGEDEPLOY_DEVICES\); unset the variable"):
        file.locate()
    variable.write_text("devices:\n")
    assert file.locate() == variable
    with pytest.raises(UserError, match=r"stated\.yaml: no such file \(--devices\)"):
        file.locate(stated)
    assert file.to_write(stated) == stated


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("devices:\n  a:\n    transport: adb\n    address: x\n    limits: {max_lod: 1}\n", 5, "max_temperature_c, max_load"),
        ("devices:\n  a: {transport: adb, address: x, prepare: {turbo: yes}}\n", 2, "governor, stay_awake"),
        ("devices:\n  a: {transport: adb, address: x, colour: red}\n", 2, "labels, threads"),
        ("device:\n  a: {transport: local}\n", 1, "schema_version, devices"),
        ("devices:\n  a:\n    transport: adb\n    address: 0123\n", 4, "quotes"),
        ("devices:\n  a:\n    transport: usb\n", 3, "'local', 'adb' or 'ssh'"),
        ("devices:\n  a: {transport: ssh}\n", 2, "USER@HOST:PORT"),
        ("devices:\n  a: {transport: ssh, address: '-oProxyCommand=reboot'}\n", 2, "not an ssh address"),
        ("devices:\n  a: {transport: adb, address: 'x; reboot'}\n", 2, "not an adb address"),
        ("devices:\n  a: {transport: local, address: x}\n", 2, "no address"),
        ("devices:\n  ../a: {transport: local}\n", 2, "letters, digits"),
        ("devices:\n  a: {transport: local, cores: [0, 0]}\n", 2, "once"),
        ("devices:\n  a: {transport: local, threads: true}\n", 2, "integer"),
        ("devices:\n  a: {transport: local, limits: {max_load: .nan}}\n", 2, "finite"),
        ("devices:\n  a: {transport: local}\n  b: 3\n", 3, "below it"),
        ("devices:\n  a: {transport: local}\n  a: {transport: local}\n", 3, "'a' is there twice"),
        ("devices:\n  a: &one {transport: local}\n  b: *one\n", 3, "aliases"),
        ("devices:\n  a:\n\ttransport: local\n", 3, "not YAML"),
        ("devices: {a: !!python/object/apply:os.system [reboot]}\n", 1, "not YAML"),
        ("devices:\n  local: {transport: ssh, address: far}\n", 1, "local is this host"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    path = tmp_path / "devices.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as raised:
        file.read(path)
    assert str(raised.value).startswith(f"{path}:{line}: ")
    assert says in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [b"[" * 5000, b"- a\n", b"\xff\xfe", b"devices: " + b"x" * file.MAX_BYTES, b"\x00", b"%YAML 9.9\n---\na\n", b"=: 1\n"],
)
def test_what_is_no_inventory_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "devices.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"devices\.yaml"):
        file.read(path)


def phone(serial: str, model: str, state: str = "device") -> discover.Phone:
    return discover.Phone(serial, state, model)


@pytest.mark.parametrize("called", ["pixel7", "28251FDH2000AB", "Pixel 7", "pixel_7", "PIXEL7", "pix*", "2825*"])
def test_a_named_phone_by_what_it_is_called(inventory: Path, attach: Attach, called: str) -> None:
    attach(phone("28251FDH2000AB", "Pixel_7"), phone("emulator-5554", "sdk_gphone64"))
    assert resolve(called).name == "pixel7"


@pytest.mark.parametrize("called", ["R5CT", "Galaxy S22", "galaxys22", "galaxy-s22", "gal*", "R5*"])
def test_a_phone_that_no_file_names(inventory: Path, attach: Attach, called: str) -> None:
    attach(phone("R5CT", "Galaxy_S22"))
    found = resolve(called)
    assert (found.name, found.target, found.tier, found.model) == ("R5CT", Target("adb", "R5CT"), "mobile", "Galaxy_S22")
    # and by the name it has in a record it is found again
    assert resolve(found.name) == found


def test_a_name_stands_before_a_model(inventory: Path, attach: Attach) -> None:
    attach(phone("R5CT", "Pixel_7"), phone("other", "rpi5"))
    assert resolve("rpi5").target.transport == "ssh"
    assert resolve("pixel7").target.address == "28251FDH2000AB"


def test_an_ambiguous_name_lists_its_matches(inventory: Path, attach: Attach) -> None:
    attach(phone("one", "Pixel_6"), phone("two", "Pixel_6"), phone("three", "Pixel_8"))
    with pytest.raises(UserError, match=r"can be 2 devices: one \(adb:one, Pixel_6\), two \(adb:two, Pixel_6\); name one"):
        resolve("Pixel 6")
    with pytest.raises(UserError, match="can be 4 devices"):
        resolve("*pixel*")


def test_an_unknown_name_is_told_what_there_is(inventory: Path, attach: Attach, monkeypatch: pytest.MonkeyPatch) -> None:
    attach(phone("R5CT", "Galaxy_S22"))
    with pytest.raises(UserError, match=r"did you mean pixel7\? known: local .*, pixel7 .*, rpi5 .*, R5CT"):
        resolve("pixel8")
    with pytest.raises(UserError, match="no device"):
        resolve("x" * 10_000 + "[")

    def broken() -> list[discover.Phone]:
        raise TransientError("adb does not answer")

    monkeypatch.setattr(discover, "attached", broken)
    with pytest.raises(UserError, match="adb does not answer"):
        resolve("pixel8")
    assert resolve("pixel7").target.transport == "adb"
    assert known().trouble


def test_local_is_always_there_and_may_be_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "devices.yaml"
    monkeypatch.setenv("EDGEDEPLOY_DEVICES", str(path))
    path.write_text("devices:\n")
    assert resolve("local").target == Target("local")
    path.write_text("devices:\n  local: {transport: local, tier: cloud, threads: 3}\n")
    assert (resolve("local").tier, resolve("local").threads) == ("cloud", 3)


@pytest.mark.parametrize(
    ("typed", "target"),
    [
        ("ssh://pi@board:2222", Target("ssh", "pi@board:2222")),
        ("ssh://board", Target("ssh", "board")),
        ("ssh://pi@[fe80::1]:22", Target("ssh", "pi@[fe80::1]:22")),
        ("adb:28251FDH2000AB", Target("adb", "28251FDH2000AB")),
        ("adb:192.168.1.5:5555", Target("adb", "192.168.1.5:5555")),
        ("adb://192.168.1.5:5555", Target("adb", "192.168.1.5:5555")),
    ],
)
def test_an_address_as_typed(typed: str, target: Target) -> None:
    found = resolve(typed)
    assert (found.name, found.target) == (typed, target)


@pytest.mark.parametrize(
    "typed", ["adb:", "ssh://", "ssh:board", "ssh://a b", "ssh://h:99999", "ssh://-o@h", "adb:-s", "adb:a\nb"]
)
def test_an_address_that_is_none(typed: str) -> None:
    with pytest.raises(UserError):
        resolve(typed)


def test_the_same_board_under_two_logins_is_one() -> None:
    assert identity(parse("ssh://pi@Board")) == identity(parse("ssh://root@board:22"))
    assert identity(parse("ssh://board:23")) != identity(parse("ssh://board"))
    assert identity(parse("adb:a")) != identity(parse("adb:b"))


NEW = Entry(transport="adb", address="0123", labels=("a", "b"))


def test_adding_leaves_everything_else_as_it_was(inventory: Path) -> None:
    inventory.chmod(0o600)
    edit.add(inventory, "new", NEW)
    text = inventory.read_text()
    added = "    new:\n      transport: adb\n      address: '0123'\n      labels: [a, b]\n"
    assert text == WRITTEN.replace("# the end\n", added + "# the end\n")
    assert resolve("new").target.address == "0123"
    assert inventory.stat().st_mode & 0o777 == 0o600
    edit.remove(inventory, "new")
    assert inventory.read_text() == WRITTEN


def test_removing_takes_only_the_devices_own_lines(inventory: Path) -> None:
    edit.remove(inventory, "pixel7")
    assert inventory.read_text() == (
        "# our lab\n\ndevices:\n    # on the window sill\n        # it swells when it is hot\n\n    # the board\n"
        + WRITTEN[WRITTEN.index("    rpi5:") :]
    )
    edit.remove(inventory, "rpi5")
    assert file.read(inventory).inventory.devices == {}
    edit.add(inventory, "pixel7", NEW)
    assert list(file.read(inventory).inventory.devices) == ["pixel7"]


def test_a_name_that_is_taken_or_not_there_changes_nothing(inventory: Path) -> None:
    with pytest.raises(UserError, match="edgedeploy devices remove pixel7"):
        edit.add(inventory, "pixel7", NEW)
    with pytest.raises(UserError, match="there is: pixel7, rpi5"):
        edit.remove(inventory, "new")
    assert inventory.read_text() == WRITTEN


@pytest.mark.parametrize(
    "text", ["devices: {a: {transport: local}, b: {transport: local}}\n", "{devices: {a: {transport: local}}}\n"]
)
def test_what_cannot_be_edited_safely_is_left_to_a_person(tmp_path: Path, text: str) -> None:
    path = tmp_path / "devices.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match="add these lines by hand:\n  new:"):
        edit.add(path, "new", NEW)
    with pytest.raises(UserError, match="take a out by hand"):
        edit.remove(path, "a")
    assert path.read_text() == text


def test_a_link_to_the_file_stays_a_link_and_windows_lines_stay(tmp_path: Path) -> None:
    real, link = tmp_path / "dotfiles.yaml", tmp_path / "devices.yaml"
    real.write_bytes(b"devices:\r\n  a: {transport: local}\r\n")
    link.symlink_to(real.name)
    edit.add(link, "new", NEW)
    assert link.is_symlink()
    assert b"\n" not in real.read_bytes().replace(b"\r\n", b"")
    assert list(file.read(link).inventory.devices) == ["a", "new"]


def test_a_last_line_without_an_end_is_not_run_into(tmp_path: Path) -> None:
    path = tmp_path / "devices.yaml"
    path.write_text("devices:\n  a: {transport: local}\nschema_version: 1")
    edit.add(path, "new", NEW)
    assert list(file.read(path).inventory.devices) == ["a", "new"]


def _add_one(path: Path, index: int) -> None:
    edit.add(path, f"d{index}", NEW)


def test_two_who_add_at_once_both_have_it(tmp_path: Path) -> None:
    path = tmp_path / "devices.yaml"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_add_one, args=(path, index)) for index in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert sorted(file.read(path).inventory.devices) == ["d0", "d1", "d2"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["devices.yaml"]


NAMES = st.sampled_from(["a", "b", "7", "null", "on", "x.y-z"])
ENTRIES = st.builds(
    Entry, transport=st.just("adb"), address=st.sampled_from(["x", "0123", "1e3", "yes", "h:5555", "null", "a#b"]),
    tier=st.sampled_from(["", "edge"]), labels=st.lists(st.sampled_from(["q", "r:s", "1"]), max_size=2).map(tuple),
    settings=st.dictionaries(st.sampled_from(["k", "l"]), st.text(max_size=12), max_size=2),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.tuples(NAMES, ENTRIES), max_size=8))
def test_any_order_of_adding_and_removing_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, Entry]]
) -> None:
    path = tmp_path_factory.mktemp("inventory") / "devices.yaml"
    path.write_text(WRITTEN)
    expected = dict(file.read(path).inventory.devices)
    for name, entry in steps:
        if name in expected:
            edit.remove(path, name)
            del expected[name]
        else:
            edit.add(path, name, entry)
            expected[name] = entry
        assert file.read(path).inventory.devices == expected
    comments = [line for line in WRITTEN.splitlines() if line.strip().startswith("#")]
    assert [line for line in path.read_text().splitlines() if line.strip().startswith("#")] == comments
    assert isinstance(yaml.safe_load(path.read_text()), dict)
