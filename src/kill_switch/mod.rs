//! An emergency stop for one capability.

mod id;
mod node;
mod percent;
mod read;
mod rule;
mod scope;
mod stage;
mod target;
mod text;

pub use id::SwitchId;
pub use percent::{KeyHash, Percent};
pub use rule::Rule;
pub use scope::Scope;
pub use stage::Stage;
pub use target::Target;
