"""A stand-in for the Hugging Face Hub: the parts of its HTTP API that models are pushed and loaded with."""

import base64
import contextlib
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

LFS_SUFFIXES = (".safetensors", ".bin", ".npz", ".onnx")


class Repository:
    """Commits: the files of each by path; branches: the commit of each."""

    def __init__(self, private=False):
        self.private = private
        self.commits = {"0" * 40: {}}
        self.branches = {"main": "0" * 40}

    def commit_of(self, revision):
        return revision if revision in self.commits else self.branches.get(revision)

    def commit(self, branch, lines, blobs):
        files = dict(self.commits[self.branches[branch]])
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = blobs[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        name = hashlib.sha1(repr((len(self.commits), sorted(files))).encode()).hexdigest()
        self.commits[name], self.branches[branch] = files, name
        return name


class Hub(ThreadingHTTPServer):
    """A Hub with one user, whose token is `hf_right`."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.repositories, self.blobs, self.requests = {}, {}, []
        threading.Thread(target=self.serve_forever, daemon=True).start()


@contextlib.contextmanager
def hub():
    """A Hub that listens."""
    server = Hub()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle_any(self):
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append((self.command, path))
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        for method, pattern, action in ROUTES:
            match = re.fullmatch(pattern, path)
            if match and self.command in method.split():
                action(self, body, *match.groups())
                return
        self.answer(404, {"error": f"no such route: {self.command} {path}"})

    do_GET = do_POST = do_PUT = do_HEAD = handle_any  # noqa: N815 - named by http.server

    def answer(self, status, data=None, **headers):
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(status)
        for name, value in {"content-length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    @property
    def is_owner(self):
        return self.headers.get("authorization") == "Bearer hf_right"

    def may_write(self):
        if not self.is_owner:
            self.answer(401, {"error": "Invalid username or password."})
        return self.is_owner

    def repository(self, name, revision="main"):
        """A repository and a commit of it; None after an error was sent."""
        found = self.server.repositories.get(name)
        if found is None or (found.private and not self.is_owner):
            self.answer(401 if not self.is_owner else 404, {}, x_error_code="RepoNotFound")
            return None
        commit = found.commit_of(revision)
        if commit is None:
            self.answer(404, {}, x_error_code="RevisionNotFound")
            return None
        return found, commit

    def create(self, body):
        if not self.may_write():
            return
        sent = json.loads(body)
        name = f"{sent['organization'] or 'ana'}/{sent['name']}"
        if name in self.server.repositories:
            self.answer(409, {"error": "You already created this model repo", "url": self.url(name)})
            return
        self.server.repositories[name] = Repository(sent.get("visibility") == "private")
        self.answer(200, {"url": self.url(name), "name": name, "id": name})

    def url(self, name):
        return f"{self.server.address}/{name}"

    def branch(self, body, name, branch):
        if self.may_write() and (found := self.repository(name)):
            repository = found[0]
            if branch in repository.branches:
                self.answer(409, {"error": "Reference already exists"})
                return
            repository.branches[branch] = repository.branches["main"]
            self.answer(200, {})

    def preupload(self, body, name, revision):
        if self.may_write() and self.repository(name, revision):
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(LFS_SUFFIXES) else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            self.answer(200, {"files": files})

    def lfs_batch(self, body, name):
        if self.may_write():
            objects = [
                {**one, "actions": {"upload": {"href": f"{self.server.address}/lfs/{one['oid']}"}}}
                for one in json.loads(body)["objects"]
            ]
            self.answer(200, {"transfer": "basic", "objects": objects})

    def lfs_upload(self, body, oid):
        if hashlib.sha256(body).hexdigest() != oid:
            self.answer(400, {"error": "wrong checksum"})
            return
        self.server.blobs[oid] = body
        self.answer(200, {})

    def commit(self, body, name, branch):
        if self.may_write() and (found := self.repository(name, branch)):
            lines = [json.loads(line) for line in body.splitlines()]
            oid = found[0].commit(branch, lines, self.server.blobs)
            self.answer(200, {"commitUrl": f"{self.url(name)}/commit/{oid}", "commitOid": oid})

    def info(self, body, name, revision="main"):
        if found := self.repository(name, revision):
            files = [{"rfilename": path} for path in found[0].commits[found[1]]]
            self.answer(200, {"id": name, "sha": found[1], "siblings": files})

    def tree(self, body, name, revision):
        if found := self.repository(name, revision):
            files = [
                {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for path, data in found[0].commits[found[1]].items()
            ]
            self.answer(200, files)

    def resolve(self, body, name, revision, path):
        if found := self.repository(name, revision):
            data = found[0].commits[found[1]].get(path)
            if data is None:
                self.answer(404, {}, x_error_code="EntryNotFound")
                return
            self.answer(200, data, etag=f'"{hashlib.sha1(data).hexdigest()}"', x_repo_commit=found[1])

    def validate(self, body):
        self.answer(200, {"errors": [], "warnings": []})


_NAME = r"([^/]+/[^/]+)"
ROUTES = [
    ("POST", "/api/repos/create", Handler.create),
    ("POST", "/api/validate-yaml", Handler.validate),
    ("POST", f"/api/models/{_NAME}/branch/(.+)", Handler.branch),
    ("POST", f"/api/models/{_NAME}/preupload/(.+)", Handler.preupload),
    ("POST", f"/api/models/{_NAME}/commit/(.+)", Handler.commit),
    ("POST", f"/{_NAME}\\.git/info/lfs/objects/batch", Handler.lfs_batch),
    ("PUT", "/lfs/([0-9a-f]+)", Handler.lfs_upload),
    ("GET", f"/api/models/{_NAME}", Handler.info),
    ("GET", f"/api/models/{_NAME}/revision/(.+)", Handler.info),
    ("GET", f"/api/models/{_NAME}/tree/([^/]+)/?", Handler.tree),
    ("HEAD GET", f"/{_NAME}/resolve/([^/]+)/(.+)", Handler.resolve),
]
