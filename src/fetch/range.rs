//! Going on where an earlier request stopped: what is asked, and which answer
//! continues it.

use reqwest::header::{self, HeaderMap};

use super::error::Fault;

/// Where an earlier request stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resume {
    /// Bytes already here.
    pub(super) offset: u64,
    /// What the server called that version of the file: an `ETag` or a date.
    pub(super) validator: String,
}

/// Checks that a 206 continues exactly where we stopped, in the same version.
pub(super) fn check_range(headers: &HeaderMap, resume: &Resume) -> Result<(), Fault> {
    let value = text_of(headers, header::CONTENT_RANGE).ok_or(Fault::Range("it names no range"))?;
    let (start, end, total) = parse_content_range(&value).ok_or(Fault::Range(
        "its range is not `bytes <first>-<last>/<length>`",
    ))?;
    if start != resume.offset {
        return Err(Fault::Range("its range begins elsewhere"));
    }
    if end < start || total.is_some_and(|total| end.checked_add(1) != Some(total)) {
        return Err(Fault::Range("its range does not reach the end of the file"));
    }
    let length = text_of(headers, header::CONTENT_LENGTH).and_then(|v| v.parse::<u64>().ok());
    if length.is_some_and(|length| Some(length) != (end - start).checked_add(1)) {
        return Err(Fault::Range("its length is not that of its range"));
    }
    match validator(headers) {
        Some(found) if found != resume.validator && headers.contains_key(header::ETAG) => {
            Err(Fault::Range("it is of another version of the file"))
        }
        _ => Ok(()),
    }
}

fn parse_content_range(value: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = range.split_once('-')?;
    let total = match total {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    Some((start.parse().ok()?, end.parse().ok()?, total))
}

/// A strong `ETag`, else the date of the last change. A weak `ETag` does not
/// promise the same bytes, so that ranges of two answers must not be joined.
pub(super) fn validator(headers: &HeaderMap) -> Option<String> {
    let etag = text_of(headers, header::ETAG);
    let strong = etag.filter(|tag| tag.starts_with('"') && tag.len() <= 512);
    let date = || {
        let date = text_of(headers, header::LAST_MODIFIED)?;
        httpdate::parse_http_date(&date).is_ok().then_some(date)
    };
    strong.or_else(date)
}

/// A header as text, shortened; `None` if it is not plain ASCII.
pub(super) fn text_of(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.chars().take(512).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_022_only_strong_validators_are_kept() {
        let date = "Wed, 20 May 2026 12:00:00 GMT";
        for (etag, modified, expected) in [
            (Some("\"a\""), None, Some("\"a\"")),
            (Some("\"a\""), Some(date), Some("\"a\"")),
            (Some("W/\"a\""), Some(date), Some(date)),
            (Some("W/\"a\""), None, None),
            (Some("a"), None, None),
            (None, Some("yesterday"), None),
            (None, None, None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(etag) = etag {
                headers.insert(header::ETAG, etag.parse().unwrap());
            }
            if let Some(modified) = modified {
                headers.insert(header::LAST_MODIFIED, modified.parse().unwrap());
            }
            assert_eq!(validator(&headers).as_deref(), expected);
        }
    }
}
