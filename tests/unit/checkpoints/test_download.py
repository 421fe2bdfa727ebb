from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deeplab_studio.checkpoints.digest import Digest
from deeplab_studio.checkpoints.download import (
    DownloadError,
    Patience,
    download,
    mirrored,
)
from deeplab_studio.checkpoints.partial import PartialFile, discard
from deeplab_studio.checkpoints.progress import Meter, Progress
from deeplab_studio.core.cancel import Cancelled, CancelToken
from deeplab_studio.core.errors import StudioError
from tests.model_server import CONTENT, SHA256, ModelServer, serving

GOOD = Digest("sha256", SHA256)
QUICK = Patience(connect=5, read=0.3, attempts=3, pause=0.01)
ONCE = Patience(connect=5, read=0.3, attempts=1, pause=0.01)
REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving(ModelServer()) as running:
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "model.pth"


def part_of(target: Path) -> Path:
    return target.with_name("model.pth.part")


def leftovers(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir() if path.is_file() and path != target)


def stopping_at(count: int, token: CancelToken):
    def report(progress: Progress) -> None:
        if progress.received >= count:
            token.cancel()

    return report


# --- The whole file --------------------------------------------------------------------------------------------------


def test_a_file_arrives_complete_checked_and_alone(server: ModelServer, target: Path) -> None:
    seen: list[Progress] = []
    got = download(server.url(), target, digest=GOOD, size=len(CONTENT), progress=seen.append)
    assert target.read_bytes() == CONTENT
    assert (got.path, got.size, got.sha256) == (target, len(CONTENT), SHA256)
    assert leftovers(target) == []
    assert seen[-1].received == seen[-1].total == len(CONTENT)
    assert [p.received for p in seen] == sorted(p.received for p in seen)


def test_a_file_that_is_there_is_not_fetched_again(server: ModelServer, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(CONTENT)
    got = download(server.url(), target, digest=GOOD)
    assert got.sha256 == SHA256
    assert server.behaviour.requests == []


def test_a_wrong_file_of_that_name_is_replaced(server: ModelServer, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"something else")
    download(server.url(), target, digest=GOOD)
    assert target.read_bytes() == CONTENT


def test_without_announced_length_the_end_of_the_answer_counts(server: ModelServer, target: Path) -> None:
    server.behaviour.chunked = True
    assert download(server.url(), target, digest=GOOD).size == len(CONTENT)


def test_without_any_published_hash_the_sha256_is_reported(server: ModelServer, target: Path) -> None:
    assert download(server.url(), target).sha256 == SHA256


@pytest.mark.parametrize("redirect", ["/moved/model.pth", "{base}/moved/model.pth?dl=1"])
def test_redirects_are_followed(server: ModelServer, target: Path, redirect: str) -> None:
    server.behaviour.redirect = redirect.replace("{base}", server.url(""))
    download(server.url(), target, digest=GOOD)
    assert target.read_bytes() == CONTENT
    assert len(server.behaviour.requests) == 2


def test_a_mirror_is_asked_instead(server: ModelServer, target: Path) -> None:
    download("https://example.org/a/model.pth?dl=1", target, digest=GOOD, mirror=server.url("/mirror/"))
    assert target.read_bytes() == CONTENT
    assert server.behaviour.requests[0][0] == "/mirror/https://example.org/a/model.pth?dl=1"


def test_mirror_patterns() -> None:
    url = "https://example.org/a/b/model.pth?dl=1"
    assert mirrored(url, "") == url
    assert mirrored(url, " https://m.example ") == f"https://m.example/{url}"
    assert mirrored(url, "https://m.example/{host}/{path}") == "https://m.example/example.org/a/b/model.pth?dl=1"
    assert mirrored(url, "https://m.example/models/{file}") == "https://m.example/models/model.pth"


# --- Cuts, pauses, resuming ------------------------------------------------------------------------------------------


def test_after_a_cut_it_goes_on_where_it_stopped(server: ModelServer, target: Path) -> None:
    server.behaviour.cut_after = 1_000_000
    download(server.url(), target, digest=GOOD, patience=QUICK)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1000000-"]


def test_a_line_that_breaks_often_still_brings_the_file(server: ModelServer, target: Path) -> None:
    server.behaviour.cut_after = 300_000
    server.behaviour.cuts = 9
    download(server.url(), target, digest=GOOD, patience=Patience(read=5, attempts=5, pause=0.0))
    assert target.read_bytes() == CONTENT
    assert len(server.ranges) == 10


def test_a_server_that_never_gets_far_is_given_up_and_the_part_kept(server: ModelServer, target: Path) -> None:
    server.behaviour.cut_after = 100_000
    server.behaviour.cuts = 100
    with pytest.raises(DownloadError, match=r"model\.pth: the connection broke after .* Go on later") as caught:
        download(server.url(), target, digest=GOOD, patience=QUICK)
    assert caught.value.path == target
    assert not target.exists()
    assert part_of(target).stat().st_size == 300_000


def test_a_server_without_ranges_is_read_from_the_start_again(server: ModelServer, target: Path) -> None:
    server.behaviour.cut_after = 1_000_000
    server.behaviour.ranges = False
    download(server.url(), target, digest=GOOD, patience=QUICK)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1000000-"]


def test_pausing_keeps_what_has_arrived_and_a_later_call_goes_on(server: ModelServer, target: Path) -> None:
    token = CancelToken()
    server.behaviour.pause = 0.01
    with pytest.raises(Cancelled):
        download(server.url(), target, digest=GOOD, cancel=token, progress=stopping_at(500_000, token))
    kept = part_of(target).stat().st_size
    assert 500_000 <= kept < len(CONTENT)
    assert not target.exists()
    server.behaviour.pause = 0.0
    download(server.url(), target, digest=GOOD)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={kept}-"]
    assert leftovers(target) == []


def test_cancelling_works_while_the_server_is_silent(server: ModelServer, target: Path) -> None:
    token = CancelToken()
    server.behaviour.stall_after = 65536
    threading.Timer(0.2, token.cancel).start()
    # The read limit is a minute: only the token can end this before the test's own time runs out.
    with pytest.raises(Cancelled):
        download(server.url(), target, cancel=token, patience=Patience(read=60))
    discard(target)
    assert leftovers(target) == []


def test_a_stall_is_a_break(server: ModelServer, target: Path) -> None:
    server.behaviour.stall_after = 131072
    with pytest.raises(DownloadError, match=r"the server sent nothing for 0\.3 s"):
        download(server.url(), target, patience=ONCE)
    assert part_of(target).stat().st_size == 131072


def test_a_changed_file_on_the_server_is_not_glued_to_the_old_part(server: ModelServer, target: Path) -> None:
    server.behaviour.cut_after = 1_000_000
    with pytest.raises(DownloadError):
        download(server.url(), target, patience=ONCE)
    new = CONTENT[::-1]
    server.behaviour.content, server.behaviour.etag = new, '"two"'
    assert download(server.url(), target, patience=ONCE).sha256 == hashlib.sha256(new).hexdigest()
    assert target.read_bytes() == new


def test_without_validator_and_hash_nothing_is_resumed(server: ModelServer, target: Path) -> None:
    server.behaviour.etag = None
    server.behaviour.cut_after = 1_000_000
    download(server.url(), target, patience=QUICK)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, None]


def test_a_part_from_another_address_is_not_used(server: ModelServer, target: Path) -> None:
    server.behaviour.cut_after = 1_000_000
    with pytest.raises(DownloadError):
        download(server.url("/other.pth"), target, patience=ONCE)
    download(server.url(), target, digest=GOOD)
    assert server.ranges == [None, None]
    assert target.read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_thrown_away(server: ModelServer, target: Path) -> None:
    server.behaviour.cut_after = 1_000_000
    with pytest.raises(DownloadError):
        download(server.url(), target, patience=ONCE)
    with part_of(target).open("ab") as part:
        part.write(bytes(len(CONTENT)))
    download(server.url(), target, digest=GOOD)
    assert target.read_bytes() == CONTENT


def test_a_complete_part_needs_no_request(server: ModelServer, target: Path) -> None:
    server.behaviour.cut_after = 1_000_000
    with pytest.raises(DownloadError):
        download(server.url(), target, patience=ONCE)
    part_of(target).write_bytes(CONTENT)
    download(server.url(), target, digest=GOOD)
    assert target.read_bytes() == CONTENT
    assert len(server.ranges) == 1


@pytest.mark.parametrize("sidecar", ["", "{", "[]", '{"url": 1, "more": 2}'])
def test_a_damaged_note_beside_the_part_means_starting_over(server: ModelServer, target: Path, sidecar: str) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(b"x" * 1000)
    target.with_name("model.pth.part.json").write_text(sidecar)
    download(server.url(), target, digest=GOOD)
    assert target.read_bytes() == CONTENT


def test_discarding_leaves_a_part_alone_that_is_being_written(server: ModelServer, target: Path) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(b"x")
    with PartialFile(target).held():
        discard(target)
        assert part_of(target).exists()
    discard(target)
    assert not part_of(target).exists()


# --- Servers that lie ------------------------------------------------------------------------------------------------


def test_a_wrong_hash_is_refused_and_nothing_stays(server: ModelServer, target: Path) -> None:
    wrong = Digest("sha256", "0" * 64)
    with pytest.raises(DownloadError, match=f"not the published file: its sha256 is {SHA256}") as caught:
        download(server.url(), target, digest=wrong)
    assert "If you have model.pth already, use that file (sha256 0000" in str(caught.value)
    assert not target.exists()
    assert leftovers(target) == []


def test_the_file_that_was_there_survives_a_failed_replacement(server: ModelServer, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"older")
    with pytest.raises(DownloadError):
        download(server.url(), target, digest=Digest("sha256", "0" * 64))
    assert target.read_bytes() == b"older"


def test_announcing_more_than_is_sent_is_noticed(server: ModelServer, target: Path) -> None:
    server.behaviour.announce = len(CONTENT) + 1000
    server.behaviour.ranges = False
    with pytest.raises(DownloadError, match="the connection broke after 3,000,000 bytes"):
        download(server.url(), target, patience=QUICK)
    assert not target.exists()


def test_announcing_less_than_the_published_size_is_refused_at_once(server: ModelServer, target: Path) -> None:
    server.behaviour.announce = 1000
    with pytest.raises(DownloadError, match="offers 1,000 bytes, but the published file has 3,000,000"):
        download(server.url(), target, size=len(CONTENT))
    assert not target.exists()
    assert not part_of(target).exists()


def test_announcing_less_is_noticed_by_the_hash_too(server: ModelServer, target: Path) -> None:
    server.behaviour.announce = 1000
    with pytest.raises(DownloadError, match="not the published file"):
        download(server.url(), target, digest=GOOD)
    assert not target.exists()


def test_more_than_the_published_size_without_announcement_is_cut_off(server: ModelServer, target: Path) -> None:
    server.behaviour.chunked = True
    with pytest.raises(DownloadError, match="more than the 1,000,000 bytes expected"):
        download(server.url(), target, size=1_000_000)
    assert not target.exists()
    assert leftovers(target) == []


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"<!DOCTYPE html><html><body>Log in</body></html>", "text/html; charset=utf-8"),
        (b"\xef\xbb\xbf\n <HTML>Log in</HTML>", "application/octet-stream"),
    ],
)
def test_a_login_page_is_no_model(server: ModelServer, target: Path, content: bytes, kind: str) -> None:
    server.behaviour.content, server.behaviour.content_type = content, kind
    with pytest.raises(DownloadError, match="a web page instead of the file"):
        download(server.url(), target, digest=GOOD, size=len(CONTENT))
    assert not target.exists()


def test_a_login_page_does_not_cost_the_part(server: ModelServer, target: Path) -> None:
    server.behaviour.cut_after = 1_000_000
    with pytest.raises(DownloadError):
        download(server.url(), target, digest=GOOD, patience=ONCE)
    server.behaviour.content, server.behaviour.etag = b"<html>Log in</html>", None
    server.behaviour.content_type, server.behaviour.ranges = "text/html", False
    with pytest.raises(DownloadError, match="web page"):
        download(server.url(), target, digest=GOOD)
    server.behaviour.content, server.behaviour.etag = CONTENT, '"one"'
    server.behaviour.content_type, server.behaviour.ranges = "application/octet-stream", True
    download(server.url(), target, digest=GOOD)
    assert server.ranges[-1] == "bytes=1000000-"
    assert target.read_bytes() == CONTENT


def test_a_git_lfs_pointer_is_no_model(server: ModelServer, target: Path) -> None:
    server.behaviour.content = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"
    with pytest.raises(DownloadError, match="Git LFS pointer"):
        download(server.url(), target)


def test_a_compressed_answer_is_refused(server: ModelServer, target: Path) -> None:
    server.behaviour.extra_headers = {"Content-Encoding": "gzip"}
    with pytest.raises(DownloadError, match="compressed"):
        download(server.url(), target)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_final(server: ModelServer, target: Path, status: int) -> None:
    server.behaviour.status = status
    with pytest.raises(DownloadError, match=rf"the server answers {status} .*publisher's page"):
        download(server.url(), target, patience=QUICK)
    assert len(server.ranges) == 1
    assert not target.exists()


def test_a_server_in_trouble_is_asked_again(server: ModelServer, target: Path) -> None:
    server.behaviour.status, server.behaviour.failing = 503, 1
    download(server.url(), target, digest=GOOD, patience=QUICK)
    assert target.read_bytes() == CONTENT


def test_a_server_that_stays_in_trouble_is_given_up(server: ModelServer, target: Path) -> None:
    server.behaviour.status = 500
    with pytest.raises(DownloadError, match="the server answers 500 Internal Server Error"):
        download(server.url(), target, patience=QUICK)
    assert len(server.ranges) == 2


# --- Addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["http://example.org/model.pth", "ftp://example.org/model.pth", "file:///etc/passwd"])
def test_addresses_that_anyone_on_the_way_could_answer_are_refused(target: Path, url: str) -> None:
    with pytest.raises(DownloadError, match="not encrypted"):
        download(url, target)


def test_a_redirect_to_an_unencrypted_address_is_refused(server: ModelServer, target: Path) -> None:
    server.behaviour.redirect = "http://login.example/portal"
    with pytest.raises(DownloadError, match=r"redirects to one that is not encrypted \(http://login\.example\)"):
        download(server.url(), target)
    assert len(server.behaviour.requests) == 1


def test_redirects_in_a_circle_end(server: ModelServer, target: Path) -> None:
    server.behaviour.redirect = "/again/model.pth"
    with pytest.raises(DownloadError, match="redirects more than 10 times"):
        download(server.url(), target)


def test_no_server_is_one_clear_sentence(target: Path) -> None:
    with serving(ModelServer()) as gone:
        url = gone.url()
    with pytest.raises(DownloadError, match=r"no connection to 127\.0\.0\.1"):
        download(url, target, digest=GOOD, patience=ONCE)


# --- Proxy and certificates of the environment -----------------------------------------------------------------------


def test_the_proxy_of_the_environment_is_used(
    server: ModelServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(ModelServer()) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url(""))
        download(server.url(), target, digest=GOOD)
        assert proxy.hosts == ["127.0.0.1"]
        assert target.read_bytes() == CONTENT


def test_no_proxy_is_honoured(server: ModelServer, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(ModelServer()) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url(""))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        download(server.url(), target, digest=GOOD)
        assert proxy.behaviour.requests == []


def test_a_proxy_that_cannot_be_understood_is_named(
    server: ModelServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "gopher://127.0.0.1:70")
    with pytest.raises(DownloadError, match="the proxy named in the environment cannot be used"):
        download(server.url(), target)


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[tuple[ModelServer, Path]]:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    server = ModelServer()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.scheme = "https"
    with serving(server):
        yield server, certificate


def test_a_certificate_of_the_environment_is_trusted(
    tls_server: tuple[ModelServer, Path], target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, certificate = tls_server
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    download(server.url(), target, digest=GOOD)
    assert target.read_bytes() == CONTENT


def test_an_unknown_certificate_is_refused_with_the_way_out(tls_server: tuple[ModelServer, Path], target: Path) -> None:
    server, _ = tls_server
    with pytest.raises(DownloadError, match=r"certificate is not trusted .* SSL_CERT_FILE"):
        download(server.url(), target, patience=QUICK)


def test_a_missing_certificate_file_is_named(
    server: ModelServer, target: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(DownloadError, match=r"certificates named in the environment .* SSL_CERT_FILE"):
        download(server.url(), target)


# --- Disks -----------------------------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_is_named(server: ModelServer, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    with pytest.raises(StudioError, match="cannot be written to"):
        download(server.url(), tmp_path / "models" / "model.pth")
    assert server.behaviour.requests == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for 2 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(server: ModelServer, small_disk: Path) -> None:
    target = small_disk / "model.pth"
    with pytest.raises(DownloadError, match=r"does not fit on the disk \(3\.0 MB are needed, 2\.1 MB are free"):
        download(server.url(), target)
    assert leftovers(target) == []


def test_a_disk_that_fills_up_leaves_no_half_file(server: ModelServer, small_disk: Path) -> None:
    server.behaviour.chunked = True  # its size is not known beforehand
    target = small_disk / "model.pth"
    with pytest.raises(DownloadError, match="does not fit on the disk"):
        download(server.url(), target)
    assert not target.exists()


_CHILD = """
import sys
from pathlib import Path
from deeplab_studio.checkpoints.digest import Digest
from deeplab_studio.checkpoints.download import download
print(download(sys.argv[1], Path(sys.argv[2]), digest=Digest("sha256", sys.argv[3])).sha256)
"""


def child(server: ModelServer, target: Path, **options) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _CHILD, server.url(), target, SHA256],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
def test_a_quota_leaves_no_half_file(server: ModelServer, target: Path) -> None:
    import resource as limits

    process = child(
        server, target, preexec_fn=lambda: limits.setrlimit(limits.RLIMIT_FSIZE, (1_000_000, limits.RLIM_INFINITY))
    )
    _, errors = process.communicate()
    assert process.returncode == 1
    assert "model.pth: it does not fit on the disk" in errors
    assert not target.exists()


# --- Several processes, and sudden death -----------------------------------------------------------------------------


def test_two_processes_fetching_one_file_fetch_it_once(server: ModelServer, target: Path) -> None:
    server.behaviour.pause = 0.01
    processes = [child(server, target) for _ in range(2)]
    outputs = [process.communicate() for process in processes]
    assert [out.strip() for out, _ in outputs] == [SHA256, SHA256], outputs
    assert target.read_bytes() == CONTENT
    assert leftovers(target) == []
    assert len(server.behaviour.requests) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_after_a_kill_the_next_process_goes_on(server: ModelServer, target: Path) -> None:
    server.behaviour.stall_after = 1_048_576
    process = child(server, target)
    while not part_of(target).exists() or part_of(target).stat().st_size < 1_048_576:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not target.exists()
    server.behaviour.stall_after = None
    server.closing.set()
    download(server.url(), target, digest=GOOD)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1048576-"]


def test_waiting_for_another_download_can_be_cancelled_and_shows_its_progress(target: Path) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(bytes(1000))
    target.with_name("model.pth.part.json").write_text(json.dumps({"url": "https://example.org", "total": 4000}))
    token = CancelToken()
    seen: list[Progress] = []

    def report(progress: Progress) -> None:
        seen.append(progress)
        token.cancel()

    with PartialFile(target).held(), pytest.raises(Cancelled):
        download("https://example.org", target, progress=report, cancel=token)
    assert (seen[0].received, seen[0].total) == (1000, 4000)


def test_a_silent_server_shows_as_no_speed_and_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    seen: list[Progress] = []
    meter = Meter(seen.append)
    meter.start(0, 4000)
    with monkeypatch.context() as patch:
        patch.setattr("time.monotonic", lambda: clock[0])
        for received in (0, 1000, 2000, *[2000] * 8):
            meter.update(received, 4000)
            meter.tick()
            clock[0] += 1.0
    assert seen[2] == Progress(2000, 4000, 1000.0)
    assert seen[2].seconds_left == 2.0
    assert (seen[-1].speed, seen[-1].seconds_left) == (0.0, None)


def test_importing_it_loads_no_http_library() -> None:
    code = "import sys, deeplab_studio.checkpoints.download; print({'httpx', 'torch', 'filelock'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
