//! Who takes part, and how each is started.

use std::path::{Path, PathBuf};
use std::process::Command;

use outlast_cloud::Profile;

/// Where and what to upload.
pub(crate) struct Scene {
    pub(crate) tls: bool,
    pub(crate) part_mib: u64,
    pub(crate) parallel: u32,
    pub(crate) endpoint: String,
    /// The sink's S3 face, plain HTTP.
    pub(crate) s3_endpoint: String,
    pub(crate) auth_endpoint: String,
    pub(crate) ca_file: PathBuf,
    pub(crate) namespace: String,
    pub(crate) bucket: String,
    pub(crate) profile: Profile,
    pub(crate) file: PathBuf,
    /// Folder for what contestants leave behind.
    pub(crate) scratch: PathBuf,
    /// Folder of this program, with the others that were built with it.
    pub(crate) bin: PathBuf,
    /// Folder that `peers/install` filled; peers that are not in it do not take part.
    pub(crate) peers: Option<PathBuf>,
}

/// What the sink is spoken to as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    Oci,
    S3,
}

/// One way of uploading.
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    /// Which face of the sink it uploads to.
    pub(crate) face: Face,
    /// What it sends or compares to prove that the bytes arrived.
    pub(crate) integrity: &'static str,
    program: fn(&Scene) -> Option<PathBuf>,
    start: fn(&Scene, &Path) -> Command,
}

impl Contestant {
    /// The command, or `None` when the program is not on this machine.
    pub(crate) fn command(&self, scene: &Scene) -> Option<Command> {
        if self.face == Face::S3 && scene.tls {
            return None;
        }
        let program = (self.program)(scene).filter(|program| program.exists())?;
        Some((self.start)(scene, &program))
    }
}

impl Scene {
    fn token_file(&self) -> &Path {
        self.profile.token_file.as_deref().unwrap_or(Path::new(""))
    }

    fn peer(&self, name: &str) -> Option<PathBuf> {
        self.peers.as_ref().map(|dir| dir.join(name))
    }

    /// `name` with the options that this crate's own programs share.
    fn own(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.args(["--endpoint", &self.endpoint, "--namespace", &self.namespace]);
        command.args(["--bucket", &self.bucket, "--name", "object"]);
        command.args(["--part-size", &self.part_mib.to_string(), "--parallel", &self.parallel.to_string()]);
        command.arg("--file").arg(&self.file).arg("--key-file").arg(&self.profile.key_file);
        command.arg("--token-file").arg(self.token_file());
        if self.tls {
            command.arg("--ca-file").arg(&self.ca_file);
        }
        command
    }

    /// The flags that `outlast put` and `oci os object put` share.
    fn put(&self, mut command: Command) -> Command {
        command.arg("--config-file").arg(&self.profile.config_file);
        command.args(["--profile", &self.profile.profile, "--auth", "security_token", "--force"]);
        command.args(["--endpoint", &self.endpoint, "-ns", &self.namespace, "-bn", &self.bucket]);
        command.args(["--name", "object"]).arg("--file").arg(&self.file);
        command.args(["--part-size", &self.part_mib.to_string()]);
        command.args(["--parallel-upload-count", &self.parallel.to_string()]);
        if self.tls {
            command.arg("--cert-bundle").arg(&self.ca_file);
        }
        command
    }

    fn outlast(&self, program: &Path, options: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.arg("put");
        let mut command = self.put(command);
        command.args(["--auth-endpoint", &self.auth_endpoint, "--events", "/dev/null"]);
        command.arg("--state-dir").arg(self.scratch.join("state")).args(options);
        command
    }

    fn oci_put(&self, program: &Path, options: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(["os", "object", "put"]);
        let mut command = self.put(command);
        command.args(options).env("OCI_CLI_SUPPRESS_FILE_PERMISSIONS_WARNING", "True");
        // Python's own trust store, for whatever does not take --cert-bundle.
        command.env("REQUESTS_CA_BUNDLE", &self.ca_file);
        command
    }

    /// The component in our own host, compiled beforehand by the unmeasured round.
    fn component(&self, program: &Path) -> Command {
        let folder = program.parent().unwrap_or(Path::new(""));
        let mut command = Command::new(program);
        command.arg("put");
        let mut command = self.put(command);
        command.args(["--auth-endpoint", &self.auth_endpoint]);
        command.arg("--state-dir").arg(self.scratch.join("state"));
        command.arg("--component").arg(folder.join("outlast.wasm"));
        command.arg("--cache-dir").arg(self.scratch.join("cache"));
        command
    }

    /// The component in the wasmtime command, compiled beforehand.
    fn component_elsewhere(&self, program: &Path) -> Command {
        let state = self.scratch.join("component-state");
        // Made by whoever needs it first; a folder that is there is what was wanted.
        let _ = std::fs::create_dir(&state);
        let folder = |path: &Path| path.parent().unwrap_or(Path::new("")).to_owned();
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut command = Command::new(program);
        command.args(["run", "-S", "http", "--allow-precompiled"]);
        for (host, guest) in
            [(folder(&self.file), "/data"), (state, "/state"), (folder(&self.profile.key_file), "/session")]
        {
            command.arg("--dir").arg(format!("{}::{guest}", host.display()));
        }
        command.arg("--invoke").arg(format!(
            "run({{source: files({{key-file: \"/session/{}\", security-token-file: \"/session/{}\", write: true}}), \
             endpoint: \"{}\", auth-endpoint: \"{}\"}}, {{namespace-name: \"{}\", bucket-name: \"{}\", name: \"object\", \
             file: \"/data/{}\", state-dir: \"/state\", part-size: {}, parallel-upload-count: {}}})",
            name(&self.profile.key_file),
            name(self.token_file()),
            self.endpoint,
            self.auth_endpoint,
            self.namespace,
            self.bucket,
            name(&self.file),
            self.part_mib << 20,
            self.parallel,
        ));
        command.arg(folder(program).join("outlast.cwasm"));
        command
    }

    /// For small programs of a peer's library: what to upload comes in the environment.
    fn described(&self, mut command: Command) -> Command {
        command.env("BENCH_CONFIG", &self.profile.config_file).env("BENCH_PROFILE", &self.profile.profile);
        command.env("BENCH_ENDPOINT", &self.endpoint).env("BENCH_CA", &self.ca_file);
        command.env("BENCH_NAMESPACE", &self.namespace).env("BENCH_BUCKET", &self.bucket);
        command.env("BENCH_FILE", &self.file).env("BENCH_PART_MIB", self.part_mib.to_string());
        command.env("BENCH_PARALLEL", self.parallel.to_string()).env("BENCH_S3", &self.s3_endpoint);
        command.env("BENCH_STATE", self.scratch.join("state"));
        // Where it is set, Python's requests believes it before the authority that a program itself names.
        command.env("REQUESTS_CA_BUNDLE", &self.ca_file);
        // The library that was built with this program, for what links to it.
        command.env("OUTLAST_LIBRARY", self.bin.join("liboutlast.so")).env("LD_LIBRARY_PATH", &self.bin);
        command
    }

    /// A Python program beside this crate.
    fn python(&self, program: &Path, script: &str) -> Command {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new(program);
        command.arg(here.join("peers").join(script)).env("PYTHONPATH", here.join("../../bindings/python"));
        self.described(command)
    }

    fn s5cmd(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.args(["--endpoint-url", &self.s3_endpoint, "cp"]);
        command.args([
            "--part-size",
            &self.part_mib.to_string(),
            "--concurrency",
            &self.parallel.to_string(),
        ]);
        command.arg(&self.file).arg(format!("s3://{}/object", self.bucket));
        command.env("AWS_ACCESS_KEY_ID", "bench").env("AWS_SECRET_ACCESS_KEY", "bench");
        command.env("AWS_REGION", "us-east-1");
        command
    }

    fn rclone(&self, program: &Path, options: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.arg("copyto").arg(&self.file).arg(format!("oos:{}/object", self.bucket)).args(options);
        command.args([
            "--config",
            "/dev/null",
            "--ignore-times",
            "--low-level-retries",
            "1",
            "--retries",
            "1",
        ]);
        if self.tls {
            command.arg("--ca-cert").arg(&self.ca_file);
        }
        let setting = |name: &str| format!("RCLONE_CONFIG_OOS_{name}");
        command.env(setting("TYPE"), "oracleobjectstorage").env(setting("PROVIDER"), "user_principal_auth");
        command.env(setting("NAMESPACE"), &self.namespace).env(setting("REGION"), "us-phoenix-1");
        command.env(setting("COMPARTMENT"), "ocid1.compartment.oc1..bench");
        command.env(setting("ENDPOINT"), &self.endpoint).env(setting("NO_CHECK_BUCKET"), "true");
        command.env(setting("CONFIG_FILE"), &self.profile.config_file);
        command.env(setting("CONFIG_PROFILE"), &self.profile.profile);
        command.env(setting("CHUNK_SIZE"), format!("{}M", self.part_mib));
        command.env(setting("UPLOAD_CUTOFF"), format!("{}M", self.part_mib));
        command.env(setting("UPLOAD_CONCURRENCY"), self.parallel.to_string());
        command
    }
}

/// All of them; the first is the floor that the others are compared with.
pub(crate) const ALL: &[Contestant] = &[
    Contestant {
        name: "floor",
        face: Face::Oci,
        integrity: "none",
        program: |scene| Some(scene.bin.join("bench-floor")),
        start: |scene, program| scene.own(program),
    },
    Contestant {
        name: "bare reqwest",
        face: Face::Oci,
        integrity: "CRC32C compared",
        program: |scene| (!scene.tls).then(|| scene.bin.join("bench-bare")),
        start: |scene, program| scene.own(program),
    },
    Contestant {
        name: "outlast put",
        face: Face::Oci,
        integrity: "CRC32C compared",
        program: |scene| Some(scene.bin.join("outlast")),
        start: |scene, program| scene.outlast(program, &[]),
    },
    Contestant {
        name: "outlast put --verify-checksum",
        face: Face::Oci,
        integrity: "MD5 and CRC32C compared",
        program: |scene| Some(scene.bin.join("outlast")),
        start: |scene, program| scene.outlast(program, &["--verify-checksum"]),
    },
    Contestant {
        name: "outlast in Rust",
        face: Face::Oci,
        integrity: "CRC32C compared",
        program: |scene| Some(scene.bin.join("bench-embed")),
        start: |scene, program| {
            let mut command = scene.own(program);
            command.args(["--auth-endpoint", &scene.auth_endpoint]);
            command.arg("--state-dir").arg(scene.scratch.join("state"));
            command
        },
    },
    Contestant {
        name: "outlast in C",
        face: Face::Oci,
        integrity: "CRC32C compared",
        program: |scene| scene.peer("bin/outlast-c"),
        start: |scene, program| scene.described(Command::new(program)),
    },
    Contestant {
        name: "outlast in Python",
        face: Face::Oci,
        integrity: "CRC32C compared",
        program: |scene| scene.peer("python/bin/python"),
        start: |scene, program| scene.python(program, "outlast_put.py"),
    },
    Contestant {
        name: "outlast component, our host",
        face: Face::Oci,
        integrity: "CRC32C compared",
        program: |scene| scene.peer("component/outlast-wasm"),
        start: |scene, program| scene.component(program),
    },
    Contestant {
        name: "outlast component, wasmtime command",
        face: Face::Oci,
        integrity: "CRC32C compared",
        // It trusts its own authorities only.
        program: |scene| scene.peer("component/wasmtime").filter(|_| !scene.tls),
        start: |scene, program| scene.component_elsewhere(program),
    },
    Contestant {
        name: "oci os object put",
        face: Face::Oci,
        integrity: "none sent",
        program: |scene| scene.peer("python/bin/oci"),
        start: |scene, program| scene.oci_put(program, &[]),
    },
    Contestant {
        name: "oci os object put --verify-checksum",
        face: Face::Oci,
        integrity: "compares the service with itself",
        program: |scene| scene.peer("python/bin/oci"),
        start: |scene, program| scene.oci_put(program, &["--verify-checksum"]),
    },
    Contestant {
        name: "oci Python SDK",
        face: Face::Oci,
        integrity: "none sent",
        program: |scene| scene.peer("python/bin/python"),
        start: |scene, program| scene.python(program, "oci_sdk.py"),
    },
    Contestant {
        name: "rclone oos",
        face: Face::Oci,
        integrity: "MD5 sent",
        program: |scene| scene.peer("bin/rclone"),
        start: |scene, program| scene.rclone(program, &[]),
    },
    Contestant {
        name: "rclone oos, at its best",
        face: Face::Oci,
        integrity: "MD5 sent, source not hashed first",
        program: |scene| scene.peer("bin/rclone"),
        start: |scene, program| scene.rclone(program, &["--oos-disable-checksum"]),
    },
    Contestant {
        name: "oci Go SDK",
        face: Face::Oci,
        integrity: "none sent",
        program: |scene| scene.peer("bin/go-sdk-put"),
        start: |scene, program| scene.described(Command::new(program)),
    },
    Contestant {
        name: "s5cmd",
        face: Face::S3,
        integrity: "MD5 and SHA-256 sent",
        program: |scene| scene.peer("bin/s5cmd"),
        start: |scene, program| scene.s5cmd(program),
    },
    Contestant {
        name: "awscrt",
        face: Face::S3,
        integrity: "none sent",
        program: |scene| scene.peer("python/bin/python"),
        start: |scene, program| {
            let mut command = scene.python(program, "s3_awscrt.py");
            command.env("BENCH_CRC", "0");
            command
        },
    },
    Contestant {
        name: "awscrt, CRC32C",
        face: Face::S3,
        integrity: "CRC32C sent",
        program: |scene| scene.peer("python/bin/python"),
        start: |scene, program| {
            let mut command = scene.python(program, "s3_awscrt.py");
            command.env("BENCH_CRC", "1");
            command
        },
    },
    Contestant {
        name: "obstore",
        face: Face::S3,
        integrity: "SHA-256 sent",
        program: |scene| scene.peer("python/bin/python"),
        start: |scene, program| scene.python(program, "s3_obstore.py"),
    },
    Contestant {
        name: "opendal",
        face: Face::S3,
        integrity: "none sent",
        program: |scene| scene.peer("python/bin/python"),
        start: |scene, program| scene.python(program, "s3_opendal.py"),
    },
];
