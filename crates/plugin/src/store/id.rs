//! Ids of attestations: `AS-<SUBJ>-<PRED>-<CTX>-<8 random>`.
//!
//! **Invariant:** an id is made of A–Z, 0–9, `_` and `-` only, whatever the
//! words it is made from.

/// Longest part taken from a word.
const SEGMENT: usize = 8;
/// No I, L, O, U: nothing to misread, nothing to misspell.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The part of an id that the words give: `AS-ALICE-KNOWS-WORK-`.
pub(super) fn prefix(subjects: &[String], predicates: &[String], contexts: &[String]) -> String {
    let first = |words: &[String]| segment(words.first().map_or("", String::as_str));
    format!("AS-{}-{}-{}-", first(subjects), first(predicates), first(contexts))
}

/// Eight random characters: 40 bits.
pub(super) fn random() -> Result<String, std::io::Error> {
    let mut bytes = [0_u8; SEGMENT];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
}

fn segment(word: &str) -> String {
    let cleaned: String = word
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(SEGMENT)
        .map(|c| c.to_ascii_uppercase())
        .collect();
    if cleaned.is_empty() { "_".to_owned() } else { cleaned }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cleaned_and_cut_to_eight() {
        let words = |word: &str| vec![word.to_owned()];
        assert_eq!(
            prefix(&words("user-service/42"), &words("is ünder"), &words("_")),
            "AS-USERSERV-ISNDER-_-"
        );
        assert_eq!(prefix(&[], &words("日本"), &words("x")), "AS-_-_-X-");
    }

    #[test]
    fn random_parts_are_eight_of_the_alphabet_and_differ() {
        let (a, b) = (random().unwrap(), random().unwrap());
        assert_eq!(a.len(), 8);
        assert!(a.bytes().all(|byte| ALPHABET.contains(&byte)), "{a}");
        assert_ne!(a, b);
    }
}
