//! The members of an `ar` archive, which is what an rlib is.

/// How an archive begins.
const MAGIC: &[u8] = b"!<arch>\n";
/// The length of a member's header, in bytes.
const HEADER: usize = 60;

/// One member.
pub(crate) struct Member<'a> {
    /// Its name, or what kind of table it is.
    pub(crate) name: String,
    /// Whether it is an index of the others.
    pub(crate) is_table: bool,
    /// Its header: name, time, owner, mode and size.
    pub(crate) header: &'a [u8],
    /// Its content.
    pub(crate) data: &'a [u8],
}

/// The members in their order; `None` if this is no archive, or a damaged one.
pub(crate) fn members(bytes: &[u8]) -> Option<Vec<Member<'_>>> {
    let mut rest = bytes.strip_prefix(MAGIC)?;
    let mut long_names: &[u8] = &[];
    let mut members = Vec::new();
    while !rest.is_empty() {
        let (header, after) = rest.split_at_checked(HEADER)?;
        let size = number(header.get(48..58)?)?;
        let (data, after) = after.split_at_checked(size)?;
        let raw = header.get(..16)?.trim_ascii_end();
        if header.get(58..) != Some(b"`\n") {
            return None;
        }
        if raw == b"//" {
            long_names = data;
        }
        members.push(member(raw, header, data, long_names)?);
        // Members begin at even places.
        rest = after.get(size % 2..).unwrap_or_default();
    }
    Some(members)
}

fn member<'a>(
    raw: &[u8],
    header: &'a [u8],
    data: &'a [u8],
    long_names: &[u8],
) -> Option<Member<'a>> {
    let table = match raw {
        b"//" => Some("table of names"),
        b"/" | b"/SYM64/" | b"__.SYMDEF" | b"__.SYMDEF SORTED" => Some("table of symbols"),
        _ => None,
    };
    let (name, data) = if let Some(name) = table {
        (name.as_bytes(), data)
    } else if let Some(length) = raw.strip_prefix(b"#1/") {
        // BSD: the name comes before the content.
        let (name, data) = data.split_at_checked(number(length)?)?;
        (name, data)
    } else if let Some(offset) = raw.strip_prefix(b"/") {
        // GNU: the name stands in the table of names, and ends in a slash.
        let name = long_names.get(number(offset)?..)?;
        (name.split(|b| *b == b'\n').next()?, data)
    } else {
        (raw, data)
    };
    let name = name.strip_suffix(b"/").unwrap_or(name);
    let name = name.split(|b| *b == 0).next().unwrap_or_default();
    Some(Member {
        name: String::from_utf8_lossy(name).into_owned(),
        is_table: table.is_some() || name.starts_with(b"__.SYMDEF"),
        header,
        data,
    })
}

/// A decimal number, padded with spaces.
fn number(digits: &[u8]) -> Option<usize> {
    let digits = std::str::from_utf8(digits).ok()?.trim_end();
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}
