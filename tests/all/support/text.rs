//! Judges of transcripts.

/// The words of a text in lower case, without punctuation; digits that stand alone are spelled out.
pub fn words(text: &str) -> Vec<String> {
    let kept = |c: char| {
        if c.is_alphanumeric() || c == '\'' {
            c
        } else {
            ' '
        }
    };
    let text: String = text
        .to_lowercase()
        .replace('’', "'")
        .chars()
        .map(kept)
        .collect();
    text.split_whitespace()
        .map(|word| spelled(word.trim_matches('\'')).to_owned())
        .collect()
}

fn spelled(word: &str) -> &str {
    const DIGITS: [&str; 10] = [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    ];
    let digit = word.parse::<usize>().ok().filter(|_| word.len() == 1);
    digit.map_or(word, |digit| DIGITS[digit])
}

/// Word error rate of `heard` against `reference`: insertions, deletions and replacements over the
/// reference's words.
pub fn word_error_rate(reference: &str, heard: &str) -> f64 {
    let (reference, heard) = (words(reference), words(heard));
    let mut row: Vec<usize> = (0..=heard.len()).collect();
    for (i, expected) in reference.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, word) in heard.iter().enumerate() {
            let replaced = diagonal + usize::from(expected != word);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[heard.len()] as f64 / reference.len().max(1) as f64
}

/// Runs of `length` words that come more than once in `heard` and not in `reference`. A stammer, the
/// same few words over and over, is none: it is a small model's weakness, not a passage heard twice.
pub fn repeated_runs(reference: &str, heard: &str, length: usize) -> Vec<String> {
    let (reference, heard) = (words(reference), words(heard));
    let count =
        |words: &[String], run: &[String]| words.windows(length).filter(|w| *w == run).count();
    let stammered = |run: &[String]| (1..=length / 2).any(|by| run[by..] == run[..length - by]);
    let repeated =
        |run: &&[String]| !stammered(run) && count(&heard, run) > count(&reference, run).max(1);
    heard
        .windows(length)
        .filter(repeated)
        .map(|run| run.join(" "))
        .collect()
}

#[test]
fn the_judge_counts_each_kind_of_error_once() {
    let rate = |heard| word_error_rate("Ask not what, your country!", heard);
    assert_eq!(rate("ask NOT what your country"), 0.0);
    assert_eq!(rate("ask what your country"), 0.2);
    assert_eq!(rate("ask not what your old country"), 0.2);
    assert_eq!(rate("ask not what you're country"), 0.2);
    assert_eq!(rate(""), 1.0);
}

#[test]
fn the_judge_finds_what_is_said_twice_but_was_once() {
    assert!(repeated_runs("a b c d a b c d", "a b c d a b c d", 4).is_empty());
    assert_eq!(repeated_runs("a b c d", "a b c d e a b c d", 4).len(), 2);
    assert!(repeated_runs("a b", "a b a b a b a b", 4).is_empty());
}
