//! Where in the lock's text a value stands, for faults.

use std::ops::Range;

use toml::de::DeTable;

use crate::document::{Document, Fault, key_span, subtable};

/// A reader of one table, which knows where to point.
pub(super) struct Place<'d, 't> {
    doc: &'d Document<'t>,
    table: Option<&'d DeTable<'t>>,
    span: Range<usize>,
}

impl<'d, 't> Place<'d, 't> {
    pub(super) fn top(doc: &'d Document<'t>, table: &'d DeTable<'t>) -> Self {
        Self {
            doc,
            table: Some(table),
            span: 0..0,
        }
    }

    pub(super) fn below(&self, key: &str) -> Self {
        let table = self.table.and_then(|table| subtable(table, key));
        Self {
            doc: self.doc,
            table,
            span: self.key(key),
        }
    }

    /// The position of a key, or of the table where the key is missing.
    pub(super) fn key(&self, key: &str) -> Range<usize> {
        let span = self.table.and_then(|table| key_span(table, key));
        span.unwrap_or_else(|| self.span.clone())
    }

    pub(super) fn fault(&self, key: &str, message: impl Into<String>) -> Fault {
        self.doc.fault(self.key(key), message)
    }

    pub(super) fn required<T>(&self, key: &str, value: Option<T>) -> Result<T, Fault> {
        value.ok_or_else(|| self.fault(key, format!("the key `{key}` is missing here")))
    }

    pub(super) fn forbidden<T>(&self, key: &str, value: Option<&T>) -> Result<(), Fault> {
        match value {
            None => Ok(()),
            Some(_) => Err(self.fault(key, format!("the key `{key}` does not belong here"))),
        }
    }
}
