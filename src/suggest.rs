//! "Did you mean": the known word that a misspelled one most likely stands for.

use crate::limits;

/// The known word nearest to `word`, when one is near enough to be meant.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.chars().nth(limits::SUGGEST_CHARS).is_some() {
        return None;
    }
    // Upper case and hyphens are slips of the hand, not other words.
    let word = word.trim().to_lowercase().replace(['-', ' '], "_");
    if word.is_empty() {
        return None;
    }
    let length = word.chars().count();
    let allowed = (length / 3).max(1);
    known
        .into_iter()
        .filter_map(|candidate| {
            let distance = strsim::damerau_levenshtein(&word, &candidate.to_lowercase());
            let cut_short = word.len() >= 3 && candidate.starts_with(&word);
            ((distance <= allowed && distance < length) || cut_short)
                .then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A hint that names the nearest known word, if any, and all of them.
pub(crate) fn hint(word: &str, known: &[&str]) -> String {
    let all = known.join(", ");
    match nearest(word, known.iter().copied()) {
        Some(candidate) => format!("did you mean `{candidate}`? Known: {all}"),
        None => format!("known: {all}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognized_and_other_words_are_not() {
        const CLOUDS: &[&str] = &["usgovernment", "public", "china", "none"];
        for (word, expected) in [
            ("usgoverment", Some("usgovernment")),
            ("usgov", Some("usgovernment")),
            ("US-Government", Some("usgovernment")),
            ("Public", Some("public")),
            ("pubilc", Some("public")),
            ("commercial", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, CLOUDS.iter().copied()), expected, "{word}");
        }
        assert_eq!(nearest(&"c".repeat(1_000_000), CLOUDS.iter().copied()), None);
        assert_eq!(hint("x", &["a", "b"]), "known: a, b");
    }
}
