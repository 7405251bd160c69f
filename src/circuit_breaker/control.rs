//! Manual control: the same for a breaker and for one key's circuit.

/// The commands. One that finds the state it asks for begins that state anew and reports nothing: the state has not
/// changed. The type has a method `command(&self, Command, &str)`.
macro_rules! manual_control {
    () => {
        /// Rejects every call until [`reset`](Self::reset) or another command.
        pub fn force_open(&self, reason: impl AsRef<str>) {
            self.command(Command::ForceOpen, reason.as_ref());
        }

        /// Admits every call and judges none until [`reset`](Self::reset) or another command.
        pub fn disable(&self, reason: impl AsRef<str>) {
            self.command(Command::Disable, reason.as_ref());
        }

        /// Admits and judges every call, and counts what would have been rejected.
        pub fn shadow(&self, reason: impl AsRef<str>) {
            self.command(Command::Shadow, reason.as_ref());
        }

        /// Closes the circuit and forgets the evidence; ends every state set by hand.
        pub fn reset(&self, reason: impl AsRef<str>) {
            self.command(Command::Reset, reason.as_ref());
        }

        /// Opens the circuit now, for the configured open time; then it probes as after any trip.
        pub fn trip(&self, reason: impl AsRef<str>) {
            self.command(Command::Trip { wait: None }, reason.as_ref());
        }

        /// Opens the circuit now, for this long; then it probes as after any trip.
        pub fn trip_for(&self, open_time: Duration, reason: impl AsRef<str>) {
            self.command(Command::Trip { wait: Some(open_time) }, reason.as_ref());
        }

        /// Begins a half-open round now.
        pub fn probe(&self, reason: impl AsRef<str>) {
            self.command(Command::HalfOpen, reason.as_ref());
        }
    };
}

pub(super) use manual_control;
