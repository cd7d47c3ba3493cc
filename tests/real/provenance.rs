//! Statements about compiled trees, and the bill of materials.
