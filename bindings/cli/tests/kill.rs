//! SIGKILL at fifty random moments: the same command resumes, the object is identical, and no more than the parts
//! that were in flight are sent again.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use outlast_cloud::{Cloud, Config, Login, Profile};

const MOMENTS: u64 = 50;
const PARTS: u64 = 10;
const PARALLEL: u64 = 4;
const MIB: u64 = 1 << 20;
/// At this rate an undisturbed upload takes about a second, so that the moments fall into all of its phases.
const BYTES_PER_SECOND: u64 = 10 * MIB;

/// Numbers that are the same in every run, so that a failure can be repeated.
fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn put(cloud: &Cloud, profile: &Profile, dir: &Path, file: &Path, name: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outlast"));
    command.arg("put").arg("--config-file").arg(&profile.config_file);
    command.args(["--profile", "LAB", "--auth", "security_token", "--force", "--part-size", "1"]);
    command.args(["--endpoint", &cloud.endpoint(), "--auth-endpoint", &cloud.auth_endpoint()]);
    command.args(["-ns", &cloud.config().namespace, "-bn", &cloud.config().buckets[0], "--name", name]);
    command.args(["--parallel-upload-count", &PARALLEL.to_string()]).arg("--file").arg(file);
    command.arg("--state-dir").arg(dir.join("state")).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

#[test]
fn killed_at_fifty_random_moments_it_resumes_and_ends_identical() {
    let dir = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> =
        (0..PARTS * MIB / 8).flat_map(|word| mixed(word).to_le_bytes()).take(9_999_999).collect();
    let file = dir.path().join("backup.tar");
    std::fs::write(&file, &bytes).unwrap();
    let cloud = Cloud::start(Config::default().token_life_s(3600).horizon_s(24 * 3600)).unwrap();
    let control = cloud.control();
    let profile = control.login(&Login::new("LAB", dir.path().join("oci"))).unwrap();
    control.change(|settings| settings.bandwidth_bytes_per_s = Some(BYTES_PER_SECOND));

    let (mut killed, mut resent_most) = (0, 0);
    for moment in 0..MOMENTS {
        control.reset_stats();
        let name = format!("object-{moment}");
        let mut child =
            put(&cloud, &profile, dir.path(), &file, &name).stderr(Stdio::null()).spawn().unwrap();
        // The moment is random by design; nothing is waited for here.
        #[allow(clippy::disallowed_methods)]
        std::thread::sleep(Duration::from_millis(mixed(moment) % 1300));
        child.kill().unwrap();
        killed += u64::from(!child.wait().unwrap().success());
        let committed = control.stats().committed > 0;
        let second = put(&cloud, &profile, dir.path(), &file, &name).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&second.stderr);
        assert!(second.status.success(), "moment {moment}: {said}");
        let stored = control.object_bytes(&cloud.config().buckets[0], &name).unwrap();
        assert!(stored == bytes, "moment {moment}: the object differs\n{said}");
        let stats = control.stats();
        let resent: u64 = stats.stored_by_part.values().map(|count| count - 1).sum();
        // Once committed, the same command is a new upload.
        assert!(committed || resent <= PARALLEL, "moment {moment}: {resent} parts were sent again\n{said}");
        assert_eq!(control.uploads().len(), 0, "moment {moment}: an upload is left behind\n{said}");
        resent_most = resent_most.max(if committed { 0 } else { resent });
    }
    println!(
        "{MOMENTS} moments, {killed} of them before the end; at most {resent_most} parts were sent again"
    );
    assert!(killed >= MOMENTS / 2, "only {killed} kills came before the end");
}
