//! A page for operators: what the program's mechanisms do, and changes of its switches, as JSON over HTTP.
//!
//! It runs in the program that it shows, beside what serves its users, with limits of its own: 16 requests at once,
//! bodies of 64 KiB (2 MiB to engage), 10 seconds for each step. It answers while the program's own bulkheads are full, and while the
//! store hangs it still answers from memory.
//!
//! Every path below is a `GET` that needs `view`, or a `POST` that needs the verbs in its row. A token is presented as
//! `Authorization: Bearer bks_...`. Requests that concern no single switch take a token for all switches.
//!
//! | path | | needs |
//! |---|---|---|
//! | `/v1/state` | breakers, bulkheads, the document in force, the kill switches | `view` |
//! | `/v1/switches`, `/v1/switches/{id}` | switches of the document in force, and how they stand on this instance | `view`; for those that the token is for |
//! | `/v1/history?limit=` | who made which generation, the newest first | `view` |
//! | `/v1/revisions/{generation}`, `/v1/document` | documents as they are in the store | `view` |
//! | `/v1/audit?limit=` | the end of the audit, the newest last | `view` |
//! | `/v1/switches/{id}/engage` | `scope`, `stage`, `now`, `add`, `replace`, `incident`, `expires` | `engage`; `release`, too, if it is for less than before |
//! | `/v1/switches/{id}/advance` | `stage` | `engage` |
//! | `/v1/switches/{id}/extend` | `until` | `engage` |
//! | `/v1/switches/{id}/release`, `unpin` | | `release` |
//! | `/v1/switches/{id}/pin` | `state` | `release` |
//! | `/v1/switches/{id}/define` | `definition` | `define` |
//! | `/v1/switches/{id}/retire` | | `define` |
//! | `/v1/switches/{id}/drill` | `scope`, `expires` (required, within the hour), `stage`, `now` | `drill` |
//! | `/v1/switches/{id}/end_drill` | | `drill`, of the same actor |
//! | `/v1/switches/{id}/drilled` | `instances`, `time_to_disable_ms`, `time_to_verify_ms` | `drill` |
//! | `/v1/two_person` | `required` | `define`, for all switches |
//! | `/v1/stages` | `stages` | `define`, for all switches |
//! | `/v1/revert` | `generation` | `engage`, `release` and `define`, for all switches |
//! | `/v1/revert_switches` | `generation`, `switches`, `settings`, `over` (other authors whose changes it undoes) | as `revert` |
//! | `/v1/restore` | | as `revert`: puts the document in force into a store that was damaged or deleted |
//! | `/v1/approve` | `number`, `document` (the hash that was seen) | `approve`, for the proposal's switch |
//! | `/v1/reject` | `number` | `approve`, for the proposal's switch |
//!
//! With a state directory of rollouts (`AdminBuilder::rollouts`, feature `rollout`):
//!
//! | path | | needs |
//! |---|---|---|
//! | `/v1/rollouts`, `/v1/rollouts/{service}` | the latest rollout of each service, or of one | `view`, for all switches |
//! | `/v1/rollouts/{service}/approve`, `pause`, `resume`, `enable` | `reason` | `rollout`, for all switches |
//! | `/v1/rollouts/{service}/disable` | `reason`, `seconds` | `rollout`, for all switches |
//! | `/v1/rollouts/{service}/rollback`, `reject` | `reason`; `break_glass` for `rollback` | `rollback`, for all switches |
//!
//! They go to the service's controller, whose journal is their audit.
//!
//! Every change also has a `reason`, and may have:
//!
//! - `if_generation`: the generation that it is meant for. Where the document is of another one, the answer is 409
//!   with `generation`, and nothing changes: so a request can be sent again without harm. 0 is an empty store.
//! - `break_glass`: does alone what takes two. The token needs `approve`, too.
//!
//! The answer has the `generation` and `hash` of the new document, the `switch`, how it stands `here` (with a `warning` if
//! it is engaged and does not block what it is meant for), whether it was `audited`, in `unkept` why the
//! history has not kept the document before it, or null, and in `pending` the number under which it waits for a second
//! person (status 202), or null. The author is the token's actor; nothing in a body can
//! change that. Changes that are denied to a known token are in the audit, too, the same one once a minute.
//!
//! Errors are `application/problem+json` with a `code`: 400 for fields that are wrong (all of them, in `problems`), 401
//! for an unknown or expired token, 403 for a token that lacks a right and for pages of other sites,
//! 404, 405, 408, 409 (`behind` if the store has a document that cannot come into force here, `went_back` if it has one
//! that is older than its history), 413, 415, 422 for what a rule forbids, and 503 if the store cannot be reached. A 503
//! with `not_durable` or `slow_store` says that the change is made, or may be.
//!
//! Without tokens there are no routes that change anything, [`Admin::router`] answers nothing, and the page's own listener
//! on a loopback address ([`Admin::bind`]) answers reads under a local name, unless the request has a header of a proxy or
//! is HTTP/1.0, as nginx sends it. A proxy that can be told from a client by neither is answered: configure an access
//! list behind one. Without a live token, no other address is listened at.

mod access;
mod answer;
mod audit_tail;
mod auth;
mod body;
mod change;
mod change_request;
mod denied_log;
mod handle;
mod problem;
mod restore;
#[cfg(feature = "rollout")]
mod rollouts;
mod routes;
mod serve;
mod shared;
mod views;

pub use handle::{Admin, AdminBuilder};
pub use serve::ServeError;
