//! Macro that gives an enum `as_str` and `Display`.

/// An enum of named values. `as_str`, with the documentation given after the enum, and `Display` return the name.
macro_rules! named {
    (
        $(#[$about:meta])*
        $visibility:vis enum $enum:ident { $($(#[$doc:meta])* $value:ident = $name:literal,)* }

        $(#[$as_str:meta])*
        as_str
    ) => {
        $(#[$about])*
        $visibility enum $enum { $($(#[$doc])* $value,)* }

        impl $enum {
            $(#[$as_str])*
            $visibility const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $name,)*
                }
            }
        }

        impl std::fmt::Display for $enum {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use named;
