//! The same recipe gives the same bytes.
