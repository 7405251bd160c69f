//! Text for people: sentences about a switch, and aligned columns.

use super::time_args;
use backstop::clock::Timestamp;
use backstop::kill_switch::{
    ChangeRecord, Document, Engagement, ExpiryAction, Percent, Scope, Stage, Switch, SwitchId, Trigger,
};
use std::collections::BTreeSet;

/// Names of one kind in a sentence: of more than these the first are named, and the others counted.
const NAMES_MAX: usize = 5;
/// Characters of a name in a sentence: a route has up to 512 bytes.
const NAME_LENGTH_MAX: usize = 60;

/// `acme or initech`; of many, `a or b or c or 9997 more`. JSON has them whole.
fn listed(names: &BTreeSet<String>, and: &str) -> String {
    let count = if names.len() > NAMES_MAX { NAMES_MAX - 2 } else { names.len() };
    let short = |name: &String| match name.char_indices().nth(NAME_LENGTH_MAX) {
        Some((end, _)) => format!("{}..", &name[..end]),
        None => name.clone(),
    };
    let more = (names.len() > count).then(|| format!("{} more", names.len() - count));
    names.iter().take(count).map(short).chain(more).collect::<Vec<_>>().join(and)
}

/// `tenant acme, 10 % of the keys`.
pub(super) fn scope(scope: &Scope) -> String {
    if scope.all {
        return "everybody".to_owned();
    }
    let dimension = |name: &str, values: &BTreeSet<String>| {
        (!values.is_empty()).then(|| format!("{name} {}", listed(values, " or ")))
    };
    let share = scope.share().map(Percent::get).filter(|share| *share < 100.0);
    let parts = [
        dimension("route", &scope.routes),
        dimension("tenant", &scope.tenants),
        dimension("region", &scope.regions),
        dimension("audience", &scope.audiences),
        share.map(|share| format!("{share} % of the keys")),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "100 % of the keys".to_owned() } else { parts.join(", ") }
}

/// `, on web-1`, `, in eu`; empty if it is everywhere.
pub(super) fn stage(stage: &Stage) -> String {
    match stage {
        Stage::Instances(instances) => format!(", on {}", listed(instances, " and ")),
        Stage::Regions { regions, instances } if instances.is_empty() => format!(", in {}", listed(regions, " and ")),
        Stage::Regions { regions, instances } => {
            format!(", in {}, and {}", listed(regions, " and "), listed(instances, " and "))
        }
        _ => String::new(),
    }
}

/// Scope, stage and end of an engagement, in a sentence.
pub(super) fn engagement(switch: &Switch) -> String {
    let Some(ref engaged) = switch.engaged else { return format!("{} is released.", switch.id) };
    let until = engaged.expires.map_or_else(String::new, |expiry| {
        let then = if expiry.then == ExpiryAction::Release {
            "it is released"
        } else {
            "it stays engaged and is reported as overdue"
        };
        format!(", until {}: then {then}", time_args::minute(expiry.at))
    });
    format!("{} is engaged for {}{until}.", switch.id, whom(engaged))
}

/// Scope and stage.
pub(super) fn whom(engaged: &Engagement) -> String {
    format!("{}{}", scope(&engaged.scope), stage(&engaged.stage))
}

/// The switches that were engaged and are on again, or engaged for others.
pub(super) fn on_again(before: &Document, after: &Document, now: Timestamp) -> String {
    let engaged = before.switches().iter().filter(|switch| switch.is_engaged(now));
    let lines = engaged.filter_map(|switch| {
        let was = switch.engaged.as_ref()?;
        let (id, who) = (&switch.id, format!("{} engaged it because \"{}\"", was.by, was.reason));
        let is = after.switch(id.as_str()).filter(|switch| switch.is_engaged(now));
        match is.and_then(|switch| switch.engaged.as_ref()) {
            None => Some(format!("\nTurned on again: {id}, for {}; {who}.", whom(was))),
            Some(is) if is != was => {
                Some(format!("\nTurned on again: {id}, for {} except those above; {who}.", whom(was)))
            }
            Some(_) => None,
        }
    });
    let lines: String = lines.collect();
    if lines.is_empty() { "\nNothing was turned on again.".to_owned() } else { lines }
}

/// Dimensions that a request must state, and the instance name required, for an engagement to apply.
pub(super) fn conditions(document: &Document, id: &SwitchId) -> String {
    let Some(engaged) = document.switch(id.as_str()).and_then(|switch| switch.engaged.as_ref()) else {
        return String::new();
    };
    let scope = &engaged.scope;
    let is_share = scope.share().is_some_and(|share| share < Percent::FULL);
    let asked = [
        (!scope.routes.is_empty(), "a route"),
        (!scope.tenants.is_empty(), "a tenant"),
        (!scope.regions.is_empty(), "a region"),
        (!scope.audiences.is_empty(), "an audience"),
        (is_share, "a key"),
    ];
    let asked: Vec<_> = asked.into_iter().filter_map(|(is_asked, what)| is_asked.then_some(what)).collect();
    let asked = asked.join(" and ");
    let list = "a program's `backstop switch list --admin URL` shows whether any pass";
    let gates = (!asked.is_empty()).then(|| format!("\nIt blocks requests whose gate states {asked}: {list}."));
    let names = match engaged.stage {
        Stage::Instances(_) => "\nIt applies only to instances configured with that name.",
        Stage::Regions { .. } => "\nIt applies only to instances configured with that region.",
        _ => "",
    };
    format!("{}{names}", gates.unwrap_or_default())
}

/// `engaged`, `released`, and whether it stays so.
pub(super) fn state(switch: &Switch, now: Timestamp) -> String {
    let is_drill = switch.engaged.as_ref().is_some_and(|engaged| engaged.trigger == Trigger::Drill);
    let state = match (switch.is_engaged(now), is_drill) {
        (true, true) => "a drill", // which ends by itself
        (true, false) => "engaged",
        (false, _) => "released",
    };
    if switch.pin.is_some() { format!("{state}, pinned") } else { state.to_owned() }
}

/// Note if the rule of two persons was overridden.
pub(super) fn break_glass(changed: &ChangeRecord) -> &'static str {
    if changed.break_glass { "\nIt was done without a second person: have it reviewed." } else { "" }
}

/// A text of others in one line: characters that a terminal would obey are escaped.
pub(super) fn shown(text: &str) -> String {
    // Also marks that change the direction of writing.
    let is_unfit = |char: char| {
        char.is_control() || matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if is_unfit(char) { shown.extend(char.escape_default()) } else { shown.push(char) }
    }
    shown
}

/// Rows under their headings, each column as wide as its widest cell. Columns that are empty all the way are left out.
pub(super) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let length = |cell: &str| cell.chars().count();
    let widest = |column: usize| rows.iter().map(|row| length(&row[column])).max().filter(|widest| *widest > 0);
    let columns = (0..N).filter_map(|column| Some((column, widest(column)?.max(length(headings[column])))));
    let columns: Vec<_> = columns.collect();
    let line = |cells: [&str; N]| {
        // A width in a format has 16 bits, and a larger one panics.
        let padded = |&(column, width): &(usize, usize)| {
            format!("{}{}", cells[column], " ".repeat(width - length(cells[column])))
        };
        columns.iter().map(padded).collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let rows = rows.iter().map(|row| line(row.each_ref().map(String::as_str)));
    std::iter::once(line(headings)).chain(rows).collect::<Vec<_>>().join("\n")
}

pub(super) fn state_of(document: &Document, id: &SwitchId) -> String {
    document.switch(id.as_str()).map_or_else(|| format!("{id} is gone."), engagement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other_and_empty_ones_are_left_out() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        let table = table(["A", "B", "LONG"], &[row(["é", "", "1"]), row(["three", "", ""])]);
        assert_eq!(table, "A      LONG\né      1\nthree");
        let long = "x".repeat(70_000);
        assert_eq!(super::table(["A", "B"], &[[long.clone(), "b".to_owned()]]).len(), 2 * (70_000 + 3) + 1);
    }

    #[test]
    fn a_scope_of_many_or_long_values_is_short() {
        let many = (0..10_000).fold(Scope::new(), |scope, number| scope.tenant(format!("t-{number:04}")));
        assert_eq!(scope(&many), "tenant t-0000 or t-0001 or t-0002 or 9997 more");
        let long = (0..100).fold(Scope::new(), |scope, number| scope.route(format!("/{}{number}", "é".repeat(250))));
        assert_eq!(scope(&long).chars().count(), "route ".len() + 3 * (62 + 4) + "97 more".len());
        let five = ["a", "b", "c", "d", "e"];
        assert_eq!(stage(&Stage::instances(five)), ", on a and b and c and d and e");
        let wide = Stage::regions((0..100).map(|number| format!("r{number:02}")));
        assert_eq!(stage(&wide), ", in r00 and r01 and r02 and 97 more");
    }

    #[test]
    fn a_text_of_others_is_one_line_that_no_terminal_obeys() {
        assert_eq!(shown("a\nb\t\x1b[31m\u{202e}é"), "a\\nb\\t\\u{1b}[31m\\u{202e}é");
    }

    #[test]
    fn a_scope_is_told_in_words() {
        assert_eq!(scope(&Scope::all()), "everybody");
        assert_eq!(scope(&Scope::new().percent(100.0)), "100 % of the keys");
        let narrow = Scope::new().tenant("b").tenant("a").route("/x/*").percent(2.5);
        assert_eq!(scope(&narrow), "route /x/*, tenant a or b, 2.5 % of the keys");
    }
}
