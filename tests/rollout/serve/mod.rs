//! The judging process and its routes.
