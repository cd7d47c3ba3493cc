//! Numbers of things in texts for people.

use std::fmt::Display;

/// A number and what it counts, a noun whose plural ends with `s`: `1 tree`,
/// `2 trees`.
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(number: N, noun: &str) -> String {
    let s = if number == N::from(1) { "" } else { "s" };
    format!("{number} {noun}{s}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_is_singular() {
        let all = [0_u64, 1, 2, 11].map(|number| counted(number, "tree"));
        assert_eq!(all, ["0 trees", "1 tree", "2 trees", "11 trees"]);
        assert_eq!(counted(-1_i64, "day"), "-1 days");
    }
}
