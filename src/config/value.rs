//! What the strings of the configuration mean: words, durations, names of Azure resources.

use std::str::FromStr;
use std::time::Duration;

use super::reader::{Complaint, quoted};
use crate::model::UnknownWord;
use crate::{limits, suggest};

/// A word of a closed list; `what` is the list's name with its article.
pub(super) fn word<T: FromStr<Err = UnknownWord>>(
    what: &'static str,
) -> impl Fn(&str) -> Result<T, Complaint> {
    move |text| {
        text.parse().map_err(|unknown: UnknownWord| {
            Complaint::new(format!("{} is not {what}", quoted(text)))
                .hint(suggest::hint(text, unknown.known))
        })
    }
}

/// A whole number and a unit: `500ms`, `60s`, `2m`, `1h`.
pub(super) fn duration(
    (least, most): (Duration, Duration),
) -> impl Fn(&str) -> Result<Duration, Complaint> {
    move |text| {
        let duration = any_duration(text.trim())?;
        if duration.is_zero() {
            return Err(Complaint::new("a duration of zero is not possible")
                .hint(format!("the shortest is {}", short(least))));
        }
        if duration < least || duration > most {
            let message =
                format!("{} is not between {} and {}", quoted(text), short(least), short(most));
            return Err(Complaint::new(message));
        }
        Ok(duration)
    }
}

fn any_duration(text: &str) -> Result<Duration, Complaint> {
    const FORM: &str = "write a whole number and a unit: 500ms, 60s, 2m or 1h";
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let complaint = |what: &str| Complaint::new(format!("{} {what}", quoted(text)));
    if text.starts_with('-') {
        return Err(complaint("is negative").hint(FORM));
    }
    if digits.is_empty() || unit.starts_with(['.', ',']) {
        return Err(complaint("is not a duration").hint(FORM));
    }
    let millis = match unit.trim_start() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" => return Err(complaint("has no unit").hint(format!("for seconds write \"{digits}s\""))),
        _ => return Err(complaint("has a unit that is not known").hint(FORM)),
    };
    let total = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(millis));
    total.map(Duration::from_millis).ok_or_else(|| complaint("is too long"))
}

/// A duration in the largest unit that shows it whole.
fn short(duration: Duration) -> String {
    let millis = duration.as_millis();
    // A single day is clearer in hours.
    if millis > 86_400_000 && millis.is_multiple_of(86_400_000) {
        return format!("{}d", millis / 86_400_000);
    }
    [(3_600_000, "h"), (60_000, "m"), (1_000, "s")]
        .into_iter()
        .find(|(unit, _)| millis.is_multiple_of(*unit))
        .map_or_else(|| format!("{millis}ms"), |(unit, name)| format!("{}{name}", millis / unit))
}

/// A whole number and a unit: `64MiB`, `1GiB`.
pub(super) fn size((least, most): (u64, u64)) -> impl Fn(&str) -> Result<u64, Complaint> {
    const FORM: &str = "write a whole number and a unit: 64MiB or 1GiB";
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    move |text| {
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(end);
        let unit = UNITS.into_iter().find(|(name, _)| *name == unit.trim_start());
        let bytes = unit.and_then(|(_, unit)| digits.parse::<u64>().ok()?.checked_mul(unit));
        let Some(bytes) = bytes else {
            return Err(Complaint::new(format!("{} is not a size", quoted(text))).hint(FORM));
        };
        if bytes < least || bytes > most {
            let shown = |bytes: u64| {
                let whole = UNITS.into_iter().find(|(_, unit)| bytes.is_multiple_of(*unit));
                whole.map_or_else(
                    || bytes.to_string(),
                    |(name, unit)| format!("{}{name}", bytes / unit),
                )
            };
            let message =
                format!("{} is not between {} and {}", quoted(text), shown(least), shown(most));
            return Err(Complaint::new(message));
        }
        Ok(bytes)
    }
}

/// An Azure region as host names contain it: `usgovvirginia`.
pub(super) fn region(text: &str) -> Result<String, Complaint> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if text.chars().all(plain) && text.len() <= limits::LABEL_OCTETS {
        return Ok(text.to_owned());
    }
    let complaint = Complaint::new(format!("{} is not the name of a region", quoted(text)));
    let likely: String = text.to_lowercase().chars().filter(|c| plain(*c)).collect();
    if likely.is_empty() || text.len() > limits::LABEL_OCTETS {
        return Err(complaint.hint("write it as host names contain it, such as `usgovvirginia`"));
    }
    Err(complaint.hint(format!("did you mean `{likely}`? Lower-case letters and digits only")))
}

/// A workspace id: a GUID, made lower case.
pub(super) fn guid(text: &str) -> Result<String, Complaint> {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let hexadecimal = text.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
    if hexadecimal && lengths == [8, 4, 4, 4, 12] {
        return Ok(text.to_lowercase());
    }
    Err(Complaint::new(format!("{} is not a workspace id", quoted(text))).hint(
        "it is a GUID: `az resource show --ids WORKSPACE_ARM_ID --query properties.workspaceId`",
    ))
}

/// What Azure allows as the name of a resource.
pub(super) struct NameRule {
    what: &'static str,
    length: (usize, usize),
    upper_case: bool,
    marks: &'static str,
    letter_first: bool,
}

/// A workspace.
pub(super) const WORKSPACE: NameRule = NameRule {
    what: "a workspace",
    length: (3, 33),
    upper_case: true,
    marks: "-_",
    letter_first: false,
};
/// A storage account.
pub(super) const STORAGE_ACCOUNT: NameRule = NameRule {
    what: "a storage account",
    length: (3, 24),
    upper_case: false,
    marks: "",
    letter_first: false,
};
/// A key vault.
pub(super) const KEY_VAULT: NameRule = NameRule {
    what: "a key vault",
    length: (3, 24),
    upper_case: true,
    marks: "-",
    letter_first: true,
};
/// A container registry.
pub(super) const CONTAINER_REGISTRY: NameRule = NameRule {
    what: "a container registry",
    length: (5, 50),
    upper_case: true,
    marks: "",
    letter_first: false,
};
/// A compute instance.
pub(super) const COMPUTE_INSTANCE: NameRule = NameRule {
    what: "a compute instance",
    length: (3, 24),
    upper_case: true,
    marks: "-",
    letter_first: true,
};
/// A managed online endpoint.
pub(super) const ONLINE_ENDPOINT: NameRule = NameRule {
    what: "an online endpoint",
    length: (3, 32),
    upper_case: true,
    marks: "-",
    letter_first: true,
};

/// The name of a resource, as host names contain it: lower case.
pub(super) fn name(rule: &NameRule) -> impl Fn(&str) -> Result<String, Complaint> {
    move |text| match flaw(rule, text) {
        None => Ok(text.to_lowercase()),
        Some(flaw) => {
            let message = format!("{} is not the name of {}", quoted(text), rule.what);
            let hint = match bare_name(text).filter(|bare| self::flaw(rule, bare).is_none()) {
                Some(bare) => format!("write only the name: `{bare}`"),
                None => flaw,
            };
            Err(Complaint::new(message).hint(hint))
        }
    }
}

/// Why a text is not a name under a rule.
fn flaw(rule: &NameRule, text: &str) -> Option<String> {
    let NameRule { length: (least, most), marks, .. } = *rule;
    let allowed = |c: char| {
        c.is_ascii_digit()
            || c.is_ascii_lowercase()
            || (rule.upper_case && c.is_ascii_uppercase())
            || marks.contains(c)
    };
    if let Some(odd) = text.chars().find(|c| !allowed(*c)) {
        let letters = if rule.upper_case { "letters" } else { "lower-case letters" };
        return Some(match marks {
            "" => format!("{odd:?} is not allowed, only {letters} and digits"),
            "-" => format!("{odd:?} is not allowed, only {letters}, digits and `-`"),
            _ => format!("{odd:?} is not allowed, only {letters}, digits, `-` and `_`"),
        });
    }
    // All characters are ASCII from here on.
    if !(least..=most).contains(&text.len()) {
        let length = text.len();
        return Some(format!("it has {length} characters: {least} to {most} are allowed"));
    }
    if rule.letter_first && !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Some("it must begin with a letter".to_owned());
    }
    if marks.contains('-') && (text.starts_with('-') || text.ends_with('-')) {
        return Some("it cannot begin or end with a hyphen".to_owned());
    }
    None
}

/// The name inside a host name, a URL or an ARM id.
fn bare_name(text: &str) -> Option<String> {
    let (_, after_scheme) = text.split_once("://").unwrap_or(("", text));
    let last = match after_scheme.strip_prefix('/') {
        Some(arm_id) => arm_id.trim_end_matches('/').rsplit('/').next()?,
        None => after_scheme.split(['/', '.', ':']).next()?,
    };
    Some(last.to_lowercase())
}

/// The id that a probe's name becomes: lower-case letters, digits and single hyphens.
pub(super) fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// A scenario's id.
pub(super) fn scenario(text: &str) -> Result<String, Complaint> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !text.is_empty() && text.len() <= limits::LABEL_OCTETS && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    let complaint = Complaint::new(format!("{} is not the id of a scenario", quoted(text)));
    Err(complaint.hint("lower-case letters, digits and `_`, such as `image_build`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_bounds() {
        let parse = duration((Duration::from_millis(50), Duration::from_hours(1)));
        for (text, millis) in [("500ms", 500), ("60s", 60_000), ("2m", 120_000), ("1 h", 3_600_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for (text, part) in [
            ("60", "has no unit"),
            ("", "is not a duration"),
            ("0s", "zero"),
            ("-5s", "negative"),
            ("1.5s", "is not a duration"),
            ("5sec", "unit that is not known"),
            ("99999999999999999999h", "too long"),
            ("18446744073709551615h", "too long"),
            ("2h", "`2h` is not between 50ms and 1h"),
            ("10ms", "not between"),
        ] {
            let complaint = parse(text).unwrap_err();
            assert!(complaint.message.contains(part), "{text}: {complaint:?}");
        }
    }

    #[test]
    fn sizes_need_a_binary_unit_and_bounds() {
        let parse = size((1 << 20, 1 << 30));
        for (text, bytes) in [("1024KiB", 1 << 20), ("64MiB", 64 << 20), ("1 GiB", 1 << 30)] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for (text, part) in [
            ("64", "is not a size"),
            ("64MB", "is not a size"),
            ("MiB", "is not a size"),
            ("-1MiB", "is not a size"),
            ("99999999999999999999GiB", "is not a size"),
            ("18446744073709551615GiB", "is not a size"),
            ("1KiB", "`1KiB` is not between 1MiB and 1GiB"),
            ("2GiB", "not between"),
        ] {
            let complaint = parse(text).unwrap_err();
            assert!(complaint.message.contains(part), "{text}: {complaint:?}");
        }
    }

    #[test]
    fn names_are_found_in_what_people_paste() {
        let storage = name(&STORAGE_ACCOUNT);
        assert_eq!(storage("mlstore"), Ok("mlstore".into()));
        for pasted in [
            "mlstore.blob.core.usgovcloudapi.net",
            "https://mlstore.blob.core.usgovcloudapi.net/",
            "/subscriptions/0/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/mlstore",
            "MLStore",
        ] {
            let hint = storage(pasted).unwrap_err().hint.unwrap();
            assert_eq!(hint, "write only the name: `mlstore`", "{pasted}");
        }
        for (text, part) in
            [("ml_store", "'_' is not allowed"), ("ab", "2 characters"), ("ä", "'ä'")]
        {
            assert!(storage(text).unwrap_err().hint.unwrap().contains(part), "{text}");
        }
        assert_eq!(name(&KEY_VAULT)("MLVault"), Ok("mlvault".into()));
        assert!(name(&KEY_VAULT)("1vault").is_err());
        assert!(name(&COMPUTE_INSTANCE)("ci-alice-").is_err());
        assert!(name(&WORKSPACE)("mlw_research").is_ok());
    }

    #[test]
    fn slugs_are_ids() {
        for (name, slug) in [
            ("artifact mirror", "artifact-mirror"),
            ("  A -- B (2) ", "a-b-2"),
            ("Ünicode", "nicode"),
            ("漢字", ""),
        ] {
            assert_eq!(super::slug(name), slug, "{name}");
        }
    }
}
