//! Our own kill switch: a layer with nothing engaged, and 16 switches that are engaged for others.

use std::hint::black_box;
use std::time::Duration;

use backstop::Rejected;
use backstop::clock::Timestamp;
use backstop::kill_switch::store::MemoryStore;
use backstop::kill_switch::{
    Author, Change, Definition, Editor, Engage, KillSwitch, KillSwitches, OnUnknown, Scope, SwitchId, Target,
};
use std::sync::Arc;
use tower_layer::Layer;

use super::REFUSED;
use crate::bare::{Message, Works, request, serve};
use crate::{Instance, Mechanism, Subject};

/// Switches that a request is checked against in one row.
const MANY: usize = 16;

/// The rows of the table, in its order.
pub(super) fn subjects() -> Vec<Subject> {
    vec![
        Subject {
            mechanism: Mechanism::KillSwitch,
            name: "ours-switch-released",
            title: "backstop, layer, nothing engaged; engaged for all",
            admits: Some(|| layered(&switches(1, None)[0], false)),
            rejects: Some(|| layered(&switches(1, Some(&Scope::all()))[0], true)),
        },
        Subject {
            mechanism: Mechanism::KillSwitch,
            name: "ours-switch-check",
            title: "backstop, handle, nothing engaged; engaged for all",
            admits: Some(|| checked(switches(1, None), false)),
            rejects: Some(|| checked(switches(1, Some(&Scope::all())), true)),
        },
        Subject {
            mechanism: Mechanism::KillSwitch,
            name: "ours-switch-scoped",
            title: "backstop, layer, engaged for 16 other tenants; for this one and 15 others",
            admits: Some(|| scoped(false)),
            rejects: Some(|| scoped(true)),
        },
        Subject {
            mechanism: Mechanism::KillSwitch,
            name: "ours-switch-16",
            title: "backstop, 16 handles, each engaged for another tenant",
            admits: Some(|| checked(switches(MANY, Some(&Scope::new().tenant("acme").percent(50.0))), false)),
            rejects: None,
        },
    ]
}

/// One that is released, and known to be.
pub(crate) fn released() -> KillSwitch {
    switches(1, None).remove(0)
}

/// Switches of one store, each engaged for this scope.
fn switches(count: usize, scope: Option<&Scope>) -> Vec<KillSwitch> {
    let store = Arc::new(MemoryStore::new());
    let editor = Editor::new(Arc::clone(&store));
    let by = Author::person("bench", Timestamp::now()).because("to be measured");
    let names: Vec<String> = (0..count).map(|number| format!("recommendations-{number}")).collect();
    for name in &names {
        let switch = SwitchId::new(name).expect("it is an id");
        let definition = Definition::new("team", "nothing", Timestamp::MAX, OnUnknown::Allow);
        editor.change(&Change::Define { switch: switch.clone(), definition }, &by).expect("it is new");
        if let Some(scope) = scope {
            editor.change(&Change::Engage(Engage::new(switch, scope.clone())), &by).expect("it is released");
        }
    }
    // An hour: the board's thread reads nothing while a call is measured.
    let board = KillSwitches::builder("bench").store(store).poll(Duration::from_hours(1)).build();
    let board = board.expect("the settings are in their ranges");
    names.iter().map(|name| board.switch(name, OnUnknown::Allow).expect("it is an id")).collect()
}

/// One call through the layer; a refused one is answered by a closure.
fn layered(switch: &KillSwitch, refused: bool) -> Instance {
    let layer = switch.layer().respond_with(|_: &Rejected| REFUSED);
    Instance::new(move || {
        let mut service = layer.layer(Works);
        move || serve(&mut service).is_ok_and(|answer| (answer == REFUSED) == refused)
    })
}

/// One call through a layer that is engaged for some, and tells its tenant and its key.
fn scoped(is_inside: bool) -> Instance {
    let tenants = (1..MANY).fold(Scope::new(), |scope, number| scope.tenant(format!("tenant-{number}")));
    let last = if is_inside { "globex" } else { "tenant-16" };
    let switches = switches(1, Some(&tenants.tenant(last).percent(if is_inside { 100.0 } else { 50.0 })));
    let layer = switches[0]
        .layer()
        .target(|_: &Message| Target::new().tenant("globex").key("user-17"))
        .respond_with(|_: &Rejected| REFUSED);
    Instance::new(move || {
        let mut service = layer.layer(Works);
        move || serve(&mut service).is_ok_and(|answer| (answer == REFUSED) == is_inside)
    })
}

/// One request asks every switch, as a program does whose request passes many capabilities.
fn checked(switches: Vec<KillSwitch>, refused: bool) -> Instance {
    Instance::new(move || {
        let switches = switches.clone();
        move || {
            let target = Target::new().route("/recommendations").tenant("globex").key("user-17");
            let is_refused = switches.iter().any(|switch| black_box(switch.check(black_box(&target))).is_err());
            request();
            is_refused == refused
        }
    })
}
