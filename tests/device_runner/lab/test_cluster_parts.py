"""What a cluster stands on, without Ray: who is let in, what is refused, names, artifacts on their way."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from device_runner.lab import plan_file
from device_runner.lab.cluster import connecting, invitation, naming, security, serving, shipping
from device_runner.lab.cluster.blobs import PIECE_BYTES, Blobs
from device_runner.lab.cluster.home import Address, Home
from device_runner.lab.cluster.roster import Roster
from device_runner.lab.expanding import expand
from edgedeploy.errors import UserError
from tests.device_runner import tiny
from tests.device_runner.lab.conftest import Clock

BEYOND = Address("10.0.0.5", 6399)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").make()


@pytest.mark.parametrize("text", ["lab.example:6399", "10.0.0.5:80", "10.0.0.5:x", "10.0.0.5:99999", "10.0.0", "", "::1"])
def test_an_address_is_numbers(text: str) -> None:
    with pytest.raises(UserError, match=r"head's address is|port is from"):
        Address.parse(text)
    assert str(Address.parse("10.0.0.5")) == "10.0.0.5:6399"


def test_ports_beyond_the_loopback_need_tls_or_a_word(home: Home) -> None:
    security.check(Address("127.0.0.1", 6399), has_tls=False, insecure=False)
    # Ray listens on all interfaces with this one too
    for address in (BEYOND, Address("127.0.0.2", 6399)):
        with pytest.raises(UserError, match="--insecure-no-tls"):
            security.check(address, has_tls=False, insecure=False)
    security.check(BEYOND, has_tls=True, insecure=False)
    security.check(BEYOND, has_tls=False, insecure=True)


def test_ray_is_told_of_token_and_certificates_and_of_nothing_else(home: Home) -> None:
    home.make_token()
    said = security.environment(home, BEYOND, {"PATH": "/bin", "RAY_AUTH_MODE": "disabled", "RAY_ADDRESS": "10.9.9.9:1"})
    assert said["RAY_AUTH_MODE"] == "token"
    assert said["RAY_AUTH_TOKEN_PATH"] == str(home.token)
    assert said["RAY_USAGE_STATS_ENABLED"] == "0"
    assert "RAY_ADDRESS" not in said
    assert said["RAY_USE_TLS"] == "0"
    assert home.token.stat().st_mode & 0o777 == 0o600
    assert home.root.stat().st_mode & 0o777 == 0o700


def test_a_head_beyond_the_loopback_makes_certificates_and_invites_with_one_for_each_host(home: Home, tmp_path: Path) -> None:
    serving.prepare_head(home, BEYOND, insecure=False)
    assert security.environment(home, BEYOND)["RAY_USE_TLS"] == "1"
    made = invitation.write(home, BEYOND, "lab1", "10.0.0.6")
    file = tmp_path / "lab1.join"
    file.write_text(made.model_dump_json())
    host = Home(tmp_path / "host")
    joined = invitation.accept(invitation.read(file), host)
    assert (joined.head, joined.name, joined.host) == ("10.0.0.5:6399", "lab1", "10.0.0.6")
    assert host.has_tls()
    assert not host.authority_key.exists()
    assert host.token.read_text() == home.token.read_text()
    # what another program than ours says of them: each end takes the other's, by its address
    handshake(home, host, "10.0.0.6")
    handshake(host, home, "10.0.0.5")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(home, host, "10.0.0.7")
    # the same authority again, so that hosts that were invited before stay in
    before = home.authority.read_bytes()
    serving.prepare_head(home, BEYOND, insecure=False)
    assert home.authority.read_bytes() == before


def handshake(client: Home, server: Home, address: str) -> None:
    """Of OpenSSL with itself, each end with its certificate. Raises ssl.SSLError."""
    ours = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(client.authority))
    ours.load_cert_chain(client.certificate, client.key)
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(server.authority))
    theirs.load_cert_chain(server.certificate, server.key)
    theirs.verify_mode = ssl.CERT_REQUIRED
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        ours.wrap_bio(to_client, to_server, server_hostname=address), theirs.wrap_bio(to_server, to_client, server_side=True),
    ]  # fmt: skip
    done: set[int] = set()
    for turn in range(20):
        try:
            ends[turn % 2].do_handshake()
            done.add(turn % 2)
        except ssl.SSLWantReadError:
            continue
    assert done == {0, 1}


def test_an_invitation_to_a_head_on_the_loopback_is_for_this_machine(home: Home) -> None:
    serving.prepare_head(home, Address("127.0.0.1", 6399), insecure=False)
    assert not invitation.write(home, Address("127.0.0.1", 6399), "lab1", "127.0.0.1").certificate
    with pytest.raises(UserError, match="--listen ADDRESS"):
        invitation.write(home, Address("127.0.0.1", 6399), "lab1", "10.0.0.6")
    with pytest.raises(UserError, match="--address"):
        invitation.write(home, BEYOND, "lab1", "127.0.0.1")
    with pytest.raises(UserError, match="called by letters"):
        invitation.write(home, Address("127.0.0.1", 6399), "../lab1", "127.0.0.1")


@pytest.mark.parametrize("content", ["", "{}", '{"edgedeploy_lab_invitation": 1, "head": "x"}', "\0\0", "[" * 2000])
def test_what_is_no_invitation_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "x.join"
    file.write_text(content)
    with pytest.raises(UserError, match="is no invitation"):
        invitation.read(file)
    with pytest.raises(UserError, match="no such file"):
        invitation.read(tmp_path / "nothing.join")


def test_a_cluster_that_this_host_is_not_of_is_said_with_the_one_it_is_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEDEPLOY_STATE", str(tmp_path))
    with pytest.raises(UserError, match=r"not of the cluster 10\.0\.0\.5:6399: join it"):
        invitation.membership(BEYOND)
    serving.prepare_head(Home.of_head(), Address("127.0.0.1", 7000), insecure=False)
    with pytest.raises(UserError, match=r"it is of 127\.0\.0\.1:7000"):
        invitation.membership(BEYOND)


def test_another_version_is_one_sentence() -> None:
    here = connecting.versions()
    assert connecting.difference(here, here, "the head") == ""
    for name in here:
        said = connecting.difference(here, {**here, name: "0.1"}, "the head")
        assert f"this host has {name} {here[name]}, the head has 0.1" in said


def test_rays_directory_is_short_enough_for_its_sockets(tmp_path: Path) -> None:
    home = Home(tmp_path / ("long" * 20)).make()
    short = home.ray_directory()
    assert len(str(short)) <= 39
    assert short.resolve() == (home.root / "ray").resolve()
    # the same one the next time, and another where somebody has put something in its place
    assert home.ray_directory() == short
    short.unlink()
    short.symlink_to(tmp_path)
    assert home.ray_directory() != short
    assert home.ray_directory().resolve() == (home.root / "ray").resolve()


HOSTS: list[dict[str, Any]] = [
    {"name": "lab1", "devices": [{"name": "pixel7", "tier": "mobile", "labels": ["fast"], "model": "Pixel 7"},
                                 {"name": "local", "tier": "", "labels": [], "model": ""}]},
    {"name": "lab2", "devices": [{"name": "rpi5", "tier": "edge", "labels": ["fast"], "model": ""},
                                 {"name": "local", "tier": "", "labels": [], "model": ""}]},
]  # fmt: skip


def test_devices_of_many_hosts_by_name() -> None:
    there = naming.Everywhere(HOSTS)
    assert there.resolve("pixel7") == there.resolve("Pixel 7") == there.resolve("pix*@lab1") == "pixel7@lab1"
    with pytest.raises(UserError, match="can be 2 devices: local@lab1, local@lab2"):
        there.resolve("local")
    with pytest.raises(UserError, match="did you mean"):
        there.resolve("pixel8")


def test_a_plan_names_devices_of_all_hosts(tmp_path: Path) -> None:
    tiny.write_bundle(tmp_path / "one")
    file = tmp_path / "plan.yaml"
    file.write_text(
        "name: p\nout: s3://lab/runs\nexperiments:\n  - {artifacts: [one], devices: ['label:fast', '*@lab2'], run_on: any}\n"
    )
    (job,) = expand(plan_file.read(file), tmp_path, None, None, naming.Everywhere(HOSTS))
    assert job.pool == ("local@lab2", "pixel7@lab1", "rpi5@lab2")
    assert job.work["out"] == "s3://lab/runs"
    assert expand(plan_file.read(file), tmp_path, None, tmp_path / "o", naming.Everywhere(HOSTS))[0].work["out"] == str(
        tmp_path / "o"
    )
    with pytest.raises(UserError, match="all hosts have"):
        expand(plan_file.read(file), tmp_path, None, Path("gs://lab/runs"), naming.Everywhere(HOSTS))


def test_a_host_that_is_away_is_known_for_a_week_also_by_the_next_head(tmp_path: Path, clock: Clock) -> None:
    roster = Roster(tmp_path / "hosts.json", clock)
    roster.tell(HOSTS)
    clock.turn(30 * 86400)
    roster.tell(HOSTS[:1])
    clock.turn(6 * 86400)
    # one that has just joined has not told of its devices yet
    roster.tell([HOSTS[0], {"name": "lab3", "devices": []}])
    assert [each["name"] for each in Roster(tmp_path / "hosts.json", clock).hosts()] == ["lab1", "lab2"]
    clock.turn(2 * 86400)
    roster.tell(HOSTS[:1])
    assert [each["name"] for each in roster.hosts()] == ["lab1"]
    (tmp_path / "hosts.json").write_text("{")
    assert Roster(tmp_path / "hosts.json", clock).hosts() == []


class Directly:
    """A line to blobs in this process."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def raw(self, method: str, *arguments: Any, wait_sec: float = 0) -> Any:
        if method == "write":
            *rest, last = arguments
            try:
                self._blobs.write(*rest, last=last)
            except UserError as error:
                return str(error)
            return ""
        return getattr(self._blobs, method)(*arguments)


def test_artifacts_arrive_as_they_were_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEDEPLOY_CACHE", str(tmp_path / "cache"))
    line: Any = Directly(Blobs(tmp_path / "blobs"))
    bundle, model = tiny.write_bundle(tmp_path / "one"), tmp_path / "large.onnx"
    model.write_bytes(b"x" * (PIECE_BYTES + 7))
    known: dict[Path, shipping.Listing] = {}
    listings = shipping.together([bundle, model], known)
    said: list[str] = []
    shipping.send(line, known, said.append)
    shipping.send(line, known, said.append)
    assert len(said) == 1
    there = [shipping.fetched(line, each) for each in listings]
    assert [each.name for each in there] == ["one", "large.onnx"]
    assert there[1].read_bytes() == model.read_bytes()
    for file in bundle.rglob("*"):
        if file.is_file():
            assert (there[0] / file.relative_to(bundle)).read_bytes() == file.read_bytes()
    assert shipping.fetched(line, listings[0]) == there[0]


@pytest.mark.parametrize("name", ["../out", "/etc/x", "a/../../b", "a\\b"])
def test_a_listing_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    line: Any = Directly(Blobs(tmp_path / "blobs"))
    for listing in ({"name": name, "files": {"": "0" * 64}}, {"name": "one", "files": {name: "0" * 64}}):
        with pytest.raises(UserError, match="no name of a file"):
            shipping.fetched(line, listing)


def test_what_is_not_what_its_digest_says_is_not_kept(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    with pytest.raises(UserError, match="another content"):
        blobs.write("0" * 64, 0, b"x", last=True)
    assert list(tmp_path.iterdir()) == []
    for digest in ("../x", "0" * 63, "A" * 64):
        with pytest.raises(UserError, match="no sha256"):
            blobs.missing([digest])
