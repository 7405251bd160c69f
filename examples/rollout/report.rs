//! The incident report, from the state directory alone: `backstop rollout report shop` writes the same.

use crate::act::Done;
use backstop::BoxError;
use backstop::rollout::report::Report;

/// Writes it beside this program.
pub(crate) fn write(done: &Done) -> Result<(), BoxError> {
    let report = Report::read(&done.folder);
    let exe = std::env::current_exe()?;
    println!("\n  Incident report, open until a person has recorded a cause:");
    for (name, text) in [("rollout-report.md", report.markdown()), ("rollout-report.html", report.html())] {
        if !text.contains(done.release.artifact) || !text.contains("detect") {
            return Err(format!("step `report`: {name} does not say what happened").into());
        }
        let path = exe.with_file_name(name);
        std::fs::write(&path, text)?;
        println!("  {}", path.display());
    }
    Ok(())
}
