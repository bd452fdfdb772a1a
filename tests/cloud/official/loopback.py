"""The loopback cloud as a child process, and the official clients pointed at it."""

import json
import os
import pathlib
import shutil
import subprocess
import sysconfig
import threading
import urllib.error
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[2]
SESSION = "LAB"
KEY = "KEY"


def program(name, variable):
    """Where one of our binaries is: named by an environment variable, else in cargo's target directory."""
    if named := os.environ.get(variable):
        return named
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    built = [path for path in (target / "debug" / name, target / "release" / name) if path.exists()]
    if not built:
        raise FileNotFoundError(f"{name} is not built: cargo build -p {name}, or set {variable}")
    return str(max(built, key=lambda path: path.stat().st_mtime))


class Cloud:
    """A running cloud; `flags` as `outlast-cloud --help` explains them. Ends when closed (or with this process)."""

    def __init__(self, *flags):
        command = [program("outlast-cloud", "OUTLAST_CLOUD"), *map(str, flags)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{command} ended with {self.process.wait()}")
        self.ready = json.loads(line)
        self.endpoint = self.ready["endpoint"]
        self.namespace = self.ready["namespace"]
        self.bucket = self.ready["buckets"][0]

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=10)
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def get(self, path, **query):
        """What `GET /_control/<path>` answers."""
        url = f"{self.endpoint}/_control/{path}"
        return self._call(urllib.request.Request(f"{url}?{urllib.parse.urlencode(query)}" if query else url))

    def post(self, path, body=None):
        """What `POST /_control/<path>` answers."""
        data = json.dumps({} if body is None else body).encode()
        headers = {"content-type": "application/json"}
        return self._call(urllib.request.Request(f"{self.endpoint}/_control/{path}", data=data, headers=headers))

    def _call(self, request):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                body = answer.read()
                return json.loads(body) if answer.headers["content-type"] == "application/json" else body
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{request.full_url}: {error.code} {error.read().decode()}") from error

    def stats(self):
        return self.get("stats")

    def log(self, op=None):
        """The request log, of one operation if named."""
        return [entry for entry in self.get("log") if op in (None, entry["op"])]

    def objects(self):
        return {item["name"]: item for item in self.get("objects")}

    def bytes_of(self, name):
        return self.get("bytes", bucket=self.bucket, name=name)

    def fault(self, action, when=None, **on):
        """Adds a fault rule; its number."""
        return self.post("fault", {"on": on, "when": when or {}, "do": action})["id"]


class Lab:
    """A directory with somebody signed in at a cloud: the place to run clients from."""

    def __init__(self, cloud, directory, profile=SESSION, **login):
        self.cloud = cloud
        self.directory = pathlib.Path(directory)
        self.home = self.directory / "oci"
        self.profile = cloud.post("login", {"profile": profile, "dir": str(self.home), **login})
        self.config_file = self.profile["config_file"]
        self.token_file = pathlib.Path(self.profile["token_file"])

    def file(self, name, size, seed=1):
        """A file of incompressible bytes, the same for the same seed."""
        path = self.directory / name
        state, chunks = seed * 0x9E3779B97F4A7C15 | 1, []
        for _ in range(0, size, 65536):
            state = state * 6364136223846793005 % 2**128
            chunks.append(state.to_bytes(16, "little") * 4096)
        path.write_bytes(b"".join(chunks)[:size])
        return path

    def environment(self, **more):
        """What a client needs to know nothing but this lab."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OCI_")}
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
            kept.pop(name, None)
        silent = {"OCI_CLI_SUPPRESS_FILE_PERMISSIONS_WARNING": "True", "SUPPRESS_LABEL_WARNING": "True"}
        return kept | {"HOME": str(self.directory)} | silent | more

    def redirected(self):
        """Leads every host of the service to the cloud's TLS face (which needs `--tls`)."""
        return {"HTTPS_PROXY": self.cloud.ready["proxy"], "REQUESTS_CA_BUNDLE": self.cloud.ready["ca_file"]}

    def oci(self, *words, profile=None, auth="security_token", endpoint=True, stdin=None, env=None):
        """Runs the official command line; `ok` of the result says whether it exited with 0."""
        here = pathlib.Path(sysconfig.get_path("scripts")) / "oci"
        command = [str(here) if here.exists() else shutil.which("oci"), "--config-file", self.config_file]
        command += ["--profile", profile or self.profile["profile"], "--auth", auth]
        command += ["--endpoint", self.cloud.endpoint] if endpoint else []
        return Run(command + [str(word) for word in words], stdin, self.environment(**(env or {})), self.directory)

    def put(self, file, *words, **options):
        """`oci os object put` into the cloud's bucket."""
        where = ("-ns", self.cloud.namespace, "-bn", self.cloud.bucket, "--file", file)
        return self.oci("os", "object", "put", *where, *words, **options)

    def outlast_put(self, file, *words):
        """`outlast put` with the flags that `put` gives to the official command line, and where to refresh."""
        command = [program("outlast", "OUTLAST"), "put", "--config-file", self.config_file]
        command += ["--profile", self.profile["profile"], "--auth", "security_token"]
        command += ["--endpoint", self.cloud.endpoint, "--auth-endpoint", self.cloud.endpoint]
        command += ["-ns", self.cloud.namespace, "-bn", self.cloud.bucket, "--file", file, *words]
        return Run([str(word) for word in command], None, self.environment(), self.directory)

    def os(self, *words, **options):
        """Any other `oci os …` on the cloud's bucket; the words before the first flag come first."""
        flags = next((at for at, word in enumerate(words) if str(word).startswith("-")), len(words))
        where = ("-ns", self.cloud.namespace, "-bn", self.cloud.bucket)
        return self.oci("os", *words[:flags], *where, *words[flags:], **options)


class Run:
    """A finished command."""

    def __init__(self, command, stdin, env, cwd):
        done = subprocess.run(command, input=stdin, env=env, cwd=cwd, capture_output=True, timeout=300, check=False)
        self.command = command
        self.code = done.returncode
        self.ok = done.returncode == 0
        self.out = done.stdout.decode()
        self.err = done.stderr.decode()

    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"{' '.join(self.command)}\nexit {self.code}\n{self.out}\n{self.err}"


class Refresher(threading.Thread):
    """Refreshes a profile's token file every so often, as somebody running `oci session refresh` by hand would."""

    def __init__(self, cloud, profile, every_s):
        super().__init__(daemon=True)
        self.cloud, self.profile, self.every_s = cloud, profile, every_s
        self.refreshed = 0
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(self.every_s):
            self.cloud.post("refresh", {"profile": self.profile})
            self.refreshed += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()
