//! Names of the system's users.

use std::path::Path;

/// Name of the user of this process, or the number of one without a name, as in a container: `uid:1234`.
#[cfg_attr(unix, expect(clippy::unnecessary_wraps, reason = "other systems name none"))]
pub(super) fn own() -> Option<String> {
    #[cfg(unix)]
    {
        let uid = rustix::process::geteuid().as_raw();
        Some(name(uid).unwrap_or_else(|| format!("uid:{uid}")))
    }
    #[cfg(not(unix))]
    None
}

/// Users who can read a file; `None` if everyone can.
#[cfg(unix)]
pub(super) fn readers(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = path.metadata().ok()?;
    let (mode, owner) = (metadata.mode() & 0o666, metadata.uid());
    let owner = name(owner).unwrap_or_else(|| format!("user {owner}"));
    let who = match mode {
        _ if mode & 0o004 != 0 => return None,
        _ if mode & 0o040 != 0 => format!("{owner} and the group {}", metadata.gid()),
        _ => format!("{owner} alone"),
    };
    let shown = path.display();
    Some(format!("{shown} can be read by {who} (mode {mode:04o}); if a service runs as another user, add --mode 0644."))
}

#[cfg(not(unix))]
pub(super) fn readers(_: &Path) -> Option<String> {
    None
}

/// From the file of users, else from whatever else the system looks names up in.
#[cfg(unix)]
fn name(uid: u32) -> Option<String> {
    let of = |users: &str| {
        let mut lines = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let found = lines.find(|fields| fields.get(2).is_some_and(|id| id.parse() == Ok(uid)));
        found.map(|fields| fields[0].to_owned()).filter(|name| !name.is_empty())
    };
    let file = std::fs::read_to_string("/etc/passwd").ok();
    file.as_deref().and_then(of).or_else(|| {
        let asked = std::process::Command::new("getent").args(["passwd", &uid.to_string()]).output().ok()?;
        of(&String::from_utf8_lossy(&asked.stdout))
    })
}
