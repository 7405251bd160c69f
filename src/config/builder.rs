//! Builders and setters, the same for every mechanism.

/// A builder over `Settings`, for a handle or its configuration alone. `Settings` has a method
/// `check(self) -> Result<Config, ConfigError>`, the handle a function `make(name, config, clock)`.
/// The caller imports `Clock`, `ConfigError`, `ConfigOnly` and `Named`, so that its imports show what it depends on.
macro_rules! builder {
    ($builder:ident<T>, $settings:ident => $config:ident, $handle:ident = $noun:literal $(, $defaults:literal)?) => {
        #[doc = concat!("Builds a [`", stringify!($handle), "`] or, without a name, a [`", stringify!($config), "`].")]
        ///
        /// Setters never fail; `build` returns every problem at once.
        #[derive(Clone, Debug)]
        pub struct $builder<T> {
            settings: $settings,
            target: T,
        }

        impl Default for $config {
            fn default() -> Self {
                $settings::default().check().expect("the defaults are in their own ranges: a test builds them")
            }
        }

        impl TryFrom<$settings> for $config {
            type Error = ConfigError;

            fn try_from(settings: $settings) -> Result<Self, ConfigError> {
                settings.check()
            }
        }

        impl $config {
            /// Starts from the defaults.
            pub fn builder() -> $builder<ConfigOnly> {
                $builder { settings: $settings::default(), target: ConfigOnly(()) }
            }
        }

        impl $builder<ConfigOnly> {
            /// Checks the settings.
            ///
            /// # Errors
            ///
            /// Every setting that is out of its range.
            pub fn build(self) -> Result<$config, ConfigError> {
                self.settings.check()
            }
        }

        impl $builder<Named> {
            /// The clock. Default: the system's monotonic clock.
            #[must_use]
            pub fn clock(mut self, clock: Clock) -> Self {
                self.target.clock = clock;
                self
            }

            #[doc = concat!("Checks the settings and makes the ", $noun, ".")]
            ///
            /// # Errors
            ///
            /// Every setting that is out of its range, and a name that is blank, longer than 128 bytes or has control
            /// characters.
            pub fn build(self) -> Result<$handle, ConfigError> {
                let (name, config) = self.target.with(self.settings.check())?;
                Ok($handle::make(name, config, self.target.clock))
            }
        }

        impl $handle {
            #[doc = concat!("A ", $noun, " with the default settings", $($defaults,)? ".")]
            ///
            /// # Panics
            ///
            /// When the name is blank, longer than 128 bytes or has control characters: it is written in the program,
            /// so that is a mistake there. For a name that comes from elsewhere use [`builder`](Self::builder).
            pub fn new(name: &'static str) -> Self {
                Self::from_config(name, $config::default())
                    .unwrap_or_else(|error| panic!("{}::new: {error}", stringify!($handle)))
            }

            #[doc = concat!("A ", $noun, " with settings made or read elsewhere.")]
            ///
            /// # Errors
            ///
            /// A name that is blank, longer than 128 bytes or has control characters.
            pub fn from_config(name: &str, config: $config) -> Result<Self, ConfigError> {
                Self::from_config_with_clock(name, config, Clock::system())
            }

            /// As [`from_config`](Self::from_config), with another clock: in a test for example.
            ///
            /// # Errors
            ///
            /// As there.
            pub fn from_config_with_clock(name: &str, config: $config, clock: Clock) -> Result<Self, ConfigError> {
                Ok(Self::make($crate::config::intern("name", name)?, config, clock))
            }

            /// Starts from the defaults.
            pub fn builder(name: impl Into<String>) -> $builder<Named> {
                $builder { settings: $settings::default(), target: Named::new(name.into()) }
            }
        }
    };
}
pub(crate) use builder;

/// Settings, with the default of each field after its type, and a constructor of the defaults.
macro_rules! defaults {
    (
        $(#[$about:meta])*
        $visibility:vis struct $settings:ident {
            $($(#[$attribute:meta])* $field_visibility:vis $field:ident: $type:ty = $default:expr,)*
        }

        $(#[$new_doc:meta])*
        $new_visibility:vis const new
    ) => {
        $(#[$about])*
        $visibility struct $settings {
            $($(#[$attribute])* $field_visibility $field: $type,)*
        }

        impl $settings {
            $(#[$new_doc])*
            $new_visibility const fn new() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl Default for $settings {
            fn default() -> Self {
                Self::new()
            }
        }
    };
}
pub(crate) use defaults;

/// Setters, each `pub fn field(argument: type);`, or with `= value` in place of the argument. They belong to
/// `Builder<T>` (`Builder<T>.settings` sets the fields of its `settings`) or, as `const fn`, to `const Settings`.
macro_rules! setters {
    (const $settings:ident: $($setters:tt)*) => {
        impl $settings { $crate::config::setters!(@ [const] [] $($setters)*); }
    };
    ($builder:ident<$parameter:ident>$(.$part:ident)?: $($setters:tt)*) => {
        impl<$parameter> $builder<$parameter> { $crate::config::setters!(@ [] [$(.$part)?] $($setters)*); }
    };
    (@ $const:tt $path:tt $($(#[$doc:meta])* pub fn $field:ident($argument:ident: $type:ty) $(= $value:expr)?;)*) => {
        $($crate::config::setters!(@ $const $path $(#[$doc])*, $field($argument: $type) = $($value,)? $argument);)*
    };
    (@ [$($const:tt)?] [$($path:tt)*] $(#[$doc:meta])*,
        $field:ident($argument:ident: $type:ty) = $value:expr $(, $argument_itself:expr)?
    ) => {
        $(#[$doc])*
        #[must_use]
        pub $($const)? fn $field(mut self, $argument: $type) -> Self {
            self$($path)*.$field = $value;
            self
        }
    };
}
pub(crate) use setters;
