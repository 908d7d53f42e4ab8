//! Words of a shell command. Values come from strangers and from configuration, so nothing gets
//! into a command unquoted.

use std::net::{IpAddr, SocketAddr};

use crate::model::visible;

/// A word that a POSIX shell gives to the program exactly as it is here.
pub(crate) fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The same for a value that people read in a terminal first: without control characters.
pub(crate) fn word(text: &str) -> String {
    quote(&visible(text))
}

/// Words with spaces between.
pub(crate) fn words<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    texts.into_iter().map(|text| word(text.as_ref())).collect::<Vec<_>>().join(" ")
}

/// An address and a port as `openssl -connect` wants them.
pub(crate) fn place(ip: IpAddr, port: u16) -> String {
    quote(&SocketAddr::new(ip, port).to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_words_stay_readable() {
        for (text, quoted) in [
            ("mlstore.blob.core.usgovcloudapi.net", "mlstore.blob.core.usgovcloudapi.net"),
            ("10.0.0.4", "10.0.0.4"),
            ("", "''"),
            ("a b", "'a b'"),
            ("$(reboot)", "'$(reboot)'"),
            ("it's", r"'it'\''s'"),
            ("*", "'*'"),
            ("~root", "'~root'"),
            ("[fd00::7]:443", "'[fd00::7]:443'"),
        ] {
            assert_eq!(quote(text), quoted);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_shell_gives_every_word_back(text in "[^\u{0}]{0,40}", odd in "[ '\"$`\\\\!*?~#&;|<>(){}\\[\\]\n\t-]{0,20}") {
            for text in [text, odd] {
                let script = format!("printf %s {}", quote(&text));
                let output = std::process::Command::new("sh").arg("-c").arg(&script).output().unwrap();
                prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
            }
        }
    }
}
