//! The nearest known name, for "did you mean".

/// Finds the candidate most similar to `name`, if any is similar enough to be
/// a likely typing error.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_find_their_name_and_strangers_do_not() {
        let keys = ["strategy", "crates", "features", "opt-level"];
        assert_eq!(nearest("stratgy", keys), Some("strategy"));
        assert_eq!(nearest("opt_level", keys), Some("opt-level"));
        assert_eq!(nearest("zzz", keys), None);
    }
}
