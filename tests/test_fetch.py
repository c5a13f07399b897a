"""zoo data fetch and list, against a small server on loopback that cuts, lies and fails as it is told to."""

import bz2
import gzip
import hashlib
import io
import re
import socket
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from zoo import discover
from zoo.data import _fetch
from zoo.data._origins import ORIGINS, Check, File, Origin
from zoo.errors import BadInput

DATA = np.random.default_rng(0).bytes(12 * _fetch.BLOCK + 12345)
OTHER = np.random.default_rng(1).bytes(len(DATA))
SHA = f"sha256:{hashlib.sha256(DATA).hexdigest()}"


class Handler(BaseHTTPRequestHandler):
    """Does, request after request, what `server.script` says for the path; then serves it as a good server would."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        web = self.server
        web.asked.append((self.path, dict(self.headers)))
        script = web.script.get(self.path, [])
        how = script.pop(0) if script else "well"
        body = web.files.get(self.path)
        if body is None or isinstance(how, int):
            return self.send_error(how if isinstance(how, int) else 404)
        tag = f'"{hashlib.md5(body).hexdigest()}"'
        start = 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        if asked and how != "ignores ranges" and (self.headers["If-Range"] == tag or how == "ignores If-Range"):
            start = int(asked[1])
        self.send_response(206 if start else 200)
        if start:
            begin = start + 7 if how == "elsewhere" else start
            self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        if how != "no tag":
            self.send_header("ETag", tag)
        if how != "no length":
            self.send_header("Content-Length", str(len(body) - start))
        self.send_header("Content-Type", "text/html" if how == "page" else "application/octet-stream")
        self.end_headers()
        self.wfile.write(body[start : start + (len(body) - start) // 2] if how in ("cut", "no tag") else body[start:])


@pytest.fixture
def web(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.script, server.asked = {}, {}, []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(_fetch, "PAUSES", (0.0, 0.0))
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def fetch(web, monkeypatch, tmp_path):
    """Fetch a made-up data set of the given files; what it said."""

    def call(*files):
        monkeypatch.setitem(ORIGINS, "made_up", Origin(files, size="3 MB", page="https://example.org/page"))
        said = []
        info = discover.DatasetInfo("made_up", "", tmp_path, folder="made_up")
        _fetch.fetch(info, tmp_path, said.append)
        return "\n".join(said)

    return call


def one(web, *paths, digest=SHA, **more):
    return File("x.bin", tuple(web.url + path for path in paths), digest, **more)


def folder_of(tmp_path):
    return {str(p.relative_to(tmp_path)): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}


def ranges(web):
    return [headers.get("Range") for _, headers in web.asked]


ALONE = {"made_up/x.bin": DATA}


def test_a_cut_connection_is_resumed(web, fetch, tmp_path, capsys):
    web.files["/a"], web.script["/a"] = DATA, ["cut"]
    said = fetch(one(web, "/a"))
    assert folder_of(tmp_path) == ALONE
    assert ranges(web) == [None, f"bytes={len(DATA) // 2}-"]
    assert web.asked[1][1]["If-Range"] == f'"{hashlib.md5(DATA).hexdigest()}"'
    assert said == "x.bin: fetched, sha256 as published"
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "x.bin: 0.0 of 3.2 MB"
    assert lines[-1] == "x.bin: 3.2 of 3.2 MB"
    assert len(lines) <= 11


def test_it_goes_on_as_long_as_it_gets_further(web, fetch, tmp_path):
    web.files["/a"], web.script["/a"] = DATA, ["cut"] * 8
    fetch(one(web, "/a"))
    assert folder_of(tmp_path) == ALONE
    starts = [int(r[6:-1]) for r in ranges(web)[1:]]
    assert starts == sorted(set(starts))
    assert len(starts) == 8 > len(_fetch.PAUSES) + 1


def test_another_call_goes_on_where_one_ended(web, fetch, tmp_path):
    web.files["/a"], web.script["/a"] = DATA, ["cut", 503, 503, 503]
    with pytest.raises(BadInput, match="HTTP 503 Service Unavailable, after 3 tries"):
        fetch(one(web, "/a"))
    assert folder_of(tmp_path)["made_up/x.bin.part"] == DATA[: len(DATA) // 2]
    assert "made_up/x.bin" not in folder_of(tmp_path)
    fetch(one(web, "/a"))
    assert folder_of(tmp_path) == ALONE
    assert ranges(web)[-1] == f"bytes={len(DATA) // 2}-"


def test_a_part_of_one_origin_is_not_continued_at_another(web, fetch, tmp_path):
    web.files |= {"/a": DATA, "/b": DATA}
    web.script["/a"] = ["cut", 404]
    fetch(one(web, "/a", "/b"))
    assert [(path, headers.get("Range")) for path, headers in web.asked][-1] == ("/b", None)
    assert folder_of(tmp_path) == ALONE


@pytest.mark.parametrize("script", [["cut", "ignores ranges"], ["cut", "elsewhere"], ["cut", 416], ["no tag"]])
def test_it_begins_anew_where_it_cannot_go_on(web, fetch, tmp_path, script):
    web.files["/a"], web.script["/a"] = DATA, list(script)
    fetch(one(web, "/a"))
    assert folder_of(tmp_path) == ALONE
    assert ranges(web)[-1] == (f"bytes={len(DATA) // 2}-" if script[-1] == "ignores ranges" else None)
    assert len(web.asked) == len(script) + (script[-1] != "ignores ranges")


@pytest.mark.parametrize("how", ["well", "ignores If-Range"])
def test_a_file_that_changed_between_its_parts_is_fetched_anew(web, fetch, tmp_path, how):
    """No digest is known here, so nothing else would tell that two versions were joined."""
    web.files["/a"], web.script["/a"] = OTHER, ["cut", 503, 503, 503]
    with pytest.raises(BadInput):
        fetch(one(web, "/a", digest=""))
    web.files["/a"], web.script["/a"] = DATA, [how]
    said = fetch(one(web, "/a", digest=""))
    assert folder_of(tmp_path) == ALONE
    assert said == f"x.bin: fetched; its sha256 is not known beforehand, compare it: {SHA[7:]}"


def test_a_server_that_fails_for_a_while(web, fetch, tmp_path):
    web.files["/a"], web.script["/a"] = DATA, [503, 429]
    fetch(one(web, "/a"))
    assert folder_of(tmp_path) == ALONE
    assert len(web.asked) == 3


def test_without_a_length(web, fetch, tmp_path, capsys):
    web.files["/a"], web.script["/a"] = DATA, ["no length"]
    fetch(one(web, "/a"))
    assert folder_of(tmp_path) == ALONE
    assert capsys.readouterr().err == "x.bin: 0.0 MB\n"


@pytest.mark.parametrize("wrong", ["missing", "other bytes", "page"])
def test_the_next_origin_where_one_is_wrong(web, fetch, tmp_path, wrong):
    web.files |= {"/a": OTHER, "/b": DATA}
    web.script["/a"] = {"missing": [404], "page": ["page"]}.get(wrong, [])
    fetch(one(web, "/a", "/b"))
    assert [path for path, _ in web.asked] == ["/a", "/b"]
    assert folder_of(tmp_path) == ALONE


def test_no_origin_is_right(web, fetch, tmp_path):
    web.files |= {"/a": OTHER, "/c": DATA}
    web.script["/c"] = ["page"]
    with pytest.raises(BadInput) as caught:
        fetch(one(web, "/a", "/b", "/c"), File("y.bin", (f"{web.url}/c",)))
    host = web.url[7:]
    assert str(caught.value) == (
        f"made_up: {host}: sha256 {hashlib.sha256(OTHER).hexdigest()} is not the published {SHA[7:]}; "
        f"{host}: HTTP 404 Not Found; {host}: a web page instead of the file; "
        f"by hand: get x.bin from https://example.org/page, put it into {tmp_path / 'made_up'}, and run this again"
    )
    assert folder_of(tmp_path) == {}


def test_nobody_answers(web, fetch):
    silent = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{silent.server_port}/a"
    silent.server_close()
    with pytest.raises(BadInput, match=r"Connection refused, after 3 tries"):
        fetch(File("x.bin", (url,), SHA))


def test_no_network(web, fetch, monkeypatch):
    def unknown(*args, **kwargs):
        looked_up.append(args)
        raise socket.gaierror(-2, "Name or service not known")

    looked_up = []
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    urls = "https://one.example.org/x", "http://two.example.org/x"
    with pytest.raises(
        BadInput, match=r"one\.example\.org: .*not known; two\.example\.org: .*not known; by hand: get x\."
    ):
        fetch(File("x.bin", urls, SHA))
    assert len(looked_up) == 2  # trying again would not help


def test_what_is_there_is_not_fetched(web, fetch, tmp_path):
    (tmp_path / "made_up").mkdir()
    path = tmp_path / "made_up" / "x.bin"
    path.write_bytes(DATA)
    assert fetch(one(web, "/a")) == "x.bin: there, checksum right"
    path.write_bytes(OTHER)
    with pytest.raises(BadInput, match=r"x\.bin: sha256 .* it stays as it is; move it away"):
        fetch(one(web, "/a"))
    assert path.read_bytes() == OTHER
    assert web.asked == []


# Archives -------------------------------------------------------------------------------------------------------------

TREE = {
    "top/deep/one/1.txt": b"first",
    "top/deep/one/2.txt": b"second",
    "top/two.txt": b"third",
    "top/deep/er/two.txt": b"not this one",
}
EXPECTED = (Check("one/*.txt", 2), Check("two.txt", digest=f"sha256:{hashlib.sha256(b'third').hexdigest()}"))
UNPACKED = {"made_up/one/1.txt": b"first", "made_up/one/2.txt": b"second", "made_up/two.txt": b"third"}


def zipped(tree):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for name, content in tree.items():
            z.writestr(name, content)
    return out.getvalue()


def tarred(tree, mode="w:gz", link=None):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        for name, content in tree.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        if link:
            member = tarfile.TarInfo("top/link")
            member.type, member.linkname = tarfile.SYMTYPE, link
            tar.addfile(member)
    return out.getvalue()


PACK = {
    "x.zip": zipped,
    "x.tar": lambda tree: tarred(tree, "w"),
    "x.tar.gz": tarred,
    "x.tar.bz2": lambda tree: tarred(tree, "w:bz2"),
}


@pytest.mark.parametrize("name", PACK)
def test_archives(web, fetch, tmp_path, name):
    web.files["/a"] = PACK[name](TREE)
    file = File(name, (f"{web.url}/a",), holds=EXPECTED)
    said = fetch(file)
    assert folder_of(tmp_path) == UNPACKED
    assert [p.name for p in (tmp_path / "made_up").iterdir() if p.name.startswith(".")] == []
    assert hashlib.sha256(web.files["/a"]).hexdigest() in said
    assert "there" in fetch(file)
    # What is missing is put beside what is there.
    (tmp_path / "made_up/two.txt").unlink()
    fetch(file)
    assert folder_of(tmp_path) == UNPACKED
    assert len(web.asked) == 2


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress)])
def test_one_packed_file(web, fetch, tmp_path, suffix, pack):
    web.files |= {"/a": pack(DATA), "/b": pack(DATA)[:-100]}
    file = File(f"raw/x{suffix}", (f"{web.url}/a",), "", (Check("raw/x", size=len(DATA)),))
    fetch(file)
    assert folder_of(tmp_path) == {"made_up/raw/x": DATA}
    (tmp_path / "made_up/raw/x").unlink()
    with pytest.raises(BadInput, match="cannot be unpacked: Compressed file ended"):
        fetch(File(file.name, (f"{web.url}/b",), "", file.holds))
    assert folder_of(tmp_path) == {}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (zipped(TREE | {"../out.txt": b"!"}), "would land outside"),
        (zipped(TREE | {"/out.txt": b"!"}), "would land outside"),
        (zipped(TREE | {"..\\out.txt": b"!"}), "would land outside"),
        (tarred(TREE | {"../../out.txt": b"!"}), "outside the destination"),
        (tarred(TREE, link="../../../out.txt"), "outside the destination"),
        (zipped(TREE)[:-40], "no zip, tar, gz or bz2 file"),
        (tarred(TREE)[:-40], "cannot be unpacked"),
        (zipped({k: v for k, v in TREE.items() if "two" not in k}), "there is no two.txt in it"),
        (zipped({k: v for k, v in TREE.items() if "1" not in k}), r"it holds one/\*\.txt: 1 files, not 2"),
        (zipped(TREE | {"top/two.txt": b"fourth"}), r"it holds two\.txt: sha256"),
    ],
)
def test_bad_archives_leave_nothing(web, fetch, tmp_path, body, reason):
    web.files |= {"/a": body, "/b": zipped(TREE)}
    bad, good = (File("x.zip", (web.url + path,), "", EXPECTED) for path in ("/a", "/b"))
    with pytest.raises(BadInput, match=reason):
        fetch(bad)
    assert folder_of(tmp_path) == {}
    fetch(File(bad.name, bad.urls + good.urls, "", EXPECTED))
    assert folder_of(tmp_path) == UNPACKED


def test_something_else_in_the_place(web, fetch, tmp_path):
    web.files["/a"] = zipped(TREE)
    mine = tmp_path / "made_up/one/mine"
    mine.parent.mkdir(parents=True)
    mine.touch()
    with pytest.raises(BadInput, match=r"one/\*\.txt: 0 files, not 2: something else is in its place; move it away"):
        fetch(File("x.zip", (f"{web.url}/a",), "", EXPECTED))
    assert [p.name for p in mine.parent.iterdir()] == ["mine"]


def test_by_hand(web, fetch, tmp_path):
    body = zipped(TREE)
    file = File("x.zip", (), f"md5:{hashlib.md5(body).hexdigest()}", EXPECTED)
    web.files["/a"] = DATA
    with pytest.raises(BadInput) as caught:
        fetch(one(web, "/a"), file, File("y.mat"))
    assert str(caught.value) == (
        "made_up: its origins want a login or a click; by hand: get x.zip, y.mat from https://example.org/page, "
        f"put it into {tmp_path / 'made_up'}, and run this again"
    )
    assert web.asked == []
    (tmp_path / "made_up").mkdir()
    (tmp_path / "made_up/x.zip").write_bytes(body[:-1])
    with pytest.raises(BadInput, match=r"x\.zip: md5 \w+ is not the published"):
        fetch(file)
    (tmp_path / "made_up/x.zip").write_bytes(body)
    assert "x.zip: there, md5 as published" in fetch(file)
    assert folder_of(tmp_path) == UNPACKED | {"made_up/x.zip": body}


# The command ----------------------------------------------------------------------------------------------------------


def test_fetch_from_the_command_line(zoo, web, monkeypatch, tmp_path):
    packed = {f"ToRelease_GFK/data/{check.pattern}": b"0" for check in ORIGINS["office_caltech"].files[0].holds}
    web.files["/gfk.zip"] = zipped(packed)
    expected = tuple(Check(name.rpartition("/")[2]) for name in packed)
    file = File("gfk.zip", (f"{web.url}/gfk.zip",), "", expected)
    monkeypatch.setitem(ORIGINS, "office_caltech", Origin((file,), "", "https://example.org"))
    root = tmp_path / "new" / "root"
    done = zoo("data", "fetch", "office_caltech", "--data-root", root)
    assert done.code == 0
    assert "gfk.zip: fetched; its sha256 is not known beforehand" in done.out
    assert "unpacking" in done.err
    assert sorted(p.name for p in (root / "office_caltech").iterdir()) == sorted(c.pattern for c in expected)
    monkeypatch.setenv("ZOO_DATA", str(root))
    assert zoo("data", "fetch", "office_caltech").out.endswith(": there; nothing is known to check it by\n")
    assert len(web.asked) == 1


def test_interrupted(zoo, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(_fetch, "fetch", interrupt)
    done = zoo("data", "fetch", "digits")
    assert (done.code, done.err) == (130, "zoo: interrupted; the same command goes on from there\n")
