"""Weights from the hub, by its own client, from a server on this host that answers as the hub does."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from exporter.subjects.zoo.vision_import import zoo_module
from tests.exporter.subjects.test_zoo_models import image_data, text_data, text_folder

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LOAD = """
import sys, json, pathlib
from edgedeploy.errors import UserError
from exporter.subjects import load
try:
    subject = load(sys.argv[1], pathlib.Path(sys.argv[2]) if sys.argv[2] else None)
except UserError as error:
    print(json.dumps({"error": str(error)}))
else:
    weights = subject.model(False, None)
    print(json.dumps({"origin": weights.origin, "classes": subject.signature.outputs[0].shape[1], "digest": weights.digest}))
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder whose <organisation>/<name>/<file> are served, and the server's address."""
    served = tmp_path / "served"
    served.mkdir()

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            path = self.path.split("?")[0].lstrip("/")
            content: bytes | None = None
            if path.startswith("api/models/"):
                repository = "/".join(path.split("/")[2:4])
                names = [{"rfilename": file.name} for file in (served / repository).iterdir()]
                content = json.dumps({"id": repository, "sha": COMMIT, "siblings": names}).encode()
            elif "/resolve/" in path:
                repository, _, rest = path.partition("/resolve/")
                file = served / repository / rest.split("/", 1)[1]
                content = file.read_bytes() if file.is_file() else None
            if content is None:
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield served, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


def loaded(name: str, data: Path | None, endpoint: str, cache: Path) -> dict[str, object]:
    """`load` in a process of its own: the client reads where the hub is when it is imported."""
    proxies = {"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HF_HUB_OFFLINE"}
    environment = {name: value for name, value in os.environ.items() if name not in proxies}
    environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "HF_HUB_CACHE": str(cache), "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, name, str(data or "")],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_a_text_model_by_name_on_the_hub(hub: tuple[Path, str], tmp_path: Path) -> None:
    served, endpoint = hub
    text_folder(served / "someone" / "some-bert", "bert")
    (served / "someone" / "some-bert" / "pytorch_model.bin").write_bytes(b"a pickle")
    data = text_data(tmp_path / "data.npz", 16, 3, types=True)
    found = loaded("hf:someone/some-bert:16", data, endpoint, tmp_path / "cache")
    assert (found.get("origin"), found.get("classes")) == ("hub", 3), found
    assert not list((tmp_path / "cache").rglob("*.bin"))
    # what was fetched is there without the hub
    assert loaded("hf:someone/some-bert:16", data, "https://hub.invalid", tmp_path / "cache") == found


def test_a_timm_model_by_name_on_the_hub(hub: tuple[Path, str], tmp_path: Path) -> None:
    served, endpoint = hub
    timm = zoo_module("timm")
    repository = served / timm.get_pretrained_cfg("mobilenetv3_small_050.lamb_in1k").hf_hub_id
    repository.mkdir(parents=True)
    save_file(timm.create_model("mobilenetv3_small_050").state_dict(), repository / "model.safetensors")
    data = image_data(tmp_path / "data.npz", 32, 1000)
    found = loaded("timm:mobilenetv3_small_050.lamb_in1k:32", data, endpoint, tmp_path / "cache")
    assert (found.get("origin"), found.get("classes")) == ("hub", 1000), found


def test_a_timm_model_without_data_is_out_of_reach_before_it_lacks_data(tmp_path: Path) -> None:
    found = loaded("timm:resnet18", None, "https://hub.invalid", tmp_path / "cache")
    assert "hub.invalid is out of reach" in str(found.get("error")), found


def test_a_timm_model_that_can_be_had_needs_data(hub: tuple[Path, str], tmp_path: Path) -> None:
    found = loaded("timm:resnet18", None, hub[1], tmp_path / "cache")
    assert "needs examples: --data" in str(found.get("error")), found


def test_a_model_that_is_only_a_pickle_on_the_hub_is_refused(hub: tuple[Path, str], tmp_path: Path) -> None:
    served, endpoint = hub
    text_folder(served / "someone" / "old-bert", "bert")
    (served / "someone" / "old-bert" / "model.safetensors").rename(served / "someone" / "old-bert" / "pytorch_model.bin")
    data = text_data(tmp_path / "data.npz", 16, 3, types=True)
    found = loaded("hf:someone/old-bert:16", data, endpoint, tmp_path / "cache")
    assert "no model.safetensors" in str(found.get("error")), found


@pytest.mark.parametrize("name", ["hf:someone/some-bert", "bert-base", "wide-resnet-101"])
def test_a_hub_out_of_reach_is_said_with_the_way_out(tmp_path: Path, name: str) -> None:
    data = tmp_path / "data.npz"
    if name == "wide-resnet-101":
        image_data(data, 224, 1000)
    else:
        np.savez(data, none=np.zeros(1))
    found = loaded(name, data, "https://hub.invalid", tmp_path / "cache")
    assert "hub.invalid is out of reach" in str(found.get("error")), found
    assert ("--weights random" in str(found["error"])) == (name != "hf:someone/some-bert")
