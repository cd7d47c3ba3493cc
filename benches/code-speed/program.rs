//! Works in the parts of the library that are compiled into its rlibs rather
//! than into the program: formatting and parsing of numbers, UTF-8, Unicode
//! tables, strings, searching. Prints a checksum, so that nothing is optimised
//! away and all variants can be seen to do the same.

use std::fmt::Write as _;
use std::hint::black_box;

fn mix(sum: u64, text: &str) -> u64 {
    text.bytes()
        .fold(sum, |sum, byte| sum.rotate_left(5) ^ u64::from(byte))
}

fn numbers(rounds: u32) -> u64 {
    let mut sum = 0;
    let mut text = String::new();
    for i in 0..rounds {
        text.clear();
        let float = f64::from(i) * 1.234_567_89e-3 + 0.1;
        let _ = write!(
            text,
            "{float} {float:.3} {float:e} {i:#x} {i:>12} {}",
            u128::from(i) << 70
        );
        sum = mix(sum, &text);
        for word in text.split(' ') {
            if let Ok(value) = black_box(word).parse::<f64>() {
                sum = sum.wrapping_add(value.to_bits());
            }
        }
    }
    sum
}

fn texts(rounds: u32) -> u64 {
    let source =
        "Ärger im Übermaß: ΣΊΣΥΦΟΣ rollt 石 über 1234567 Hügel, \u{1F980} schaut zu. ".repeat(8);
    let mut sum = 0;
    for _ in 0..rounds {
        let source = black_box(&source);
        sum = mix(sum, &source.to_lowercase());
        sum = mix(sum, &source.to_uppercase());
        sum = sum.wrapping_add(source.chars().filter(|c| c.is_alphanumeric()).count() as u64);
        sum =
            sum.wrapping_add(std::str::from_utf8(source.as_bytes()).map_or(0, |t| t.len() as u64));
        sum = sum.wrapping_add(source.find("schaut zu. Zz").unwrap_or(1) as u64);
        sum = mix(sum, &format!("{source:?}"));
    }
    sum
}

fn main() {
    let sum = numbers(2_000) ^ texts(200);
    println!("{sum:016x}");
}
